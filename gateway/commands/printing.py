"""How commands print: JSON for programs, tables for people."""

import json
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

GOOD, FINDING, USAGE, UNAVAILABLE = 0, 1, 2, 3
"""Exit statuses of every command."""


def failed(message: str, status: int) -> int:
    """Say on standard error what is wrong and what to do; the status."""
    print(f"tellergate: {message}", file=sys.stderr)
    return status


def print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    Console().print(table)
