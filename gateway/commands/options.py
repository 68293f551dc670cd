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


def from_environment(setting: str) -> str | None:
    """The value of TELLERGATE_<SETTING>; None where it is empty or not there."""
    return os.environ.get(f"TELLERGATE_{setting}") or None


def data_option(parser: argparse.ArgumentParser, told: str) -> None:
    """The folder that a command works on: by the option, or by TELLERGATE_DATA."""
    path_option(parser, "data", told)


def path_option(parser: argparse.ArgumentParser, setting: str, told: str) -> None:
    """A path that must be given: by the option, or by the environment as the setting of that name."""
    default = from_environment(setting.upper())
    name = f"--{setting.replace('_', '-')}"
    parser.add_argument(name, type=Path, default=default and Path(default), required=default is None, help=told)


def database_option(parser: argparse.ArgumentParser) -> None:
    """Where its databases are: by the option, or by TELLERGATE_DATABASE."""
    parser.add_argument("--database", default=from_environment("DATABASE") or "", help=DATABASE_HELP)


def officer_key(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Whose key acts, and signs what is done."""
    told = "private key of a person who is pinned (`policy officer`), readable by its owner alone: it signs what is done, on record"
    parser.add_argument("--officer-key", type=Path, required=required, metavar="FILE", help=told)


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
