"""SIGKILL between any two steps of a transfer, and at any moment inside one: after the restart nothing is lost and nothing is twice.

Each round is a process of its own, forked from this one, so that its death is a real one; all work on the same folder.
"""

import asyncio
import itertools
import multiprocessing
import os
import random
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.domain.mandate import Limits
from gateway.domain.steps import Steps
from tests.support.options import long_or
from tests.support.teller import Teller, executed_keys, open_accounts, payment, teller, what_does_not_hold
from tests.support.waiting import WAITS_S

STEPS = ("validate", "ground", "decide", "intend", "execute", "redact", "record")
ROUNDS_PER_STEP = long_or(10, 2, 19)
ROUNDS_AT_RANDOM = long_or(30, 11, 70)
CALLERS = 3


async def _transfers(asked: Teller, round_number: int) -> None:
    async def one(caller: int) -> None:
        conversation = await asked.gateway.book.open_conversation("alice", asked.gateway.door.clock())
        mine, other = (await _accounts_in(asked, conversation))[:2]
        for number in itertools.count():
            mine, other = other, mine
            amount = f"0.{(round_number * 7 + caller * 31 + number) % 99 + 1:02d}"
            await asked.ask("initiate_transfer", payment(mine, other, amount), conversation=conversation)

    await asyncio.gather(*(one(caller) for caller in range(CALLERS)))


async def _accounts_in(asked: Teller, conversation: str) -> list[str]:
    return open_accounts(await asked.ask("list_accounts", conversation=conversation))


def _until_killed(folder: Path, round_number: int, at: str | None) -> None:
    """A child's whole life: start, recover, transfer, and die at the third time that a transfer ends the step `at`."""
    left = [3]
    ended = Steps.end

    def end(self: Steps, step: str) -> None:
        ended(self, step)
        if step == at and any(item == "intend" for item, _ in self.ended) | (step in ("validate", "ground", "decide")):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    Steps.end = end  # type: ignore[method-assign]

    async def live() -> None:
        async with teller(folder, duplicate_window_s=1, calls_per_minute=100_000) as asked:
            await _transfers(asked, round_number)

    asyncio.run(live())


def _round(folder: Path, number: int, step: str | None, after_s: float | None) -> int | None:
    child = multiprocessing.get_context("fork").Process(target=_until_killed, args=(folder, number, step), daemon=True)
    child.start()
    child.join(after_s if after_s is not None else WAITS_S)
    if after_s is not None and child.is_alive():
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
    child.join(WAITS_S)
    return child.exitcode


async def _begin(folder: Path) -> None:
    """A mandate that this many transfers fit into."""
    ample = Limits(10**9, 10**9, 10**9, 10**9, 10**6)
    async with teller(folder) as asked:
        await asked.granting("alice", limits={"GBP": ample})


async def _state(folder: Path) -> tuple[list[str], int]:
    async with teller(folder) as asked:
        await asked.gateway.recovery.sweep(grace=timedelta(0))  # where others may be at work, a start leaves young intents alone
        return await what_does_not_hold(asked.gateway), len(executed_keys(asked.gateway))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_nothing_is_lost_and_nothing_is_twice_whenever_it_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    asyncio.run(_begin(folder))
    killed = 0
    rounds: list[tuple[str | None, float | None]] = [(step, None) for step in STEPS for _ in range(ROUNDS_PER_STEP)]
    chance = random.Random(20261124)
    rounds += [(None, chance.uniform(0.1, 0.6)) for _ in range(ROUNDS_AT_RANDOM)]
    for number, (step, after_s) in enumerate(rounds):
        status = _round(folder, number, step, after_s)
        assert status == -signal.SIGKILL, "a child ended in another way"
        killed += 1
        if number % 20 == 19:
            wrong, _ = asyncio.run(_state(folder))
            assert wrong == []
    wrong, executed = asyncio.run(_state(folder))
    assert wrong == []
    assert killed >= long_or(100, 25, 200)
    assert executed > long_or(50, 12, 100), "the rounds did make transfers"
