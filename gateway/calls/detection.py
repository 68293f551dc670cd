"""Finds what identifies an account, a card or a person in free text: IBAN, card number, UK account, phone number, e-mail address.

Pure. Text is folded first (`folding`), so that no spelling of a digit or a separator hides anything; what is found has the places of
the original. Expressions find candidates in linear time, then a checksum or the structure of the standard decides: ISO 13616 with mod
97 for IBANs, `card_numbers`, `phone_numbers`. UK accounts have no checksum that is public without a table, so a sort code as it is
written, or a word such as "account", must stand before the number. Dates, times, amounts and rates (`values`) are no part of any.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stdnum import iban

from adapters.identity import has_check_digits
from gateway.calls.card_numbers import CARD_RUN, cards_in
from gateway.calls.folding import folded
from gateway.calls.phone_numbers import PHONE, phones_in
from gateway.calls.values import Value, ValueKind, value_at, values
from gateway.domain.linear_regex import LinearRegexes

MAX_TEXT_CHARS = 4096
"""Longest text that is looked at; a longer one must be cut before. Work per text is bounded by this."""


class DetectedKind(StrEnum):
    """What was found; the value is what stands in its place."""

    IBAN = "[iban]"
    CARD = "[card number]"
    ACCOUNT = "[account number]"
    PHONE = "[phone number]"
    EMAIL = "[e-mail]"


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing found, at `start` up to but without `end`."""

    found: DetectedKind
    start: int
    end: int


def findings(text: str) -> list[Detection]:
    """What is in `text`, from left to right, without overlap. ValueError if it is longer than MAX_TEXT_CHARS.

    What overlaps is given to the first of: e-mail addresses, IBANs, cards, UK accounts, phones.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise ValueError("too long to be looked at")
    if _INTERESTING.search(text if text.isascii() else unicodedata.normalize("NFKC", text)) is None:
        return []
    plain, places = folded(text)
    return [Detection(it.found, places[it.start], places[it.end - 1] + 1) for it in findings_in(plain)]


def findings_in(plain: str) -> list[Detection]:
    """The same for a text that is folded already."""
    found: list[Detection] = []
    while more := _found_in(plain):
        found += more
        # Some are seen only once their neighbours are taken away: `12345678GB29NWBK...` has no end of a number before.
        for it in more:
            plain = plain[: it.start] + "[" * (it.end - it.start) + plain[it.end :]
    return sorted(found, key=lambda it: it.start)


def masked(text: str, most: int = MAX_TEXT_CHARS) -> tuple[str, frozenset[DetectedKind]]:
    """The first `most` characters of `text` with everything that begins in them replaced by what it is, and what was found."""
    detections = [it for it in findings(text) if it.start < most]
    if not detections:
        return text[:most], frozenset()
    parts, at = [], 0
    for it in detections:
        parts += [text[at : it.start], it.found.value]
        at = it.end
    return "".join([*parts, text[at:most]]), frozenset(it.found for it in detections)


IBAN_LENGTHS = {
    country: length
    for length, countries in (
        (15, "NO"),
        (16, "BE"),
        (18, "DK FI FK FO GL NL SD"),
        (19, "MK SI"),
        (20, "AT BA EE KZ LT LU MN XK"),
        (21, "CH HR LI LV"),
        (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE GI IL IQ OM SO TL"),
        (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
        (25, "LY PT ST"),
        (26, "IS TR"),
        (27, "BI DJ FR GR IT MC MR SM"),
        (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"),
        (29, "BR EG PS QA UA"),
        (30, "JO KW MU YE"),
        (31, "MT SC"),
        (32, "LC"),
        (33, "RU"),
    )
    for country in countries.split()
}
"""Characters of an IBAN by country, of the SWIFT registry: where one ends when a word follows it."""

_SEPARATORS = " \n.,:-/[]"
_MOST_SEPARATORS = 3
IBAN_GAP = r"[ \n.,:\-/\[\]]{0,3}"
"""Between two letters of an IBAN; in brackets too, into which the filter of links puts a dot that looks like a host's."""
_JOINED = str.maketrans("", "", _SEPARATORS)
_INTERESTING = re.compile(r"[\d@]")
_DIGIT = re.compile("[0-9]", re.ASCII)
_ADDRESS = re.compile(r"[^\s@<>\"'(),;:\[\]]")

_TOP = re.compile(r"(?i)[^\W\d_]{2,}|xn--[a-z0-9-]*[a-z0-9]")

