"""SoftHSM2, a PKCS#11 token in software: tokens of the tests' own, in a store of this process."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from audit.token_device import _LIBRARIES, KeyToken
from tests.support.postgres import absent

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
"""Where Debian's package `softhsm2` puts it."""

PIN = "the PIN of the tests"


@cache
def store() -> Path:
    """The folder of this process' tokens. Skips the test without SoftHSM2; with REQUIRE_PEERS it fails."""
    if not MODULE.exists() or shutil.which("softhsm2-util") is None:
        absent("SoftHSM2 (softhsm2-util)")
    folder = Path(tempfile.mkdtemp(prefix="softhsm-"))
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)  # the library reads it when it is initialized
    return folder


def new_token() -> str:
    """The label of an empty token."""
    store()
    label = f"tests-{secrets.token_hex(6)}"
    made = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN]
    subprocess.run(made, check=True, capture_output=True, timeout=30)
    return label


def opened(label: str, pin: str = PIN, *, wait_s: float = 5.0) -> KeyToken:
    """That token, as a gateway of this process has it."""
    return KeyToken(MODULE, label, lambda: pin, wait_s=wait_s)


def folder_of(label: str) -> Path:
    """Where SoftHSM2 keeps that token: to take it away, and bring it back."""
    (found,) = (path.parent for path in store().glob("tokens/*/token.object") if label.encode() in path.read_bytes())
    return found


@contextmanager
def unplugged(label: str) -> Iterator[None]:
    """The token is away, and whoever has a session finds that it is: SoftHSM2 itself keeps in memory what it once read."""
    place = folder_of(label)
    away = store() / place.name
    place.rename(away)
    try:
        for library in list(_LIBRARIES.values()):
            library.thread.submit(library.begin_again).result(10)
        yield
    finally:
        away.rename(place)
