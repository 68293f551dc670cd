"""What a second person must approve, over the real store and core: one owner confirms, another one of the same account approves."""

import dataclasses
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.app.databases import DatabaseName
from gateway.calls.decide import Decider
from gateway.domain.errors import Code
from gateway.domain.ports import ProposalNotOpen
from gateway.domain.proposal import APPROVE_LIFETIME, ConfirmationEvidence, Method, Proposal
from gateway.domain.stages import Recorded
from policies.engine import Engine
from policies.model import Assurance, Decision, PolicyEffect, Reason, Request
from tests.support.databases import sql
from tests.support.teller import Teller, executed_keys, leaves_of, payment, teller, what_does_not_hold

INITIATOR, HOLDER, STRANGER = "carla", "david", "alice"
"""Carla and David own the household's account; Alice owns no part of it."""


@dataclass
class ApprovedAlone:
    """The bundle's own decisions, but that no payment is permitted below the top rung: a rule of the bank's own could say so."""

    engine: Engine

    def decide(self, request: Request) -> Decision:
        decision = self.engine.decide(request)
        reached = cast(dict[str, int], request.context["assurance"])["level"]
        if request.action != "initiate_transfer" or decision.effect is PolicyEffect.DENY or reached >= Assurance.APPROVED:
            return decision
        return Decision(PolicyEffect.CHALLENGE, Reason.APPROVAL, ("bank.large",), Assurance.APPROVED)

    def reveal(self, request: Request, classes: Any) -> Any:
        return self.engine.reveal(request, classes)


@dataclass
class Desk:
    teller: Teller
    account: str
    payee: str

    @property
    def gateway(self) -> Any:
        return self.teller.gateway

    def now(self) -> datetime:
        now: datetime = self.gateway.door.clock()
        return now

    async def held(self, value: str) -> tuple[Recorded, Proposal]:
        await self.teller.say(f"Please pay Little Acorns Nursery £{value}", customer=INITIATOR)
        asked = await self.teller.ask("initiate_transfer", payment(self.account, self.payee, value), customer=INITIATOR)
        assert (asked.status, asked.code) == ("held", Code.APPROVAL_REQUIRED)
        proposal = await self.opened(str(asked.confirmation), INITIATOR)
        assert proposal is not None
        return asked, proposal

    async def opened(self, confirmation: str, customer: str) -> Proposal | None:
        proposal: Proposal | None = await self.gateway.confirmations.open(customer, confirmation, self.now())
        return proposal

    async def say(
        self, proposal: Proposal, customer: str, *, over: bytes | None = None, later: timedelta = timedelta()
    ) -> list[Recorded]:
        """This customer's signature over the intent (or over something else)."""
        kept = json.dumps({"intent_sha256": sha256(over or proposal.intent).hexdigest(), "by": customer}).encode()
        evidence = ConfirmationEvidence(customer, Method.PASSKEY, self.now() + later, kept)
        return list(await self.gateway.confirmations.confirm(customer, proposal.id, evidence))

    async def refused(self, proposal: Proposal, customer: str, **how: Any) -> str:
        with pytest.raises(ProposalNotOpen) as refused:
            await self.say(proposal, customer, **how)
        return refused.value.state

    async def waiting(self, customer: str) -> list[str]:
        return [proposal.id for proposal in await self.gateway.confirmations.waiting(customer, self.now())]

    def done(self) -> int:
        return len(executed_keys(self.gateway))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with teller(tmp_path / "data") as asked:
        parts = asked.gateway.pipeline._parts
        policies = parts.decider.policies
        strict = Decider(dataclasses.replace(policies, engine=cast(Engine, ApprovedAlone(policies.engine))))
        asked.gateway.pipeline._parts = dataclasses.replace(parts, decider=strict)
        listed = await asked.ask("list_accounts", customer=INITIATOR)
        accounts = cast(list[dict[str, Any]], (listed.output or {})["accounts"])
        account = next(str(item["account"]) for item in accounts if "Household" in str(item["name"]))
        told = await asked.ask("list_beneficiaries", {"account": account}, customer=INITIATOR)
        payees = cast(list[dict[str, Any]], (told.output or {})["beneficiaries"])
        payee = next(str(item["beneficiary"]) for item in payees if "Acorns" in str(item["name"]))
        yield Desk(asked, account, payee)


