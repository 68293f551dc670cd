"""What a core is asked for a read together with the facts on which the read is decided: a call that is not permitted shows nothing of it,
nothing with an effect is ever asked so, and no answer passes for the answer to something else."""

import asyncio
import gc
import inspect
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from adapters.core import CoreBank, CoreUnavailable, Identified, Money, ObjectFacts
from adapters.cores.remote.server import CoreServer, listen
from adapters.function import Argument, Arguments, Asker, Choice, Count, Day, Effect, Reference, ReferenceList, Value
from adapters.functions import MANIFEST
from adapters.questions import ASKED_TOGETHER, TOGETHER, Answered, Question
from gateway.app.clock import utc_now
from gateway.app.cores import read_permit
from gateway.app.key_files import credential
from gateway.domain.kill_switch import Scope
from tests.support.teller import Teller, leaves_of, over_http, sandbox_bank
from tests.support.waiting import wait_until
from tests.unit.gateway.test_telemetry import Watched

CANARY = Money(4_711_137, "GBP")
"""A balance that no account has."""


class Bank:
    """The sandbox bank as a bank behind the wire that says what it was asked, and a balance that betrays where it went."""

    def __init__(self, inner: CoreBank) -> None:
        self._inner = inner
        self.asked: list[str] = []
        self.describes: Callable[[ObjectFacts | None], ObjectFacts | None] = lambda facts: facts
        self.can: frozenset[str] = frozenset({TOGETHER})

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._inner, name)

    async def capabilities(self) -> frozenset[str]:
        return self.can

    async def describe(self, identified: Identified) -> ObjectFacts | None:
        self.asked.append("describe")
        return self.describes(await self._inner.describe(identified))

    async def balance(self, account: str, balance_type: str) -> object:
        self.asked.append("balance")
        balance = await self._inner.balance(account, balance_type)
        return balance and replace(balance, amount=CANARY)


@asynccontextmanager
async def behind_the_wire(folder: Path, can: frozenset[str] = frozenset({TOGETHER})) -> AsyncIterator[tuple[Teller, Bank, str]]:
    """A gateway over such a bank, which has found out what the bank can, and a reference to an account of alice's."""
    async with sandbox_bank(folder, utc_now) as (sandbox, _port):
        bank = Bank(sandbox)
        bank.can = can
        server = CoreServer(cast(CoreBank, bank), credential=credential(folder / "core.token"), permits=read_permit)
        runner, port = await listen(server, "127.0.0.1", 0)
        try:
            async with over_http(folder, port, sandbox) as asked:
                (account, *_) = await asked.accounts()
                await asked.ask("get_account_balance", {"account": account})
                together = asked.gateway.core._together  # type: ignore[attr-defined]
                await wait_until(lambda: together._asking is None)
                bank.asked.clear()
                yield asked, bank, account
        finally:
            await runner.cleanup()


def somebody_else_s(facts: ObjectFacts | None) -> ObjectFacts | None:
    return facts and replace(facts, owners=frozenset({"bruno"}))


def absent(_facts: ObjectFacts | None) -> None:
    return None


def unavailable(_facts: ObjectFacts | None) -> None:
    raise CoreUnavailable("for a test")


async def not_owned(_asked: Teller, bank: Bank) -> None:
    bank.describes = somebody_else_s


async def gone(_asked: Teller, bank: Bank) -> None:
    bank.describes = absent


async def no_facts(_asked: Teller, bank: Bank) -> None:
    bank.describes = unavailable


async def not_in_the_mandate(asked: Teller, _bank: Bank) -> None:
    await asked.granting("alice", functions=("list_accounts",))


async def over(asked: Teller, _bank: Bank) -> None:
    await asked.granting("alice", ends=utc_now() - timedelta(days=1))


