"""The tokens of what a customer wrote: words, numbers, dates, accounts, signs, with their places in the text. Pure.

Words are compared folded: small letters, no accents, nothing invisible. What is not plainly one of the known tokens is `odd`: a name
may hold it, an amount and a verb never.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from gateway.domain.characters import without_invisible
from gateway.grounding.accounts import account_spans


class Token(Enum):
    WORD = auto()
    NUMBER = auto()
    """Digits, with groups and a fraction; `text` as written."""
    DATE = auto()
    SIGN = auto()
    """Of a currency, or of percent."""
    ACCOUNT = auto()
    """`text` is the number in its electronic form."""
    PUNCTUATION = auto()
    ODD = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """One token; `is_joined`: nothing stands between it and the one before."""

    kind: Token
    text: str
    start: int
    end: int
    is_joined: bool = False


_QUOTES = str.maketrans("\u2018\u2019\u201b\u2032`\u00b4\u201c\u201d\u201e\u00ab\u00bb", "''''''\"\"\"\"\"")
DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_SIGNS = "£€$¥₹₩₪฿₫₴₦₱₲₵₸₺₽₡%"
_PIECE = re.compile(
    rf"""(?P<date>\d{{4}}-\d{{1,2}}-\d{{1,2}}(?![\w-])|\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{2,4}}(?![\w/-]))
    |(?P<odd>[\w.+-]*@[\w.-]*\w|https?://\S+|www\.\S+|\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?!\d)|[\#+]\w+|@\w+
        |\d+(?:[/-][\w/-]*\w)+|[^\W\d_]+[\d_][\w-]*|_\w*)
    |(?P<number>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?!\d)|\d+(?:[.,']\d+)*)
    |(?P<word>[^\W\d_]+(?:'[^\W\d_]+)*(?:/[^\W\d_])?)
    |(?P<sign>[{re.escape(_SIGNS)}])
    |(?P<punctuation>[.,;:!?()"'&\n\-\u2026])
    |(?P<other>\S)""",
    re.VERBOSE,
)
_KINDS = {
    "date": Token.DATE, "odd": Token.ODD, "number": Token.NUMBER, "word": Token.WORD, "sign": Token.SIGN,
    "punctuation": Token.PUNCTUATION, "other": Token.ODD,
}  # fmt: skip


def folded(text: str) -> str:
    """For comparison: small letters, no accents, one kind of quote and dash, nothing invisible."""
    return _with_places(text)[0]


def tokens(text: str) -> tuple[Piece, ...]:
    """In their order; the longest reading of a piece wins, so that an account is no number."""
    plain, places = _with_places(text)
    return tuple(_placed(plain, places))


def _placed(plain: str, places: list[int] | None) -> Iterator[Piece]:
    def piece(kind: Token, found: str, start: int, end: int) -> Piece:
        at, to = (start, end) if places is None else (places[start], places[end - 1] + 1)
        return Piece(kind, found, at, to, start == last)

    at, last = 0, -1
    for start, end, account in (*account_spans(plain), (len(plain), len(plain), "")):
        for match in _PIECE.finditer(plain, at, start):
            yield piece(_KINDS[match.lastgroup or "other"], match.group(), *match.span())
            last = match.end()
        if account:
            yield piece(Token.ACCOUNT, account, start, end)
            last = end
        at = end


def _with_places(text: str) -> tuple[str, list[int] | None]:
    """The folded text, and for each of its characters the place of the one that it comes from; None where they are the same."""
    if text.isascii():
        return text.lower().replace("`", "'"), None
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        shown = without_invisible(character)
        for letter in unicodedata.normalize("NFKD", shown).casefold() if shown else "":
            if not unicodedata.combining(letter):
                letters.append(letter)
                places.append(place)
    return DASHES.sub("-", "".join(letters)).translate(_QUOTES), places
