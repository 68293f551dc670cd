"""What people of development mode ask the trail on the command line, by the keys of their folder."""

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

from gateway.cli import main
from tests.support import databases


def by(folder: Path, name: str = "ada") -> list[str]:
    """The option by which a person of development mode acts in this folder."""
    return ["--officer-key", str(folder / "dev" / "officers" / f"{name}.key")]


def why(folder: Path, name: str = "eve", purpose: str = "to see", case: str = "none") -> list[str]:
    """Who asks the trail of this folder, what for and under which case."""
    return [*by(folder, name), "--purpose", purpose, "--case", case]


def approved(folder: Path, *command: str, other: Sequence[str] = (), database: str | None = None) -> tuple[int, str]:
    """A command that takes two: typed, approved by Ben (or by the key of `other`), and typed again; its status, and what it printed, or
    said where it printed nothing."""
    where = ["--data", str(folder), "--database", databases.url(folder) if database is None else database]
    status, printed = _typed([*command, *where, "--json"])
    if status == 1 and printed.startswith('{"approval"'):
        given = ["approvals", "give", json.loads(printed)["approval"], *(other or by(folder, "ben")), *where]
        assert _typed(given)[0] == 0
        status, printed = _typed([*command, *where, "--json"])
    return status, printed


def _typed(command: Sequence[str]) -> tuple[int, str]:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()) as said:
        status = main(list(command))
    return status, printed.getvalue() or said.getvalue()
