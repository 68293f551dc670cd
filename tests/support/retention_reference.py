"""What each table keeps and for how long, in `deploy/README.md`, made from the code; `--write` renews it."""

import sys
from pathlib import Path

from gateway.app.retention import RETENTION, TableRetention

GUIDE = Path(__file__).parents[2] / "deploy" / "README.md"
_BEGIN, _END = "<!-- retention -->\n", "<!-- end of retention -->"


def table() -> str:
    """The table in Markdown."""
    rows = [
        f"| `{part.value}.{name}` | {kept.until} | {_by(kept)} | {', '.join(f'`{column}`' for column in kept.personal)} |"
        for part, tables in RETENTION.items()
        for name, kept in sorted(tables.items())
    ]
    return "\n".join(["| table | kept until | by, or why not | of a person |", "|---|---|---|---|", *rows]) + "\n"


def _by(kept: TableRetention) -> str:
    return f"swept: {kept.swept}" if kept.swept else kept.why


def renewed(text: str) -> str:
    """The guide with this table in its place."""
    before, rest = text.split(_BEGIN, 1)
    return before + _BEGIN + table() + _END + rest.split(_END, 1)[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        GUIDE.write_text(renewed(GUIDE.read_text()))
    else:
        print(table(), end="")
