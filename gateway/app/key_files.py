"""Credentials, and development's own keys, in files: made once, readable by their owner alone. Other keys: `gateway.app.keys`."""

import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from gateway.app.unsafe_settings import UnsafeSettings

CREDENTIAL_FORM = re.compile(r"[A-Za-z0-9._~+/-]{32,256}", re.ASCII)
"""A bearer token (RFC 6750) that nobody guesses."""


def private_file(path: Path, size: int) -> bytes:
    """The `size` random bytes of this file, made on first use. UnsafeSettings when others may read it or its size is wrong."""
    _made_once(path, secrets.token_bytes(size))
    content = _read_privately(path)
    if len(content) != size:
        raise UnsafeSettings(f"{path.name} must hold {size} bytes")
    return content


def credential(path: Path, *, make: bool = False) -> str:
    """The bearer token in this file, one line. `make`: on first use, for whoever takes it; never for whoever sends it.

    UnsafeSettings when there is none, others may read it, or it is not 32 to 256 characters of a token.
    """
    if make:
        _made_once(path, secrets.token_urlsafe(32).encode())
    if not path.is_file():
        raise UnsafeSettings(f"{path.name} must hold the credential of the core; it is not there")
    token = _read_privately(path).decode("ascii", "replace").strip()
    if CREDENTIAL_FORM.fullmatch(token) is None:
        raise UnsafeSettings(f"{path.name} must hold a bearer token of 32 to 256 characters")
    return token


def _made_once(path: Path, content: bytes) -> None:
    """Whole or not at all, by whoever is first: several workers start at once, and each must read the same."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return
    whole = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(whole, path)
    finally:
        whole.unlink(missing_ok=True)


def _read_privately(path: Path) -> bytes:
    refuse_others(path)
    return path.read_bytes()


def refuse_others(path: Path) -> None:
    """UnsafeSettings when others than its owner may read this file, OSError when it is not there."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UnsafeSettings(f"{path.name} must be readable by its owner alone (chmod 600)")


def secret_of(path: Path) -> str:
    """The one line of text in a file that its owner alone may read. UnsafeSettings, without a word of it, for anything else."""
    try:
        secret = _read_privately(path).decode("ascii").strip()
    except UnicodeDecodeError:
        secret = ""
    if not secret or not secret.isprintable():
        raise UnsafeSettings(f"{path.name} does not hold a secret of one line (RFC 6749 appendix A.2)")
    return secret
