"""Options that several commands have, and how a command is imported when it is run."""

import argparse
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from gateway.commands.interrupts import ended_by_an_interrupt

Command = Callable[[argparse.Namespace], int]
"""What a verb does with its options; the exit status."""

DATABASE_HELP = "PostgreSQL address instead of files in the folder; as it holds a password, better set TELLERGATE_DATABASE"


def _from_environment(setting: str) -> str | None:
    return os.environ.get(f"TELLERGATE_{setting}") or None


def data_option(parser: argparse.ArgumentParser, told: str) -> None:
    """The folder that a command works on: by the option, or by TELLERGATE_DATA."""
    default = _from_environment("DATA")
    parser.add_argument("--data", type=Path, default=default and Path(default), required=default is None, help=told)


def database_option(parser: argparse.ArgumentParser) -> None:
    """Where its databases are: by the option, or by TELLERGATE_DATABASE."""
    parser.add_argument("--database", default=_from_environment("DATABASE") or "", help=DATABASE_HELP)


def port(text: str) -> int:
    """A TCP port, as `argparse` reads a type."""
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("a number from 0 to 65535")
    return int(text)


def late(noun: str, verb: str) -> Command:
    """The command `verb` of the module `noun`, imported when it is run."""

    def command(options: argparse.Namespace) -> int:
        with ended_by_an_interrupt():
            module = import_module(f"gateway.commands.{noun}")
        status: int = getattr(module, verb)(options)
        return status

    return command
