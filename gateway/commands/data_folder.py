"""The folder that a command works on, looked at before it does anything."""

import argparse
from pathlib import Path

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
