"""A text is cut into chunks that overlap, between words where it can be, and never inside a character. Pure.

Tokens are estimated, as those of threads are: no vocabulary is at hand offline, and each model has its own.
"""

import re
import unicodedata
from array import array
from collections.abc import Iterator

BYTES_PER_TOKEN = 3
"""Of UTF-8. Measured: "Decisions" in gateway/README.md."""

_PIECE = re.compile(r"\S+\s*|\s+")
_PIECE_MOST = 32
"""Characters of a piece that is not cut again: with its marks it has fewer bytes than the smallest chunk."""

_MARKS_MOST = 16
"""Combining marks that stay with their letter."""


def cut(text: str, tokens: int, overlap: int) -> Iterator[tuple[int, int]]:
    """From where to where each chunk goes. Each has at most so many tokens; the next one begins so many before its end, at most."""
    ends, sizes = _pieces(text)
    most, again = tokens * BYTES_PER_TOKEN, overlap * BYTES_PER_TOKEN
    first = 0
    while first < len(ends):
        behind, size = first, 0
        while behind < len(ends) and size + sizes[behind] <= most:
            size += sizes[behind]
            behind += 1
        yield (ends[first - 1] if first else 0, ends[behind - 1])
        if behind == len(ends):
            return
        before, first, size = first, behind, 0
        while first - 1 > before and size + sizes[first - 1] <= again:
            first -= 1
            size += sizes[first]


def _pieces(text: str) -> tuple["array[int]", "array[int]"]:
    """Where each piece of the text ends, and how many bytes it has."""
    ends, sizes = array("I"), array("I")
    for found in _PIECE.finditer(text):
        at = found.start()
        while at < found.end():
            end = min(at + _PIECE_MOST, found.end())
            while end < found.end() and end - at < _PIECE_MOST + _MARKS_MOST and unicodedata.combining(text[end]):
                end += 1
            ends.append(end)
            sizes.append(len(text[at:end].encode("utf-8", "replace")))
            at = end
    return ends, sizes
