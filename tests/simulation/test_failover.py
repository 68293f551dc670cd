"""A primary is lost and its synchronous standby promoted, under calls: real servers, killed.

The long form is `python -m tests.benchmarks.failover`.
"""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from audit import postgres_hosts
from gateway.app.database_checks import refuse_alone
from gateway.app.databases import DatabaseLocations, DatabaseName
from gateway.app.unsafe_settings import FindingCode, UnsafeSettings
from gateway.domain.errors import Unavailable
from tests.support.cluster import Cluster, running_cluster
from tests.support.teller import Teller, leaves_of, payment, teller, what_does_not_hold

RECOVERS_S = 60


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as started:
        yield started


async def port_of_writes(url: str, folder: Path) -> object:
    """Where a new connection to the primary goes."""
    database = DatabaseLocations(folder, url).open(DatabaseName.LOG, name="tests")
    try:
        return await database.read(lambda connection: connection.execute(text("SELECT inet_server_port()")).scalar_one())
    finally:
        await database.close()


async def paid(asked: Teller, debit: str, credit: str, value: str, name: str) -> str:
    """How a payment of this value under this id ended."""
    try:
        return (await asked.ask("initiate_transfer", payment(debit, credit, value), native_id=name)).status
    except Unavailable:
        return "unavailable"


async def done_again(asked: Teller, debit: str, credit: str, name: str, pounds: int) -> float:
    """Pay with new ids until it is done; after how many seconds."""
    began = time.monotonic()
    number = 0
    while time.monotonic() < began + RECOVERS_S:
        number += 1
        status = await paid(asked, debit, credit, f"{pounds}.{number % 100:02}", f"{name}{number}")
        if status == "done":
            return time.monotonic() - began
        assert status in ("unavailable", "in_doubt")
    raise AssertionError("nothing is done a minute after the failover")


async def test_what_was_acknowledged_is_there_after_a_failover_and_an_old_primary_gets_no_writes(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await asyncio.to_thread(cluster.database, "lost")
    async with teller(tmp_path / "data", database=url, duplicate_window_s=1) as asked:
        debit, credit = (await asked.accounts())[:2]
        told = [await asked.ask("initiate_transfer", payment(debit, credit, f"2.{n:02}"), native_id=f"n{n}") for n in range(8)]
        assert {answer.status for answer in told} == {"done"}
        before = {answer.proof.index: answer.proof for answer in told if answer.proof is not None}
        assert len(before) == 8
        lost = await asyncio.to_thread(cluster.lose_primary)
        assert await paid(asked, debit, credit, "3.00", "meanwhile") == "unavailable", "no host takes writes"
        await asyncio.to_thread(cluster.promote)
        assert await done_again(asked, debit, credit, "after", 1) < RECOVERS_S
        leaves = await leaves_of(asked.gateway)
        assert {index: leaves[index].hash for index in before} == {index: proof.leaf_hash for index, proof in before.items()}

        await asyncio.to_thread(cluster.start, lost)  # as a primary, which nobody told of its successor
        assert cluster.sql(lost, "SELECT pg_is_in_recovery()") is False
        ports = {await port_of_writes(url, tmp_path) for _ in range(3)}
        assert ports == {cluster.primary.port}
        monkeypatch.setattr(postgres_hosts, "_NEWEST", {})
        assert await port_of_writes(url, tmp_path) == cluster.primary.port, "a new process takes the newest of both"
        gone = cluster.primary
        monkeypatch.setattr(cluster, "primary", lost)
        await asyncio.to_thread(cluster.kill, gone)
        assert await paid(asked, debit, credit, "4.00", "old") == "unavailable", "the old one is all there is, and gets nothing"
        await asyncio.to_thread(cluster.kill, lost)
        await asyncio.to_thread(cluster.start, gone)
        monkeypatch.setattr(cluster, "primary", gone)
        assert await done_again(asked, debit, credit, "again", 5) < RECOVERS_S
        await asked.gateway.recovery.sweep(grace=timedelta(0))
        assert await what_does_not_hold(asked.gateway) == []
        await asyncio.to_thread(cluster.follow)


async def test_who_insists_on_a_standby_writes_nothing_that_one_server_alone_has(cluster: Cluster, tmp_path: Path) -> None:
    url = await asyncio.to_thread(cluster.database, "insisting")
    async with teller(tmp_path / "data", database=url, synchronous_standby=True) as asked:
        debit, credit = (await asked.accounts())[:2]
        assert await paid(asked, debit, credit, "6.00", "both") == "done"
        await asyncio.to_thread(cluster.kill, cluster.primary)
        await asyncio.to_thread(cluster.promote)
        assert await paid(asked, debit, credit, "7.00", "alone") == "unavailable"
        with pytest.raises(UnsafeSettings) as refused:
            await refuse_alone(DatabaseLocations(tmp_path / "data", url, synchronous=True))
        assert [(item.setting, item.code) for item in refused.value.findings] == [("database", FindingCode.COMMITS_ALONE)]
        await asyncio.to_thread(cluster.follow)
        assert await paid(asked, debit, credit, "8.00", "both again") == "done"
    await refuse_alone(DatabaseLocations(tmp_path / "data", url, synchronous=True))
