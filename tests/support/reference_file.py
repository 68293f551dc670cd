"""A table in a guide that is made from the code: put into its place between two marks, printed, or written by `--write`."""

import sys
from collections.abc import Callable
from pathlib import Path


def placed(text: str, begin: str, made: str, end: str) -> str:
    """The guide's text with this between the marks, in the place of what was there."""
    before, rest = text.split(begin, 1)
    return before + begin + made + end + rest.split(end, 1)[1]


def print_or_write(guide: Path, renewed: Callable[[str], str], made: Callable[[], str]) -> None:
    """What the module of such a table does when it is run."""
    if sys.argv[1:] == ["--write"]:
        guide.write_text(renewed(guide.read_text()))
    else:
        print(made(), end="")
