"""A call whose values only the customer can judge is never done unasked, whatever the policies permit."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from adapters.core import Acquaintance, Identified, KnownPayee, Money, ObjectFacts, ReferenceKind
from adapters.function import Arguments, Level
from adapters.functions import MANIFEST
from gateway.calls.decide import Decider, PolicyRefusal
from gateway.domain.errors import Code
from gateway.domain.facts import ConversationFacts, CustomerFacts, Evidence, Facts, Utterance, Utterances
from gateway.domain.kill_switch import EngagedSwitches
from gateway.domain.limits import Totals
from gateway.domain.mandate import StandingMandate
from gateway.domain.request import CallRequest, NativeCall, Trace
from gateway.domain.stages import BatchRemainder, Call, Grounded, Outcome, Received
from gateway.domain.steps import Steps
from gateway.grounding import ground
from policies.engine import Engine
from policies.model import Decision, PolicyEffect, Reason
from tests.support.teller import principal

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TRANSFER = next(function for function in MANIFEST if function.name == "initiate_transfer")
ACCOUNT, PAYEE = Identified(ReferenceKind.ACCOUNT, "a1"), Identified(ReferenceKind.BENEFICIARY, "b1")
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


def a_call(payee: KnownPayee = HARBOUR, *, rest: BatchRemainder | None = None, **facts: Any) -> Call:
    """A payment of £20 to Harbour Lettings, as the customer typed it."""
    native = NativeCall("n1", TRANSFER.name, "{}")
    request = CallRequest("responses", "conv_1", "t1", None, (native,), Trace("0" * 32))
    received = Received(
        call_id="call_1",
        principal=principal("alice", now=NOW),
        request=request,
        native=native,
        received_at=NOW,
        span_id=secrets.token_hex(8),
        steps=Steps(),
        set_at=NOW,
        rest=rest or BatchRemainder(),
    )
    owners = frozenset({"alice"})
    objects: Mapping[Identified, ObjectFacts] = {
        ACCOUNT: ObjectFacts(ACCOUNT, owners, "open", currency="GBP"),
        PAYEE: ObjectFacts(PAYEE, owners, "saved", account="a1", first_settled_at=payee.known_since),
    }
    told = Utterances(1, (Utterance(1, "typed", "Please pay Harbour Lettings £20.00", NOW),))
    known = Facts(
        as_of=NOW,
        level=Level.L2,
        customer=CustomerFacts(None, False),
        conversation=ConversationFacts("conv_1", False),
        objects=objects,
        totals=Totals(),
        switches=EngagedSwitches(0, frozenset()),
        evidence=Evidence(told, Acquaintance((payee,))),
    )
    return Call(
        received, TRANSFER, Arguments({"from": ACCOUNT, "to": PAYEE, "amount": Money(2_000, "GBP")}), replace(known, **facts)
    )


@pytest.mark.parametrize("level", [Level.L1, Level.L2])
def test_what_only_the_customer_can_judge_is_asked_though_every_policy_permits_it(level: Level) -> None:
    decider = Decider(cast(Engine, PermitsEverything()))
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
