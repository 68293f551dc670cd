"""Dates, times, amounts and rates in folded text, in the forms of many countries: numbers that identify nobody. Pure, in linear time."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple


class ValueKind(StrEnum):
    """How surely the digits are a value. `RATE` and `GROUPED` (whole numbers with thousands) can also be pieces of a number."""

    DATE = "date"
    TIME = "time"
    AMOUNT = "amount"
    RATE = "rate"
    GROUPED = "grouped"


_KINDS = {kind.value: kind for kind in ValueKind}
SURE = frozenset({ValueKind.DATE, ValueKind.TIME, ValueKind.AMOUNT})


class Value(NamedTuple):
    """One value, at `start` up to but without `end`. It begins and ends with a digit, a dot after a day, a currency or a percent sign."""

    kind: ValueKind
    start: int
    end: int


_DAY = "(?:0?[1-9]|[12][0-9]|3[01])"
_MONTH = "(?:0?[1-9]|1[0-2])"
_YEAR = "(?:19|20)[0-9]{2}"
_TIME = "(?:[01]?[0-9]|2[0-4]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,6})?)?"
_SIGNS = "$€£¥₹₺₽₩₴₪฿₦"
_CODES = (
    "AED|AUD|BGN|BHD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|ISK|JOD|JPY|KRW|KWD|MXN|NOK|NZD|OMR|PLN|RON|RUB|SAR|SEK|SGD|"
    "THB|TND|TRY|UAH|USD|ZAR"
)
_WHOLE = "(?:0|[1-9][0-9]{0,8})"
_PRICED = r"[0-9]{1,9}(?:[ .,'][0-9]{3}){0,5}(?:[.,][0-9]{1,8})?(?![0-9])"
_VALUE = re.compile(
    rf"""
    (?P<date> (?<![0-9][-/.]) (?:
        {_YEAR} (?P<a>[-/.]\ ?) {_MONTH} (?P=a) {_DAY} (?! [0-9] | [-/.][0-9] )
      | (?: {_DAY} (?P<b>[-/.]\ ?) {_MONTH} (?P=b) | {_MONTH} / {_DAY} / | {_MONTH} - {_DAY} - )
        (?:{_YEAR}|[0-9]{{2}}) (?! [0-9] | [-/.][0-9] )
      | (?: {_DAY} \. {_MONTH} | {_MONTH} \. {_DAY} ) \. (?! [0-9] | \ [0-9]{{2}}(?:[0-9]{{2}})?(?![0-9.,]) )
    ))
  | (?P<time> (?<![0-9][:.]) {_TIME} (?:Z|\ ?[+-][0-9]{{2}}:[0-9]{{2}})? (?! :?[0-9] ) )
  | (?P<amount> (?<![0-9]\.) (?:
        (?: [1-9][0-9]{{0,2}} (?:[,\ '][0-9]{{2,3}}){{1,5}} | {_WHOLE} ) \. [0-9]{{2}} (?! [0-9] | \.[0-9] )
      | (?: [1-9][0-9]{{0,2}} (?:[.\ '][0-9]{{3}}){{1,5}} | {_WHOLE} ) , [0-9]{{2}} (?! [0-9] | [,.][0-9] )
      | [0-9]{{1,9}} (?:[.,][0-9]{{1,8}})? \ ?%
      | (?: (?<=[{_SIGNS}]) | (?<=[{_SIGNS}]\ ) | (?<=[A-Z]\ )(?<=(?:{_CODES})\ ) ) {_PRICED}
      | {_PRICED} \ ? (?=[{_SIGNS}A-Zkz]) (?: [{_SIGNS}] | (?:{_CODES}|kr|zł|Kč|Ft)\b )
    ))
  | (?P<rate> (?<![0-9.+]) (?:
        (?:0|[1-9][0-9]{{0,2}}) \. [0-9]{{1,10}} (?! [0-9] | \.[0-9] )
      | (?:0|[1-9][0-9]{{0,2}}) , [0-9]{{4,8}} (?! [0-9] | ,[0-9] )
    ))
  | (?P<grouped> (?<![0-9]\.) (?:
        [1-9][0-9]{{0,2}} (?P<d>[,\ '.]) [0-9]{{3}} (?:(?P=d)[0-9]{{3}}){{0,4}} (?! [0-9] | (?P=d)[0-9] )
      | [1-9][0-9]? (?:,[0-9]{{2}}){{1,3}} ,[0-9]{{3}} (?! [0-9] | ,[0-9] )
    ))
    """,
    re.VERBOSE | re.ASCII,
)
_DIGITS = re.compile("[0-9]+")


def values(text: str) -> list[Value]:
    """From left to right, without overlap."""
    return list(_values(text))


def _values(text: str) -> Iterator[Value]:
    end = 0
    for digits in _DIGITS.finditer(text):
        if digits.start() < end:
            continue
        found = _VALUE.match(text, digits.start())
        if found is not None and found.lastgroup is not None:
            end = found.end()
            yield Value(_KINDS[found.lastgroup], found.start(), end)


def value_at(found: Sequence[Value], place: int) -> Value | None:
    """The value that holds this place, of values from left to right."""
    at = bisect_right(found, place, key=_start_of) - 1
    return found[at] if at >= 0 and place < found[at].end else None


_start_of = attrgetter("start")
