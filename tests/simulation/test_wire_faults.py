"""A fault at every byte of the exchange with a core behind HTTP, the whole way of a transfer: whatever the network does, the caller is
never told that nothing happened when something did, nothing acts twice, and after recovery every end is the true one.

Every byte of the request and of the answer is cut once (FIN and RST, once and for good in turns); every tenth is held until the deadline,
and delivered late, or never; every seventh of an answer is followed by garbage, or by an error of some box between.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adapters.cores.remote import server as serving
from adapters.cores.remote import wire
from adapters.cores.remote.breaker import Breaker, BreakerLimits
from gateway.app.clock import utc_now
from gateway.domain.mandate import Limits
from gateway.domain.request import core_key
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus
from tests.support.options import long_or
from tests.support.relay import Plan, Relay, relay
from tests.support.teller import Teller, executed_keys, open_accounts, over_http, payment, sandbox_bank, what_does_not_hold
from tests.support.waiting import wait_until

CALLERS = 16
ALWAYS = 99
SHORT_STRIDE = 5
"""The short form plays one fault of so many: prime to the turns of the plans, so that each kind of them is among those."""

QUICK = {"core_question_ms": 5_000, "core_instruction_ms": 400, "duplicate_window_s": 1, "calls_per_minute": 1_000_000}


class TurnedClock:
    """The real time, and what it was turned by."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.by


def plans(request: int, answer: int) -> Iterator[Plan]:
    """`request` and `answer` are sizes in bytes."""
    turns = itertools.cycle([(False, 1), (True, 1), (False, ALWAYS), (True, ALWAYS)])
    for what, size in (("cut_request", request), ("cut_answer", answer)):
        for at, (is_reset, times) in zip(range(size + (what == "cut_request")), turns, strict=False):
            yield Plan(what, at, is_reset=is_reset, times=times)
    for number, at in enumerate(range(0, request, 10)):
        yield Plan("hold_request", at, comes=("never", "early", "late")[number % 3], times=ALWAYS)
    for at in range(0, answer, 10):
        yield Plan("hold_answer", at, times=1 if at % 20 else ALWAYS)
    for number, at in enumerate(range(0, answer, 7)):
        yield Plan("garbage" if number % 2 else "broken", at, is_done=True, times=1 if number % 3 else ALWAYS)
    for what, times in itertools.product(("garbage", "broken"), (1, ALWAYS)):
        yield Plan(what, 0, is_done=False, times=times)
    yield from [Plan("double")] * 4


async def _transfers(asked: Teller, minors: range) -> list[Recorded]:
    """Transfers of these amounts, to and fro, from several conversations."""
    numbers = iter(minors)

    async def caller(_number: int) -> list[Recorded]:
        conversation = await asked.gateway.book.open_conversation("alice", asked.gateway.door.clock())
        listed = await asked.ask("list_accounts", conversation=conversation)
        open_ones = open_accounts(listed)
        told = []
        for number in numbers:
            debit, credit = open_ones[:2] if number % 2 else open_ones[1::-1]
            amount = f"{number // 100}.{number % 100:02d}"
            told.append(await asked.ask("initiate_transfer", payment(debit, credit, amount), conversation=conversation))
        return told

    return [answer for told in await asyncio.gather(*map(caller, range(CALLERS))) for answer in told]


async def _sizes(asked: Teller, relayed: Relay) -> tuple[int, int]:
    relayed.sizes.clear()
    assert all(transfer.status == "done" for transfer in await _transfers(asked, range(1, 4)))
    return max(request for request, _ in relayed.sizes), max(answer for _, answer in relayed.sizes)


def _is_told_truly(told: Recorded, done: set[str]) -> bool:
    is_done = core_key(told.call_id) in done
    return told.status == "in_doubt" or is_done == (told.status == "done")


async def _deliver(relayed: Relay, when: str) -> None:
    """Let the rest of what is held go on to the bank, and wait for its answers."""
    assert relayed.held[when] > long_or(10, 1)
    relayed.released[when].set()
    await wait_until(lambda: relayed.held[when] == 0)


