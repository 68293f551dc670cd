"""The words of the language of questions in `audit/README.md`, made from the code; `--write` renews them."""

from pathlib import Path

from audit.question_language import FIELDS
from audit.terms import CallOutcome
from tests.support.reference_file import placed, print_or_write

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
    return placed(text, _BEGIN, table(), _END)


if __name__ == "__main__":
    print_or_write(GUIDE, renewed, table)
