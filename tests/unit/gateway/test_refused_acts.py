"""What people may not do and try all the same: so many records of each person in an hour, and every attempt counted."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.duties import Duty, StaffRole
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.domain.staff import StaffMember, StaffRecord
from gateway.oversight.refused_acts import HOURLY_MOST, RECORDED, RefusedActs

START = datetime(2026, 1, 1, tzinfo=UTC)
ROLE = RequestFault(Fault.INSUFFICIENT_ROLE, "not yours")


def somebody(name: str) -> StaffMember:
    return StaffMember(name, frozenset({StaffRole.AUDITOR}), True, 0)


@dataclass
class Trail:
    answers: bool = True
    told: list[StaffRecord] = field(default_factory=list)

    async def staff_act(self, told: StaffRecord, change: None) -> None:
        assert change is None
        if not self.answers:
            raise Unavailable("audit_unavailable")
        self.told.append(told)


ATTEMPTS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(1, 30), st.booleans()), max_size=12)


@given(ATTEMPTS)
def test_each_attempt_is_recorded_or_counted_and_none_twice(attempts: list[tuple[str, int, int, bool]]) -> None:
    trail, now = Trail(), START
    acts = RefusedActs(trail, lambda: now)
    tried: Counter[str] = Counter()

    async def tries() -> None:
        nonlocal now
        for name, minutes, times, answers in attempts:
            now, trail.answers = now + timedelta(minutes=minutes), answers
            for _ in range(times):
                await acts.record(somebody(name), Duty.LIFT, ROLE)
                tried[name] += 1
        now, trail.answers = now + timedelta(hours=1), True
        for name in tried:
            await acts.record(somebody(name), Duty.LIFT, ROLE)

    asyncio.run(tries())
    for name in tried:
        mine = [item for item in trail.told if item.by == name]
        assert len(mine) + sum(int(item.facts["not_recorded"]) for item in mine) == tried[name] + 1
        for item in mine:
            within = [other for other in mine if timedelta(0) <= other.at - item.at < timedelta(hours=1)]
            assert len(within) <= 2 * HOURLY_MOST, "hours follow each other"


@pytest.mark.parametrize("fault", Fault)
def test_what_was_mistyped_or_came_too_late_is_no_attempt(fault: Fault) -> None:
    trail = Trail()
    asyncio.run(RefusedActs(trail, lambda: START).record(somebody("a"), Duty.LIFT, RequestFault(fault, "no")))
    assert [(item.word, item.facts["code"]) for item in trail.told] == ([("refused", fault.value)] if fault in RECORDED else [])
