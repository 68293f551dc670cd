"""Random traffic, a backup somewhere in it, the gateway's tables put back, and a recovery that is killed at any of its steps: no effect
twice, no revoked thing alive, and the book says what it said before."""

import asyncio
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import book_recovery
from gateway.app.book_recovery import Recovered, RecoveryOrder, recover
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseName
from gateway.domain.kill_switch import Scope
from gateway.domain.ports import Passkey
from gateway.oversight.kill_switches import KillSwitches
from gateway.store import forgotten
from gateway.store.passkeys import SqlPasskeys
from tests.simulation.test_restore import granted, standing
from tests.support.databases import dump, places, sqlite_only
from tests.support.options import long_or
from tests.support.restoring import put_back
from tests.support.teller import Teller, executed_keys, payment, teller, what_does_not_hold

pytestmark = sqlite_only("the drill runs on both; here it is about the order of things")

MANDATES = ("std_0", "std_1", "std_2")
CREDENTIALS = ("Y3JlZC0w", "Y3JlZC0x")

_STEPS = st.one_of(
    st.tuples(st.just("pay"), st.integers(1, 99)),
    st.tuples(st.just("again"), st.integers(0, 5)),
    st.tuples(st.just("revoke"), st.sampled_from(MANDATES)),
    st.tuples(st.just("engage"), st.sampled_from(["rogue", "feral"])),
    st.tuples(st.just("passkey"), st.sampled_from(CREDENTIALS)),
    st.tuples(st.just("read"), st.just(0)),
)
Steps = list[tuple[str, Any]]


@dataclass
class Seen:
    """What was asked and answered, which is what must hold afterwards."""

    paid: list[tuple[str, str]] = field(default_factory=list)
    accounts: tuple[str, str] = ("", "")
    conversation: str = ""
    revoked: set[str] = field(default_factory=set)
    engaged: set[str] = field(default_factory=set)
    passkeys: set[str] = field(default_factory=set)

    async def begin(self, asked: Teller) -> None:
        for mandate in MANDATES:
            await granted(asked, mandate)
        keys = SqlPasskeys(asked.gateway.book)
        for credential in CREDENTIALS:
            await keys.enrol(Passkey(credential, "alice", b"a key", 0, utc_now()))
        self.conversation = await asked.conversation("alice")
        debit, credit = (await asked.accounts())[:2]
        self.accounts = (debit, credit)

    async def play(self, asked: Teller, steps: Steps) -> None:
        for what, which in steps:
            if what == "pay":
                self.paid.append((f"native-{len(self.paid)}", f"{len(self.paid)}.{which:02d}"))
                assert (await self.pay(asked, *self.paid[-1])) == "done"
            elif what == "again" and self.paid:
                assert (await self.pay(asked, *self.paid[which % len(self.paid)])) == "done"
            elif what == "revoke":
                await asked.gateway.standing_mandates.revoke("alice", which)
                self.revoked.add(which)
            elif what == "engage":
                await asked.gateway.kill_switches.engage(Scope.AGENT, which, "it went wild", "ann")
                self.engaged.add(which)
            elif what == "passkey":
                await _revoke_passkey(asked, which)
                self.passkeys.add(which)
            else:
                await asked.ask("list_accounts", conversation=self.conversation)

    async def pay(self, asked: Teller, native: str, value: str) -> str:
        wanted = payment(*self.accounts, value)
        answer = await asked.ask("initiate_transfer", wanted, native_id=native, conversation=self.conversation)
        return answer.status.value


async def _revoke_passkey(asked: Teller, credential: str) -> None:
    keys, at = SqlPasskeys(asked.gateway.book), utc_now()
    known = await keys.find(credential)
    if known is not None:
        await keys.revoke("alice", credential, at)
        await asked.gateway.door.records.enrolment(known, "revoked", "the bank", at)


async def _until_restored(folder: Path, steps: Steps, cut: int) -> tuple[Seen, list[str], object]:
    seen = Seen()
    async with teller(folder, duplicate_window_s=1, calls_per_minute=100_000) as asked:
        await seen.begin(asked)
        await seen.play(asked, steps[:cut])
    backup = dump(folder, DatabaseName.GATEWAY)
    async with teller(folder, duplicate_window_s=1, calls_per_minute=100_000) as asked:
        await seen.play(asked, steps[cut:])
        await asked.ask("list_accounts", conversation=seen.conversation)
        done, spent = executed_keys(asked.gateway), await asked.gateway.book.totals("alice", "GBP", utc_now())
    put_back(folder, DatabaseName.GATEWAY, backup)
    return seen, done, spent


