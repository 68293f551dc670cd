"""A home of a gateway that serves customers, as an operator has it: the data folder with its keys, the files that its settings name."""

import base64
import json
import secrets
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from gateway.app.policies_in_force import BUNDLE, SIGNATURES

from gateway.app.bundle import read_bundle
from gateway.app.data_folder import make_data_folder
from gateway.app.settings import Settings
from gateway.app.settings_texts import toml_value
from policies.bundle import Bundle, Role, sign

AUTHOR, ACTIVATOR = "tellergate", "bea"


def home(folder: Path, **changes: Any) -> Settings:
    """Everything that a start needs but the databases, in this folder; good settings over it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    make_data_folder(folder / "data")
    settings = {
        "issuer": "https://issuer.bank.example",
        "audience": "https://window.example",
        "public_url": "https://window.example",
        "strong_acr": ("urn:bank:two-factor",),
        "core_url": "https://core.bank.example",
        "core_credential_file": private(folder / "core.token", secrets.token_urlsafe(32)),
        "policies": folder / "policies",
        "policy_officers": folder / "officers.toml",
    }
    signed_policies(folder)
    return Settings(data=folder / "data", development=False, **{**settings, **changes})


def private(path: Path, text: str) -> Path:
    """A file that its owner alone may read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def signed_policies(folder: Path, bundle: Bundle | None = None) -> None:
    """The bundle (None: that of this distribution) signed by two officers, and the file of their keys."""
    bundle = bundle or read_bundle()
    keys = {name: Ed25519PrivateKey.generate() for name in (AUTHOR, ACTIVATOR)}
    (folder / "policies").mkdir(mode=0o700, exist_ok=True)
    (folder / "policies" / BUNDLE).write_bytes(bundle.canonical())
    signatures = {
        role: {"name": name, "value": base64.b64encode(sign(bundle, role, name, keys[name]).value).decode()}
        for role, name in ((Role.AUTHOR, AUTHOR), (Role.ACTIVATOR, ACTIVATOR))
    }
    (folder / "policies" / SIGNATURES).write_text(json.dumps(signatures))
    lines = [f'{name} = "{base64.b64encode(key.public_key().public_bytes_raw()).decode()}"\n' for name, key in keys.items()]
    (folder / "officers.toml").write_text("".join(lines))
    for path in (folder / "officers.toml", folder / "policies" / BUNDLE, folder / "policies" / SIGNATURES):
        path.chmod(0o600)


def written(file: Path, settings: Settings) -> Path:
    """A settings file that says these, where the data folder's own stands."""
    lines = []
    for name in Settings.__dataclass_fields__:
        value = getattr(settings, name)
        if name in ("data", "development") or value == getattr(Settings(data=Path(), development=False), name):
            continue
        lines.append(f"{name} = {toml_value(value)}\n")
    return private(file, "".join(lines))
