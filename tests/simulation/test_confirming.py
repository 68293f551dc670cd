"""What waits for the customer: executed once, exactly as it was shown, by nobody else, and not after its time."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from adapters.core import Money
from gateway.app.databases import DatabaseName
from gateway.confirmations.standing_mandates import MandateTerms
from gateway.domain.errors import Code, Fault, RequestFault, Unavailable
from gateway.domain.kill_switch import Scope
from gateway.domain.mandate import Limits
from gateway.domain.ports import ProposalNotOpen
from gateway.domain.proposal import ConfirmationEvidence, Method, Proposal
from gateway.domain.request import CallRequest, NativeCall
from gateway.domain.stages import Recorded
from gateway.grounding.words import in_words
from tests.support.databases import sql
from tests.support.teller import (
    TRACE,
    Teller,
    executed_keys,
    leaves_of,
    output_of,
    payment,
    principal,
    teller,
    what_does_not_hold,
)


@dataclass
class Desk:
    """A teller, an account and a payee whom the customer pays: Harbour Lettings."""

    teller: Teller
    account: str
    payee: str

    @property
    def gateway(self) -> Any:
        return self.teller.gateway

    def now(self) -> datetime:
        now: datetime = self.gateway.door.clock()
        return now

    async def pay(self, value: str, *, native_id: str | None = None, said: bool = True) -> Recorded:
        if said:
            await self.teller.say(f"Please pay Harbour Lettings £{value}")
        return await self.teller.ask("initiate_transfer", payment(self.account, self.payee, value), native_id=native_id)

    async def held(self, value: str) -> Proposal:
        answered = await self.pay(value)
        assert (answered.status, answered.code) == ("held", Code.CONFIRMATION_REQUIRED)
        return await self.opened(str(answered.confirmation))

    async def opened(self, confirmation: str, customer: str = "alice") -> Proposal:
        proposal = await self.gateway.confirmations.open(customer, confirmation, self.now())
        assert proposal is not None
        return proposal

    def evidence(self, proposal: Proposal, customer: str = "alice") -> ConfirmationEvidence:
        kept = json.dumps({"intent_sha256": sha256(proposal.intent).hexdigest()}).encode()
        return ConfirmationEvidence(customer, Method.PASSKEY, self.now(), kept)

    async def confirm(self, proposal: Proposal, customer: str = "alice") -> list[Recorded]:
        return list(await self.gateway.confirmations.confirm(customer, proposal.id, self.evidence(proposal, customer)))

    async def refused(self, proposal: Proposal, customer: str = "alice") -> str:
        with pytest.raises(ProposalNotOpen) as refused:
            await self.confirm(proposal, customer)
        return refused.value.state


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with teller(tmp_path / "data") as asked:
        account = (await asked.accounts())[0]
        listed = await asked.ask("list_beneficiaries", {"account": account})
        payees = output_of(listed)["beneficiaries"]
        payee = next(str(item["beneficiary"]) for item in payees if "Harbour" in str(item["name"]))
        yield Desk(asked, account, payee)


async def test_what_was_confirmed_is_done_once_and_told_again(desk: Desk) -> None:
    before = len(executed_keys(desk.gateway))
    answered = await desk.pay("20.00", native_id="p1")
    proposal = await desk.opened(str(answered.confirmation))
    tried = await asyncio.gather(*(desk.confirm(proposal) for _ in range(12)), return_exceptions=True)
    done = [item for item in tried if not isinstance(item, BaseException)]
    assert [[answer.status for answer in answers] for answers in done] == [["done"]]
    assert {item.state for item in tried if isinstance(item, ProposalNotOpen)} == {"confirmed"}
    assert len(executed_keys(desk.gateway)) == before + 1
    again = await desk.pay("20.00", native_id="p1", said=False)
    assert (again.status, again.call_id, again.output) == ("done", answered.call_id, done[0][0].output)
    assert await what_does_not_hold(desk.gateway) == []


async def test_nobody_else_confirms_or_declines(desk: Desk) -> None:
    proposal = await desk.held("20.00")
    assert await desk.gateway.confirmations.open("bruno", proposal.id, desk.now()) is None
    assert await desk.refused(proposal, "bruno") == "unknown"
    with pytest.raises(ProposalNotOpen):
        await desk.gateway.confirmations.decline("bruno", proposal.id, desk.now())
    assert [item.status for item in await desk.confirm(proposal)] == ["done"]


async def test_the_same_again_needs_the_customer_s_word(desk: Desk) -> None:
    """The word "again" in the chat clears nothing (TC-04)."""
    await granted(desk)
    assert (await desk.pay("12.00")).status == "done"
    await desk.teller.say("yes, pay them again please")
    assert (await desk.pay("12.00", said=False)).status == "denied", "what was meant once is used up"
    again = await desk.pay("12.00")
    assert (again.status, again.code) == ("held", Code.DUPLICATE_SUSPECTED)
    proposal = await desk.opened(str(again.confirmation))
    assert "duplicate" in str(proposal.content["warnings"])
    assert [item.status for item in await desk.confirm(proposal)] == ["done"]


async def test_a_declined_one_is_not_asked_again_for_a_day(desk: Desk) -> None:
    proposal = await desk.held("20.00")
    await desk.gateway.confirmations.decline("alice", proposal.id, desk.now())
    assert await desk.refused(proposal) == "declined"
    again = await desk.pay("20.00")
    assert (again.status, again.code, again.confirmation) == ("denied", Code.DENIED, None)
    assert (await desk.pay("21.00")).status == "held"


async def test_an_older_one_comes_first_and_too_many_are_not_asked(desk: Desk) -> None:
    first, second = await desk.held("20.00"), await desk.held("21.00")
    assert await desk.refused(second) == "waits"
    assert [item.status for item in await desk.confirm(first)] == ["done"]
    assert [item.status for item in await desk.confirm(await desk.opened(second.id))] == ["done"]
    for value in range(30, 35):
        await desk.held(f"{value}.00")
    assert (await desk.pay("36.00")).status == "denied"


async def test_the_challenge_and_the_proposal_have_their_time(desk: Desk) -> None:
    proposal = await desk.held("20.00")
    late = ConfirmationEvidence("alice", Method.PASSKEY, desk.now() + timedelta(minutes=6), desk.evidence(proposal).kept)
    with pytest.raises(ProposalNotOpen, match="challenge_expired"):
        await desk.gateway.confirmations.confirm("alice", proposal.id, late)
    sql(desk.gateway.settings.data, DatabaseName.GATEWAY, "update confirmations set expires_us = 1")
    assert await desk.refused(await desk.opened(proposal.id)) == "expired"
    assert (await desk.gateway.door.became("alice", json.loads(proposal.intent)["call_ids"][0])).status == "denied"


@pytest.mark.parametrize("which", ["limits", "frozen", "mandate", "killed"])
async def test_what_was_confirmed_is_decided_again_on_the_facts_of_then(desk: Desk, which: str) -> None:
    proposal = await desk.held("20.00")
    if which == "limits":
        await desk.teller.granting("alice", limits={"GBP": Limits(1999, 1999, 1999, 1999, 9)})
    elif which == "mandate":
        await desk.teller.granting("alice", functions=("list_accounts",))
    elif which == "killed":
        switch = await desk.gateway.kill_switches.engage(Scope.CUSTOMER, "alice", "a test", "officer-1")
    else:
        sql(desk.gateway.settings.data, DatabaseName.GATEWAY, "update customers set frozen = true")
    before = len(executed_keys(desk.gateway))
    (answered,) = await desk.confirm(proposal)
    assert (answered.status, answered.code) == ("denied", Code.LIMIT_EXCEEDED if which == "limits" else Code.DENIED)
    assert (await desk.gateway.door.became("alice", answered.call_id)).status == "denied"
    # what was refused does not happen later, once nothing stands in its way any more
    await desk.teller.granting("alice", limits={"GBP": Limits(9999, 9999, 9999, 9999, 9)})
    for officer in ("officer-1", "officer-2") if which == "killed" else ():
        await desk.gateway.kill_switches.lift(switch.switch.id, "over", officer)
    sql(desk.gateway.settings.data, DatabaseName.GATEWAY, "update confirmations set ended_us = ended_us - 11000000")
    assert await desk.gateway.confirmations.resume() == 0
    assert len(executed_keys(desk.gateway)) == before


async def test_where_each_value_came_from_is_on_record_and_told_in_words(desk: Desk) -> None:
    await desk.held("20.00")
    await desk.pay("990.00", said=False)
    asked, refused = [json.loads(leaf.leaf) for leaf in await leaves_of(desk.gateway)][-2:]
    assert asked["grounding"] == {"amount": "typed", "free_text": "own", "object": "own", "outcome": "grounded", "payee": "known"}
    assert (refused["facts"]["reason"], refused["grounding"]["amount"]) == ("ungrounded_amount", "ungrounded")
    assert "How much was said by nobody who counts: denied without asking." in in_words(refused["grounding"])
    assert all(word.endswith(".") for word in in_words(asked["grounding"]))


CHANGES = (
    "update proposed_calls set arguments = cast(replace(arguments, '20.00', '90.00') as blob)",
    "update proposed_calls set arguments = cast(replace(arguments, 'GBP', 'EUR') as blob)",
    "update proposed_calls set function = 'cancel_scheduled_payment'",
    "update proposed_calls set call_id = 'call_0123456789012345678901234567'",
    "update confirmations set intent = cast(replace(intent, '20.00', '90.00') as blob)",
    "update confirmations set intent = cast(replace(intent, 'Harbour', 'Hrabour') as blob)",
    "delete from proposed_calls",
)


@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_changed_in_the_store_after_it_was_shown_is_not_done(desk: Desk, change: str) -> None:
    proposal = await desk.held("20.00")
    before = len(executed_keys(desk.gateway))
    evidence = desk.evidence(proposal)
    sql(desk.gateway.settings.data, DatabaseName.GATEWAY, change)
    with pytest.raises(ProposalNotOpen, match="changed"):
        await desk.gateway.confirmations.confirm("alice", proposal.id, evidence)
    assert len(executed_keys(desk.gateway)) == before


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, number))
    else:
        yield path


class NoWord:
    """Records, but for what the customer says: the trail takes none of that."""

    def __init__(self, records: object) -> None:
        self._records = records

    def __getattr__(self, name: str) -> object:
        return getattr(self._records, name)

    async def spoken(self, *_told: object) -> None:
        raise Unavailable("audit_unavailable")


async def test_what_is_not_on_record_as_confirmed_is_not_confirmed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = await desk.held("20.00")
    confirmations, before = desk.gateway.confirmations, len(executed_keys(desk.gateway))
    with monkeypatch.context() as silent:
        silent.setattr(desk.gateway, "confirmations", replace(confirmations, records=NoWord(confirmations.records)))
        with pytest.raises(Unavailable):
            await desk.confirm(proposal)
    assert [item.state for item in await confirmations.waiting("alice", desk.now())] == ["open"]
    assert len(executed_keys(desk.gateway)) == before
    assert [item.status for item in await desk.confirm(proposal)] == ["done"]


async def test_the_calls_of_one_request_are_judged_on_their_sum(desk: Desk) -> None:
    """Each alone is within the limits; the first is refused for what is still to come, and the second then has room."""
    account, savings = (await desk.teller.accounts())[:2]
    await desk.teller.granting("alice", limits={"GBP": Limits(5_000, 5_000, 5_000, 5_000, 9)})
    asked = [NativeCall(f"s{number}", "initiate_transfer", json.dumps(payment(account, savings, "30.00"))) for number in range(2)]
    request = CallRequest("responses", await desk.teller.conversation("alice"), "turn-sum", None, tuple(asked), TRACE)
    first, second = await desk.gateway.pipeline.take(principal("alice", now=desk.now()), request)
    assert (first.status, first.code) == ("denied", Code.LIMIT_EXCEEDED)
    assert (second.status, second.code) == ("done", None)


async def test_evidence_over_any_other_intent_is_refused(desk: Desk) -> None:
    """Each field in turn: an assertion over what differs anywhere confirms nothing."""
    proposal = await desk.held("20.00")
    paths = list(_leaves(proposal.content))
    assert len(paths) > 30
    for path in paths:
        changed: Any = json.loads(proposal.intent)
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = "x" if place[path[-1]] != "x" else "y"
        other = json.dumps({"intent_sha256": sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()}).encode()
        with pytest.raises(ProposalNotOpen, match="changed"):
            await desk.gateway.confirmations.confirm(
                "alice", proposal.id, ConfirmationEvidence("alice", Method.PASSKEY, desk.now(), other)
            )
    assert [item.status for item in await desk.confirm(proposal)] == ["done"]


async def crashed(desk: Desk, monkeypatch: pytest.MonkeyPatch, *proposals: Proposal) -> None:
    """These are confirmed, each before a crash, longer ago than who confirmed may execute alone."""

    async def crash(_self: object, _stored: object) -> None:
        raise OSError("the power went")

    for proposal in proposals:
        with monkeypatch.context() as dark:
            dark.setattr(type(desk.gateway.confirmations), "_execute", crash)
            with pytest.raises(OSError, match="power"):
                await desk.confirm(proposal)
    assert await desk.gateway.confirmations.resume() == 0, "who confirmed may still be at it"
    sql(desk.gateway.settings.data, DatabaseName.GATEWAY, "update confirmations set ended_us = ended_us - 11000000")


async def test_what_a_crash_left_confirmed_is_gone_on_with_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = await desk.held("20.00")
    confirming, before = desk.gateway.confirmations, len(executed_keys(desk.gateway))
    await crashed(desk, monkeypatch, proposal)
    assert len(executed_keys(desk.gateway)) == before
    assert await confirming.resume() == 1
    assert await confirming.resume() == 0
    assert len(executed_keys(desk.gateway)) == before + 1
    assert await what_does_not_hold(desk.gateway) == []


async def test_a_confirmed_call_whose_function_is_not_served_any_more_is_denied_and_holds_up_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(executed_keys(desk.gateway))
    await desk.teller.say("Please remove the payee Harbour Lettings")
    asked = await desk.teller.ask("remove_beneficiary", {"beneficiary": desk.payee})
    gone, other = await desk.opened(str(asked.confirmation)), await desk.held("21.00")
    await crashed(desk, monkeypatch, gone, other)
    monkeypatch.delitem(desk.gateway.confirmations.functions, "remove_beneficiary")
    assert await desk.gateway.confirmations.resume() == 2
    became = [await desk.gateway.door.became("alice", json.loads(item.intent)["call_ids"][0]) for item in (gone, other)]
    assert [(call.status, call.code) for call in became] == [("denied", Code.DENIED), ("done", None)]
    assert await desk.gateway.confirmations.resume() == 0, "it is spent"
    assert len(executed_keys(desk.gateway)) == before + 1
    assert await what_does_not_hold(desk.gateway) == []


@pytest.mark.parametrize("change", ["an argument has another name", "an argument is needed that was not", "its call breaks"])
async def test_a_confirmed_call_whose_function_changed_is_not_done_and_holds_up_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    before = len(executed_keys(desk.gateway))
    await desk.teller.say("Please remove the payee Harbour Lettings")
    asked = await desk.teller.ask("remove_beneficiary", {"beneficiary": desk.payee})
    changed, other = await desk.opened(str(asked.confirmation)), await desk.held("21.00")
    await crashed(desk, monkeypatch, changed, other)
    functions = desk.gateway.confirmations.functions
    function = functions["remove_beneficiary"]
    (argument,) = function.arguments
    arguments = {
        "an argument has another name": (replace(argument, name="payee"),),
        "an argument is needed that was not": (argument, replace(argument, name="why")),
        "its call breaks": None,
    }[change]
    monkeypatch.setitem(
        functions, "remove_beneficiary", Broken(function) if arguments is None else replace(function, arguments=arguments)
    )
    assert await desk.gateway.confirmations.resume() == 2
    became = [await desk.gateway.door.became("alice", json.loads(item.intent)["call_ids"][0]) for item in (changed, other)]
    assert (became[1].status, became[1].code) == ("done", None)
    assert len(executed_keys(desk.gateway)) == before + 1
    if arguments is not None:
        assert (became[0].status, became[0].code) == ("denied", Code.DENIED)
        assert await desk.gateway.confirmations.resume() == 0, "it is spent"
        assert await what_does_not_hold(desk.gateway) == []


class Broken:
    """A function with a defect: whoever looks at its arguments breaks."""

    def __init__(self, function: object) -> None:
        self._function = function

    def __getattr__(self, name: str) -> object:
        if name == "arguments":
            raise KeyError(name)
        return getattr(self._function, name)


def terms(**changes: Any) -> MandateTerms:
    given = {"payees": None, "payment": Money(2_500, "GBP"), "day": Money(4_000, "GBP"), "day_count": 3, "days": 30, "agent": None}
    return MandateTerms(**{**given, **changes})


async def granted(desk: Desk, **changes: Any) -> str:
    own = principal("alice", agent=None)
    proposal = await desk.gateway.standing_mandates.propose(own, terms(**changes))
    assert await desk.confirm(await desk.opened(proposal.id)) == []
    (mandate,) = await desk.gateway.standing_mandates.standing("alice")
    return str(mandate.id)


async def test_under_a_standing_mandate_nobody_is_asked_within_its_bounds(desk: Desk) -> None:
    mandate = await granted(desk)
    assert (await desk.pay("25.00")).status == "done"
    assert (await desk.pay("15.01")).status == "held", "over the day's bound by a penny"
    assert (await desk.pay("15.00")).status == "done"
    assert (await desk.pay("26.00")).status == "held", "over the bound of one payment"
    assert await desk.gateway.standing_mandates.revoke("alice", mandate)
    assert not await desk.gateway.standing_mandates.revoke("alice", mandate)
    assert (await desk.pay("1.00")).status == "held"


async def test_a_standing_mandate_is_not_asked_for_while_too_much_waits(desk: Desk) -> None:
    own, propose = principal("alice", agent=None), desk.gateway.standing_mandates.propose
    for _ in range(desk.gateway.settings.proposals_waiting):
        await propose(own, terms())
    with pytest.raises(RequestFault) as refused:
        await propose(own, terms())
    assert refused.value.fault is Fault.CONFIRMATION_WAITS


async def test_a_mandate_covers_one_agent_s_payments_to_its_payees_alone(desk: Desk) -> None:
    await granted(desk, payees=("04000412345678",), agent="another")
    assert (await desk.pay("5.00")).status == "held"
    with pytest.raises(RequestFault):
        await desk.gateway.standing_mandates.propose(principal("alice", agent=None), terms(payees=("20301587654399",)))


async def test_a_hundred_at_once_never_pass_the_bounds_of_a_standing_mandate(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six agents, each call in a conversation of its own, whose words no other call can use up."""
    monkeypatch.setattr("gateway.store.book.FRESH_S", 30.0)  # what a late answer of the database means is another test's
    mandate = await granted(desk, payment=Money(1_000, "GBP"), day=Money(5_000, "GBP"), day_count=100)

    async def one(number: int) -> Recorded:
        book, ask = desk.gateway.book, partial(desk.teller.ask, agent=f"assistant-{number % 6}")
        where = await book.open_conversation("alice", desk.now())
        value = f"{1 + number / 100:.2f}"
        await desk.teller.say(f"Please pay Harbour Lettings £{value}", conversation=where)
        accounts = output_of(await ask("list_accounts", conversation=where))["accounts"]
        account = next(item["account"] for item in accounts if item["currency"] == "GBP" and item["status"] == "open")
        listed = output_of(await ask("list_beneficiaries", {"account": account}, conversation=where))["beneficiaries"]
        payee = next(item["beneficiary"] for item in listed if "Harbour" in str(item["name"]))
        return await ask("initiate_transfer", payment(account, payee, value), conversation=where)

    answered = await asyncio.gather(*(one(number) for number in range(60)))
    spent = sum(100 + number for number, call in enumerate(answered) if call.status == "done")
    assert 4_800 < spent <= 5_000
    assert (await desk.gateway.book.automatic("alice", "GBP", desk.now()))[mandate].day_minor == spent
