"""Key files of the gateway: made once, readable by their owner alone."""

import os
import secrets
import stat
from pathlib import Path

from gateway.settings import UnsafeSettings


def private_file(path: Path, size: int) -> bytes:
    """The `size` random bytes of this file, made on first use. UnsafeSettings when others may read it or its size is wrong."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(size))
            file.flush()
            os.fsync(file.fileno())
    refuse_others(path)
    content = path.read_bytes()
    if len(content) != size:
        raise UnsafeSettings(f"{path.name} must hold {size} bytes")
    return content


def refuse_others(path: Path) -> None:
    """UnsafeSettings when others than its owner may read this file, OSError when it is not there."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UnsafeSettings(f"{path.name} must be readable by its owner alone (chmod 600)")


def secret_of(path: Path) -> str:
    """The one line of text in a file that its owner alone may read. UnsafeSettings, without a word of it, for anything else."""
    refuse_others(path)
    try:
        secret = path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        secret = ""
    if not secret or not secret.isprintable():
        raise UnsafeSettings(f"{path.name} does not hold a secret of one line (RFC 6749 appendix A.2)")
    return secret
