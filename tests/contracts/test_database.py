"""What every database does, files and schemas alike: the log, the gateway's store and the bank rely on no more than this."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, bindparam, event, func, insert, select, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from audit.database import Database, DatabaseUnavailable
from audit.group import CommitUnknown, GroupWriter
from audit.migration import History, HistoryUnknown, prepare
from audit.store.prepared import Prepared
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from tests.support.databases import postgresql

TABLES = MetaData()
NUMBERS = Table("numbers", TABLES, Column("n", Integer, primary_key=True, autoincrement=False))
HISTORY = History("numbers", TABLES, Path("nowhere"), "0001")


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseLocations:
    return DatabaseLocations(tmp_path, "" if request.param == "sqlite" else postgresql(tmp_path))


@pytest.fixture
async def database(places: DatabaseLocations) -> AsyncIterator[Database]:
    opened = places.open(DatabaseName.GATEWAY, name="tests")
    await prepare(opened, HISTORY, may_upgrade=False)
    yield opened
    await opened.close()


def stored(connection: Connection) -> list[int]:
    return list(connection.execute(select(NUMBERS.c.n).order_by(NUMBERS.c.n)).scalars())


def put(*numbers: int):  # type: ignore[no-untyped-def]
    return lambda connection: connection.execute(insert(NUMBERS), [{"n": number} for number in numbers]) and None


async def test_what_a_lane_committed_is_read_and_what_it_did_not_is_not(database: Database) -> None:
    lane = database.lane()
    await lane.begin()
    await lane.run(put(1))
    assert await database.read(stored) == []
    await lane.commit()
    assert await database.read(stored) == [1]
    await lane.begin()
    await lane.run(put(2))
    await lane.rollback()
    assert await database.read(stored) == [1]
    await lane.begin()
    await lane.run(put(3))
    await lane.commit()
    assert await database.read(stored) == [1, 3]
    await lane.close()


async def test_as_many_writes_at_once_as_there_are_callers(database: Database) -> None:
    """More than any pool holds: each waits for its turn and is answered, and what a cancelled one began is whole."""
    await asyncio.gather(*(database.write(put(number)) for number in range(40)))
    cancelled = asyncio.ensure_future(database.write(put(40)))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    with pytest.raises(IntegrityError):
        await database.write(put(7))
    await database.write(put(41))
    assert [number for number in await database.read(stored) if number != 40] == [*range(40), 41]
    await database.overwrite_deleted()


async def test_a_lock_of_another_process_holds_up_its_waiter_and_nobody_else(places: DatabaseLocations, database: Database) -> None:
    other = places.open(DatabaseName.GATEWAY, name="other")
    try:
        held = other.lane()
        await held.begin()
        await held.run(put(1))
        waiting = asyncio.ensure_future(database.write(put(2)))
        loop, longest_s = asyncio.get_running_loop(), 0.0
        for _ in range(20):
            began = loop.time()
            await asyncio.sleep(0.005)
            longest_s = max(longest_s, loop.time() - began)
        assert not waiting.done() or places.shared
        await held.rollback()
        await waiting
        await held.close()
        assert await database.read(stored) == [2]
        assert longest_s < 1
    finally:
        await other.close()


async def test_statements_that_go_straight_to_the_driver_are_committed_too(database: Database) -> None:
    one = Prepared(insert(NUMBERS).values(n=bindparam("n")))
    lane = database.lane()
    await lane.begin()
    await lane.run(lambda connection: one.one(connection, {"n": 7}))
    await lane.commit()
    await lane.close()
    assert await database.read(stored) == [7]


async def test_an_error_leaves_nothing_and_the_lane_goes_on(database: Database) -> None:
    lane = database.lane()
    await lane.begin()
    await lane.run(put(1))
    with pytest.raises(IntegrityError):
        await lane.run(put(1))
    await lane.rollback()
    await lane.begin()
    await lane.run(put(2))
    await lane.commit()
    assert await database.read(stored) == [2]
    await lane.close()


async def test_a_lane_that_is_closed_inside_a_transaction_leaves_nothing(database: Database) -> None:
    lane = database.lane()
    await lane.begin()
    await lane.run(put(1))
    await lane.close()
    assert await database.read(stored) == []


async def test_a_write_is_one_transaction(database: Database) -> None:
    def half(connection: Connection) -> None:
        connection.execute(insert(NUMBERS), [{"n": 1}])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(half)
    assert await database.read(stored) == []
    await database.write(put(1, 2))
    assert await database.read(stored) == [1, 2]


async def test_a_long_read_sees_one_state_whatever_is_committed_meanwhile(database: Database, places: DatabaseLocations) -> None:
    other = places.open(DatabaseName.GATEWAY, name="other")
    await database.write(put(1))
    begun, written = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def write_meanwhile() -> None:
        await begun.wait()
        await other.write(put(2))
        written.set()

    def twice(connection: Connection) -> tuple[list[int], list[int]]:
        first = stored(connection)
        loop.call_soon_threadsafe(begun.set)
        for _ in range(10_000):  # bounded; each question gives the other its turn
            connection.execute(text("select 1"))
            if written.is_set():
                break
        return first, stored(connection)

    writing = asyncio.create_task(write_meanwhile())
    assert await database.read_long(twice) == ([1], [1])
    await writing
    assert await database.read_long(stored) == [1, 2]
    await other.close()


async def test_writers_of_two_processes_never_lose_what_the_other_wrote(database: Database, places: DatabaseLocations) -> None:
    other = places.open(DatabaseName.GATEWAY, name="other")
    writers: list[GroupWriter[int, int]] = []
    for item in (database, other):

        def apply(connection: Connection, items: object) -> list[int]:
            if connection.dialect.name == "postgresql":
                connection.execute(text("select pg_advisory_xact_lock(1)"))
            highest = connection.execute(select(func.coalesce(func.max(NUMBERS.c.n), 0))).scalar_one()
            taken = [highest + place for place in range(1, len(items) + 1)]  # type: ignore[arg-type]
            connection.execute(insert(NUMBERS), [{"n": number} for number in taken])
            return taken

        writers.append(GroupWriter(item.lane(), apply))
    answers = await asyncio.gather(*(writers[number % 2].submit(number) for number in range(200)))
    assert sorted(answers) == await database.read(stored) == list(range(1, 201))
    for writer in writers:
        await writer.close()
    await other.close()


async def test_a_lock_that_another_process_keeps_is_an_error_in_time_and_nothing_is_written(
    places: DatabaseLocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = places.open(DatabaseName.GATEWAY, name="one")
    monkeypatch.setattr("audit.database.LOCK_WAIT_S", 0.2)
    monkeypatch.setattr("audit.postgres.LOCK_WAIT_S", 0.2)
    other = places.open(DatabaseName.GATEWAY, name="other")
    await prepare(one, HISTORY, may_upgrade=False)
    await one.write(put(1))

    def hold(connection: Connection) -> None:
        connection.execute(select(NUMBERS).with_for_update())

    held, wanted = one.lane(), other.lane()
    await held.begin()
    await held.run(hold)
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012  # SQLite locks as the transaction begins, PostgreSQL as a row is wanted
        await wanted.begin()
        await wanted.run(hold)
    await wanted.rollback()
    await held.rollback()
    await wanted.begin()
    await wanted.run(put(2))
    await wanted.commit()
    assert await one.read(stored) == [1, 2]
    for lane in (held, wanted):
        await lane.close()
    for database in (one, other):
        await database.close()


async def test_an_error_tells_no_values(database: Database) -> None:
    secret = 421_337
    await database.write(put(secret))
    with pytest.raises(IntegrityError) as error:
        await database.write(put(secret))
    assert str(secret) not in str(error.value).replace("Key (n)=(421337)", "") or "already exists" in str(error.value.orig)
    assert "parameters: {" not in str(error.value)


class TestHistory:
    async def test_an_empty_database_is_made_once_and_found_afterwards(self, places: DatabaseLocations) -> None:
        one, other = places.open(DatabaseName.GATEWAY, name="one"), places.open(DatabaseName.GATEWAY, name="other")
        found = await asyncio.gather(*(prepare(item, HISTORY, may_upgrade=False) for item in (one, other)))
        assert sorted(map(str, found)) in (["0001", "None"], ["None", "None"])
        assert await prepare(one, HISTORY, may_upgrade=False) == "0001" == await one.read(HISTORY.revision)
        for item in (one, other):
            await item.close()

    async def test_a_database_of_another_version_is_not_touched(self, database: Database) -> None:
        await database.write(put(1))
        newer = replace(HISTORY, head="0002", folder=HISTORIES[DatabaseName.GATEWAY].folder)
        with pytest.raises(HistoryUnknown, match="tellergate database upgrade"):
            await prepare(database, newer, may_upgrade=False)
        assert await database.read(stored) == [1]

    async def test_tables_without_a_history_are_refused(self, places: DatabaseLocations) -> None:
        opened = places.open(DatabaseName.GATEWAY, name="tests")
        await opened.create()
        await opened.write(NUMBERS.create)
        with pytest.raises(HistoryUnknown, match="empty database"):
            await prepare(opened, HISTORY, may_upgrade=True)
        await opened.close()


class TestPostgresql:
    """Faults that only a server has."""

    @pytest.fixture
    def places(self, tmp_path: Path) -> DatabaseLocations:
        return DatabaseLocations(tmp_path, postgresql(tmp_path))

    async def test_a_server_that_is_not_there_is_an_error_and_nothing_is_written(self, tmp_path: Path) -> None:
        away = DatabaseLocations(tmp_path, "postgresql://nobody@127.0.0.1:1/nothing").open(DatabaseName.GATEWAY, name="tests")
        with pytest.raises(SQLAlchemyError):
            await away.read(stored)
        lane = away.lane()
        with pytest.raises(DatabaseUnavailable):
            await lane.begin()
        await lane.close()
        await away.close()

    async def test_a_session_that_the_server_ended_is_had_again(self, database: Database, places: DatabaseLocations) -> None:
        other = places.open(DatabaseName.LOG, name="killer")
        writer: GroupWriter[int, None] = GroupWriter(
            database.lane(), lambda connection, items: [put(item)(connection) for item in items]
        )
        await writer.submit(1)
        await database.read(stored)
        end = text("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tests'")
        await other.read(lambda connection: connection.execute(end).all() and None)
        answered = 0
        for number in range(2, 30):
            try:
                await writer.submit(number)
                assert number in await database.read(stored)
                answered += 1
            except (SQLAlchemyError, DatabaseUnavailable, CommitUnknown):
                continue
        assert answered >= 10, "the pool mends itself after each of its connections failed at most once"
        await writer.close()
        await other.close()

    async def test_making_the_tables_may_stand_still_for_longer_than_a_call(
        self, places: DatabaseLocations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("audit.postgres.LOCK_WAIT_S", 0.3)
        slow = MetaData()
        Table("numbers", slow, Column("n", Integer, primary_key=True, autoincrement=False))
        event.listen(slow, "after_create", lambda *_, **__: time.sleep(0.6))
        opened = places.open(DatabaseName.GATEWAY, name="slow")
        assert await prepare(opened, replace(HISTORY, tables=slow), may_upgrade=False) is None
        await opened.write(put(1))
        assert await opened.read(stored) == [1]
        await opened.close()

    async def test_a_process_that_stands_still_in_a_transaction_loses_its_locks(
        self, places: DatabaseLocations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("audit.postgres.LOCK_WAIT_S", 0.3)
        still, moving = places.open(DatabaseName.GATEWAY, name="still"), places.open(DatabaseName.GATEWAY, name="moving")
        await prepare(still, HISTORY, may_upgrade=False)
        lane = still.lane()
        await lane.begin()
        await lane.run(put(1))
        await asyncio.sleep(0.6)
        await moving.write(put(1))
        with pytest.raises(SQLAlchemyError):
            await lane.commit()
        await lane.rollback()
        assert await moving.read(stored) == [1]
        await lane.close()
        for item in (still, moving):
            await item.close()