async def _what_must_hold(folder: Path, seen: Seen, done: list[str], spent: object, recovered: Recovered) -> None:
    async with teller(folder, duplicate_window_s=1, calls_per_minute=100_000) as asked:
        gateway = asked.gateway
        assert await gateway.book.totals("alice", "GBP", utc_now()) == spent
        assert {*await standing(asked)} == {*MANDATES} - seen.revoked
        engaged = {(item.scope.value, item.subject) for item in await gateway.kill_switches.listed()}
        assert engaged == {("agent", agent) for agent in seen.engaged} | {("global", "")}
        known = {item.credential for item in await SqlPasskeys(gateway.book).of("alice")}
        assert known == {*CREDENTIALS} - seen.passkeys
        for native, value in seen.paid:
            assert await seen.pay(asked, native, value) in ("done", "denied"), "told again, or stopped"
        assert recovered.switch is not None
        for officer in ("ann", "bob"):
            await gateway.kill_switches.lift(recovered.switch, "recovered", officer)
        for native, value in seen.paid:
            assert await seen.pay(asked, native, value) == "done"
        assert executed_keys(gateway) == done
        assert await what_does_not_hold(gateway) == []


@settings(max_examples=long_or(60, 4), deadline=None)
@given(st.lists(_STEPS, min_size=2, max_size=8), st.data())
def test_wherever_the_backup_was_made_nothing_is_done_twice_and_nothing_revoked_is_alive(steps: Steps, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(steps)), label="the backup, after this many steps")

    async def play(folder: Path) -> None:
        seen, done, spent = await _until_restored(folder, steps, cut)
        recovered = await recover(places(folder), RecoveryOrder("ann"), clock=utc_now)
        await _what_must_hold(folder, seen, done, spent, recovered)

    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "data"))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after(owner: Any, name: str) -> None:
    """This process dies when that has returned; at its second call where it is a coroutine function that is awaited."""
    original = getattr(owner, name)

    async def awaited(*given: Any, **named: Any) -> Any:
        await original(*given, **named)
        _die()

    def called(*given: Any, **named: Any) -> Any:
        original(*given, **named)
        _die()

    setattr(owner, name, awaited if asyncio.iscoroutinefunction(original) else called)


KILLS: dict[str, Callable[[], None]] = {
    "the switch is engaged": lambda: _after(KillSwitches, "engage"),
    "the log was read": lambda: _after(book_recovery, "read_forgotten"),
    "one call was put back": lambda: _after(forgotten.KnownCall, "put_back"),
    "what waited was ended": lambda: _after(forgotten, "_ended"),
    "the tables say that they are of one moment": lambda: _after(forgotten, "align"),
    "it is committed": lambda: _after(book_recovery, "_together"),
}


def _killed(folder: Path, point: str) -> None:
    KILLS[point]()
    asyncio.run(recover(places(folder), RecoveryOrder("ann"), clock=utc_now))


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Seen, list[str], object]]:
    folder = tmp_path_factory.mktemp("restored") / "data"
    steps: Steps = [
        ("pay", 10),
        ("read", 0),
        ("pay", 20),
        ("revoke", "std_1"),
        ("engage", "rogue"),
        ("passkey", CREDENTIALS[0]),
        ("pay", 5),
    ]
    return folder, asyncio.run(_until_restored(folder, steps, 2))


@pytest.mark.parametrize("point", KILLS)
def test_a_recovery_that_was_killed_is_run_again_with_the_same_end(
    point: str, restored: tuple[Path, tuple[Seen, list[str], object]], tmp_path: Path
) -> None:
    original, (seen, done, spent) = restored
    folder = tmp_path / "data"
    shutil.copytree(original, folder)
    child = multiprocessing.get_context("fork").Process(target=_killed, args=(folder, point), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL, "it died where it was to"
    recovered = asyncio.run(recover(places(folder), RecoveryOrder("ann"), clock=utc_now))
    if recovered.switch is None:
        assert point == "it is committed"
        recovered.switch = asyncio.run(_engaged(folder))
    asyncio.run(_what_must_hold(folder, seen, done, spent, recovered))


async def _engaged(folder: Path) -> str:
    async with teller(folder) as asked:
        return next(item.id for item in await asked.gateway.kill_switches.listed() if item.scope is Scope.GLOBAL)
