"""Kill switches over a whole gateway: engaged at any moment of a call, nothing more happens, and what it held is given back."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.functions import MANIFEST
from audit.log import LogUnavailable
from gateway.app.clock import utc_now
from gateway.domain.errors import Code, Unavailable
from gateway.domain.kill_switch import NotLifted, Scope, Subjects
from gateway.domain.obstacle import Obstacle
from gateway.store.book import FRESH_S
from gateway.store.kill_switches import SqlKillSwitches
from tests.support.blocked_loop import Watch
from tests.support.databases import book_in
from tests.support.teller import Teller, executed_keys, leaves_of, payment, teller, what_does_not_hold

SUBJECTS = {
    Scope.GLOBAL: "",
    Scope.CUSTOMER: "alice",
    Scope.CLIENT: "app",
    Scope.AGENT: "assistant",
    Scope.FUNCTION: "initiate_transfer",
}


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Teller]:
    async with teller(tmp_path, duplicate_window_s=1) as opened:
        yield opened


async def engage(asked: Teller, scope: Scope) -> str:
    engaged = await asked.gateway.kill_switches.engage(scope, SUBJECTS[scope], "a test", "officer-1")
    assert engaged.recorded
    return engaged.switch.id


async def lift(asked: Teller, switch: str) -> None:
    for officer in ("officer-1", "officer-2"):
        await asked.gateway.kill_switches.lift(switch, "over", officer)


async def of_kind(asked: Teller, kind: str) -> list[dict[str, Any]]:
    leaves = [json.loads(leaf.leaf) for leaf in await leaves_of(asked.gateway)]
    return [leaf for leaf in leaves if leaf["kind"] == kind]


async def day_minor(asked: Teller) -> int:
    return (await asked.gateway.book.totals("alice", "GBP", utc_now())).day_minor


@pytest.mark.parametrize("scope", Scope)
async def test_what_it_stops_is_refused_on_record_and_goes_on_when_two_officers_lifted_it(asked: Teller, scope: Scope) -> None:
    debit, credit = (await asked.accounts())[:2]
    switch = await engage(asked, scope)
    refused = await asked.ask("initiate_transfer", payment(debit, credit, "1.00"))
    assert (refused.status, refused.code, refused.output) == ("denied", Code.DENIED, None)
    denied = (await of_kind(asked, "deny"))[-1]
    assert denied["facts"] == {"code": "denied", "reason": f"killed_{scope}"}
    assert denied["function"]["name"] == "initiate_transfer"
    read = await asked.ask("list_accounts")
    assert read.status == ("done" if scope is Scope.FUNCTION else "denied")
    assert (executed_keys(asked.gateway), await day_minor(asked)) == ([], 0)
    await lift(asked, switch)
    assert (await asked.ask("initiate_transfer", payment(debit, credit, "1.00"))).status == "done"
    assert await what_does_not_hold(asked.gateway) == []


@pytest.mark.parametrize("function", [item for item in MANIFEST if item.emergency], ids=lambda item: item.name)
async def test_what_protects_the_customer_stays_open_under_every_switch(asked: Teller, function: Any) -> None:
    cards = await asked.ask("list_cards")
    assert cards.output is not None
    listed: Any = cards.output["cards"]
    for scope in Scope:
        subject = function.name if scope is Scope.FUNCTION else SUBJECTS[scope]
        await asked.gateway.kill_switches.engage(scope, subject, "a test", "officer-1")
    arguments = {
        "freeze_card": {"card": listed[0]["card"]},
        "report_suspected_fraud": {"text": "A stranger called me."},
        "request_human": {"topic": "I am lost."},
    }
    answered = await asked.ask(function.name, arguments[function.name])
    assert answered.status == "done", answered
    assert (await asked.ask("list_cards")).status == "denied"
    assert [item["facts"]["reason"] for item in await of_kind(asked, "deny")] == ["killed_global"]


def engaging_before(asked: Teller, monkeypatch: pytest.MonkeyPatch, part: object, name: str, scope: Scope) -> None:
    """Engage in another worker, as it were, just before the next use of this method of a part of the way."""
    once = [True]
    real = getattr(part, name)

    async def paused(*arguments: Any) -> Any:
        if once:
            once.clear()
            other = await book_in(asked.gateway.settings.data, asked.gateway.book._mandate_key)
            from_elsewhere = type(asked.gateway.kill_switches)(
                store=SqlKillSwitches(other), trail=asked.gateway.kill_switches.trail, clock=utc_now, via="command"
            )
            await from_elsewhere.engage(scope, SUBJECTS[scope], "a test", "officer-1")
            await other.close()
        return await real(*arguments)

    monkeypatch.setattr(part, name, paused)


@pytest.mark.parametrize("scope", Scope)
async def test_between_decision_and_claim_nothing_is_reserved(asked: Teller, scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    debit, credit = (await asked.accounts())[:2]
    engaging_before(asked, monkeypatch, asked.gateway.pipeline, "_intend", scope)
    refused = await asked.ask("initiate_transfer", payment(debit, credit, "1.00"))
    assert (refused.status, refused.code) == ("denied", Code.DENIED)
    assert (await of_kind(asked, "deny"))[-1]["facts"]["reason"] == f"killed_{scope}"
    assert (await of_kind(asked, "intent"), await day_minor(asked)) == ([], 0)
    assert await what_does_not_hold(asked.gateway) == []


@pytest.mark.parametrize("scope", Scope)
async def test_between_claim_and_effect_nothing_is_sent_and_the_hold_is_given_back(
    asked: Teller, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    debit, credit = (await asked.accounts())[:2]
    engaging_before(asked, monkeypatch, asked.gateway.book, "stopped", scope)
    told = await asked.ask("initiate_transfer", payment(debit, credit, "1.00"), native_id="same")
    assert (told.status, told.code) == ("unavailable", Code.TEMPORARILY_UNAVAILABLE)
    assert len(await of_kind(asked, "intent")) == 1
    (ended,) = await of_kind(asked, "outcome")
    assert (ended["end_state"], ended["facts"]["reason"]) == ("not_attempted", f"killed_{scope}")
    assert (executed_keys(asked.gateway), await day_minor(asked)) == ([], 0)
    again = await asked.ask("initiate_transfer", payment(debit, credit, "1.00"), native_id="same")
    assert (again.status, again.code) == ("denied", Code.DENIED)
    assert await what_does_not_hold(asked.gateway) == []


async def test_what_was_done_before_is_told_to_who_asks_again(asked: Teller) -> None:
    debit, credit = (await asked.accounts())[:2]
    done = await asked.ask("initiate_transfer", payment(debit, credit, "1.00"), native_id="same")
    assert done.status == "done"
    await engage(asked, Scope.GLOBAL)
    again = await asked.ask("initiate_transfer", payment(debit, credit, "1.00"), native_id="same")
    assert (again.status, again.call_id) == ("done", done.call_id)
    assert len(executed_keys(asked.gateway)) == 1


async def test_a_gateway_that_is_cut_off_from_its_database_refuses_within_a_second(
    asked: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite there is nothing to be cut off from: a file. The book is told that its database is one over a network."""
    debit, credit = (await asked.accounts())[:2]
    book, heard = asked.gateway.book, asyncio.Event()

    async def cut_off(_question: object) -> None:
        await heard.wait()

    monkeypatch.setattr("gateway.store.book.SqliteDatabase", ())
    monkeypatch.setattr(book._database, "ask", cut_off)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="store_unavailable"):
        await asked.ask("initiate_transfer", payment(debit, credit, "1.00"))
    assert time.monotonic() - started >= FRESH_S, "it asked no longer than it may"
    heard.set()
    monkeypatch.undo()
    assert (executed_keys(asked.gateway), await day_minor(asked)) == ([], 0)


