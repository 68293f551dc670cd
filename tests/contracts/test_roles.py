"""On PostgreSQL the gateway runs by a role that may add to the log and read it, and no more; an operator's commands by another."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest

from audit.catching_up import catch_up
from audit.erasure import held_customers, replay_destructions
from audit.query import Why
from gateway.app.clock import utc_now
from gateway.app.data_folder import make_data_folder
from gateway.app.databases import HISTORIES, DatabaseName, places_of
from gateway.app.staff_evidence import StaffEvidence
from gateway.cli import main
from gateway.domain.kill_switch import Scope
from gateway.oversight.erasing import ErasureOrder, RoleMayNotErase
from gateway.store.sweeping import RetentionTimes, sweep
from tests.support import databases
from tests.support.asking import approved, why
from tests.support.databases import Kept, administer
from tests.support.postgres import server
from tests.support.production import passphrase_file
from tests.support.teller import Teller, payment, teller

EVIDENCE = ("leaves", "sealed", "tiles", "checkpoints", "policy_bundles")


@pytest.fixture
def owned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str, str]]:
    """A data folder, and the roles of its gateway and of its operator."""
    monkeypatch.setattr(Kept, "kind", "postgresql")
    data = tmp_path / "data"
    name = databases.url(data).rsplit("/", 1)[1]
    gateway, operator = f"{name}_gateway", f"{name}_operator"
    for role in (gateway, operator):
        administer(f"CREATE ROLE {role} LOGIN")
    yield data, gateway, operator
    databases.drop(tmp_path)
    for role in (gateway, operator):
        administer(f"DROP ROLE {role}")


def by_role(folder: Path, role: str) -> str:
    address = databases.url(folder)
    return f"postgresql://{role}@127.0.0.1:{server().port}/{address.rsplit('/', 1)[1]}"


async def _refused_without_a_trace(asked: Teller) -> None:
    """What is asked on the operations listener is done by the gateway's role: an erasure is not begun, and its approval not used."""
    opened = asked.gateway
    evidence = StaffEvidence(places=places_of(opened.settings), storage=opened.keys.storage, clock=utc_now)
    used: list[object] = []

    async def agreed(subject: object) -> None:
        used.append(subject)

    before = await opened.log.head()
    order = ErasureOrder(customer="alice", minimums={}, purpose="p", case="c")
    with pytest.raises(RoleMayNotErase):
        await evidence.erase(order, Why(auditor="ada", purpose="p", case_id="c"), agreed)
    assert (used, await opened.log.head()) == ([], before)
    await evidence.close()


async def _typed(*command: str) -> int:
    return await asyncio.to_thread(main, list(command))


async def test_a_gateway_does_everything_by_a_role_that_cannot_change_the_log(owned: tuple[Path, str, str]) -> None:
    data, gateway, operator = owned
    async with teller(data):
        pass  # as its owner, who makes the tables
    owner = ("--data", str(data), "--database", databases.url(data))
    assert await _typed("database", "roles", "--gateway", gateway, "--operator", operator, "--execute", *owner) == 0
    address = by_role(data, gateway)
    async with teller(data, database=address) as asked:
        debit, credit = (await asked.accounts())[:2]
        assert (await asked.ask("initiate_transfer", payment(debit, credit, "3.10"))).status == "done"
        await asked.say("Please pay Margaret Hale 12.50 GBP.")
        await asked.gateway.kill_switches.engage(Scope.AGENT, "rogue", "it went wild", "ann")
        await asked.gateway.recovery.sweep(grace=timedelta(0))
        kept, later = RetentionTimes(*(timedelta(0),) * 3), utc_now() + timedelta(days=1)
        await sweep(asked.gateway.book, kept, later, held=partial(held_customers, asked.gateway.log))
        assert await asked.gateway.log.publish(force=True) is not None
        await catch_up(asked.gateway.log)
        await replay_destructions(asked.gateway.log)
        await asked.gateway.recovery.census(utc_now() - timedelta(minutes=1))
        await _refused_without_a_trace(asked)
    erasing = ("audit", "erase", "--customer", "alice", "--legal-minimum", "none", *why(data, "ada"))
    by_operator = ("--data", str(data), "--database", by_role(data, operator))
    assert (await asyncio.to_thread(lambda: approved(data, *erasing, database=by_role(data, operator))))[0] == 0
    assert await _typed("audit", "verify", *by_operator) == 0
    async with teller(data, database=address) as asked:
        seen = await asked.ask("list_accounts")
        assert seen.status == "done", seen


async def test_the_gateway_s_role_can_change_nothing_of_the_log(owned: tuple[Path, str, str]) -> None:
    data, gateway, _ = owned
    async with teller(data) as asked:
        await asked.ask("list_accounts")
    owner = ("--data", str(data), "--database", databases.url(data))
    assert await _typed("database", "roles", "--gateway", gateway, "--execute", *owner) == 0
    connection = await asyncpg.connect(by_role(data, gateway))
    try:
        tables = HISTORIES[DatabaseName.LOG].tables.tables
        tried = [f"{verb} log.{table}" for table in tables for verb in ("DELETE FROM", "TRUNCATE", "DROP TABLE")]
        tried.remove("DELETE FROM log.cosignatures")  # of others' signatures the newest stay
        tried += [
            f"UPDATE log.{table} SET {next(iter(tables[table].columns)).name} = NULL"
            for table in (*EVIDENCE, "cosignatures", "terms", "postings", "intents")
        ]
        tried += [
            "UPDATE log.intents SET hash = NULL",
            "ALTER TABLE log.leaves DISABLE TRIGGER ALL",
            "DROP TRIGGER log_position_moves ON log.head",
        ]
        tried += [
            "UPDATE gateway.log_position SET size = 0",
            "DELETE FROM gateway.policy_activations",
            "DELETE FROM keys.data_keys",
        ]
        tried += [
            "CREATE TABLE log.mine (id int)",
            "CREATE TABLE gateway.mine (id int)",
            "UPDATE gateway.gateway_version SET version_num = ''",
        ]
        for statement in tried:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


def test_roles_of_files_or_of_no_name_are_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELLERGATE_DATABASE", raising=False)
    make_data_folder(tmp_path / "bank", passphrase_file(tmp_path))
    at = ["--data", str(tmp_path / "bank"), "--database", "postgresql://owner@127.0.0.1/bank"]
    assert main(["database", "roles", *at]) == 2
    assert main(["database", "roles", "--gateway", "teller; drop table x", *at]) == 2
    assert main(["database", "roles", "--gateway", "teller", *at]) == 0, "printed, and nobody is asked"
    assert main(["database", "roles", "--gateway", "teller", "--data", str(tmp_path / "bank")]) == 2, "files have no roles"