async def test_nothing_is_paid_before_another_owner_has_approved_exactly_what_was_confirmed(desk: Desk) -> None:
    asked, proposal = await desk.held("20.00")
    assert (proposal.level, proposal.expires - proposal.created) == (4, APPROVE_LIFETIME)
    assert timedelta(hours=72) == APPROVE_LIFETIME
    before = desk.done()
    assert await desk.opened(proposal.id, HOLDER) is None, "there is nothing to approve before the first word"
    assert await desk.refused(proposal, HOLDER) == "unknown"

    assert await desk.say(proposal, INITIATOR) == []
    assert (await desk.gateway.door.became(INITIATOR, asked.call_id)).code == Code.APPROVAL_REQUIRED
    assert await desk.refused(proposal, INITIATOR) == "confirmed", "who confirmed is not the second person"
    assert await desk.refused(proposal, STRANGER) == "unknown"
    assert await desk.opened(proposal.id, STRANGER) is None
    assert [await desk.waiting(customer) for customer in (HOLDER, STRANGER, INITIATOR)] == [[proposal.id], [], []]
    assert desk.done() == before

    seen = await desk.opened(proposal.id, HOLDER)
    assert seen is not None
    assert seen.intent == proposal.intent
    assert await desk.refused(seen, HOLDER, over=proposal.intent.replace(b"20.00", b"90.00")) == "changed"
    assert [item.status for item in await desk.say(seen, HOLDER)] == ["done"]
    assert desk.done() == before + 1
    for customer in (INITIATOR, HOLDER):
        assert await desk.refused(proposal, customer) == "approved"
    assert desk.done() == before + 1
    assert await what_does_not_hold(desk.gateway) == []

    leaves = [json.loads(leaf.leaf) for leaf in await leaves_of(desk.gateway)]
    words = [item["facts"]["word"] for item in leaves if item["kind"] == "confirmation"]
    assert words == ["confirmed", "approved"]
    (end,) = [item for item in leaves if item["kind"] == "outcome" and item["call"] == asked.call_id]
    assert (end["end_state"], end["grounding"]["confirmation"]) == ("executed", proposal.id)


async def test_after_seventy_two_hours_nobody_approves_it_any_more(desk: Desk) -> None:
    asked, proposal = await desk.held("21.00")
    assert await desk.say(proposal, INITIATOR) == []
    before, moved = desk.done(), int((APPROVE_LIFETIME - timedelta(minutes=1)).total_seconds() * 1_000_000)
    sql(
        desk.gateway.settings.data,
        DatabaseName.GATEWAY,
        f"update confirmations set created_us = created_us - {moved}, expires_us = expires_us - {moved}",
    )
    assert await desk.waiting(HOLDER) == [proposal.id], "a minute before its end it waits"
    sql(desk.gateway.settings.data, DatabaseName.GATEWAY, "update confirmations set expires_us = expires_us - 60000000")
    assert await desk.waiting(HOLDER) == []
    seen = await desk.opened(proposal.id, HOLDER)
    assert seen is not None
    assert await desk.refused(seen, HOLDER) == "expired"
    assert (await desk.gateway.door.became(INITIATOR, asked.call_id)).status == "denied"
    assert await desk.gateway.confirmations.resume() == 0
    assert desk.done() == before


async def test_the_second_person_may_decline_and_the_first_may_not_take_that_back(desk: Desk) -> None:
    _, proposal = await desk.held("22.00")
    assert await desk.say(proposal, INITIATOR) == []
    before = desk.done()
    await desk.gateway.confirmations.decline(HOLDER, proposal.id, desk.now())
    for customer in (INITIATOR, HOLDER):
        assert await desk.refused(proposal, customer) == "declined"
    assert desk.done() == before


async def test_what_a_crash_left_between_the_two_words_is_not_gone_on_with(desk: Desk) -> None:
    _, proposal = await desk.held("23.00")
    assert await desk.say(proposal, INITIATOR) == []
    before = desk.done()
    sql(desk.gateway.settings.data, DatabaseName.GATEWAY, "update confirmations set ended_us = ended_us - 11000000")
    assert await desk.gateway.confirmations.resume() == 0
    assert desk.done() == before
