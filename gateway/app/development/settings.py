"""The settings of development mode."""

from importlib.util import find_spec
from pathlib import Path

from gateway.app.settings import DEV_AUDIENCE, DEV_ISSUER, Settings
from gateway.app.settings_checks import checked
from gateway.identity import TokenBinding


def development(data: Path, *, database: str = "", host: str = "127.0.0.1", port: int = 8080) -> Settings:
    """The settings of `serve --dev` and of the demo: the local issuer, whose bearer tokens nothing binds, and every door whose extra is
    installed, since `dev token --environment` names them all."""
    return checked(
        Settings(
            data=data,
            files_folder=data / "files",
            database=database,
            development=True,
            host=host,
            port=port,
            issuer=DEV_ISSUER,
            audience=DEV_AUDIENCE,
            binding=TokenBinding.OPTIONAL,
            passkey_cooling_off_s=0,
            playground=True,
            stand_in_model=True,
            azure_paths=True,
            mcp=find_spec("mcp") is not None,
        )
    )
