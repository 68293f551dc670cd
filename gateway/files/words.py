"""The words of a text, as they are looked for: without case, accents and forms of writing. Pure.

Scripts that put no space between words are taken by pairs of characters.
"""

import re
import unicodedata
from collections.abc import Iterator

WORD_MOST = 64
"""Characters of a word; what is longer is cut."""

_ACCENTS = re.compile(r"[\u0300-\u036f]")
_SPACELESS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_PIECES = re.compile(rf"([{_SPACELESS}]+)|([^\W_{_SPACELESS}]+)")


def words(text: str) -> Iterator[str]:
    """Each as often as it is there."""
    for piece in _PIECES.finditer(folded(text)):
        pairs, word = piece.groups()
        if word is not None:
            yield word[:WORD_MOST]
        elif len(pairs) == 1:
            yield pairs
        else:
            yield from (pairs[at : at + 2] for at in range(len(pairs) - 1))


def folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
