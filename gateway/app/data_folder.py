"""The data folder of a gateway that serves customers: its making, with every key, and what is wrong with its keys."""

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from audit.key_files import FileKeys
from audit.key_format import PassphraseRefused
from audit.keyring import KeyRefused
from audit.keys import make_keys
from gateway.app.keys import PURPOSES, TokenPlace, file_keys, make_gateway_keys, passphrase, token_of
from gateway.app.settings import Settings
from gateway.app.unsafe_settings import UnsafeSettings


def make_data_folder(folder: Path, passphrase_file: Path | None = None, token: TokenPlace | None = None) -> None:
    """Make the folder, or take one that is empty and its owner's alone, with every key, sealed, or in the token. UnsafeSettings for any
    other folder, and KeyRefused without a passphrase (`gateway.app.keys.passphrase`) or without the token; nothing was made."""
    if folder.exists():
        if not folder.is_dir():
            raise UnsafeSettings(f"{folder} is no folder; name one that is empty, or not there yet")
        if any(folder.iterdir()):
            raise UnsafeSettings(
                f"{folder} is not empty; name a folder that is, or that is not there yet: keys are never written over"
            )
        if (wrong := open_to_others(folder)) is not None:
            raise UnsafeSettings(f"{folder} {wrong}; chmod 700 it, or name one that is not there yet")
    with closing(_sealed(folder, passphrase_file, token)) as storage:
        storage.check()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_gateway_keys(storage)
        make_keys(storage)


def sealed_keys(settings: Settings) -> FileKeys:
    """The keys that these settings open; close it. KeyRefused where they are in files and there is no passphrase, or one that is none."""
    return _sealed(settings.data, settings.key_passphrase_file, token_of(settings))


def _sealed(folder: Path, passphrase_file: Path | None, token: TokenPlace | None) -> FileKeys:
    if token is not None:
        return file_keys(folder, passphrase_file, may_be_plain=False, token=token)
    words = passphrase(passphrase_file)
    if words is None:
        raise PassphraseRefused("there is no passphrase for the keys: no file with it is named, and there is no systemd credential")
    return FileKeys(folder, passphrase=words, may_be_plain=False)


def missing_keys(storage: FileKeys) -> Iterator[str]:
    """What is wrong with each key file: its path in the folder, and why."""
    for purpose in PURPOSES:
        try:
            storage.load(purpose)
        except KeyRefused as refused:
            yield f"{purpose.file}: {refused}"


def keys_elsewhere(storage: FileKeys) -> Iterator[str]:
    """The purposes whose keys are not where this storage makes them: they were made before it was chosen."""
    for purpose in PURPOSES:
        with suppress(KeyRefused):  # said already
            if not storage.is_inside(purpose):
                yield purpose.name


def open_to_others(path: Path) -> str | None:
    """Why this file or folder is not its owner's alone, who is who asks; None where it is. OSError when it is not there."""
    found = path.stat()
    if found.st_uid != os.geteuid():
        return "belongs to somebody else"
    return "can be opened by others" if found.st_mode & 0o077 else None
