"""What the ten questions cost a person on the pages, in `audit/README.md`; `--write` renews it. A test measures each, and compares."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.reference_file import placed, print_or_write

GUIDE = Path(__file__).parents[2] / "audit" / "README.md"
_BEGIN, _END = "<!-- clicks of questions -->\n", "<!-- end of clicks of questions -->"


class Cost(NamedTuple):
    """`clicks`: links that are followed, buttons and boxes that are pressed; `blanks`: that are filled in."""

    clicks: int
    blanks: int


WAY_IN = "the way in: sign-in behind you, what for and under which case"

CLICKS: Mapping[str, Cost] = {
    WAY_IN: Cost(2, 2),
    "which payments over 500 to new payees were refused this month": Cost(1, 1),
    "who looked at this customer": Cost(1, 1),
    "which rules allowed this call": Cost(1, 1),
    "what did this agent do while a switch stopped it, the switch yet to be found": Cost(3, 2),
    "what became of what was held this month": Cost(1, 0),
    "what did this customer confirm": Cost(1, 1),
    "which calls are in doubt": Cost(1, 0),
    "hand it to an outside auditor; one click more is the other auditor's": Cost(3, 1),
    "is it with the SIEM": Cost(1, 0),
    "a report of this month for the committee": Cost(1, 0),
}


def table() -> str:
    """The table in Markdown."""
    rows = [f"| {name} | {cost.clicks} | {cost.blanks} |" for name, cost in CLICKS.items()]
    return "\n".join(["| question | clicks | blanks filled in |", "|---|---|---|", *rows]) + "\n"


def renewed(text: str) -> str:
    """The guide with the table in its place."""
    return placed(text, _BEGIN, table(), _END)


if __name__ == "__main__":
    print_or_write(GUIDE, renewed, table)
