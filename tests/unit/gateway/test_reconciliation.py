"""Reconciliation: each seeded discrepancy between the log and the core is found, and none is invented (TC-14)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.core import CoreEffect, Money
from gateway.oversight.reconciliation import APART, DifferenceKind, IntentOnRecord, compare

NOW = datetime(2026, 3, 17, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=1)
GRACE = timedelta(seconds=45)
FIVE = Money(500, "GBP")


def intent(key: str = "k", end_state: str | None = "executed", **changes: object) -> IntentOnRecord:
    made = IntentOnRecord(key, f"call-{key}", 7, "initiate_transfer", NOW - timedelta(hours=1), end_state, FIVE)
    return replace(made, **changes)  # type: ignore[arg-type]


def effect(key: str | None = "k", status: str = "ACSC", **changes: object) -> CoreEffect:
    made = CoreEffect(key, "alice", "Transfer", status, FIVE, NOW - timedelta(minutes=59))
    return replace(made, **changes)  # type: ignore[arg-type]


def found(intents: Sequence[IntentOnRecord], effects: Sequence[CoreEffect]) -> list[DifferenceKind]:
    return [item.what for item in compare(intents, effects, since=SINCE, now=NOW, grace=GRACE)]


LATE = NOW - timedelta(seconds=44)


@pytest.mark.parametrize(
    ("intents", "effects", "expected"),
    [
        ([intent()], [effect()], []),
        ([intent()], [effect(status="SCHD")], []),
        ([intent(amount=None)], [effect()], []),
        ([intent()], [effect(status="done", amount=None)], []),
        ([intent(end_state="rejected_by_core")], [effect(status="declined", amount=None)], []),
        ([intent(end_state="rejected_by_core")], [], []),
        ([intent(end_state="not_attempted")], [], []),
        ([intent(end_state=None, at=LATE)], [], []),
        ([intent(end_state=None, at=LATE)], [effect()], []),
        ([intent(at=LATE)], [], []),
        ([intent(at=SINCE - timedelta(seconds=1))], [effect(at=SINCE)], []),
        ([intent(at=SINCE - timedelta(seconds=1))], [], []),
        ([], [effect(at=SINCE - timedelta(seconds=1))], []),
        ([], [effect(status="declined")], []),
        ([intent()], [], [DifferenceKind.MISSING]),
        ([intent(at=SINCE)], [], [DifferenceKind.MISSING]),
        ([intent("a")], [effect("b")], [DifferenceKind.MISSING, DifferenceKind.UNINTENDED]),
        ([], [effect()], [DifferenceKind.UNINTENDED]),
        ([], [effect(None)], [DifferenceKind.UNINTENDED]),
        ([intent()], [effect(), effect(None)], [DifferenceKind.UNINTENDED]),
        ([intent()], [effect(amount=Money(501, "GBP"))], [DifferenceKind.AMOUNT]),
        ([intent()], [effect(amount=Money(500, "EUR"))], [DifferenceKind.AMOUNT]),
        ([intent(end_state="rejected_by_core")], [effect()], [DifferenceKind.END_STATE]),
        ([intent(end_state="not_attempted")], [effect()], [DifferenceKind.END_STATE]),
        ([intent()], [effect(status="declined", amount=None)], [DifferenceKind.END_STATE]),
        ([intent()], [effect(), effect()], [DifferenceKind.DOUBLE]),
        ([intent(), intent()], [effect()], [DifferenceKind.DOUBLE]),
        ([intent()], [effect(amount=Money(1000, "GBP")), effect()], [DifferenceKind.DOUBLE, DifferenceKind.AMOUNT]),
        ([intent(end_state=None)], [], [DifferenceKind.UNSETTLED]),
        ([intent(end_state="outcome_unknown")], [effect()], [DifferenceKind.UNSETTLED]),
    ],
)
def test_each_difference_is_found_and_nothing_else(
    intents: list[IntentOnRecord], effects: list[CoreEffect], expected: list[DifferenceKind]
) -> None:
    assert found(intents, effects) == expected


keys = st.lists(st.text("abcdef", min_size=1, max_size=4), unique=True, max_size=8)
amounts = st.builds(Money, st.integers(1, 10**6), st.just("GBP"))


@given(keys, st.data())
def test_what_agrees_has_no_finding_and_one_change_has_one(keys: list[str], data: st.DataObject) -> None:
    ends = {key: data.draw(st.sampled_from(["executed", "rejected_by_core", "not_attempted"])) for key in keys}
    sums = {key: data.draw(amounts) for key in keys}
    intents = [intent(key, ends[key], amount=sums[key]) for key in keys]
    effects = [
        effect(key, "ACSC" if ends[key] == "executed" else "declined", amount=sums[key])
        for key in data.draw(st.permutations(keys))
        if ends[key] != "not_attempted"
    ]
    assert found(intents, effects) == []
    done = [item for item in effects if item.status == "ACSC"]
    if not done:
        return
    one = data.draw(st.sampled_from(done))
    rest = [item for item in effects if item is not one]
    assert one.amount is not None
    assert found(intents, rest) == [DifferenceKind.MISSING]
    assert found([item for item in intents if item.key != one.key], effects) == [DifferenceKind.UNINTENDED]
    assert found(intents, [*rest, replace(one, amount=Money(one.amount.minor + 1, "GBP"))]) == [DifferenceKind.AMOUNT]
    assert found(intents, [*effects, one]) == [DifferenceKind.DOUBLE]
    assert found([replace(item, end_state="not_attempted") if item.key == one.key else item for item in intents], effects) == [
        DifferenceKind.END_STATE
    ]


def test_partners_may_lie_before_the_beginning_but_not_by_more() -> None:
    assert timedelta(minutes=1) < APART < timedelta(hours=1)