async def test_an_answer_that_took_longer_than_a_second_lets_no_effect_happen(
    asked: Teller, monkeypatch: pytest.MonkeyPatch, loop_watch: Watch
) -> None:
    """As of a process that stood still between the answer and its reading: it may be older than a switch."""
    debit, credit = (await asked.accounts())[:2]
    book = asked.gateway.book
    real = book.stopped

    async def stopped(whose: Subjects) -> Obstacle | None:
        real_ask = book._database.ask

        async def slow(question: Any) -> Any:
            answer = await real_ask(question)
            time.sleep(FRESH_S + 0.1)  # the whole process stands still
            return answer

        monkeypatch.setattr("gateway.store.book.SqliteDatabase", ())
        monkeypatch.setattr(book._database, "ask", slow)
        try:
            return await real(whose)
        finally:
            monkeypatch.undo()

    monkeypatch.setattr(book, "stopped", stopped)
    told = await asked.ask("initiate_transfer", payment(debit, credit, "1.00"))
    assert all("SqlBook" in held for held in loop_watch.found)
    loop_watch.found.clear()  # it was this test that held it
    assert (told.status, told.code) == ("unavailable", Code.TEMPORARILY_UNAVAILABLE)
    assert executed_keys(asked.gateway) == []
    await asked.gateway.recovery.sweep(grace=timedelta(0))
    assert await day_minor(asked) == 0
    assert await what_does_not_hold(asked.gateway) == []


async def test_engaging_waits_for_no_trail_and_lifting_does(asked: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dead(*_: object, **__: object) -> None:
        raise LogUnavailable

    killing = asked.gateway.kill_switches
    with monkeypatch.context() as dark:
        dark.setattr(asked.gateway.log, "append_with", dead)
        engaged = await killing.engage(Scope.AGENT, "assistant", "a test", "officer-1")
        assert not engaged.recorded
        assert await asked.gateway.book.stopped(Subjects("alice", "app", "assistant", "any")) == Obstacle("killed_agent")
        with pytest.raises(Unavailable, match="audit_unavailable"):
            await killing.lift(engaged.switch.id, "over", "officer-1")
    assert [item.state for item in await killing.listed()] == ["engaged"]
    again = await killing.engage(Scope.AGENT, "assistant", "a test", "officer-1")
    assert (again.recorded, again.switch.id) == (True, engaged.switch.id)
    await lift(asked, engaged.switch.id)
    with pytest.raises(NotLifted, match="lifted"):  # and leaves no record of a lift
        await killing.lift(engaged.switch.id, "over", "officer-3")
    facts = [item["facts"] for item in await of_kind(asked, "admin")]
    told = {"kill_switch": engaged.switch.id, "scope": "agent", "subject": "assistant", "via": "api"}
    assert facts == [
        {"word": "kill_engaged", "by": "officer-1", "reason": "a test", **told},
        {"word": "kill_lift", "by": "officer-1", "reason": "over", **told},
        {"word": "kill_lift", "by": "officer-2", "reason": "over", **told},
    ]


async def test_the_trail_names_no_customer_and_keeps_the_reason_sealed(asked: Teller) -> None:
    await asked.gateway.kill_switches.engage(Scope.CUSTOMER, "alice", "alice lost her phone", "officer-1")
    (record,) = await of_kind(asked, "admin")
    assert "alice" not in json.dumps(record)
    assert record["customer"] is not None
