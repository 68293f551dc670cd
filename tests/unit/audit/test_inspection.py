"""Verification in place, beyond what the attacks do: tiles, many leaves, and a log that goes on meanwhile."""

import asyncio
from pathlib import Path

from audit.inspection import verify_store
from audit.log import Log
from audit.stored_rows import FINDINGS_MOST
from gateway.app.databases import DatabaseName
from tests.support.databases import sql
from tests.trail import a_record, an_end, an_intent


async def fill(log: Log, count: int) -> None:
    await asyncio.gather(*(log.append(a_record(customer=f"C-{n % 5}", policy=None), timeout_ms=10_000) for n in range(count)))


async def test_an_empty_log_is_good(log: Log) -> None:
    assert (await verify_store(log)) == []


async def test_a_log_with_tiles_is_good_and_a_changed_tile_is_found(log: Log, tmp_path: Path) -> None:
    await fill(log, 520)
    await log.publish()
    assert (await verify_store(log)) == []
    sql(tmp_path / "log", DatabaseName.LOG, "update tiles set hashes = zeroblob(8192) where idx = 1")
    assert [item.what for item in (await verify_store(log))] == ["tile 0/1 is not what its leaves give"]


async def test_a_gap_in_a_sequence_that_was_signed_is_found(log: Log, tmp_path: Path) -> None:
    """The writer itself is made to skip a number: only the sequences can show that."""
    await log.append(a_record(policy=None))
    log._committer._counters.update(dict.fromkeys(log._committer._counters, 5))
    await log.append(a_record(policy=None))
    assert {item.rule for item in (await verify_store(log))} == {"customer", "conversation"}


async def test_a_log_that_goes_on_while_it_is_verified_is_good(log: Log) -> None:
    await fill(log, 300)
    verifying = asyncio.create_task(verify_store(log))
    while not verifying.done():
        intent = await log.append(an_intent(policy=None), timeout_ms=10_000)
        await log.append(an_end(intent.index, intent.leaf_hash, policy=None), timeout_ms=10_000)
        await log.publish()
    assert await verifying == []


async def test_findings_are_bounded(log: Log, tmp_path: Path) -> None:
    await fill(log, FINDINGS_MOST + 50)
    sql(tmp_path / "log", DatabaseName.LOG, "update leaves set hash = zeroblob(32)")
    assert len(await verify_store(log)) == FINDINGS_MOST
