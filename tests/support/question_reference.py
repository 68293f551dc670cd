"""The words of the language of questions in `audit/README.md`, made from the code; `--write` renews them."""

import sys
from pathlib import Path

from audit.question_language import FIELDS
from audit.terms import CallOutcome

GUIDE = Path(__file__).parents[2] / "audit" / "README.md"
_BEGIN, _END = "<!-- words of questions -->\n", "<!-- end of words of questions -->"


def table() -> str:
    """The table in Markdown."""
    rows = [
        f"| `{field.name}`{''.join(f', `{alias}`' for alias in field.aliases)} | {field.means} | `{field.name}:{field.example}` |"
        for field in FIELDS
    ]
    outcomes = ", ".join(f"`{outcome}`" for outcome in CallOutcome)
    return "\n".join(["| word | means | example |", "|---|---|---|", *rows, "", f"Outcomes: {outcomes}."]) + "\n"


def renewed(text: str) -> str:
    """The guide with the table in its place."""
    before, rest = text.split(_BEGIN, 1)
    return before + _BEGIN + table() + _END + rest.split(_END, 1)[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        GUIDE.write_text(renewed(GUIDE.read_text()))
    else:
        print(table(), end="")
