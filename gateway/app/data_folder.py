"""The data folder of a gateway that serves customers: its key files, which must be there, and its making."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from audit.keys import KeyRefused, make_files, read_files
from gateway.app.key_files import private_file
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls.references import KEY_BYTES as REFERENCES_BYTES
from gateway.doors.pages.session import KEY_BYTES as SESSION_BYTES
from gateway.identity.dpop import NONCE_KEY_BYTES
from gateway.runs.sealed_principal import KEY_BYTES as RUNS_BYTES

KEY_FILES: Mapping[str, int] = {
    "mandates.key": 32,
    "references.key": REFERENCES_BYTES,
    "runs.key": RUNS_BYTES,
    "dpop-nonces.key": NONCE_KEY_BYTES,
    "confirm-page.key": SESSION_BYTES,
    "webhook.key": 32,
}
"""Files in `keys`, with their size in bytes."""


def make_data_folder(folder: Path) -> None:
    """Make the folder, or take one that is empty and its owner's alone, with every key. UnsafeSettings for any other; nothing was made."""
    if folder.exists():
        if not folder.is_dir():
            raise UnsafeSettings(f"{folder} is no folder; name one that is empty, or not there yet")
        if any(folder.iterdir()):
            raise UnsafeSettings(
                f"{folder} is not empty; name a folder that is, or that is not there yet: keys are never written over"
            )
        if (wrong := open_to_others(folder)) is not None:
            raise UnsafeSettings(f"{folder} {wrong}; chmod 700 it, or name one that is not there yet")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, size in KEY_FILES.items():
        private_file(folder / "keys" / name, size)
    (folder / "audit").mkdir(mode=0o700)
    make_files(folder / "audit" / "secrets", os.urandom)


def missing_keys(settings: Settings) -> Iterator[str]:
    """What is wrong with each key file that these settings need: its path in the folder, and why."""
    unused = {
        "dpop-nonces.key": not settings.dpop_nonce_s,
        "confirm-page.key": not settings.confirm_origin,
        "webhook.key": not settings.webhook_url,
    }
    for name, size in KEY_FILES.items():
        path = settings.data / "keys" / name
        if unused.get(name):
            continue
        if not path.is_file():
            yield f"keys/{name} is not there"
        elif path.stat().st_size != size:
            yield f"keys/{name} does not hold {size} bytes"
        elif (wrong := open_to_others(path)) is not None:
            yield f"keys/{name} {wrong}"
    try:
        read_files(settings.data / "audit" / "secrets")
    except KeyRefused as refused:
        yield f"audit/secrets/{refused}"


def open_to_others(path: Path) -> str | None:
    """Why this file or folder is not its owner's alone, who is who asks; None where it is. OSError when it is not there."""
    found = path.stat()
    if found.st_uid != os.geteuid():
        return "belongs to somebody else"
    return "can be opened by others" if found.st_mode & 0o077 else None
