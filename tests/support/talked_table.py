"""The table of `gateway/CLIENTS.md` about clients, made from what is expected of each; `--write` renews it."""

from pathlib import Path

from tests.support.reference_file import placed, print_or_write
from tests.support.talked import CLIENTS, Client

PLACE = Path(__file__).parents[2] / "gateway" / "CLIENTS.md"
_BEGIN, _END = "<!-- clients -->\n", "<!-- end of clients -->"
_HEAD = ("client", "door", "the bank's functions", "a held payment")


def table() -> str:
    """The table in Markdown."""
    rows = [_HEAD, ("---",) * len(_HEAD), *map(_row, CLIENTS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(client: Client) -> tuple[str, ...]:
    return client.name, client.door, client.banking, client.held


def renewed(text: str) -> str:
    """The guide with this table in its place."""
    return placed(text, _BEGIN, table(), _END)


if __name__ == "__main__":
    print_or_write(PLACE, renewed, table)
