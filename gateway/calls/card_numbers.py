"""Card numbers in folded text: an issuer's range with a length that it uses (ISO/IEC 7812), Luhn's check digit, and a spelling in groups
as cards are written. Pure.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise

from stdnum import luhn

from gateway.calls.values import Value

Values = Callable[[], Sequence[Value]]
"""The values of the whole text; asked for only where they decide."""

MAX_GROUPS = 32
"""Single digits in a row that are searched for a card; a longer row is nothing that a person writes, and is masked as a whole."""

CARD_RUN = r"[0-9](?:[ \n.,:/\-]{0,2}[0-9]){12,}"
"""Where a card can be, for RE2."""

_ISSUERS = (
    (2200, 2204, (16, 17, 18, 19)),  # Mir
    (2221, 2720, (16,)),  # Mastercard
    (3000, 3059, (14, 16)),  # Diners Club
    (3095, 3095, (14, 16)),
    (3400, 3499, (15,)),  # American Express
    (3520, 3589, (16, 17, 18, 19)),  # JCB, RuPay with JCB
    (3600, 3699, (14, 16, 19)),  # Diners Club
    (3700, 3799, (15,)),  # American Express
    (3800, 3999, (14, 16)),  # Diners Club
    (4000, 4999, (13, 16, 19)),  # Visa
    (5000, 5099, (13, 14, 15, 16, 17, 18, 19)),  # Maestro, Dankort, RuPay, Elo, Verve
    (5100, 5599, (16,)),  # Mastercard
    (5600, 5899, (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (6011, 6011, (16, 17, 18, 19)),  # Discover
    (6060, 6099, (16,)),  # RuPay
    (6200, 6299, (16, 17, 18, 19)),  # UnionPay
    (6304, 6304, (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (6440, 6599, (16, 17, 18, 19)),  # Discover, RuPay, Elo, Troy, Verve
    (6700, 6799, (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (8100, 8299, (16, 17, 18, 19)),  # UnionPay, RuPay
    (8600, 8600, (16,)),  # Uzcard
    (9792, 9792, (16,)),  # Troy
    (9860, 9860, (16,)),  # Humo
)
"""Ranges by their first four digits, from what the networks publish: Luhn alone accepts a tenth of all numbers. Not found, as nothing
tells them from any other number: some old cards of UnionPay, which have no check digit of Luhn's, and Maestro's rare twelve digits."""
_LENGTHS = {f"{head}": lengths for first, last, lengths in _ISSUERS for head in range(first, last + 1)}
_HEAD_DIGITS = 4

_GROUP = re.compile("[0-9]+", re.ASCII)
_AS_PRINTED = frozenset(
    (
        (4, 4, 4, 4),
        (4, 6, 5),
        (4, 6, 4),
        (4, 5, 6),
        *((4, 4, 4, rest) for rest in (1, 2, 3)),
        *((4, 4, 4, 4, rest) for rest in (1, 2, 3)),
    )
)
_LOOSE = " .-"
"""Separators with which numbers are written in any groups. Others stand between the values of a list, too, and so must look like a card."""


def cards_in(text: str, start: int, end: int, values: Values) -> Iterator[tuple[int, int]]:
    """Cards in a run of digit groups: whole groups that are no dates, times or amounts."""
    groups = [it.span() for it in _GROUP.finditer(text, start, end)]
    gaps = [text[this[1] : following[0]] for this, following in pairwise(groups)]
    at = 0
    for first, last in _endless(groups, gaps):
        yield from _between(text, groups[at:first], gaps[at:first], values)
        yield groups[first][0], groups[last][1]
        at = last + 1
    yield from _between(text, groups[at:], gaps[at:], values)


def _endless(groups: Sequence[tuple[int, int]], gaps: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Rows of single digits that are too long, as first and last group."""
    if len(groups) <= MAX_GROUPS:
        return
    first = 0
    for at in range(len(groups)):
        is_last = at == len(groups) - 1 or groups[at + 1][1] - groups[at + 1][0] != 1 or gaps[at].strip(_LOOSE) != ""
        if groups[at][1] - groups[at][0] != 1:
            first = at + 1
        elif is_last:
            if at - first >= MAX_GROUPS:
                yield first, at
            first = at + 1


def _between(text: str, groups: Sequence[tuple[int, int]], gaps: Sequence[str], values: Values) -> Iterator[tuple[int, int]]:
    digits = "".join([text[start:end] for start, end in groups])
    ends = list(accumulate(end - start for start, end in groups))
    at = 0
    for first, begins in enumerate([0, *ends[:-1]]):
        lengths = _LENGTHS.get(digits[begins : begins + _HEAD_DIGITS]) if first >= at else None
        for length in lengths or ():
            last = bisect_left(ends, begins + length)
            if (
                last < len(ends)
                and ends[last] == begins + length
                and luhn.is_valid(digits[begins : begins + length])
                and _is_written_so(
                    groups[first : last + 1], gaps[first:last], is_all=last - first + 1 == len(groups), values=values
                )
            ):
                yield groups[first][0], groups[last][1]
                at = last + 1
                break


def _is_written_so(groups: Sequence[tuple[int, int]], gaps: Sequence[str], *, is_all: bool, values: Values) -> bool:
    """Whether the groups are those of a card rather than values that stand beside each other."""
    sizes = tuple(end - start for start, end in groups)
    is_even = len(set(gaps)) <= 1
    if (is_even and sizes in _AS_PRINTED) or len(groups) == 1:
        return True
    is_regular = set(sizes[:-1]) == {sizes[0]} and sizes[-1] <= sizes[0]
    is_loose = all(gap.strip(_LOOSE) == "" for gap in gaps)
    if is_loose and is_even and is_regular:
        return True
    is_listed = is_all and is_even and is_regular and len(gaps[0]) == 1
    return (is_loose or is_listed or sizes in _AS_PRINTED) and not _hold(values, groups)


def _hold(values: Values, groups: Sequence[tuple[int, int]]) -> bool:
    return any(it.start < groups[-1][1] and it.end > groups[0][0] for it in values())