_ACCOUNT_WORD = "account|acct|acc|a/c|konto|conto|compte"
_LINK_WORD = "number|num|no|nr|is"
ACCOUNT_WORDS = f"{_ACCOUNT_WORD}|sort|code|{_LINK_WORD}|and"
"""After which a number is an account's."""
_PAIR = "[-. /:,]"
_SORT_CODE_FIRST = rf"(?i)\b(?:[0-9]{{2}}{_PAIR}[0-9]{{2}}{_PAIR}[0-9]{{2}}|[0-9]{{6}})"
_EXPRESSIONS = LinearRegexes(
    [
        rf"(?i)(?:{'|'.join(IBAN_LENGTHS)})[ \n.,:/-]?[0-9]{{2}}(?:{IBAN_GAP}[A-Z0-9]){{11}}",
        CARD_RUN,
        _SORT_CODE_FIRST
        + rf"(?:[\s,;:/|.\-\"'(){{}}]|\b(?:and|sort|code|{_ACCOUNT_WORD}|{_LINK_WORD})+\b)+[0-9]{{4}}{_PAIR}?[0-9]{{4}}\b",
        rf"(?i)\b(?:{_ACCOUNT_WORD}|sort ?code)(?:[ \n]*(?:{_LINK_WORD}|[:#.=|\"'(])){{0,6}}[ \n]*[0-9](?:{_PAIR}?[0-9]){{5}}",
        PHONE,
    ]
)
_IBAN, _CARD_RUN, _SORT_CODE_AND_ACCOUNT, _NAMED_ACCOUNT, _PHONE = range(5)


class _Text:
    """A folded text, and the values in it once somebody asks."""

    def __init__(self, plain: str) -> None:
        self.plain = plain
        self._values: Sequence[Value] | None = None

    def values(self) -> Sequence[Value]:
        if self._values is None:
            self._values = values(self.plain)
        return self._values


def _found_in(plain: str) -> list[Detection]:
    taken = list(_emails(plain)) if "@" in plain else []
    if _DIGIT.search(plain) is None:
        return taken
    matching = _EXPRESSIONS.matching(plain)
    text = _Text(plain)
    for which, kind, look in _IN_ORDER:
        if which in matching:
            taken += _without_overlap((Detection(kind, start, end) for start, end in look(text)), taken)
    return sorted(taken, key=lambda it: it.start)


def _emails(text: str) -> Iterator[Detection]:
    """An address at each at sign: what can stand in one on both sides, and a domain that ends in letters after a dot."""
    at = text.find("@")
    end = 0
    while at != -1:
        start, floor = at, max(end, at - 64)
        while start > floor and _ADDRESS.match(text[start - 1]):
            start -= 1
        end = at + 1
        while end < len(text) and end < at + 254 and _ADDRESS.match(text[end]):
            end += 1
        while end > at and not text[end - 1].isalnum():
            end -= 1
        labels = text[at + 1 : end].split(".")
        if start < at and len(labels) > 1 and all(labels) and _TOP.fullmatch(labels[-1]):
            yield Detection(DetectedKind.EMAIL, start, end)
        end = max(end, at + 1)
        at = text.find("@", end)


def _ibans(text: _Text) -> Iterator[tuple[int, int]]:
    plain = text.plain
    candidate = _EXPRESSIONS.first(_IBAN, plain, 0)
    while candidate is not None:
        start = candidate[0]
        end = _end_of(plain, start, IBAN_LENGTHS[plain[start : start + 2].upper()])
        if end is not None and _is_iban(plain[start:end].translate(_JOINED)):
            yield start, end
        else:
            end = start + 2  # a true one may begin inside what only looked like one
        candidate = _EXPRESSIONS.first(_IBAN, plain, end)


def _is_iban(written: str) -> bool:
    """The check digits first, since they cost little and tell nearly all; then the structure of its country."""
    return has_check_digits(written) and iban.is_valid(written, check_country=False)


def _end_of(text: str, start: int, length: int) -> int | None:
    """Where so many letters and digits end, with at most three separators between them; None if there are not so many."""
    count = gap = 0
    for at in range(start, len(text)):
        letter = text[at]
        if letter.isascii() and letter.isalnum():
            count, gap = count + 1, 0
            if count == length:
                return at + 1
        elif letter not in _SEPARATORS or gap == _MOST_SEPARATORS:
            return None
        else:
            gap += 1
    return None


