"""What auditors search by: right wherever its cursor stands, by an index at any size, and looked at in place."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import Connection, event

from audit.catching_up import catch_up
from audit.inspection import verify_store
from audit.leaf import Approver, EndState, Policy, RecordKind
from audit.log import Log
from audit.migration import prepare
from audit.query import Query, Why, last_page, page
from audit.store.auditors_index import BLOCK, advance, cursor
from audit.store.find import Filter, find, find_last
from audit.store.reads import Reads
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from tests.support.databases import postgresql, sql, sqlite_only
from tests.trail import RULES_HASH, START, Clock, a_record, activate_rules, an_end, an_intent

WHY = Why(auditor="auditor-1", purpose="complaint", case_id="case-7")
COUNT = 3 * BLOCK
AT_ONCE = 50

FILTERS = [
    Filter(since="2026-11-24T10:09:00.000000Z", until="2026-11-24T10:11:00.000000Z"),
    Filter(since="2026-11-25T00:00:00.000000Z"),
    Filter(until="2026-11-24T09:59:00.000000Z"),
    Filter(until="2026-11-24T10:00:30.000000Z"),
    Filter(function="initiate_transfer"),
    Filter(function="initiate_transfer", end_state="executed"),
    Filter(function="get_account_balance", end_state="executed"),
    Filter(end_state="outcome_unknown"),
    Filter(decision="permit", until="2026-11-24T10:01:00.000000Z"),
    Filter(policy="rule-3"),
    Filter(policy="rule"),
    Filter(policy="rule-3", function="get_account_balance", kinds=(RecordKind.READ, RecordKind.DENY)),
    Filter(kinds=(RecordKind.INTENT, RecordKind.OUTCOME, RecordKind.CENSUS)),
    Filter(kinds=(RecordKind.CENSUS,)),
    Filter(kinds=(RecordKind.READ,), since="2026-11-24T10:12:00.000000Z"),
    Filter(trace=f"{9:032x}"),
    Filter(bundle=RULES_HASH, approver="officer-1"),
    Filter(bundle="00" * 32),
    Filter(customer="?", function="initiate_transfer"),
    Filter(call="call_17"),
    Filter(agent="bank-app", kinds=(RecordKind.INTENT,)),
    Filter(agent="agent-2"),
    Filter(reason="owner", function="initiate_transfer"),
    Filter(reason="owner", customer="?"),
    Filter(call="call_17", agent="bank-app"),
    Filter(by="officer-1"),
    Filter(word="kill_engaged"),
]


@pytest.fixture
async def long_log(log: Log, clock: Clock) -> Log:
    """A few blocks of leaves, whose times run a little backwards now and then."""
    await activate_rules(log)
    clock.forward(COUNT)
    for first in range(0, COUNT, AT_ONCE):  # together, or each would have a commit of its own
        await asyncio.gather(*(recorded(log, number) for number in range(first, first + AT_ONCE)))
        if log.size() >= COUNT:
            break
    return log


async def recorded(log: Log, n: int) -> None:
    """A read, or an intent and its end."""
    time = START + timedelta(seconds=n if n % 7 else max(n - 30, 0))
    policy = Policy(
        bundle_hash=RULES_HASH, bundle_version="7", decision="permit", policies=(f"rule-{n % 20}", "rule%"), reason="owner"
    )
    changes = {"call_id": f"call_{n}", "customer": f"C-{n % 5}", "trace_id": f"{n:032x}", "time": time, "policy": policy}
    approver = Approver("officer-1", "all") if n % 50 == 0 else None
    if n % 10:
        await log.append(a_record(**changes, approver=approver))
        return
    intent = await log.append(an_intent(**changes))
    state = EndState.OUTCOME_UNKNOWN if n % 100 == 0 else EndState.EXECUTED
    kind = RecordKind.UNKNOWN if n % 100 == 0 else RecordKind.OUTCOME
    await log.append(an_end(intent.index, intent.leaf_hash, kind, state, **{**changes, "function": an_intent().function}))


async def every_answer(log: Log) -> list[list[int]]:
    def ask(connection: Connection) -> list[list[int]]:
        size, found = COUNT - 5, []
        for wanted in FILTERS:
            for limit in (7, 10_000):
                found.append([item.idx for item in find(connection, wanted, size, 30, limit)])
                found.append([item.idx for item in find_last(connection, wanted, size, limit)])
        return found

    return await log.read_long(lambda reads: ask(reads.connection))


async def test_an_answer_does_not_depend_on_how_far_the_index_is(long_log: Log) -> None:
    without = await every_answer(long_log)
    assert sum(bool(found) for found in without) >= 40
    for most in (3, BLOCK - 1, 40, 2 * BLOCK, 10_000):
        await long_log.write(partial(advance, most=most))
        assert await every_answer(long_log) == without, most
    assert await long_log.read(lambda reads: cursor(reads.connection)) == long_log.size()
    assert (await verify_store(long_log)) == []


@sqlite_only("it is SQLite that says how it searches")
async def test_no_filter_reads_the_log_from_one_end_to_the_other(long_log: Log) -> None:
    await catch_up(long_log)
    for wanted in FILTERS:
        plans = await long_log.read_long(partial(plans_of, wanted=wanted))
        scans = [plan for plan in plans if plan.startswith("SCAN") and plan.split()[1] in ("leaves", "postings", "at", "terms")]
        sorts = [
            plan for plan in plans if "TEMP B-TREE" in plan and wanted.customer is None
        ]  # one customer's records may be sorted
        assert (scans, sorts) == ([], []), wanted


def plans_of(reads: Reads, wanted: Filter) -> list[str]:
    """How SQLite goes about each statement of this search."""
    plans: list[str] = []

    def plan(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        cursor = reads.connection.connection.cursor()
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plans.extend(row[3] for row in cursor.fetchall())

    event.listen(reads.connection, "before_cursor_execute", plan)
    find(reads.connection, wanted, COUNT, -1, 50)
    event.remove(reads.connection, "before_cursor_execute", plan)
    return plans


async def test_two_processes_may_be_the_first_to_fill_it(tmp_path: Path) -> None:
    """On PostgreSQL, where the second one writes while the first has not committed yet."""
    database = DatabaseLocations(tmp_path, postgresql(tmp_path)).open(DatabaseName.LOG, name="tests")
    await prepare(database, HISTORIES[DatabaseName.LOG], may_upgrade=False)
    other = await asyncpg.connect(postgresql(tmp_path))
    try:
        begun = other.transaction()
        await begun.start()
        await other.execute("INSERT INTO log.index_cursor (id, upto) VALUES (1, 0)")
        second = asyncio.create_task(database.write(partial(advance, most=1)))
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert not second.done()
            await asyncio.sleep(0.02)
        await begun.commit()
        assert await second == 0
    finally:
        await other.close()
        await database.close()


async def test_questions_fill_it_and_the_append_does_not(long_log: Log) -> None:
    assert await long_log.read(lambda reads: cursor(reads.connection)) == 0
    found = await page(long_log, Query(function="initiate_transfer", end_state="outcome_unknown"), WHY)
    assert await long_log.read(lambda reads: cursor(reads.connection)) == long_log.size() - 1  # all but the question itself
    newest = await last_page(long_log, Query(function="initiate_transfer", end_state="outcome_unknown"), WHY)
    assert [item.index for item in found.found] == sorted(item.index for item in newest.found) != []
    assert await catch_up(long_log) == 1  # the last question


@pytest.mark.parametrize(
    "damage",
    [
        "delete from postings where idx = 30",
        "update postings set term = 1000000 where idx = 30 and term = (select max(term) from postings where idx = 30)",
        "insert into postings values (1000000, 3)",
        "update terms set value = 'other' where name = 'function' and value = 'initiate_transfer'",
        "delete from terms where name = 'policy' and value = 'rule-3'",
        "delete from time_blocks where block = 1",
        "update time_blocks set earliest = '2027' where block = 1",
        "update time_blocks set latest = '2025' where block = 1",
        "update index_cursor set upto = upto + 100",
    ],
)
async def test_an_index_that_hides_a_record_is_found_in_place(long_log: Log, tmp_path: Path, damage: str) -> None:
    await long_log.write(lambda connection: advance(connection, COUNT - 200))
    assert (await verify_store(long_log)) == []
    assert sql(tmp_path / "log", DatabaseName.LOG, damage) >= 1
    assert {"index" in item.what for item in await verify_store(long_log)} == {True}
