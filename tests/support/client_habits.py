"""The table of `gateway/CLIENTS.md` about habits of clients, made from the cases that are played; `--write` renews it."""

from pathlib import Path

from tests.samples.client_habits import HABITS, Habit, Refused
from tests.support.reference_file import placed, print_or_write

PLACE = Path(__file__).parents[2] / "gateway" / "CLIENTS.md"
_BEGIN, _END = "<!-- habits of clients -->\n", "<!-- end of habits of clients -->"


def table() -> str:
    """The table in Markdown: the habit, of whom it is, and what is decided of it over each API."""
    rows = [f"| {habit.name} | {habit.seen} | {_decided(habit, 'chat')} | {_decided(habit, 'responses')} |\n" for habit in HABITS]
    return "".join(["| habit | of | Chat Completions | Responses |\n", "|---|---|---|---|\n", *rows])


def _decided(habit: Habit, door: str) -> str:
    """In a word, with the code where it is refused; nothing where the habit does not exist."""
    if habit.wire is not None:
        return _word(habit.wire.becomes)
    sent = getattr(habit, door)
    return "" if sent is None else _word(sent.becomes)


def _word(becomes: Refused | None) -> str:
    return "taken" if becomes is None else f"{becomes.status} `{becomes.code}`"


def renewed(text: str) -> str:
    """The guide with this table in its place."""
    return placed(text, _BEGIN, table(), _END)


if __name__ == "__main__":
    print_or_write(PLACE, renewed, table)
