"""A call whose values only the customer can judge is never done unasked, whatever the policies permit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from adapters.core import Account, KnownPayee, Money
from adapters.function import Level
from gateway.calls.decide import Decider, PolicyRefusal
from gateway.domain.doubts import Doubt
from gateway.domain.errors import Code
from gateway.domain.facts import Utterance
from gateway.domain.limits import Totals
from gateway.domain.mandate import StandingMandate
from gateway.domain.policies import BundleName, PoliciesInForce
from gateway.domain.stages import BatchRemainder, Call, Grounded, Outcome
from gateway.grounding import ground
from policies.engine import Engine
from policies.model import Decision, PolicyEffect, Reason
from tests.support.transfer_call import EVERYDAY, an_account, transfer_call

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=90)
HARBOUR = KnownPayee("ben:b1", "Harbour Lettings", "04000412345678", LONG_AGO, saved_at=LONG_AGO)
MANDATE = StandingMandate(
    id="std_1",
    customer="alice",
    agent=None,
    currency="GBP",
    payees=None,
    payment_minor=5_000,
    day_minor=5_000,
    day_count=3,
    starts=NOW - timedelta(days=1),
    ends=NOW + timedelta(days=1),
)


class PermitsEverything:
    """An engine without a rule that says no."""

    def decide(self, _request: object) -> Decision:
        return Decision(PolicyEffect.PERMIT, Reason.MANDATED)


def a_call(payee: KnownPayee = HARBOUR, **given: Any) -> Call:
    """A payment of £20 to Harbour Lettings, as the customer typed it."""
    words = [Utterance(1, "typed", "Please pay Harbour Lettings £20.00", NOW)]
    return transfer_call(given.pop("words", words), payee, Money(2_000, "GBP"), now=NOW, **given)


@pytest.mark.parametrize("level", [Level.L1, Level.L2])
def test_what_only_the_customer_can_judge_is_asked_though_every_policy_permits_it(level: Level) -> None:
    decider = Decider(PoliciesInForce(cast(Engine, PermitsEverything()), BundleName("", "1")))
    grounded = Grounded(a_call(level=level), {"amount": "calculated"}, Outcome.ASK)
    with pytest.raises(PolicyRefusal) as refused:
        decider.decide(grounded)
    assert refused.value.code is Code.CONFIRMATION_REQUIRED
    confirmed = replace(grounded, call=a_call(level=Level.L3))
    assert decider.decide(confirmed).decision.effect is PolicyEffect.PERMIT


@pytest.mark.parametrize(
    ("paid", "saved", "source"),
    [
        (LONG_AGO, LONG_AGO, "known"),
        (LONG_AGO, NOW - timedelta(hours=23), "new"),
        (LONG_AGO, NOW - timedelta(hours=25), "known"),
        (NOW - timedelta(hours=23), LONG_AGO, "new"),
        (None, LONG_AGO, "new"),
    ],
)
def test_a_payee_is_new_for_a_day_after_it_was_saved_however_long_it_was_paid(
    paid: datetime | None, saved: datetime, source: str
) -> None:
    grounded = ground(a_call(replace(HARBOUR, known_since=paid, saved_at=saved)))
    assert (grounded.sources["payee"], grounded.outcome) == (source, Outcome.GROUNDED if source == "known" else Outcome.ASK)


@pytest.mark.parametrize(
    ("spent", "rest", "covers"),
    [
        (Totals(), BatchRemainder(), True),
        (Totals(day_minor=3_000, day_count=2), BatchRemainder(), True),
        (Totals(day_minor=3_001, day_count=2), BatchRemainder(), False),
        (Totals(day_minor=30, day_count=3), BatchRemainder(), False),
        (Totals(), BatchRemainder({"GBP": 3_001}, {"GBP": 1}), False),
        (Totals(), BatchRemainder({"GBP": 3}, {"GBP": 3}), False),
        (Totals(), BatchRemainder({"EUR": 9_000}, {"EUR": 9}), True),
    ],
)
def test_a_standing_mandate_bounds_the_day_s_sum_and_number_with_the_rest_of_the_request(
    spent: Totals, rest: BatchRemainder, covers: bool
) -> None:
    grounded = ground(a_call(rest=rest, standing=(MANDATE,), automatic={MANDATE.id: spent}))
    assert (grounded.covered is not None) is covers


RAINY_DAY, DOLLARS, CLOSED = (
    an_account("a2", "Rainy day"),
    an_account("a3", "Dollars", "USD"),
    an_account("a4", "Old", status="closed"),
)


@pytest.mark.parametrize(
    ("accounts", "named_by_mandate", "paid_from", "words", "is_asked"),
    [
        pytest.param([EVERYDAY], None, None, "", False, id="the only one"),
        pytest.param([EVERYDAY, DOLLARS], None, None, "", False, id="the only one in the currency"),
        pytest.param([EVERYDAY, CLOSED], None, None, "", False, id="the only open one"),
        pytest.param([EVERYDAY, RAINY_DAY], None, None, "", True, id="one of two"),
        pytest.param([EVERYDAY, RAINY_DAY], None, "acc:a1", "", False, id="last paid from this one"),
        pytest.param([EVERYDAY, RAINY_DAY], None, "acc:a2", "", True, id="last paid from the other"),
        pytest.param([EVERYDAY, RAINY_DAY], "acc:a1", "acc:a2", "", False, id="the mandate's, whatever was before"),
        pytest.param([EVERYDAY, RAINY_DAY], "acc:a2", "acc:a1", "", True, id="not the mandate's"),
        pytest.param([EVERYDAY], "acc:a2", "acc:a1", "", True, id="the mandate's is gone"),
        pytest.param([EVERYDAY, RAINY_DAY], "acc:a2", "acc:a2", " from Everyday", False, id="said, above all"),
        pytest.param([EVERYDAY, RAINY_DAY], None, "acc:a1", " from Rainy day", True, id="another one said"),
        pytest.param([RAINY_DAY, DOLLARS], None, None, "", True, id="one that is not the customer's list"),
    ],
)
def test_a_payment_that_says_no_account_goes_on_from_the_default_alone(
    accounts: list[Account], named_by_mandate: str | None, paid_from: str | None, words: str, is_asked: bool
) -> None:
    typed = [Utterance(1, "typed", f"Please pay Harbour Lettings £20.00{words}", NOW)]
    mandate = replace(MANDATE, account=named_by_mandate)
    grounded = ground(a_call(replace(HARBOUR, paid_from=paid_from), words=typed, accounts=accounts, standing=(mandate,)))
    assert (Doubt.ACCOUNT in grounded.doubts, grounded.covered is None) == (is_asked, is_asked)
    assert (grounded.outcome is Outcome.ASK) is is_asked


def test_of_two_mandates_the_one_whose_default_it_is_covers_the_payment() -> None:
    other = replace(MANDATE, id="std_2", account="acc:a2")
    grounded = ground(a_call(accounts=[EVERYDAY, RAINY_DAY], standing=(other, replace(MANDATE, account="acc:a1"))))
    assert grounded.covered is not None
    assert grounded.covered.id == MANDATE.id
