"""What stands in a text that a person wrote: words, accounts, amounts. Pure.

Everything is compared as whole tokens after normalisation, never as a part of one and never by likeness. A number is an amount only
where it can be nothing else: digits inside dates, times, accounts and codes are none. What can be read in two ways is not read.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from adapters.core import Money
from adapters.identity import Scheme, canonical
from gateway.domain.characters import without_invisible
from gateway.grounding.days import days
from gateway.grounding.grammar import ENGLISH
from gateway.grounding.money import amounts, decimal_of
from gateway.grounding.tokens import DASHES, Piece, Token, folded, tokens

_QUOTES = str.maketrans("\u2018\u2019\u201b\u2032`\u00b4", "''''''")

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_CODE = re.compile(r"[\w./@:+-]+")
_AROUND = ".:/@+-"

_SHORT = 2_000
_YEAR = re.compile(r"(?:19|20)\d\d")
_BEFORE_YEARS = frozenset({"in", "since", "until", "of"})


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a person wrote as an amount; `currencies` that its unit may mean, none without a unit. `is_percent`: of something."""

    value: Decimal
    currencies: tuple[str, ...] = ()
    is_percent: bool = False

    def may_be(self, money: Money) -> bool:
        """Whether this is that amount: to the unit, and in its currency unless none was named."""
        is_in = not self.currencies or money.currency in self.currencies
        return not self.is_percent and is_in and self.value == Decimal(money.value)


@dataclass(frozen=True, slots=True)
class Lexed:
    """One text. `words` in their order, case folded; `accounts` in canonical form; `codes`: what holds a digit or a sign, case folded;
    `tokens`: the same as it was written, since an identifier is another one where a letter's case differs."""

    words: tuple[str, ...]
    accounts: tuple[str, ...]
    figures: tuple[Figure, ...]
    codes: frozenset[str]
    tokens: frozenset[str]


def normal(text: str) -> str:
    """As `as_written`, and case folded."""
    return unicodedata.normalize("NFKC", as_written(text).casefold())


def as_written(text: str) -> str:
    """NFKC, without what cannot be seen, one kind of hyphen and apostrophe; capitals stay."""
    return DASHES.sub("-", without_invisible(text)).translate(_QUOTES)


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, without accents and a genitive's end."""
    return tuple(word.removesuffix("'s").replace("'", "") for word in _WORD.findall(folded(text)))


def lex(text: str) -> Lexed:
    """Read a text. The longest reading of a piece wins: an account is no amount, and neither is a date."""
    return _lexed_before(text) if len(text) <= _SHORT else _lexed(text)


@lru_cache(maxsize=2048)
def _lexed_before(text: str) -> Lexed:
    """A turn is looked at again by each call that it evidence."""
    return _lexed(text)


def _lexed(text: str) -> Lexed:
    pieces, written = tokens(text), _CODE.findall(as_written(text))
    accounts = tuple(piece.text for piece in pieces if piece.kind is Token.ACCOUNT)
    codes = frozenset(code for item in _CODE.findall(normal(text)) if (code := item.strip(_AROUND)))
    whole = frozenset(code for item in written for code in (item.rstrip(_AROUND), item.strip(_AROUND)) if code)
    return Lexed(words_of(text), accounts, tuple(_figures(pieces)), codes, whole)


def is_code(value: str, lexed: Lexed) -> bool:
    """Whether a value without spaces stands in the text as a whole token, whatever its case."""
    return normal(value).strip(_AROUND) in lexed.codes or canonical(Scheme.ACCOUNT, value) in lexed.accounts


def holds_phrase(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether `phrase` stands in `words`, whole and in order."""
    length = len(phrase)
    return length > 0 and any(words[at : at + length] == phrase for at in range(len(words) - length + 1))


def _figures(pieces: Sequence[Piece]) -> Iterator[Figure]:
    """Numbers that can be nothing but amounts: no part of a day, no year, and nothing that is not a unit follows."""
    at = 0
    while at < len(pieces):
        said = next(amounts(pieces, at), None)
        day = next(days(pieces, at), None)
        if day is not None and (said is None or not said[0].currencies):
            at = day[1]
        elif said is None:
            value = decimal_of(pieces[at].text) if pieces[at].kind is Token.NUMBER else None
            if value is not None and at + 1 < len(pieces) and pieces[at + 1].text in ("%", "percent"):
                yield Figure(value, is_percent=True)
            at += 1
        else:
            amount, end = said
            if amount.currencies or _stands_alone(pieces, at, end):
                yield Figure(amount.value, amount.currencies)
            at = end


def _stands_alone(pieces: Sequence[Piece], at: int, end: int) -> bool:
    """Whether a number without a unit counts nothing else: "20 lessons" is no amount, and neither is a year."""
    if pieces[at].kind is not Token.NUMBER:
        return False
    following = pieces[end] if end < len(pieces) else None
    if _YEAR.fullmatch(pieces[at].text):
        is_last = following is None or following.kind is Token.PUNCTUATION
        return not is_last and not (at and pieces[at - 1].text in _BEFORE_YEARS)
    return (
        following is None
        or following.kind is not Token.WORD
        or following.text in ENGLISH.closed
        or following.text in ENGLISH.in_text
    )
