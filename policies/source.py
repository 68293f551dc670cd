"""Rule files as text: where each policy stands, so that a finding can name its file and line."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of a file of the bundle, counted from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Passage:
    """The text of one policy, its annotations included, and the line on which it starts."""

    file: str
    line: int
    text: str

    def find(self, word: str) -> SourceLine:
        """The line that holds `word` first, else the line where the policy starts."""
        at = self.text.find(word) if word else -1
        return SourceLine(self.file, self.line + self.text.count("\n", 0, at) if at >= 0 else self.line)


def passages(file: str, text: str) -> tuple[Passage, ...]:
    """The policies of a file in order. What follows the last semicolon is a passage too, for Cedar to refuse."""
    found = []
    start: int | None = None
    for at, character in _code(text):
        if start is None and not character.isspace():
            start = at
        if character == ";" and start is not None:
            found.append(_passage(file, text, start, at + 1))
            start = None
    if start is not None:
        found.append(_passage(file, text, start, len(text)))
    return tuple(found)


def _passage(file: str, text: str, start: int, end: int) -> Passage:
    return Passage(file, text.count("\n", 0, start) + 1, text[start:end])


def _code(text: str) -> Iterator[tuple[int, str]]:
    """The characters outside comments; those inside string literals as one opening quote."""
    at = 0
    while at < len(text):
        if text.startswith("//", at):
            at = _after(text, "\n", at)
        elif text[at] == '"':
            yield at, '"'
            at = _after_string(text, at + 1)
        else:
            yield at, text[at]
            at += 1


def _after(text: str, mark: str, at: int) -> int:
    found = text.find(mark, at)
    return len(text) if found < 0 else found + len(mark)


def _after_string(text: str, at: int) -> int:
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at + 1
