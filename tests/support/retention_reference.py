"""What each table keeps and for how long, in `deploy/README.md`, made from the code; `--write` renews it."""

from pathlib import Path

from gateway.app.retention import RETENTION, TableRetention
from tests.support.reference_file import placed, print_or_write

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
    return placed(text, _BEGIN, table(), _END)


if __name__ == "__main__":
    print_or_write(GUIDE, renewed, table)
