"""What every core over declared functions does, whatever carries them: plain HTTP, or the Model Context Protocol.

A new protocol is a `Kind`. What of a protocol is its own is in `tests/unit/adapters`.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.core import CoreUnavailable, Declined, Done, Money, PermitRefused, Transfer, Unknown
from adapters.declared.core import SKEW
from tests.support.banks import NOON, Permit
from tests.support.declared import Composed, composed, manifest_of, over
from tests.support.mcp_upstream import ToolBank, over_tools, tools_composed, tools_manifest_text
from tests.support.upstream import manifest_text
from tests.support.waiting import wait_until

PAY = '{"note":"lunch","to":"GB29NWBK60161331926819","value":{"currency":"EUR","value":"12.30"}}'
ONCE_ONLY = {"honoured: true": "honoured: false"}
LATER = timedelta(seconds=30) + SKEW

Opened = AbstractAsyncContextManager[Composed]


@dataclass(frozen=True)
class Kind:
    """`opened`: a core in a folder, with changes of its manifest. `again`: another over the same journal and bank. `pay`: the function's
    name. `answers_with`: what else the upstream tells of an effect, or in the place of a field."""

    opened: Callable[..., Opened]
    again: Callable[[Path, Composed, Mapping[str, str]], Opened]
    pay: str
    answers_with: Callable[[Composed, dict[str, Any]], None]


def changed(text: str, changes: Mapping[str, str]) -> str:
    for before, after in changes.items():
        text = text.replace(before, after)
    return text


def http_again(path: Path, made: Composed, changes: Mapping[str, str]) -> Opened:
    text = manifest_text("foreign", made.itself._upstream.address.url)
    return over(path, made.behind, made.bank, manifest_of(changed(text, changes)))


def tools_again(path: Path, made: Composed, changes: Mapping[str, str]) -> Opened:
    assert isinstance(made.bank, ToolBank)
    text = tools_manifest_text(made.itself._upstream.address.url)
    return over_tools(path, made.behind, made.bank, manifest_of(changed(text, changes)))


def told_beside(made: Composed, told: dict[str, Any]) -> None:
    made.bank.extra = told


def told_by_tool(made: Composed, told: dict[str, Any]) -> None:
    assert isinstance(made.bank, ToolBank)
    made.bank.answers["make_payment"] = {"structuredContent": {"payment": "p1", **told}}


KINDS = {
    "HTTP": Kind(composed, http_again, "pay", told_beside),
    "MCP": Kind(tools_composed, tools_again, "pay_by_tool", told_by_tool),
}


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


async def test_fifty_at_once_act_once_and_answer_alike(kind: Kind, tmp_path: Path) -> None:
    async with kind.opened(tmp_path, **ONCE_ONLY) as made:
        answers = await asyncio.gather(*(made.send(kind.pay, PAY) for _ in range(50)))
        assert isinstance(answers[0], Done)
        assert all(answer == answers[0] for answer in answers)
        assert len(made.bank.seen) == made.bank.count("pay") == 1
        assert await made.core.status("key-1") == answers[0]


@pytest.mark.parametrize("honoured", [True, False])
async def test_after_a_crash_the_journal_speaks(kind: Kind, tmp_path: Path, honoured: bool) -> None:
    """The process died between the first byte and the answer."""
    async with kind.opened(tmp_path, **({} if honoured else ONCE_ONLY)) as made:
        made.bank.faults = ["slow after"]
        dying = asyncio.ensure_future(made.send(kind.pay, PAY))
        await wait_until(lambda: bool(made.bank.effects) or dying.done())
        assert made.bank.effects
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        async with kind.again(tmp_path, made, {} if honoured else ONCE_ONLY) as again:
            assert await again.core.status("key-1") == Unknown("on its way")
            answer = await again.send(kind.pay, PAY)
            assert isinstance(answer, Done if honoured else Unknown)
            made.clock.turn(LATER)
            assert isinstance(await again.core.status("key-1"), Done)
        assert made.bank.count("pay") == 1


async def test_a_listed_refusal_is_declined_and_stays_so(kind: Kind, tmp_path: Path) -> None:
    async with kind.opened(tmp_path) as made:
        much = PAY.replace("12.30", "5000.00")
        assert await made.send(kind.pay, much) == Declined("AM04")
        assert await made.send(kind.pay, much) == Declined("AM04") == await made.core.status("key-1")
        assert len(made.bank.seen) == 1
        assert await made.core.executed(NOON) == 0


async def test_a_key_is_for_one_instruction_whoever_carries_it_out(kind: Kind, tmp_path: Path) -> None:
    async with kind.opened(tmp_path) as made:
        assert isinstance(await made.send(kind.pay, PAY), Done)
        assert await made.send(kind.pay, PAY.replace("12.30", "12.31")) == Declined("DUPL")
        assert await made.send(kind.pay, PAY, customer="bruno") == Declined("DUPL")
        order = Transfer(made.behind.main, made.behind.spare, Money(100, "GBP"), "TEST")
        told = made.told(kind.pay, PAY)
        other = type(told)("key-1", "alice", "agent-1", order)
        assert await made.core.submit(other, Permit(other.canonical(), NOON + timedelta(seconds=30))) == Declined("DUPL")
        assert made.bank.count("pay") == 1


@pytest.mark.parametrize("flaw", ["none", "other bytes", "too late"])
async def test_nothing_is_sent_without_a_permit_over_exactly_these_bytes(kind: Kind, tmp_path: Path, flaw: str) -> None:
    async with kind.opened(tmp_path) as made:
        told = made.told(kind.pay, PAY)
        bad = {
            "none": None,
            "other bytes": Permit(made.told(kind.pay, PAY, "key-2").canonical(), NOON + timedelta(seconds=30)),
            "too late": Permit(told.canonical(), NOON),
        }[flaw]
        with pytest.raises(PermitRefused):
            await made.core.submit(told, bad)  # type: ignore[arg-type]
        assert made.bank.seen == []
        assert isinstance(await made.send(kind.pay, PAY), Done)


async def test_that_it_happened_is_never_lost_over_a_field(kind: Kind, tmp_path: Path) -> None:
    async with kind.opened(tmp_path) as made:
        kind.answers_with(made, {"value": "a lot", "secret": "x"})
        assert await made.send(kind.pay, PAY) == Done({"payment": "p1"})
        assert await made.core.status("key-1") == Done({"payment": "p1"})


async def test_a_function_that_is_not_served_is_declined_before_anything_is_sent(kind: Kind, tmp_path: Path) -> None:
    async with kind.opened(tmp_path) as made:
        assert await made.send("another", "{}") == Declined("AG01")
        assert made.bank.seen == []


async def test_a_customer_that_no_header_holds_is_never_sent(kind: Kind, tmp_path: Path) -> None:
    async with kind.opened(tmp_path) as made:
        for number, customer in enumerate(("emma\r\nX-Customer: bruno", "emma bruno", "é", "")):
            with pytest.raises(CoreUnavailable):
                await made.send(kind.pay, PAY, f"key-{number}", customer)
        assert made.bank.seen == []
