"""Reconciliation: each seeded discrepancy between the log and the core is found, and none is invented (TC-14)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.core import CoreEffect, Money
from gateway.oversight.reconciliation import APART, Intended, What, compare

NOW = datetime(2026, 3, 17, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=1)
GRACE = timedelta(seconds=45)
FIVE = Money(500, "GBP")


def intent(key: str = "k", end_state: str | None = "executed", **changes: object) -> Intended:
    made = Intended(key, f"call-{key}", 7, "initiate_transfer", NOW - timedelta(hours=1), end_state, FIVE)
    return replace(made, **changes)  # type: ignore[arg-type]


def effect(key: str | None = "k", status: str = "ACSC", **changes: object) -> CoreEffect:
    made = CoreEffect(key, "alice", "Transfer", status, FIVE, NOW - timedelta(minutes=59))
    return replace(made, **changes)  # type: ignore[arg-type]


def found(intents: Sequence[Intended], effects: Sequence[CoreEffect]) -> list[What]:
    return [each.what for each in compare(intents, effects, since=SINCE, now=NOW, grace=GRACE)]


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
        ([intent()], [], [What.MISSING]),
        ([intent(at=SINCE)], [], [What.MISSING]),
        ([intent("a")], [effect("b")], [What.MISSING, What.UNINTENDED]),
        ([], [effect()], [What.UNINTENDED]),
        ([], [effect(None)], [What.UNINTENDED]),
        ([intent()], [effect(), effect(None)], [What.UNINTENDED]),
        ([intent()], [effect(amount=Money(501, "GBP"))], [What.AMOUNT]),
        ([intent()], [effect(amount=Money(500, "EUR"))], [What.AMOUNT]),
        ([intent(end_state="rejected_by_core")], [effect()], [What.END_STATE]),
        ([intent(end_state="not_attempted")], [effect()], [What.END_STATE]),
        ([intent()], [effect(status="declined", amount=None)], [What.END_STATE]),
        ([intent()], [effect(), effect()], [What.DOUBLE]),
        ([intent(), intent()], [effect()], [What.DOUBLE]),
        ([intent()], [effect(amount=Money(1000, "GBP")), effect()], [What.DOUBLE, What.AMOUNT]),
        ([intent(end_state=None)], [], [What.UNSETTLED]),
        ([intent(end_state="outcome_unknown")], [effect()], [What.UNSETTLED]),
    ],
)
def test_each_difference_is_found_and_nothing_else(
    intents: list[Intended], effects: list[CoreEffect], expected: list[What]
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
    done = [each for each in effects if each.status == "ACSC"]
    if not done:
        return
    one = data.draw(st.sampled_from(done))
    rest = [each for each in effects if each is not one]
    assert one.amount is not None
    assert found(intents, rest) == [What.MISSING]
    assert found([each for each in intents if each.key != one.key], effects) == [What.UNINTENDED]
    assert found(intents, [*rest, replace(one, amount=Money(one.amount.minor + 1, "GBP"))]) == [What.AMOUNT]
    assert found(intents, [*effects, one]) == [What.DOUBLE]
    assert found([replace(each, end_state="not_attempted") if each.key == one.key else each for each in intents], effects) == [
        What.END_STATE
    ]


def test_partners_may_lie_before_the_beginning_but_not_by_more() -> None:
    assert timedelta(minutes=1) < APART < timedelta(hours=1)
