"""Quotes: exact, never in favour of the customer by a unit nor against them by more than one, the same for the same day."""

from datetime import UTC, date, datetime, time
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.core import MAX_MINOR, FxQuote, Money, exponent
from adapters.cores.sandbox.exchange import LIFETIME, quoted

CURRENCIES = ("BHD", "CHF", "EUR", "GBP", "JPY", "USD")
pairs = st.lists(st.sampled_from(CURRENCIES), min_size=2, max_size=2, unique=True)
amounts = st.integers(1, 10_000) | st.integers(1, MAX_MINOR)
days = st.dates(date(2000, 1, 1), date(2100, 1, 1))


def quote(pair: list[str], amount: Money, day: date, at: time = time(12)) -> FxQuote | None:
    return quoted("q", pair[0], pair[1], amount, datetime.combine(day, at, UTC))


def one_unit(currency: str) -> Fraction:
    return Fraction(1, 10 ** exponent(currency))


@given(pairs, amounts, days, st.booleans())
def test_the_amount_that_is_fixed_stays_and_the_other_is_rounded_by_less_than_a_unit(
    pair: list[str], minor: int, day: date, is_sale: bool
) -> None:
    sell, buy = pair
    fixed = Money(minor, sell if is_sale else buy)
    found = quote(pair, fixed, day)
    assume(found is not None)
    assert found is not None
    assert (found.sell if is_sale else found.buy) == fixed
    rate = Fraction(found.rate)
    given_, gotten = found.sell.minor * one_unit(sell), found.buy.minor * one_unit(buy)
    assert gotten <= given_ * rate
    if is_sale:
        assert given_ * rate - gotten < one_unit(buy)
    else:
        assert given_ - gotten / rate < one_unit(sell)
    assert Fraction(found.fee.minor - 1) < Fraction(found.sell.minor * 25, 10_000) <= found.fee.minor
    assert found.fee.currency == sell


@given(pairs, days, st.times())
def test_a_day_has_one_rate_and_there_and_back_again_costs(pair: list[str], day: date, at: time) -> None:
    amount = Money(10**9, pair[0])
    there = quote(pair, amount, day, at)
    assert there is not None
    assert quote(pair, amount, day) is not None
    assert there.rate == quote(pair, amount, day).rate  # type: ignore[union-attr]
    assert there.expires_at == datetime.combine(day, at, UTC) + LIFETIME
    back = quote(pair[::-1], there.buy, day, at)
    assert back is not None
    assert back.buy.minor < there.sell.minor
    assert len(there.rate.partition(".")[2]) == 10


@given(pairs, st.integers(1, 10**9), st.integers(1, 10**6), days)
def test_more_never_gets_less(pair: list[str], minor: int, more: int, day: date) -> None:
    less, greater = (quote(pair, Money(it, pair[0]), day) for it in (minor, minor + more))
    if less is not None:
        assert greater is not None
        assert greater.buy.minor >= less.buy.minor
        assert greater.fee.minor >= less.fee.minor


def test_what_is_too_little_to_buy_anything_or_too_much_to_hold_is_not_quoted() -> None:
    assert quote(["JPY", "BHD"], Money(1, "JPY"), date(2026, 3, 17)) is not None
    assert quote(["JPY", "GBP"], Money(1, "JPY"), date(2026, 3, 17)) is None
    assert quote(["GBP", "JPY"], Money(MAX_MINOR, "GBP"), date(2026, 3, 17)) is None
    assert quote(["GBP", "JPY"], Money(MAX_MINOR, "JPY"), date(2026, 3, 17)) is not None


def test_the_rate_of_a_day_stays_what_it_is() -> None:
    """Recorded: a changed rate changes the sandbox of everyone who tests against it."""
    found = quote(["GBP", "EUR"], Money(10_000, "GBP"), date(2026, 3, 17))
    assert found is not None
    assert (found.rate, found.buy, found.fee) == (RATE, Money(int(Fraction(RATE) * 10_000), "EUR"), Money(25, "GBP"))


RATE = "1.1560931095"
