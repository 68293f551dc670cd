"""The folder that a command works on, looked at before it does anything, and where its databases are."""

import argparse
import os
from pathlib import Path

from gateway.app.databases import DatabaseLocations
from gateway.app.settings_sources import gathered

_PARTS = ("audit", "keys", "dev")
"""Folders of which a gateway makes one at least, whatever its databases and its mode are."""


def obstacle(options: argparse.Namespace) -> str | None:
    """Why the folder of `--data` does not do, and what to give instead; None where it does, or where the command takes none.

    Options with `makes_folder` may name one that is not there yet.
    """
    data: Path | None = getattr(options, "data", None)
    if data is None:
        return None
    if data.exists() and not data.is_dir():
        return f"{data} is not a folder; give the data folder of the gateway"
    if getattr(options, "makes_folder", False) or any((data / part).is_dir() for part in _PARTS):
        return None
    what = "is not a data folder" if data.is_dir() else "is not there"
    return f"{data} {what}; give the folder of `tellergate serve`"


def locations(options: argparse.Namespace) -> DatabaseLocations:
    """The databases of the folder of `--data`: as `--database` says, else as the gateway's settings do, in the environment or the folder's
    file. UnsafeSettings for settings that cannot be read."""
    said = gathered({"data": options.data, "database": options.database}, os.environ)
    database, keys = (str(said[name].value) if name in said else "" for name in ("database", "keys_database"))
    return DatabaseLocations(options.data, database, keys)