def _cards(text: _Text) -> Iterator[tuple[int, int]]:
    for start, end in _EXPRESSIONS.spans(_CARD_RUN, text.plain):
        yield from cards_in(text.plain, start, end, text.values)


_SORT_CODE = re.compile(r"[0-9]{2}([-. /:,])[0-9]{2}[-. /:,][0-9]{2}|[0-9]{6}", re.ASCII)
_LAST_EIGHT = re.compile(r"[0-9]{4}[-. /:,]?[0-9]{4}\Z", re.ASCII)
_WORD = re.compile("[A-Za-z]")
_DECIMALS = re.compile(r"\.[0-9]|,[0-9]{2}(?![0-9.])", re.ASCII)
_AREA_CODE = re.compile(r"\b0[0-9]{2,4} \Z", re.ASCII)
_AREA_CODE_CHARS = 8


def _sort_codes(text: _Text) -> Iterator[tuple[int, int]]:
    """A sort code that is written as one, and an account of eight digits behind it."""
    for start, end in _EXPRESSIONS.spans(_SORT_CODE_AND_ACCOUNT, text.plain):
        code, account = _SORT_CODE.match(text.plain, start), _LAST_EIGHT.search(text.plain, start, end)
        if code is not None and account is not None and _is_account(text, code, account):
            yield start, end


def _is_account(text: _Text, code: re.Match[str], account: re.Match[str]) -> bool:
    """Not a day, a time or a phone number, and then an amount. With a word between them it is an account however it is written."""
    within = value_at(text.values(), code.start())
    if within is not None and within.start < code.start():
        return False
    if _WORD.search(text.plain, code.end(), account.start()) is not None:
        return True
    if within is not None and code[1] is not None and code[1] in "/:,":
        return False
    if _AREA_CODE.search(text.plain, max(0, code.start() - _AREA_CODE_CHARS), code.start()) is not None:
        return False
    return text.plain[account.start() - 1] == "," or _DECIMALS.match(text.plain, account.end()) is None


_SEPARATED = re.compile(r"([0-9]+)(?:([-. /:,])(?=[0-9]))?", re.ASCII)
_FEWEST_DIGITS, _MOST_DIGITS = 6, 17
_UK_DIGITS = 8


def _named_accounts(text: _Text) -> Iterator[tuple[int, int]]:
    """A number behind a word such as account. One of eight digits is taken whatever stands behind them."""
    for start, end in _EXPRESSIONS.spans(_NAMED_ACCOUNT, text.plain):
        first = _DIGIT.search(text.plain, start, end)
        last = None if first is None else _end_of_account(text, first.start())
        if first is not None and last is not None:
            yield first.start(), last


def _end_of_account(text: _Text, first: int) -> int | None:
    barred = {it.start for it in text.values() if it.kind is not ValueKind.GROUPED or " " not in text.plain[it.start : it.end]}
    digits, end, at, gap = 0, None, first, ""
    while (group := _SEPARATED.match(text.plain, at)) is not None:
        size = len(group[1])
        if (at in barred and not (at == first and size == _UK_DIGITS)) or digits + size > _MOST_DIGITS:
            break
        digits += size
        if digits >= _FEWEST_DIGITS:
            end = group.end(1)
        after = group[2]
        if after is None or (after not in " -" and gap not in ("", after)):
            break
        at, gap = group.end(), after
    return end


def _phones(text: _Text) -> Iterator[tuple[int, int]]:
    return phones_in(text.plain, text.values)


_IN_ORDER = (
    (_IBAN, DetectedKind.IBAN, _ibans),
    (_CARD_RUN, DetectedKind.CARD, _cards),
    (_SORT_CODE_AND_ACCOUNT, DetectedKind.ACCOUNT, _sort_codes),
    (_NAMED_ACCOUNT, DetectedKind.ACCOUNT, _named_accounts),
    (_PHONE, DetectedKind.PHONE, _phones),
)


def _without_overlap(candidates: Iterator[Detection], taken: Sequence[Detection]) -> list[Detection]:
    """The findings that touch none before them: those `taken`, and the earlier of `found`."""
    starts = sorted((it.start, it.end) for it in taken)
    kept = []
    for it in candidates:
        at = bisect_right(starts, (it.start, MAX_TEXT_CHARS + 1))
        if (at and starts[at - 1][1] > it.start) or (at < len(starts) and starts[at][0] < it.end):
            continue
        starts.insert(at, (it.start, it.end))
        kept.append(it)
    return kept
