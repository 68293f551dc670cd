"""Where the databases are of the folder that a command works on."""

import argparse
import os

from gateway.app.databases import DatabaseLocations
from gateway.app.settings_sources import gathered


def locations(options: argparse.Namespace) -> DatabaseLocations:
    """The databases of the folder of `--data`: as `--database` says, else as the gateway's settings do, in the environment or the folder's
    file. UnsafeSettings for settings that cannot be read."""
    said = gathered({"data": options.data, "database": options.database}, os.environ)
    database, keys = (str(said[name].value) if name in said else "" for name in ("database", "keys_database"))
    return DatabaseLocations(options.data, database, keys)
