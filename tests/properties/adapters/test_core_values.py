"""Money and instructions: exact on the way in, exact on the way out, and one form only."""

import json
from dataclasses import replace
from datetime import UTC, date
from typing import get_args

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from adapters.core import (
    MAX_MINOR,
    AddBeneficiary,
    AmendStandingOrder,
    CallUpstream,
    CancelDirectDebit,
    CancelScheduledPayment,
    CancelStandingOrder,
    CloseCard,
    CreateStandingOrder,
    Declined,
    Done,
    FreezeCard,
    Frequency,
    Identified,
    Instruction,
    Money,
    Order,
    RaiseDispute,
    ReferenceKind,
    RemoveBeneficiary,
    ReportFraud,
    RequestHuman,
    Transfer,
    UnfreezeCard,
    exponent,
)
from adapters.cores.sandbox.stored import from_text, to_text

CURRENCIES = {"JPY": 0, "GBP": 2, "BHD": 3}

currencies = st.sampled_from(sorted(CURRENCIES))
texts = st.text(st.characters(codec="utf-8"), max_size=12)
identifiers = st.builds(Identified, st.sampled_from(ReferenceKind), texts)
money = st.builds(Money, st.integers(1, MAX_MINOR), currencies)
frequencies = st.sampled_from(Frequency)
orders: st.SearchStrategy[Order] = st.one_of(
    st.builds(Transfer, identifiers, identifiers, money, texts, st.none() | st.dates()),
    st.builds(FreezeCard, identifiers),
    st.builds(UnfreezeCard, identifiers),
    st.builds(AddBeneficiary, identifiers, texts, texts, identifiers),
    st.builds(RemoveBeneficiary, identifiers),
    st.builds(CreateStandingOrder, identifiers, identifiers, money, frequencies, st.dates(), st.none() | st.dates(), texts),
    st.builds(
        AmendStandingOrder,
        identifiers,
        st.none() | money,
        st.none() | frequencies,
        st.none() | identifiers,
        st.none() | st.dates(),
    ),
    st.builds(CancelStandingOrder, identifiers),
    st.builds(CancelDirectDebit, identifiers),
    st.builds(RaiseDispute, identifiers, texts, texts),
    st.builds(CloseCard, identifiers, texts),
    st.builds(CancelScheduledPayment, identifiers),
    st.builds(ReportFraud, st.none() | identifiers, texts),
    st.builds(RequestHuman, texts),
    st.builds(CallUpstream, texts, texts),
)
instructions = st.builds(Instruction, texts, texts, texts, orders)


def test_every_order_of_the_port_is_drawn() -> None:
    drawn = {original_strategy.wrapped_strategy.target for original_strategy in orders.original_strategies}  # type: ignore[attr-defined]
    assert drawn == set(get_args(Order))


@given(st.integers(1, MAX_MINOR), currencies)
def test_an_amount_comes_back_as_it_went(minor: int, currency: str) -> None:
    amount = Money(minor, currency)
    assert Money.parse(amount.value, currency) == amount
    digits = CURRENCIES[currency]
    assert exponent(currency) == digits
    whole, _, fraction = amount.value.partition(".")
    assert len(fraction) == digits
    assert int(whole + fraction) == minor


@given(st.integers(-MAX_MINOR, MAX_MINOR), currencies)
def test_a_negative_amount_is_shown_with_its_sign_and_never_parsed(minor: int, currency: str) -> None:
    value = Money(minor, currency).value
    assert value.startswith("-") == (minor < 0)
    assert int(value.replace(".", "")) == minor
    if minor <= 0:
        with pytest.raises(ValueError):  # noqa: PT011 - whichever of its reasons
            Money.parse(value, currency)


@given(st.text(max_size=24) | st.from_regex(r"[0-9.,eE+\- ]{1,24}"), currencies)
def test_what_is_parsed_has_one_spelling_up_to_padding(value: str, currency: str) -> None:
    try:
        amount = Money.parse(value, currency)
    except ValueError:
        return
    assert amount.value.startswith(value)
    assert set(amount.value[len(value) :]) <= {"0", "."}


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("0", "GBP"),
        ("0.00", "GBP"),
        ("-1", "GBP"),
        ("+1", "GBP"),
        ("1e3", "GBP"),
        ("1.234", "GBP"),
        ("1.0", "JPY"),
        ("1.2345", "BHD"),
        ("01", "GBP"),
        (".5", "GBP"),
        ("5.", "GBP"),
        ("1,000", "GBP"),
        (" 1", "GBP"),
        ("1\n", "GBP"),
        ("١٢", "GBP"),
        ("NaN", "GBP"),
        ("1", "XAU"),
        ("1", "gbp"),
        ("1", "ZZZ"),
        ("10000000000000.01", "GBP"),
        ("9" * 400, "GBP"),
    ],
)
def test_no_other_spelling_is_taken(value: str, currency: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever of its reasons
        Money.parse(value, currency)


@given(instructions)
def test_canonical_bytes_are_those_of_rfc_8785(instruction: Instruction) -> None:
    assert instruction.canonical() == rfc8785.dumps(json.loads(instruction.canonical()))


@given(instructions, instructions)
def test_equal_bytes_are_equal_instructions(one: Instruction, other: Instruction) -> None:
    assert (one.canonical() == other.canonical()) == (one == other)


@given(instructions)
def test_each_field_is_in_the_bytes(told: Instruction) -> None:
    for name in ("key", "customer", "agent"):
        assert replace(told, **{name: getattr(told, name) + "x"}).canonical() != told.canonical()


@given(
    st.dictionaries(
        texts,
        st.none() | st.booleans() | st.integers() | texts | identifiers | money | st.dates() | st.datetimes(timezones=st.just(UTC)),
        max_size=6,
    )
)
def test_a_stored_answer_reads_as_it_was_given(output: dict[str, object]) -> None:
    assert from_text(to_text(Done(output))) == Done(output)
    read = from_text(to_text(Done(output)))
    assert isinstance(read, Done)
    assert {name: type(value) for name, value in read.output.items()} == {name: type(value) for name, value in output.items()}


def test_a_declined_answer_reads_as_it_was_given_and_a_float_is_refused() -> None:
    assert from_text(to_text(Declined("AM04"))) == Declined("AM04")
    with pytest.raises(TypeError):
        to_text(Done({"amount": 12.5}))
    with pytest.raises(TypeError):
        to_text(Done({"day": [date(2026, 1, 1)]}))
