"""Text as the detectors of identifiers read it: one spelling for every digit, dash, dot, comma, colon, slash and space, and nothing that
cannot be seen. Used for what goes to the model and for what the model says; pure.

Each folded letter keeps the place of the original one, so that what is found is replaced in the original, and all else of it stays
unchanged.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

from gateway.domain.characters import INVISIBLE

_MARKUP = "\\*_`~"
"""What Markdown takes out of the middle of a number. An underscore also separates groups of digits."""
_LETTERS = "Α-ΡΣ-ωА-яא-תؠ-يٹ-ۓ一-鿿가-힣ぁ-ゖァ-ヺ"
PLAIN = rf"!-)+-\[\]^a-}}{_LETTERS}"
"""What stays as it is: ASCII without spaces and markup, and letters in which much is written. Others may be told letter by letter."""
_PLAIN = re.compile(f"[{PLAIN}]+(?: [{PLAIN}]+)*")
_CHANGES = re.compile(f"[^ {PLAIN}]|  ")
_CHARS_OF_ONE = 3
"""Most characters that one may become."""
_LINE_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_ALIKE = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―−⁃﹘－\u058a\u1806", "-"),
        **dict.fromkeys("·•∙⋅‧․。", "."),
        **dict.fromkeys("،‚、٬٫", ","),
        **dict.fromkeys("∶꞉ː︓", ":"),
        **dict.fromkeys("⁄∕⧸", "/"),
        **dict.fromkeys("’‘ʼ", "'"),
        "‹": "<",
    }
)


class Folding:
    """What is folded of a text that comes in portions."""

    __slots__ = ("letters", "places")

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.places: list[int] = []

    def take(self, text: str, start: int, end: int) -> None:
        """What stands from `start` to `end` of the original, and follows what was taken."""
        at = start
        for plain in _PLAIN.finditer(text, start, end):
            for place in range(at, plain.start()):
                self._take(text[place], place)
            at = plain.end()
            self.letters.extend(plain[0])
            self.places.extend(range(plain.start(), at))
        for place in range(at, end):
            self._take(text[place], place)

    def _take(self, letter: str, place: int) -> None:
        """Spaces in a row are one; with a line break among them, that."""
        for it in folded_letter(letter):
            if it in " \n" and self.letters and self.letters[-1] in " \n":
                if it == "\n":
                    self.letters[-1] = it
                continue
            self.letters.append(it)
            self.places.append(place)

    def drop(self, before: int) -> None:
        """What stands before this place of the original is not kept."""
        left = bisect_left(self.places, before)
        del self.letters[:left], self.places[:left]

    def shift(self, by: int) -> None:
        """The original has lost so many characters at its beginning."""
        if by:
            self.places = [place - by for place in self.places]


def folded(text: str) -> tuple[str, Sequence[int]]:
    """The folded text, and for each of its letters the place in `text`."""
    if text.isascii() and text.isprintable() and "  " not in text:
        if not any(sign in text for sign in _MARKUP):
            return text, range(len(text))
    elif _CHANGES.search(text) is None:
        return text, range(len(text))
    folding = Folding()
    folding.take(text, 0, len(text))
    return "".join(folding.letters), folding.places


@lru_cache(maxsize=4096)
def folded_letter(letter: str) -> str:
    """What detectors read for one character: none, one, or up to three."""
    normal = unicodedata.normalize("NFKC", letter.translate(_ALIKE)).translate(_ALIKE)
    bare = unicodedata.normalize("NFKD", normal)[:1]
    if len(normal) == 1 and bare.isascii() and bare.isalpha():
        return bare  # a mark that is composed with a letter hides it as well as one behind it
    return "".join(map(_read, normal if len(normal) <= _CHARS_OF_ONE else letter))


def _read(letter: str) -> str:
    if letter in _LINE_BREAKS:
        return "\n"
    if letter.isspace():
        return " "
    if letter in _MARKUP or letter in INVISIBLE or not letter.isprintable() or unicodedata.category(letter)[0] == "M":
        return ""
    return str(unicodedata.decimal(letter)) if letter.isdecimal() else letter
