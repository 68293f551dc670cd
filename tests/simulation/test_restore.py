"""The restore drill: a backup, traffic, one half put back. Detected at the start, recovered by the runbook's own commands; no effect twice,
and nothing that was revoked is alive. On SQLite and on PostgreSQL, over the embedded core and over one behind HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseName
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.cli import main
from gateway.domain.kill_switch import Scope
from gateway.domain.mandate import StandingMandate
from gateway.store.standing_mandates import StoreStandingMandate
from tests.support import databases
from tests.support.asking import approved, by, why
from tests.support.databases import Kept, dump
from tests.support.keys import mandate_signer
from tests.support.options import long_or
from tests.support.relay import Plan, relay
from tests.support.restoring import put_back
from tests.support.teller import PATIENT, Teller, executed_keys, over_http, payment, sandbox_bank, teller, what_does_not_hold

Opening = Callable[[], AbstractAsyncContextManager[Teller]]


@pytest.fixture(params=["sqlite", "postgresql"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Kept, "kind", request.param)
    data = tmp_path / "data"
    monkeypatch.setenv("TELLERGATE_DATABASE", databases.url(data))
    return data


@asynccontextmanager
async def behind(core: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Opening]:
    """How a gateway of the folder is opened. `http`: its core is a bank apart, which goes on whatever is restored; commands find it by
    the gateway's settings alone."""
    if core == "embedded":
        yield lambda: teller(folder)
        return
    (apart := folder.parent / "bank").mkdir()
    async with sandbox_bank(folder, utc_now, apart=apart) as (bank, port):
        asking_core(monkeypatch, folder, port)
        yield lambda: over_http(folder, port, bank, **PATIENT)


