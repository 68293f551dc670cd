"""Four eyes, whatever happens and in whichever process: an approval is another person's, lasts an hour, and is used once."""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.log import LogUnavailable
from gateway.app.clock import utc_now
from gateway.domain.approvals import LASTS, ApprovalState, NotApproved, StaffAct, StaffApproval, canonical
from gateway.domain.duties import Duty, StaffRole
from gateway.domain.errors import Unavailable
from gateway.domain.staff import StaffMember
from gateway.oversight.approvals import Approvals
from gateway.store.approvals import SqlApprovals
from tests.support.databases import postgresql
from tests.support.teller import Teller, teller

SUBJECT = {"record": 7, "purpose": "complaint", "case": "C-1"}
NOW = utc_now()


def someone(name: str) -> StaffMember:
    return StaffMember(name, frozenset({StaffRole.AUDITOR}), True, int(NOW.timestamp()))


def act(by: str = "eve") -> StaffAct:
    return StaffAct(Duty.REVEAL, canonical(SUBJECT), by)


def approvals(asked: Teller) -> Approvals:
    return Approvals(SqlApprovals(asked.gateway.book), asked.gateway.door.records, asked.gateway.door.clock)


async def words(asked: Teller, approval: str) -> list[str]:
    size, _ = await asked.gateway.log.head()
    leaves = await asked.gateway.log.read(lambda reads: [reads.leaf(index) for index in range(size)])
    facts = [json.loads(leaf.leaf).get("facts", {}) for leaf in leaves if leaf is not None]
    return [fact["word"] for fact in facts if fact.get("approval") == approval]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(("approve", "use")), st.sampled_from(("eve", "mel", "dan")), st.integers(0, 70)), max_size=8
    )
)
def test_no_order_of_steps_uses_it_twice_alone_or_late(steps: list[tuple[str, str, int]]) -> None:
    """Of the pure rules, which the database's changes ask: a model of one approval under any people at any time."""
    one = StaffApproval(
        id="apr_1", duty=Duty.REVEAL, subject=canonical(SUBJECT), reason="r", asked_by="eve", asked=NOW, expires=NOW + LASTS
    )
    minutes, uses = 0, 0
    for step, who, later in steps:
        minutes += later
        at = NOW + timedelta(minutes=minutes)
        if step == "approve" and one.approve_obstacle(who, at) is None:
            one = StaffApproval(**{**{name: getattr(one, name) for name in one.__slots__}, "approved_by": who})
        elif step == "use" and one.use_obstacle(act(who), at) is None:
            assert (who, one.approved_by in ("mel", "dan"), minutes < 60) == ("eve", True, True)
            one = StaffApproval(**{**{name: getattr(one, name) for name in one.__slots__}, "used": at})
            uses += 1
    assert uses <= 1
    assert (one.state(NOW + LASTS) is ApprovalState.USED) == (uses == 1)


async def test_two_gateways_at_once_use_one_approval_once(tmp_path: Path) -> None:
    database = postgresql(tmp_path / "data")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(teller(tmp_path / "data", database=database))
        other = await stack.enter_async_context(teller(tmp_path / "data", database=database))
        desks = [approvals(one), approvals(other)]
        asked = await desks[0].ask(someone("eve"), Duty.REVEAL, SUBJECT, "a complaint")
        given_twice = await asyncio.gather(
            *(desks[n % 2].give(someone(f"mel-{n}"), asked.id) for n in range(8)), return_exceptions=True
        )
        assert sum(isinstance(item, StaffApproval) for item in given_twice) == 1
        used = await asyncio.gather(*(desks[n % 2].use(someone("eve"), asked.id, act()) for n in range(16)), return_exceptions=True)
        assert sum(isinstance(item, StaffApproval) for item in used) == 1
        assert {item.state for item in used if isinstance(item, NotApproved)} == {"used"}
        assert await words(one, asked.id) == ["approval_asked", "approval_given", "approval_used"]


@pytest.mark.parametrize("done", [False, True])
async def test_a_use_that_could_not_be_recorded_is_no_use_and_one_that_was_is_one(
    tmp_path: Path, done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log fails before it wrote anything, or after: what the database holds and what the trail says are the same."""
    async with teller(tmp_path / "data") as asked:
        desk = approvals(asked)
        wanted = await desk.ask(someone("eve"), Duty.REVEAL, SUBJECT, "a complaint")
        await desk.give(someone("mel"), wanted.id)
        append = asked.gateway.log.append_with

        async def failing(*arguments: Any, **options: Any) -> Any:
            if done:
                await append(*arguments, **options)
            raise LogUnavailable("made up")

        with monkeypatch.context() as patched:
            patched.setattr(asked.gateway.log, "append_with", failing)
            with pytest.raises(Unavailable):
                await desk.use(someone("eve"), wanted.id, act())
        found = await desk.find(wanted.id)
        assert (found.used is not None) == done
        assert ("approval_used" in await words(asked, wanted.id)) == done
        if not done:
            await desk.use(someone("eve"), wanted.id, act())
        with pytest.raises(NotApproved, match="used"):
            await desk.use(someone("eve"), wanted.id, act())
