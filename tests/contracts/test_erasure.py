"""Erasing a person from the gateway's store: every row of every table that is theirs goes, and nobody else's."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Float, Integer, LargeBinary, Table, insert, select, update
from sqlalchemy.types import BigInteger, Boolean

from audit.database import Database
from audit.migration import prepare
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.store import erasure, tables
from gateway.store.erasure import StillInDoubt, StillStopped
from gateway.store.file_tables import UPLOADS
from gateway.store.staff_tables import STAFF_APPROVALS
from gateway.store.tables import METADATA
from gateway.store.vector_tables import VECTOR_FILES, VECTOR_STORES
from tests.support.databases import lent

GONE, STAYS = "person-gone", "person-stays"
LINKS = {
    "conversation": "conv",
    "call_id": "call",
    "confirmation": "cnf",
    "thread": "thread",
    "run": "run",
    "upload": "upload",
    "store": "vs",
}
"""Columns that lead to a row of another table, and the prefix of its id."""

OF_PERSONS = [table for table in METADATA.sorted_tables if table not in erasure.NOBODY_S]
IDS = {
    tables.CONVERSATIONS: "conv",
    tables.CONFIRMATIONS: "cnf",
    tables.THREADS: "thread",
    tables.RUNS: "run",
    UPLOADS: "upload",
    VECTOR_STORES: "vs",
}
BEGINS = {tables.CALLS: "pending", tables.CONFIRMATIONS: "open", tables.RUNS: "queued", UPLOADS: "pending"}
BEGINS |= {VECTOR_FILES: "completed"}
ENDS = {tables.CALLS: "posted", tables.CONFIRMATIONS: "declined", tables.RUNS: "failed"}


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    places = DatabaseLocations(tmp_path, lent(tmp_path) if request.param == "postgresql" else "")
    opened = places.open(DatabaseName.GATEWAY, name="test")
    await prepare(opened, HISTORIES[DatabaseName.GATEWAY], may_upgrade=False)
    yield opened
    await opened.close()


def cell(table: Table, column: Column[Any], person: str) -> object:
    """A value of this column that names the person, wherever its type allows it."""
    if table is tables.KILL_SWITCHES:
        known = {
            "scope": "customer",
            "subject": person,
            "engaged_by": "officer-1",
            "first_lift_by": "officer-2",
            "lifted_by": "officer-3",
        }
        if column.name in known:
            return known[column.name]
    if table is STAFF_APPROVALS and column.name == "asked_by":
        return "officer-1"
    if column.name == "state":
        return BEGINS[table]
    if column.name in ("customer", "approver"):
        return person
    if column.name == "id" and table in IDS:
        return f"{IDS[table]}-{person}"
    if column.name in LINKS:
        return f"{LINKS[column.name]}-{person}"
    match column.type:
        case Boolean():
            return True
        case Integer() | BigInteger() | Float():
            return 1
        case LargeBinary():
            return person.encode()
    length = getattr(column.type, "length", None)
    return person if length is None or length >= len(person) else "x"


def fill(connection: Connection, person: str) -> None:
    """One row in every table that holds persons, each of its cells the person's; calls, confirmations and runs have ended."""
    for table in OF_PERSONS:
        connection.execute(insert(table), [{column.name: cell(table, column, person) for column in table.columns}])
    for table, end in ENDS.items():
        connection.execute(update(table).where(table.c.customer == person).values(state=end))


def content(connection: Connection) -> Mapping[str, list[tuple[object, ...]]]:
    return {table.name: sorted(map(tuple, connection.execute(select(table))), key=repr) for table in METADATA.sorted_tables}


def names(found: Mapping[str, list[tuple[object, ...]]], person: str) -> list[str]:
    """The tables in which anything names this person."""
    return [
        table
        for table, rows in found.items()
        if any(person.encode() in item if isinstance(item, bytes) else person in str(item) for row in rows for item in row)
    ]


async def test_nothing_in_any_table_names_who_was_erased_and_all_else_stays(database: Database) -> None:
    await database.write(lambda connection: fill(connection, STAYS))
    alone = await database.read(content)
    await database.write(lambda connection: fill(connection, GONE))
    assert set(names(await database.read(content), GONE)) == {table.name for table in OF_PERSONS}
    removed = await database.write(lambda connection: erasure.erase(connection, GONE))
    assert removed == {table.name: 1 for table in OF_PERSONS}
    assert await database.read(content) == alone
    assert await database.write(lambda connection: erasure.erase(connection, GONE)) == {}, "once more: nothing is left"


def test_every_table_is_decided_about() -> None:
    """A new table says whose its rows are, or why they are nobody's."""
    assert set(erasure.rows_of(GONE)) | set(erasure.NOBODY_S) == set(METADATA.tables.values())
    assert not set(erasure.rows_of(GONE)) & set(erasure.NOBODY_S)


async def test_an_approval_of_another_s_payment_stays_without_the_name(database: Database) -> None:
    def approved(connection: Connection) -> None:
        fill(connection, STAYS)
        connection.execute(update(tables.CONFIRMATIONS).values(approver=GONE, approval=GONE.encode()))

    await database.write(approved)
    assert await database.write(lambda connection: erasure.erase(connection, GONE)) == {"approvals": 1}
    assert names(await database.read(content), GONE) == []


@pytest.mark.parametrize("state", ["pending", "unknown"])
async def test_nothing_goes_while_a_call_is_in_doubt(database: Database, state: str) -> None:
    def begun(connection: Connection) -> None:
        fill(connection, GONE)
        row = {column.name: cell(tables.CALLS, column, GONE) for column in tables.CALLS.columns}
        connection.execute(insert(tables.CALLS), [{**row, "call_id": "other", "core_key": "other", "native_id": "other"}])
        connection.execute(update(tables.CALLS).where(tables.CALLS.c.call_id == "other").values(state=state))

    await database.write(begun)
    before = await database.read(content)
    with pytest.raises(StillInDoubt):
        await database.write(lambda connection: erasure.erase(connection, GONE))
    assert await database.read(content) == before


async def test_nothing_goes_while_the_person_is_stopped(database: Database) -> None:
    def engaged(connection: Connection) -> None:
        fill(connection, GONE)
        row = {column.name: cell(tables.KILL_SWITCHES, column, GONE) for column in tables.KILL_SWITCHES.columns}
        lifts = dict.fromkeys(("first_lift_by", "first_lift_us", "lifted_by", "lifted_us"))
        connection.execute(insert(tables.KILL_SWITCHES), [{**row, **lifts, "id": "kill_2"}])

    await database.write(engaged)
    before = await database.read(content)
    with pytest.raises(StillStopped):
        await database.write(lambda connection: erasure.erase(connection, GONE))
    assert await database.read(content) == before
