"""Where the databases are of the folder that a command works on, and the files that its settings name."""

import argparse
import os
from pathlib import Path

from gateway.app.databases import DatabaseLocations
from gateway.app.settings_sources import gathered


def locations(options: argparse.Namespace) -> DatabaseLocations:
    """The databases of the folder of `--data`: as `--database` says, else as the gateway's settings do, in the environment or the folder's
    file. UnsafeSettings for settings that cannot be read."""
    said = gathered({"data": options.data, "database": options.database}, os.environ)
    database, keys = (str(said[name].value) if name in said else "" for name in ("database", "keys_database"))
    return DatabaseLocations(options.data, database, keys)


def named_file(options: argparse.Namespace, setting: str) -> Path | None:
    """The file that this setting names, by the same sources, its option first where the command has one; None: nobody names one.
    UnsafeSettings for settings that cannot be read."""
    said = gathered({"data": options.data, setting: getattr(options, setting, None)}, os.environ)
    return Path(str(said[setting].value)) if setting in said else None
