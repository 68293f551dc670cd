"""Where the tests keep their databases: in files of the test's folder, or, with `pytest --database postgresql`, in a database for each
such folder, made from a template that holds the tables and the seeded bank.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import Connection, delete, insert, select, text

from audit.migration import prepare
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.domain.mandate import MandateVerifier
from gateway.store.book import SqlBook
from tests.support.postgres import Server, server

T = TypeVar("T")

ADMIN = "postgres"


class Kept:
    """Which kind is used, and the databases made so far. One for the whole run of the tests."""

    kind = "sqlite"
    made: dict[Path, str] = {}  # noqa: RUF012
    lent: dict[Path, str] = {}  # noqa: RUF012
    free: list[str] = []  # noqa: RUF012


def places(folder: Path) -> DatabaseLocations:
    """Where a gateway with this data folder keeps its databases."""
    return DatabaseLocations(folder, url(folder))


def url(folder: Path) -> str:
    """The PostgreSQL database of this folder, made when first asked for; empty for files."""
    return "" if Kept.kind == "sqlite" else postgresql(folder)


def postgresql(folder: Path) -> str:
    """A PostgreSQL database for this folder, whatever the kind of this run."""
    name = Kept.made.get(folder)
    if name is None:
        name = Kept.made[folder] = f"t_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
        administer(f'CREATE DATABASE "{name}"')
    return server().url(name)


def lent(folder: Path) -> str:
    """A PostgreSQL database for this folder, whatever the kind of this run, in which the gateway's tables stand empty: one that an
    earlier test gave back, where there is one, since making it takes ten times as long as emptying it.
    """
    if folder not in Kept.lent:
        if Kept.free:
            Kept.lent[folder] = Kept.free.pop()
        else:
            address = postgresql(folder)
            Kept.lent[folder] = Kept.made.pop(folder)
            in_a_thread(_prepare_gateway(DatabaseLocations(folder, address)))
    return server().url(Kept.lent[folder])


async def _prepare_gateway(locations: DatabaseLocations) -> None:
    database = locations.open(DatabaseName.GATEWAY, name="tests")
    await prepare(database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=False)
    await database.close()


def drop(below: Path | None) -> None:
    """After a test: the databases of its folders, and of folders that are gone."""

    def is_over(folder: Path) -> bool:
        return not folder.parent.exists() or (below is not None and folder.is_relative_to(below))

    for folder in filter(is_over, list(Kept.made)):
        administer(f'DROP DATABASE "{Kept.made.pop(folder)}" WITH (FORCE)')
    for folder in filter(is_over, list(Kept.lent)):
        name = Kept.lent.pop(folder)
        administer(_EMPTIED, within=name)
        Kept.free.append(name)


_TABLES = HISTORIES[DatabaseName.GATEWAY].tables.sorted_tables
_EMPTIED = f"""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET session_replication_role = replica;
    {"".join(f'DELETE FROM {DatabaseName.GATEWAY.value}."{table.name}";' for table in _TABLES)}
"""
"""Without triggers, which would refuse most of it. The role is this connection's own, and goes with it."""


def sql(folder: Path, part: DatabaseName, statement: str, **values: object) -> int:
    """Run a statement on a database of this folder, beside whatever uses it, and commit. How many rows it changed."""

    def work(connection: Connection) -> int:
        said = statement if connection.dialect.name == "sqlite" else _in_postgresql(statement)
        return connection.execute(text(said), values).rowcount

    return on_database(folder, part, work)


def _in_postgresql(statement: str) -> str:
    """The few things that tests say in SQLite's words."""
    for ours, theirs in (
        (r"zeroblob\((\d+)\)", r"decode(repeat('00', \1), 'hex')"),
        (r"x'([0-9a-f]+)'", r"decode('\1', 'hex')"),
        (r"cast\((replace\()(\w+)(, [^)]*\)[^)]*) as blob\)", r"convert_to(\1convert_from(\2, 'LATIN1')\3, 'LATIN1')"),
        (r"\bchar\(10\)", "chr(10)"),
    ):
        statement = re.sub(ours, theirs, statement)
    return statement


async def book_in(folder: Path, key: MandateVerifier, *, duplicate_window_s: int = 1) -> SqlBook:
    """The book of calls of this folder, wherever its database is."""
    database = places(folder).open(DatabaseName.GATEWAY, name="tests")
    await prepare(database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=False)
    return SqlBook(database, mandate_key=key, duplicate_window_s=duplicate_window_s)


Dump = dict[str, list[dict[str, Any]]]


def dump(folder: Path, part: DatabaseName) -> Dump:
    """Every row of a database: a backup of it."""
    tables = HISTORIES[part].tables.sorted_tables
    return on_database(
        folder,
        part,
        lambda connection: {table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in tables},
    )


def restore(folder: Path, part: DatabaseName, backup: Dump) -> None:
    """Put a backup in the place of what is there."""

    def work(connection: Connection) -> None:
        for table in HISTORIES[part].tables.sorted_tables:
            connection.execute(delete(table))
            if backup[table.name]:
                connection.execute(insert(table), backup[table.name])

    on_database(folder, part, work)


def discard(folder: Path, part: DatabaseName) -> None:
    """As if the database had never been made."""
    if Kept.kind == "sqlite":
        places(folder).file(part).unlink()
    else:
        on_database(folder, part, lambda connection: connection.execute(text(f"DROP SCHEMA {part.value} CASCADE")))


def sqlite_only(why: str) -> pytest.MarkDecorator:
    """Not on PostgreSQL, and why."""
    return pytest.mark.skipif("config.getoption('--database') != 'sqlite'", reason=why)


def on_database(folder: Path, part: DatabaseName, work: Callable[[Connection], T]) -> T:
    """In a transaction of its own, in a thread with a loop of its own, as another process would do it."""

    async def write() -> T:
        database = places(folder).open(part, name="tests")
        try:
            return await database.write(work)
        finally:
            await database.close()

    return in_a_thread(write())


def in_a_thread(work: Coroutine[Any, Any, T]) -> T:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


def administer(statement: str, on: Server | None = None, within: str = ADMIN) -> None:
    """Run a statement on the server itself, outside of any transaction; or several within a database, in one."""

    async def run() -> None:
        connection = await asyncpg.connect((on or server()).url(within))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    in_a_thread(run())
