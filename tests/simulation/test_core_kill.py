"""SIGKILL of the proxy, and of the bank behind it, while transfers are under way: the caller hears the truth or that nobody knows yet, and
once both are back, every intent has the end that the bank's own books show.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app.clock import utc_now
from gateway.app.cores import UnsafeNoPermits
from gateway.app.development.embedded_bank import embedded
from gateway.app.development.settings import development
from gateway.domain.mandate import Limits
from gateway.domain.request import core_key
from gateway.domain.stages import Recorded
from tests.simulation.test_wire_faults import TurnedClock
from tests.support.databases import url
from tests.support.forks import Forked
from tests.support.opening import open_gateway
from tests.support.options import long_or
from tests.support.processes import permits_of, start
from tests.support.teller import Teller, executed_keys, open_accounts, payment, what_does_not_hold
from tests.support.waiting import wait_until

CALLERS = 6
ROUNDS = long_or(("proxy", "bank", "proxy", "bank", "bank", "proxy"), ("bank", "proxy"))
"""The proxy last: the one before it would not ask for what it sent until its permits are over, which is by its own clock."""


@dataclass
class Side:
    """One process of the core's side: killed and started again at the same address."""

    command: tuple[str, ...]
    process: Forked | None = None
    port: int = 0

    def start(self) -> None:
        self.process, said = start(*self.command, "--port", str(self.port), "--json")
        self.port = int(said["url"].rpartition(":")[2])

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(20) == -signal.SIGKILL
        self.stop()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process.stdout.close()


@dataclass
class Told:
    """What the callers heard."""

    every: list[Recorded] = field(default_factory=list)
    is_over: bool = False

    def more(self, count: int, *statuses: str) -> Callable[[], bool]:
        """Whether so many more of these have come since now."""
        before = len(self.every)
        return lambda: sum(item.status in statuses for item in self.every[before:]) >= count


async def _caller(asked: Teller, told: Told, number: int) -> None:
    conversation = await asked.gateway.book.open_conversation("alice", utc_now())
    listed = await asked.ask("list_accounts", conversation=conversation)
    open_ones = open_accounts(listed)
    step = 0
    while not told.is_over:
        step += 1
        minor = step * CALLERS + number
        debit, credit = open_ones[:2] if step % 2 else open_ones[1::-1]
        amount = f"{minor // 100}.{minor % 100:02d}"
        told.every.append(await asked.ask("initiate_transfer", payment(debit, credit, amount), conversation=conversation))
        await asyncio.sleep(0.01)


@pytest.fixture
def sides(tmp_path: Path) -> Any:
    trust = str(permits_of(tmp_path / "gateway"))
    token, bank_token = str(tmp_path / "proxy.token"), str(tmp_path / "bank.token")
    served = ("sandbox-bank", "--data", str(tmp_path / "bank"), "--credential-file", bank_token, "--trust-credential")
    bank = Side(served)
    with ExitStack() as stack:
        stack.callback(bank.stop)
        bank.start()
        behind = ("--bank-url", f"http://127.0.0.1:{bank.port}", "--bank-credential-file", bank_token)
        proxy = Side(("core-proxy", "--credential-file", token, "--permit-key", trust, *behind))
        stack.callback(proxy.stop)
        proxy.start()
        yield {"bank": bank, "proxy": proxy}


@pytest.mark.long
async def test_whoever_is_killed_on_the_core_s_side_the_end_is_the_true_one(tmp_path: Path, sides: dict[str, Side]) -> None:
    clock = TurnedClock()
    settings = replace(
        development(tmp_path / "gateway", database=url(tmp_path / "gateway")),
        core_url=f"http://127.0.0.1:{sides['proxy'].port}",
        core_credential_file=tmp_path / "proxy.token",
        core_question_ms=1000,
        core_instruction_ms=2000,
        audit_wait_ms=20_000,
        duplicate_window_s=1,
        calls_per_minute=10**6,
    )
    gateway = await open_gateway(settings, clock=clock)
    try:
        asked, told = Teller(gateway), Told()
        await asked.granting("alice", limits={"GBP": Limits(10**9, 10**9, 10**9, 10**9, 10**6)})
        callers = [asyncio.create_task(_caller(asked, told, number)) for number in range(CALLERS)]
        for victim in ROUNDS:
            await wait_until(told.more(10, "done"))
            failing = told.more(3, "in_doubt", "unavailable")
            await asyncio.to_thread(sides[victim].kill)
            await wait_until(failing)
            await asyncio.to_thread(sides[victim].start)
        await wait_until(told.more(10, "done"))
        told.is_over = True
        await asyncio.gather(*callers)
        clock.by = timedelta(minutes=2)
        assert (await gateway.recovery.sweep()).unknown == 0
        gateway.pipeline.unrecorded.clear()
        await asyncio.to_thread(sides["bank"].stop)
        looked_into = embedded(tmp_path / "bank" / "bank.sqlite", clock=utc_now, permits=UnsafeNoPermits())
        gateway.bank = looked_into.sandbox
        done = set(executed_keys(gateway))
        lies = [
            item for item in told.every if item.status != "in_doubt" and (core_key(item.call_id) in done) != (item.status == "done")
        ]
        assert lies == []
        assert await what_does_not_hold(gateway) == []
        await looked_into.close()
    finally:
        await gateway.close()
