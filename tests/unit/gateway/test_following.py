"""Which amounts that nobody wrote follow from those that somebody did."""

from decimal import Decimal

import pytest

from adapters.core import Money
from gateway.grounding.following import follows
from gateway.grounding.lexing import lex


@pytest.mark.parametrize(
    ("text", "told", "value", "does"),
    [
        ("The rent of £950 rises by 30 pounds", (), "980.00", True),
        ("The rent of £950 rises by 30 pounds and again by 20", (), "1000.00", True),
        ("The meal was £60 and the taxi £20, split it", (), "40.00", True),
        ("The meal was £60 and the taxi £20", (), "40.00", True),
        ("The meal was £60 and the taxi £20", (), "35.00", False),
        ("Send Ben back what he sent", ("12.00",), "12.00", True),
        ("Pay Anna 20 euros", (), "20.00", False),
        ("Pay Anna 20 euros", ("12.00", "3.00"), "20.00", False),
        ("Pay Anna 20 pounds, 12 more and 3 more, 4 and 5 and 6", (), "57.13", False),
    ],
)
def test_an_amount_follows_in_one_step_or_two(text: str, told: tuple[str, ...], value: str, *, does: bool) -> None:
    assert follows(Money.parse(value, "GBP"), [lex(text)], set(map(Decimal, told)), set()) is does
