"""What stands in a text that a person wrote: words, accounts, amounts. Pure.

Everything is compared as whole tokens after normalisation, never as a part of one and never by likeness. A number is an amount only
where it can be nothing else: digits inside dates, times, accounts and codes are none. What can be read in two ways is not read.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from stdnum import iban
from stdnum.exceptions import ValidationError

from adapters.core import Money, exponent
from adapters.identity import Scheme, canonical
from gateway.domain.characters import without_invisible

_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_QUOTES = str.maketrans("\u2018\u2019\u201b\u2032`\u00b4", "''''''")

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_CODE = re.compile(r"[\w./@:+-]+")
_AROUND = ".:/@+-"

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec"
_DATE = re.compile(
    rf"""\b\d{{4}}-\d{{1,2}}-\d{{1,2}}\b | \b\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{2,4}}\b | \b\d{{1,2}}:\d{{2}}(?::\d{{2}})?\b
    | \b\d{{1,2}}(?:st|nd|rd|th)\b | \b\d{{1,2}}\ (?:{_MONTHS})[a-z]*\b | \b(?:{_MONTHS})[a-z]*\.?\ \d{{1,4}}\b(?![.,]\d)
    | \b(?:19|20)\d{{2}}\b(?=\s*(?:$|[?!;)]|[.,](?:\s|$))) | \b(?:in|since|until|of)\ (?:19|20)\d{{2}}\b""",
    re.VERBOSE,
)
_UK_ACCOUNT = re.compile(r"(?<![\w-])(\d{2})([ -]?)(\d{2})\2(\d{2})[ ,/]+(\d{8})(?![\w-])|(?<![\w-])(\d{14})(?![\w-])")
_IBAN_START = re.compile(r"(?<![\w-])[a-z]{2}\d{2}(?=[a-z0-9 -])")
_IBAN_LONGEST = 34
_SHORT = 2_000

_SIGNS: Mapping[str, str] = {"£": "GBP", "€": "EUR", "$": "USD", "¥": "JPY"}
_NAMES: Mapping[str, str] = {
    "pound": "GBP", "pounds": "GBP", "quid": "GBP", "sterling": "GBP", "euro": "EUR", "euros": "EUR", "dollar": "USD",
    "dollars": "USD", "bucks": "USD", "yen": "JPY", "dinar": "BHD", "dinars": "BHD",
}  # fmt: skip
_NUMBER = re.compile(
    r"""(?<![\w.,:/\#+-])(?P<before>[£€$¥]|[a-z]{3}(?=[ \d]))?\s?
    (?P<number>\d{1,3}(?:[ ]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,']\d+)*)(?P<thousands>k\b)?
    (?:\s?(?P<after>[£€$¥]|[a-z]+))?(?P<percent>\s?%)?(?![\w/\#])(?!-\d)""",
    re.VERBOSE,
)
_UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SCALES: Mapping[str, int] = {
    **{word: number for number, word in enumerate(_UNITS.split())},
    **{word: number * 10 for number, word in enumerate(_TENS.split(), 2)},
    "a": 1,
}
_NUMERAL = f"(?:{'|'.join([*_SCALES, 'hundred', 'thousand', 'and'])})"
_WORDED = re.compile(rf"\b(?P<words>{_NUMERAL}(?:[ -]+{_NUMERAL}){{0,9}})[ ]+(?P<named>{'|'.join(_NAMES)})\b")
_CODE_OF_ISO = re.compile(r"[a-z]{3}")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a person wrote as an amount; `currency` None where they named none. `is_percent`: of something."""

    value: Decimal
    currency: str | None
    is_percent: bool = False

    def may_be(self, money: Money) -> bool:
        """Whether this is that amount: to the unit, and in its currency unless none was named."""
        return not self.is_percent and self.currency in (None, money.currency) and self.value == Decimal(money.value)


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
    return _DASHES.sub("-", without_invisible(text)).translate(_QUOTES)


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, without a genitive's end."""
    return tuple(word.removesuffix("'s").replace("'", "") for word in _WORD.findall(normal(text)))


def lex(text: str) -> Lexed:
    """Read a text. The longest reading of a piece wins: an account is no amount, and neither is a date."""
    return _lexed_before(text) if len(text) <= _SHORT else _lexed(text)


@lru_cache(maxsize=2048)
def _lexed_before(text: str) -> Lexed:
    """A turn is looked at again by each call that it evidence."""
    return _lexed(text)


def _lexed(text: str) -> Lexed:
    plain = normal(text)
    accounts, rest = _accounts(plain)
    codes = frozenset(code for item in _CODE.findall(plain) if (code := item.strip(_AROUND)))
    tokens = frozenset(it for item in _CODE.findall(as_written(text)) for it in (item.rstrip(_AROUND), item.strip(_AROUND)) if it)
    figures = (*_figures(_DATE.sub(" ; ", rest)), *_in_words(rest))
    return Lexed(words_of(text), accounts, figures, codes, tokens)


def is_code(value: str, lexed: Lexed) -> bool:
    """Whether a value without spaces stands in the text as a whole token, whatever its case."""
    return normal(value).strip(_AROUND) in lexed.codes or canonical(Scheme.ACCOUNT, value) in lexed.accounts


def holds_phrase(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether `phrase` stands in `words`, whole and in order."""
    length = len(phrase)
    return length > 0 and any(words[at : at + length] == phrase for at in range(len(words) - length + 1))


def _accounts(plain: str) -> tuple[tuple[str, ...], str]:
    """Account numbers, and the text with blanks in their place."""
    found, rest = [], plain
    for start in _IBAN_START.finditer(plain):
        end = _iban_end(plain, start.start())
        if end is not None:
            found.append(canonical(Scheme.ACCOUNT, plain[start.start() : end]))
            rest = rest[: start.start()] + ";" * (end - start.start()) + rest[end:]
    found.extend("".join(filter(str.isdigit, number.group())) for number in _UK_ACCOUNT.finditer(rest))
    return tuple(found), _UK_ACCOUNT.sub(" ; ", rest)


def _iban_end(plain: str, start: int) -> int | None:
    """Where an IBAN that starts here ends: the only end at which its length and check digits are right."""
    taken, at = "", start
    while at < len(plain) and len(taken) <= _IBAN_LONGEST:
        character = plain[at]
        if character in " -" and at + 1 < len(plain) and plain[at + 1].isalnum():
            at += 1
            continue
        if not (character.isascii() and character.isalnum()):
            break
        taken += character
        at += 1
        ends_here = at == len(plain) or not plain[at].isalnum()
        if ends_here and len(taken) >= 15 and _is_iban(taken.upper()):
            return at
    return None


def _is_iban(text: str) -> bool:
    try:
        iban.validate(text)
    except ValidationError:
        return False
    return True


def _figures(text: str) -> Iterator[Figure]:
    for match in _NUMBER.finditer(text):
        value = _decimal(match["number"])
        if value is None:
            continue
        named = _currency(match["before"]) or _currency(match["after"])
        if match["before"] and named is None and _CODE_OF_ISO.fullmatch(match["before"]) and _is_known(match["before"]):
            continue
        yield Figure(value * 1000 if match["thousands"] else value, named, match["percent"] is not None)


def _in_words(text: str) -> Iterator[Figure]:
    """Whole amounts in English words, where the name of a currency follows: a bare "one" is no amount."""
    for match in _WORDED.finditer(text):
        total = part = 0
        for word in re.split(r"[ -]+", match["words"]):
            number = _SCALES.get(word)
            if word == "hundred":
                part = max(part, 1) * 100
            elif word == "thousand":
                total, part = total + max(part, 1) * 1000, 0
            elif number is not None:
                part += number
        yield Figure(Decimal(total + part), _NAMES[match["named"]])


def _currency(name: str | None) -> str | None:
    if name is None:
        return None
    known = _SIGNS.get(name) or _NAMES.get(name)
    return known or (name.upper() if _CODE_OF_ISO.fullmatch(name) and _is_known(name) else None)


def _is_known(code: str) -> bool:
    try:
        exponent(code.upper())
    except ValueError:
        return False
    return True


def _decimal(written: str) -> Decimal | None:
    """A number as English writes it; None where it could be another one. Groups are of three digits, all or none."""
    written = written.strip()
    whole, point, fraction = written.partition(".")
    if point and (not fraction.isdigit() or (len(fraction) == 3 and len(whole) <= 3 and whole != "0")):
        return None  # 1.234 is a thousand elsewhere
    for group in (",", " ", "'"):
        if group in whole:
            first, *others = whole.split(group)
            if not (1 <= len(first) <= 3 and first.isdigit() and all(len(other) == 3 and other.isdigit() for other in others)):
                return None
            whole = whole.replace(group, "")
    return Decimal(f"{whole}.{fraction}" if point else whole) if whole.isdigit() else None