def asking_core(monkeypatch: pytest.MonkeyPatch, folder: Path, port: int) -> None:
    """The gateway's settings name the core at this port, for commands."""
    monkeypatch.setenv("TELLERGATE_CORE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("TELLERGATE_CORE_CREDENTIAL_FILE", str(folder / "core.token"))


async def typed(capsys: pytest.CaptureFixture[str], folder: Path, *command: str) -> tuple[int, Any]:
    status = await asyncio.to_thread(main, [*command, "--data", str(folder), "--json"])
    printed = capsys.readouterr()
    return status, json.loads(printed.out) if printed.out else printed.err


async def granted(asked: Teller, name: str) -> None:
    """A standing mandate of alice's, as it stands once she confirmed it."""
    now = utc_now()
    terms = StandingMandate(
        id=name,
        customer="alice",
        agent=None,
        currency="GBP",
        payees=None,
        payment_minor=1_000,
        day_minor=5_000,
        day_count=5,
        starts=now,
        ends=now + timedelta(days=30),
    )
    signature = terms.sign(mandate_signer(asked.gateway.settings.data))
    await asked.gateway.book.write(StoreStandingMandate(terms, signature, now))


async def standing(asked: Teller) -> Sequence[str]:
    return [item.id for item in await asked.gateway.book.standing("alice")]


async def lifted(capsys: pytest.CaptureFixture[str], folder: Path, switch: str) -> None:
    for officer in ("ada", "ben"):
        status, _ = await typed(capsys, folder, "kill", "lift", switch, *by(folder, officer), "--reason", "recovered")
        assert status == 0


@pytest.mark.parametrize("core", ["embedded", "http"])
async def test_a_restored_book_pays_nothing_twice_and_forgets_neither_revocations_nor_switches(
    core: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind(core, folder, monkeypatch) as opened:
        await drilled(opened, folder, capsys, core)


async def drilled(opened: Opening, folder: Path, capsys: pytest.CaptureFixture[str], core: str) -> None:
    async with opened() as asked:
        await granted(asked, "std_kept")
        await granted(asked, "std_revoked")
        debit, credit = (await asked.accounts())[:2]
        assert (await asked.ask("initiate_transfer", payment(debit, credit, "3.10"), native_id="before")).status == "done"
        where = await asked.conversation("alice")
    backup = dump(folder, DatabaseName.GATEWAY)
    async with opened() as asked:
        paid = await asked.ask("initiate_transfer", payment(debit, credit, "4.20"), native_id="since", conversation=where)
        assert paid.status == "done"
        assert await asked.gateway.standing_mandates.revoke("alice", "std_revoked")
        await asked.gateway.kill_switches.engage(Scope.AGENT, "rogue", "it went wild", "ann")
        spent = await asked.gateway.book.totals("alice", "GBP", utc_now())
        done = executed_keys(asked.gateway)
    put_back(folder, DatabaseName.GATEWAY, backup)

    with pytest.raises(UnsafeSettings, match="older than its log"):
        async with opened():
            pass
    if core == "http":
        status, said = await typed(capsys, folder, "database", "recover", *by(folder), "--core-url", "http://127.0.0.1:9")
        assert (status, "the core does not answer; nothing was put back" in said) == (3, True)
    status, told = await typed(capsys, folder, "database", "recover", *by(folder))
    assert (status, told["alignment"], told["unknown"], told["core_asked"]) == (0, "book_behind_log", 0, True)
    assert {name: told["put_back"][name] for name in ("calls", "ends", "revoked_mandates", "kill_switches")} == {
        "calls": 1,
        "ends": 1,
        "revoked_mandates": 1,
        "kill_switches": 1,
    }
    again = (await typed(capsys, folder, "database", "recover", *by(folder)))[1]
    assert (again["alignment"], again["kill_switch"]) == ("together", None)

    async with opened() as asked:
        stopped = await asked.ask("initiate_transfer", payment(debit, credit, "1.00"), native_id="new", conversation=where)
        assert (stopped.status, stopped.code) == ("denied", "denied"), "until two officers have lifted the switch"
    await lifted(capsys, folder, told["kill_switch"])
    async with opened() as asked:
        assert await standing(asked) == ["std_kept"]
        assert [(item.scope, item.subject) for item in await asked.gateway.kill_switches.listed()] == [(Scope.AGENT, "rogue")]
        assert await asked.gateway.book.totals("alice", "GBP", utc_now()) == spent
        for native, value in (("before", "3.10"), ("since", "4.20")):
            repeated = await asked.ask("initiate_transfer", payment(debit, credit, value), native_id=native, conversation=where)
            assert repeated.status == "done"
        assert executed_keys(asked.gateway) == done
        assert await what_does_not_hold(asked.gateway) == []
    assert (await typed(capsys, folder, "audit", "reconcile", *why(folder)))[0] == 0


@pytest.mark.long
@pytest.mark.parametrize("folder", long_or(["sqlite", "postgresql"], ["sqlite"]), indirect=True)
@pytest.mark.parametrize("fault", [Plan("cut_answer", 0, times=99), Plan("cut_request", 40, times=99)], ids=["done", "not_done"])
async def test_what_was_in_doubt_when_the_book_was_lost_ends_as_the_core_says(
    fault: Plan, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_done = fault.what == "cut_answer"
    (apart := folder.parent / "bank").mkdir()
    async with sandbox_bank(folder, utc_now, apart=apart) as (bank, port), relay(port) as (relayed, front):
        asking_core(monkeypatch, folder, front)
        async with over_http(folder, front, bank, **PATIENT) as asked:
            debit, credit = (await asked.accounts())[:2]
            where = await asked.conversation("alice")
        backup = dump(folder, DatabaseName.GATEWAY)
        async with over_http(folder, front, bank, **{**PATIENT, "core_instruction_ms": 400}) as asked:
            relayed.plans = [fault]
            lost = await asked.ask("initiate_transfer", payment(debit, credit, "4.20"), native_id="lost", conversation=where)
            assert lost.status == "in_doubt"
        put_back(folder, DatabaseName.GATEWAY, backup)
        status, told = await typed(capsys, folder, "database", "recover", *by(folder))
        assert (status, told["put_back"]["calls"], told["core_asked"]) == (0, 1, True)
        async with over_http(folder, front, bank, **PATIENT) as asked:
            await asked.gateway.recovery.sweep(grace=timedelta(0))
            assert len(executed_keys(asked.gateway)) == is_done
        await lifted(capsys, folder, told["kill_switch"])
        async with over_http(folder, front, bank, **PATIENT) as asked:
            spent = (await asked.gateway.book.totals("alice", "GBP", utc_now())).month_minor
            assert spent == (420 if is_done else 0), spent
            again = await asked.ask("initiate_transfer", payment(debit, credit, "4.20"), native_id="lost", conversation=where)
            assert (again.status == "done") is is_done, again
            assert len(executed_keys(asked.gateway)) == is_done
            assert await what_does_not_hold(asked.gateway) == []
        assert (await typed(capsys, folder, "audit", "reconcile", *why(folder)))[0] == 0


@pytest.mark.parametrize("core", ["embedded", "http"])
async def test_a_log_that_lost_records_goes_on_only_where_somebody_says_so_and_on_record(
    core: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind(core, folder, monkeypatch) as opened:
        await records_lost(opened, folder, capsys)


async def records_lost(opened: Opening, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with opened() as asked:
        debit, credit = (await asked.accounts())[:2]
        assert (await asked.ask("initiate_transfer", payment(debit, credit, "3.10"), native_id="before")).status == "done"
        where = await asked.conversation("alice")
        await asked.gateway.log.publish(force=True)
    backups = {part: dump(folder, part) for part in (DatabaseName.GATEWAY, DatabaseName.LOG)}
    async with opened() as asked:
        assert (
            await asked.ask("initiate_transfer", payment(debit, credit, "4.20"), native_id="since", conversation=where)
        ).status == "done"
        spent = await asked.gateway.book.totals("alice", "GBP", utc_now())
        await asked.gateway.log.publish(force=True)
    for part, backup in backups.items():
        put_back(folder, part, backup)
    with pytest.raises(UnsafeSettings) as refused:
        async with opened():
            pass
    assert [finding.code.value for finding in refused.value.findings] == ["log_behind_keys"]
    status, said = await typed(capsys, folder, "database", "recover", *by(folder))
    assert (status, "restore the newest copy" in said) == (2, True)
    status, told = await typed(capsys, folder, "database", "recover", *by(folder), "--records-lost")
    assert (status, told["alignment"], told["keys"]) == (0, "together", "log_behind_keys")
    assert told["put_back"]["effects_of_the_core"] == 1, "what the core did since counts towards the limits"
    await lifted(capsys, folder, told["kill_switch"])
    async with opened() as asked:
        done = executed_keys(asked.gateway)
        assert await asked.gateway.book.totals("alice", "GBP", utc_now()) == spent
    records = (await typed(capsys, folder, "audit", "query", "--kind", "admin", *why(folder)))[1]["records"]
    lost = next(item["leaf"]["facts"] for item in records if item["leaf"]["facts"].get("word") == "databases_recovered")
    assert lost["noted_size"] > lost["to"], "how much there was is on record"
    assert (await typed(capsys, folder, "audit", "verify"))[0] == 0
    status, findings = await typed(capsys, folder, "audit", "reconcile", *why(folder))
    assert (status, [item["what"] for item in findings["findings"]]) == (1, ["unintended"]), "the core knows of the lost payment"
    assert len(done) == 2


async def test_a_log_that_was_restored_alone_lets_nothing_be_done_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with teller(folder) as asked:
        debit, credit = (await asked.accounts())[:2]
        where = await asked.conversation("alice")
    backup = dump(folder, DatabaseName.LOG)
    async with teller(folder) as asked:
        paid = await asked.ask("initiate_transfer", payment(debit, credit, "4.20"), native_id="since", conversation=where)
        assert paid.status == "done"
        spent, done = await asked.gateway.book.totals("alice", "GBP", utc_now()), executed_keys(asked.gateway)
    put_back(folder, DatabaseName.LOG, backup)
    with pytest.raises(UnsafeSettings, match="newer than its log"):
        async with teller(folder):
            pass
    assert (await typed(capsys, folder, "database", "recover", *by(folder)))[0] == 2
    status, told = await typed(capsys, folder, "database", "recover", *by(folder), "--records-lost")
    assert (status, told["alignment"]) == (0, "log_behind_book")
    await lifted(capsys, folder, told["kill_switch"])
    async with teller(folder) as asked:
        assert await asked.gateway.book.totals("alice", "GBP", utc_now()) == spent, "counted once"
        again = await asked.ask("initiate_transfer", payment(debit, credit, "4.20"), native_id="since", conversation=where)
        assert again.status != "unavailable", again
        assert executed_keys(asked.gateway) == done, "the same ids do nothing twice, whatever the log has lost"
    assert (await typed(capsys, folder, "audit", "verify"))[0] == 0
    status, findings = await typed(capsys, folder, "audit", "reconcile", *why(folder))
    assert (status, [item["what"] for item in findings["findings"]]) == (1, ["unintended"]), "the core knows of the lost payment"


async def test_keys_that_were_destroyed_do_not_come_back_with_a_restored_key_store(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with teller(folder) as asked:
        await asked.ask("list_accounts")
        await asked.gateway.log.publish(force=True)
    backup = dump(folder, DatabaseName.KEYS)
    erasing = ("audit", "erase", "--customer", "alice", "--legal-minimum", "none", *why(folder, "ada"))
    assert (await asyncio.to_thread(approved, folder, *erasing))[0] == 0
    put_back(folder, DatabaseName.KEYS, backup)
    with pytest.raises(UnsafeSettings) as refused:
        async with teller(folder):
            pass
    assert [finding.code.value for finding in refused.value.findings] == ["keys_behind_log"]
    status, told = await typed(capsys, folder, "database", "recover", *by(folder))
    assert (status, told["keys"], told["put_back"]["destroyed_keys"]) == (0, "keys_behind_log", 1)
    assert (await typed(capsys, folder, "audit", "erase", "--customer", "alice", *why(folder, "ada")))[0] == 1, (
        "nothing of alice is known any more"
    )
    async with teller(folder):
        pass
