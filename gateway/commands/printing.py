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
    """A table where it fits the width of the terminal; else each row as a block of `column  value` lines. Nothing is ever cut or broken, so
    that an id can be copied; what is no terminal gets the table whatever its width.
    """
    cells = [tuple("" if cell is None else str(cell) for cell in row) for row in rows]
    table = Table(*(escape(column) for column in columns))
    for row in cells:
        table.add_row(*(escape(cell) for cell in row))
    console = Console()
    needed = console.measure(table, options=console.options.update(max_width=1_000_000)).maximum
    if needed <= console.width or not console.is_terminal:
        Console(width=max(needed, 1), soft_wrap=False).print(table)
        return
    label_width = max(map(len, columns))
    for row in cells:
        for column, cell in zip(columns, row, strict=True):
            if cell:
                print(f"{column:{label_width}}  {cell}")
        print()
