"""The table of `gateway/README.md` about habits of model servers, made from the cases that are played; `--write` renews it."""

import sys
from pathlib import Path

from tests.samples.model_habits import HABITS, Habit

PLACE = Path(__file__).parents[2] / "gateway" / "README.md"
_BEGIN, _END = "<!-- habits of model servers -->\n", "<!-- end of habits -->"


def table() -> str:
    """The table in Markdown: the habit, of whom it is reported, and what comes of it over each API."""
    rows = [f"| {habit.name} | {habit.seen} | {_decided(habit, 'chat')} | {_decided(habit, 'responses')} |" for habit in HABITS]
    return "\n".join(["| habit | of | Chat Completions | Responses |", "|---|---|---|---|", *rows]) + "\n"


def _decided(habit: Habit, api: str) -> str:
    """In one word; with the form, where it exists in one form alone."""
    forms = list(habit.forms(api))
    if not forms:
        return ""
    return habit.expected(api).word + ("" if len(forms) > 1 else f", {forms[0]}")


def renewed(text: str) -> str:
    """The guide with this table in its place."""
    before, rest = text.split(_BEGIN, 1)
    return before + _BEGIN + table() + _END + rest.split(_END, 1)[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PLACE.write_text(renewed(PLACE.read_text()))
    else:
        print(table(), end="")