@pytest.mark.parametrize("why", [not_owned, gone, no_facts, not_in_the_mandate, over], ids=lambda why: why.__name__)
async def test_a_call_that_is_not_permitted_leaves_no_trace_of_what_was_asked_ahead(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, why: Callable[[Teller, Bank], Any]
) -> None:
    async with behind_the_wire(tmp_path / "data") as (asked, bank, account):
        honest = await asked.ask("get_account_balance", {"account": account})
        assert CANARY.value in json.dumps(honest.output), "the bank's answer is what the read tells"
        await why(asked, bank)
        watched = Watched(asked, share=1.0)
        caplog.clear()
        bank.asked.clear()
        caplog.set_level(logging.DEBUG)
        others = {
            id(item): item for item in gc.get_objects() if isinstance(item, Answered)
        }  # in the traceback of a test that failed
        refused = await asked.ask("get_account_balance", {"account": account})
        assert refused.status in ("denied", "unavailable")
        assert bank.asked.count("balance") >= 1, "it was asked ahead"
        told = [repr(refused), caplog.text, *(span.to_json() for span in watched.spans.get_finished_spans())]
        trail = [repr(leaf) for leaf in (await leaves_of(asked.gateway))[-1:]]
        assert refused.output is None
        for place in (*told, *trail):
            assert not any(form in place for form in (CANARY.value, str(CANARY.minor), repr(CANARY)))
        for _ in range(100):  # whoever watches the loop may hold a frame for a moment
            gc.collect()
            if not (kept := [item for item in gc.get_objects() if isinstance(item, Answered) and id(item) not in others]):
                break
            await asyncio.sleep(0.02)
        assert kept == [], "nothing keeps it"
        gone_on = next(iter(tmp_path.rglob("bank.sqlite"))).parent
    for file in (item for item in gone_on.rglob("*") if item.is_file() and item.suffix != ".token"):
        assert CANARY.value.encode() not in file.read_bytes(), file.name


async def test_under_a_kill_switch_and_without_an_announcement_nothing_is_asked_ahead(tmp_path: Path) -> None:
    async with behind_the_wire(tmp_path / "one") as (asked, bank, account):
        await asked.gateway.kill_switches.engage(Scope.FUNCTION, "get_account_balance", "a test", "officer-1")
        assert (await asked.ask("get_account_balance", {"account": account})).status == "denied"
        assert "balance" not in bank.asked
    async with behind_the_wire(tmp_path / "two", can=frozenset({"another"})) as (asked, bank, account):
        bank.describes = somebody_else_s
        assert (await asked.ask("get_account_balance", {"account": account})).status == "denied"
        assert bank.asked == ["describe"]


def test_only_questions_that_leave_nothing_behind_are_asked_ahead_and_those_begin_their_read() -> None:
    """Of every function: an effect has no such question; a read's is the first thing that it asks, and it asks nothing else so."""
    assert {name for name in vars(CoreBank) if inspect.iscoroutinefunction(vars(CoreBank)[name])} > ASKED_TOGETHER
    assert ASKED_TOGETHER.isdisjoint(
        {"submit", "status", "fx_quote", "check_payee", "executed", "effects", "capabilities", "together"}
    )
    for name in ("submit", "status", "fx_quote", "check_payee"):
        with pytest.raises(ValueError, match=name):
            Question(name, ())
    ahead = [function for function in MANIFEST if getattr(function, "ahead", None) is not None]
    assert len(ahead) >= 10
    for function in ahead:
        assert function.effect is Effect.READ
        assert any(isinstance(argument.type, Reference | ReferenceList) for argument in function.arguments), (
            "else it is no exchange less"
        )
        with pytest.raises(ValueError, match=function.name):
            replace(function, effect=Effect.WRITE)
        with pytest.raises(ValueError, match=function.name):
            replace(function, tells_limits=True)


class Noted(Exception):
    pass


class First:
    """A core that says what it is asked first."""

    def __getattr__(self, name: str) -> Any:
        async def asked(*arguments: object, **named: object) -> None:
            raise Noted(name, arguments, named)

        return asked


def an_example(argument: Argument) -> Value:
    match argument.type:
        case Reference(kinds):
            return Identified(kinds[0], "object-1")
        case ReferenceList(kinds):
            return (Identified(kinds[0], "object-1"), Identified(kinds[0], "object-2"))
        case Choice(values):
            return values[-1]
        case Count(least):
            return least
        case Day():
            return date(2026, 11, 1)
    raise TypeError(argument.type)


@pytest.mark.parametrize("function", [it for it in MANIFEST if getattr(it, "ahead", None) is not None], ids=lambda it: it.name)
async def test_what_is_asked_ahead_is_the_read_s_first_question_to_the_letter(function: Any) -> None:
    arguments = Arguments({it.name: an_example(it) for it in function.arguments if it.required or it.default is not None})
    asker = Asker("alice", date(2026, 11, 29))
    question = function.ahead(asker, arguments)
    with pytest.raises(Noted) as noted:
        await function.read(First(), asker, arguments)
    assert noted.value.args == (question.name, question.arguments, {})