@pytest.mark.long
async def test_a_fault_at_every_byte_of_the_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # How long a bank waits for the rest of a body has a test of its own; here it would race with how fast the machine is.
    monkeypatch.setattr(serving, "BODY_WAIT_S", 3_600.0)
    clock, folder = TurnedClock(), tmp_path / "data"
    async with (
        sandbox_bank(folder, clock) as (bank, port),
        relay(port) as (relayed, front),
        over_http(folder, front, bank, clock, **QUICK) as asked,
    ):
        gateway = asked.gateway
        gateway.core._breaker = Breaker(BreakerLimits(failures=10**6))  # type: ignore[attr-defined]  # it has tests of its own
        await asked.granting("alice", limits={"GBP": Limits(10**9, 10**9, 10**9, 10**9, 10**6)})
        before = bank.findings()
        wanted = list(plans(*await _sizes(asked, relayed)))[:: long_or(1, SHORT_STRIDE)]
        relayed.seen.clear()
        relayed.plans = list(wanted)
        known = set(executed_keys(gateway))
        told = await _transfers(asked, range(4, 4 + len(wanted)))
        done = set(executed_keys(gateway))
        sent = {core_key(answer.call_id) for answer in told if answer.status != "unavailable"}  # a busy machine may be late to ask
        assert sent <= set(relayed.seen) <= {core_key(answer.call_id) for answer in told}, "one key for each call, and no other"
        assert len(sent) > 0.95 * len(told)
        assert [answer for answer in told if not _is_told_truly(answer, done)] == []
        assert Counter(answer.status for answer in told)[CallStatus.IN_DOUBT] > len(wanted) / 4
        assert Counter(answer.status for answer in told)[CallStatus.DONE] > len(wanted) / 4
        held = {key for key, item in relayed.seen.items() if item.plan.what == "hold_request"}
        early = {key for key in held if relayed.seen[key].plan.comes == "early"}
        assert not done & held, "what is held is not done"
        await _deliver(relayed, "early")
        assert early <= set(executed_keys(gateway)), "it comes although nobody waits for it"
        clock.by += timedelta(minutes=2)
        swept = await gateway.recovery.sweep()
        assert swept.unknown == 0
        await _deliver(relayed, "late")
        assert set(executed_keys(gateway)) & held == early, "what comes after its key was burned does nothing"
        assert await what_does_not_hold(gateway) == before == []
        done = set(executed_keys(gateway)) - known
        assert [answer for answer in told if answer.status == "done" and core_key(answer.call_id) not in done] == []
        assert all(len(set(item.bodies)) == 1 for item in relayed.seen.values()), "the same bytes each time"


@pytest.mark.long
async def test_a_question_whose_answer_is_cut_or_garbled_anywhere_is_answered_truly_or_not_at_all(tmp_path: Path) -> None:
    """Every eleventh byte of the exchange of a balance: once (the repeat answers) and for good (the call is unavailable)."""
    clock, folder = TurnedClock(), tmp_path / "data"
    async with (
        sandbox_bank(folder, clock) as (bank, port),
        relay(port) as (relayed, front),
        over_http(folder, front, bank, clock, **QUICK) as asked,
    ):
        asked.gateway.core._breaker = Breaker(BreakerLimits(failures=10**6))  # type: ignore[attr-defined]
        (account, *_) = await asked.accounts()
        honest = await asked.ask("get_account_balance", {"account": account})
        assert honest.output is not None
        faults: list[Plan] = []
        reads = ("/v1/balance", wire.TOGETHER_PATH)  # alone, and with the facts that it is decided on
        relayed.for_questions = lambda path: faults.pop(0) if faults and path in reads else None
        statuses: Counter[str] = Counter()
        for at, what, times in itertools.product(range(0, 990, long_or(11, 55)), ("cut_request", "cut_answer", "garbage"), (1, 3)):
            faults[:] = [Plan(what, at, is_done=True, is_reset=at % 2 == 0)] * times
            told = await asked.ask("get_account_balance", {"account": account})
            statuses[told.status] += 1
            assert told.status in ("done", "unavailable")
            assert told.output is None or told.output["amount"] == honest.output["amount"]
        assert statuses["done"] > long_or(150, 30)
        assert statuses["unavailable"] > long_or(80, 16)
