"""Finds what identifies an account, a card or a person in free text: IBAN, card number, UK account, phone number, e-mail address.

Pure. An expression finds candidates in linear time, then a checksum or the structure of the standard decides: ISO 13616 with mod 97
for IBANs, ISO/IEC 7812 issuer ranges with Luhn for cards, ITU-T E.164 and the UK's national form for phones. UK accounts have no
checksum that is public without a table, so a sort code as it is written, or a word such as "account", must stand before the number.
Text must be cleaned before (`redaction.cleaned`): digits in ASCII, no invisible characters.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stdnum import iban, luhn

from gateway.domain.linear_regex import LinearRegexes

MAX_TEXT_CHARS = 4096
"""Longest text that is looked at; a longer one must be cut before. Work per text is bounded by this."""


MAX_GROUPS = 32
"""Digit groups in a row that are searched for a card; a longer row is nothing that a person writes, and is masked as a whole."""


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
    taken = list(_emails(text)) if "@" in text else []
    if _DIGIT.search(text) is None:
        return taken
    matching = _EXPRESSIONS.matching(text)
    for which, look in _IN_ORDER:
        if which in matching:
            taken += _without_overlap(look(text), taken)
    return sorted(taken, key=lambda it: it.start)


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

_ISSUERS = (
    (340, 349, (15,)),
    (370, 379, (15,)),
    (300, 305, (14, 16)),
    (360, 369, (14,)),
    (380, 399, (14, 16)),
    (352, 358, (16,)),
    (400, 499, (13, 16, 19)),
    (222, 272, (16,)),
    (510, 559, (16,)),
    (500, 509, (16,)),
    (560, 589, (16,)),
    (601, 601, (16,)),
    (620, 629, (16, 17, 18, 19)),
    (644, 659, (16,)),
    (676, 677, (16,)),
)
"""Issuer ranges of ISO/IEC 7812 by their first three digits, with the lengths in use: Luhn alone accepts a tenth of all numbers."""


_SEPARATORS = " .-/"
_JOINED = str.maketrans("", "", _SEPARATORS)
_DIGIT = re.compile("[0-9]", re.ASCII)
_GROUP = re.compile("[0-9]+", re.ASCII)
_ADDRESS = re.compile(r"[^\s@<>\"'(),;:\[\]]")

_GAP = r"[ .\-/()]{0,2}"
_SORT_CODE = r"\b(?:[0-9]{2}[-. ][0-9]{2}[-. ][0-9]{2}|[0-9]{6})"
_ACCOUNT_WORD = "account|acct|acc|a/c|konto|conto|compte"
_EXPRESSIONS = LinearRegexes(
    [
        rf"(?i)(?:{'|'.join(IBAN_LENGTHS)})[ .-]?[0-9]{{2}}(?:[ .\-/]{{0,2}}[A-Z0-9]){{11}}",
        r"[0-9](?:[ .\-]{0,2}[0-9]){12,}",
        rf"(?i){_SORT_CODE}(?:[\s,;:/|.-]|\b(?:and|{_ACCOUNT_WORD}|number|num|no|nr|is)\b)+[0-9]{{4}}[ -]?[0-9]{{4}}\b",
        rf"(?i)\b(?:{_ACCOUNT_WORD}|sort code)(?:[ ]*(?:number|num|no|nr|is|[:#.=])){{0,3}}[ ]*[0-9](?:[ -]?[0-9]){{5,16}}\b",
        rf"\+ ?[1-9](?:{_GAP}[0-9]){{7,14}}|\b00[1-9](?:{_GAP}[0-9]){{7,14}}\b|\(?\b0[1-9](?:{_GAP}[0-9]){{8,9}}\b",
    ]
)
_IBAN, _CARD_RUN, _SORT_CODE_AND_ACCOUNT, _NAMED_ACCOUNT, _PHONE = range(5)


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
        if start < at and len(labels) > 1 and all(labels) and labels[-1].isalpha() and len(labels[-1]) > 1:
            yield Detection(DetectedKind.EMAIL, start, end)
        end = max(end, at + 1)
        at = text.find("@", end)


def _ibans(text: str) -> Iterator[Detection]:
    candidate = _EXPRESSIONS.first(_IBAN, text, 0)
    while candidate is not None:
        start = candidate[0]
        end = _end_of(text, start, IBAN_LENGTHS[text[start : start + 2].upper()])
        if end is not None and iban.is_valid(text[start:end].translate(_JOINED), check_country=False):
            yield Detection(DetectedKind.IBAN, start, end)
        else:
            end = start + 2  # a true one may begin inside what only looked like one
        candidate = _EXPRESSIONS.first(_IBAN, text, end)


def _end_of(text: str, start: int, length: int) -> int | None:
    """Where so many letters and digits end, with at most two separators between them; None if there are not so many."""
    count = gap = 0
    for at in range(start, len(text)):
        letter = text[at]
        if letter.isascii() and letter.isalnum():
            count, gap = count + 1, 0
            if count == length:
                return at + 1
        elif letter not in _SEPARATORS or gap == 2:
            return None
        else:
            gap += 1
    return None


def _cards_of(text: str) -> Iterator[Detection]:
    for start, end in _EXPRESSIONS.spans(_CARD_RUN, text):
        yield from _cards(text, start, end)


def _sort_codes(text: str) -> Iterator[Detection]:
    for start, end in _EXPRESSIONS.spans(_SORT_CODE_AND_ACCOUNT, text):
        yield Detection(DetectedKind.ACCOUNT, start, end)


def _named_accounts(text: str) -> Iterator[Detection]:
    for start, end in _EXPRESSIONS.spans(_NAMED_ACCOUNT, text):
        digit = _DIGIT.search(text, start)
        yield Detection(DetectedKind.ACCOUNT, start if digit is None else digit.start(), end)


def _phones(text: str) -> Iterator[Detection]:
    for start, end in _EXPRESSIONS.spans(_PHONE, text):
        yield Detection(DetectedKind.PHONE, start, end)


_IN_ORDER = (
    (_IBAN, _ibans),
    (_CARD_RUN, _cards_of),
    (_SORT_CODE_AND_ACCOUNT, _sort_codes),
    (_NAMED_ACCOUNT, _named_accounts),
    (_PHONE, _phones),
)


def _cards(text: str, start: int, end: int) -> Iterator[Detection]:
    """Cards in a run of digit groups: whole groups that together have an issuer, its length, and Luhn's check digit."""
    groups = [(start + it.start(), start + it.end()) for it in _GROUP.finditer(text[start:end])]
    if len(groups) > MAX_GROUPS:
        yield Detection(DetectedKind.CARD, start, end)
        return
    at = 0
    while at < len(groups):
        last = _card_from(text, groups, at)
        if last is None:
            at += 1
        else:
            yield Detection(DetectedKind.CARD, groups[at][0], groups[last][1])
            at = last + 1


def _card_from(text: str, groups: Sequence[tuple[int, int]], at: int) -> int | None:
    digits = ""
    for last in range(at, min(at + 19, len(groups))):
        digits += text[slice(*groups[last])]
        if len(digits) > 19:
            return None
        if len(digits) >= 13 and len(digits) in _lengths_of(digits) and luhn.is_valid(digits):
            return last
    return None


def _lengths_of(digits: str) -> tuple[int, ...]:
    head = int(digits[:3])
    return next((lengths for first, last, lengths in _ISSUERS if first <= head <= last), ())


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
