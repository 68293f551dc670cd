"""Where the databases are of the folder that a command works on, and the files that its settings name."""

import argparse
import os
from pathlib import Path

from audit.key_files import FileKeys
from gateway.app.databases import DatabaseLocations
from gateway.app.keys import file_keys
from gateway.app.settings_sources import gathered


def locations(options: argparse.Namespace) -> DatabaseLocations:
    """The databases of the folder of `--data`: as `--database` says, else as the gateway's settings do, in the environment or the folder's
    file. UnsafeSettings for settings that cannot be read."""
    said = gathered({"data": options.data, "database": getattr(options, "database", "")}, os.environ)
    database, keys, passphrase = (
        str(said[name].value) if name in said else "" for name in ("database", "keys_database", "key_passphrase_file")
    )
    return DatabaseLocations(options.data, database, keys, Path(passphrase) if passphrase else None)


def key_files(options: argparse.Namespace) -> FileKeys:
    """The key files of that folder, opened by the passphrase that the same settings name. KeyRefused."""
    places = locations(options)
    return file_keys(places.data, places.passphrase_file)


def named_file(options: argparse.Namespace, setting: str) -> Path | None:
    """The file that this setting names, by the same sources, its option first where the command has one; None: nobody names one.
    UnsafeSettings for settings that cannot be read."""
    said = gathered({"data": options.data, setting: getattr(options, setting, None)}, os.environ)
    return Path(str(said[setting].value)) if setting in said else None
