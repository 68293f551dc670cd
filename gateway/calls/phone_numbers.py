"""Phone numbers in folded text: E.164 with a country code that is assigned, or a national form with its zero. Pure.

A number is made of whole groups of digits. It ends before a date, a time or an amount, and never begins inside one.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from gateway.calls.values import SURE, Value, ValueKind, value_at

_COUNTRY_CODES = frozenset(
    str(code)
    for codes in (
        (
            1,
            7,
            20,
            27,
            *range(30, 35),
            36,
            39,
            40,
            41,
            *range(43, 50),
            *range(51, 59),
            *range(60, 67),
            81,
            82,
            84,
            86,
            *range(90, 96),
            98,
        ),
        (211, 212, 213, 216, 218, *range(220, 259), *range(260, 270), 290, 291, 297, 298, 299, *range(350, 360), *range(370, 384)),
        (385, 386, 387, 389, 420, 421, 423, *range(500, 510), *range(590, 600), 670, *range(672, 684), *range(685, 693)),
        (800, 808, 850, 852, 853, 855, 856, 870, 878, 880, 881, 882, 883, 886, 888, *range(960, 969), *range(970, 978), 979),
        (*range(992, 997), 998),
    )
    for code in codes
)
"""Assigned by the ITU (E.164, list of country codes)."""
_MOST_WITH_CODE = {"1": 11, "7": 11, "31": 11, "32": 11, "33": 11, "34": 11, "41": 12, "44": 12, "48": 11, "90": 12, "91": 12}
"""Digits with the code where the plan has one length, so that the number ends where it ends."""
_FEWEST, _MOST = 8, 15
_NATIONAL = range(10, 12)
_WHOLE = 10
"""From so many digits on, a line break, a comma or a colon ends a number."""

_ENDING = ("\n", ",", ":")
_EVEN = (",", ":")
"""Within a number only if nothing else has separated it so far."""

_BEGIN = re.compile(r"\+[ (]{0,2}[1-9]|(?<![0-9])(?:\(?0[1-9]|00[1-9])", re.ASCII)
_GROUP = re.compile(r"([0-9]+)(?:([ \n.\-/()]{0,2}|[,:])(?=[0-9]))?", re.ASCII)
_NUMBER = r"[ \n.,:/()\-]{0,2}"
PHONE = rf"\+[ (]{{0,2}}[1-9](?:{_NUMBER}[0-9]){{7}}|\b00[1-9](?:{_NUMBER}[0-9]){{7}}|\b0[1-9](?:{_NUMBER}[0-9]){{8}}"
"""Where a phone number can be, for RE2."""


def phones_in(text: str, values: Callable[[], Sequence[Value]]) -> Iterator[tuple[int, int]]:
    """From left to right, without overlap."""
    at = 0
    while (begun := _BEGIN.search(text, at)) is not None:
        start, at = begun.start(), begun.end()
        first = next(place for place in range(start, at) if text[place].isdigit())
        within = value_at(values(), first)
        if within is not None and (within.kind in SURE or text[start] != "+"):
            continue
        end = _end_of(text, first, values())
        if end is not None:
            yield start, end
            at = end


def _end_of(text: str, first: int, values: Sequence[Value]) -> int | None:
    """Where the number whose first digit this is ends; None if it is none."""
    is_national = text[first] == "0" and text[first + 1] != "0"
    end = _walk(text, first, {it.start for it in values if it.kind in SURE}, is_national=is_national)
    if end is None and not is_national:
        # What precedes the amount cannot be a number alone: it is no amount, but digits that are grouped oddly.
        end = _walk(text, first, {it.start for it in values if it.kind in (ValueKind.DATE, ValueKind.TIME)}, is_national=False)
    return end


def _walk(text: str, first: int, barred: set[int], *, is_national: bool) -> int | None:
    """The end of the most whole groups that are a plausible number; those that begin at a place that is barred are none of it."""
    digits, end, at, gap = "", None, first, ""
    while at not in barred and (group := _GROUP.match(text, at)) is not None:
        digits += group[1]
        number = digits.removeprefix("00")
        if len(number) > _most(number, is_national=is_national):
            break
        if _is_plausible(number, is_national=is_national):
            end = group.end(1)
        after = group[2]
        if after is None or (len(number) >= _WHOLE and after.strip(" ") in _ENDING) or (after in _EVEN and gap not in ("", after)):
            break
        at, gap = group.end(), after
    return end


def _most(number: str, *, is_national: bool) -> int:
    if is_national:
        return _NATIONAL[-1]
    for size in (1, 2):
        most = _MOST_WITH_CODE.get(number[:size])
        if most is not None:
            return most + number[size:].startswith("0")  # "+44 (0)20"
    return _MOST


def _is_plausible(number: str, *, is_national: bool) -> bool:
    if is_national:
        return len(number) in _NATIONAL
    return len(number) >= _FEWEST and any(number[:size] in _COUNTRY_CODES for size in (1, 2, 3))
