"""Whether an amount that nobody wrote follows from figures that somebody did: rent rises, shares of a bill, differences. Pure."""

from collections.abc import Collection, Iterator, Sequence, Set
from decimal import Decimal

from adapters.core import Money
from gateway.grounding.lexing import Lexed

_CENT = Decimal("0.01")
_FIGURES_MOST = 30
_TWICE_MOST = 4
"""Figures on each side of what is worked out in two steps: with more, almost any amount would follow."""

_PARTS = (2, 3, 4)
_SHARING = frozenset({"half", "halves", "third", "quarter", "share", "split", "each", "divide"})


def follows(money: Money, meant: Sequence[Lexed], told: Set[Decimal], ordered: Set[Decimal]) -> bool:
    """As a sum, a difference, a share where the words speak of one, so many percent, or so many percent more or less.

    At least one of two figures is from `meant`, what the customer said or named; the other may be what the bank `told` or has `ordered`.
    What the bank told alone will do where the customer wrote no amount. In one step, or in two where there are few figures.
    """
    wanted = Decimal(money.value)
    figures = [figure for item in meant for figure in item.figures if not figure.currencies or money.currency in figure.currencies]
    values = {figure.value for figure in figures if not figure.is_percent}
    if not values and wanted in told:
        return True
    rates = [figure.value / 100 for figure in figures if figure.is_percent]
    parts = _PARTS if any(_SHARING.intersection(item.words) for item in meant) else ()
    others = ordered | told
    if any(abs(result - wanted) < _CENT for result in _results(values, others, rates, parts)):
        return True
    few = sorted(values)[:_TWICE_MOST]  # two steps, of few figures: a share of a sum, a sum less what was paid, a rise of a rise
    if len(values) > _TWICE_MOST or len(others) > _TWICE_MOST:
        return False
    once = set(_results(few, others, rates, parts)) - values
    results = _results(once, {*few, *others}, rates, parts, most=len(once))
    return any(abs(result - wanted) < _CENT for result in results if result not in values)  # there and back again is no sum


def _results(
    values: Collection[Decimal],
    others: Collection[Decimal],
    rates: Sequence[Decimal],
    parts: Sequence[int],
    *,
    most: int = _FIGURES_MOST,
) -> Iterator[Decimal]:
    for one in sorted(values)[:most]:
        for other in (*values, *others):
            yield from (one + other, one - other, other - one)
        yield from (one / part for part in parts)
    for one in (*values, *others):
        for rate in rates[:_FIGURES_MOST]:
            yield from (one * rate, one * (1 + rate), one * (1 - rate))
