"""`Database` on PostgreSQL, by asyncpg: one schema each, any number of processes at once.

Imported only where a PostgreSQL address is configured; needs the extra `postgresql`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from audit.addresses import DatabaseAddress
from audit.database import LOCK_WAIT_S, MAKING, DatabaseUnavailable, Lane
from audit.postgres_hosts import Primary
from audit.store.prepared import Asked

ANSWER_WAIT_S = 10.0
"""How long the server may take to connect, or to answer one statement of a call."""

LONG_ANSWER_WAIT_S = 600.0
"""The same for one statement of a long read: an export, a verification."""

READERS = 6
"""Connections for questions, per database and process."""

LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE of a lock that was not had within `lock_timeout`."""

_OF_THE_DRIVER = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)  # TimeoutError is an OSError

T = TypeVar("T")


class PostgresDatabase:
    """One schema of a PostgreSQL database.

    Transactions are READ COMMITTED; whoever needs more locks a row and sees after that what others have committed. The session asks for
    `synchronous_commit`, whatever the server's default is. A process that stops inside a transaction loses its locks after
    `LOCK_WAIT_S`; one that is killed loses them at once.
    """

    def __init__(
        self, address: DatabaseAddress, schema: str, *, name: str, beside: Sequence[str] = (), synchronous: bool = False
    ) -> None:
        """`name` is the process's, as the server shows it. `beside`: schemas whose tables its transactions may change as well.
        `synchronous`: every connection is to a server whose commits a standby has as well, or is refused."""
        url = address.url.set(drivername="postgresql+asyncpg")
        chosen = {"async_creator_fn": Primary(address.hosts, synchronous=synchronous).connect}
        lock_wait_ms = str(int(LOCK_WAIT_S * 1000))
        session = {
            "search_path": ", ".join((schema, *beside)),
            "application_name": name[:63],
            "synchronous_commit": "on",
            "jit": "off",
            "lock_timeout": lock_wait_ms,
            "idle_in_transaction_session_timeout": lock_wait_ms,
        }

        def engine(most: int, answer_wait_s: float, isolation: str) -> AsyncEngine:
            made = create_async_engine(
                url,
                connect_args={
                    **(chosen if address.hosts or synchronous else {}),
                    "server_settings": session,
                    "timeout": ANSWER_WAIT_S,
                    "command_timeout": answer_wait_s,
                },
                isolation_level=isolation,
                pool_size=most,
                max_overflow=0,
                pool_timeout=LOCK_WAIT_S,
                hide_parameters=True,
            )
            event.listen(made.sync_engine, "checkout", _only_open)
            return made

        self._writing = engine(3, ANSWER_WAIT_S, "READ COMMITTED")
        self._reading = engine(READERS, ANSWER_WAIT_S, "AUTOCOMMIT")
        self._readers = _Readers(self._reading.sync_engine)
        self._long = engine(2, LONG_ANSWER_WAIT_S, "REPEATABLE READ")
        self._schema = schema

    async def read(self, question: Callable[[Connection], T]) -> T:
        return await self._readers.of(lambda connection: greenlet_spawn(_asked, connection, question))

    async def ask(self, question: Asked[T]) -> T:
        return question.answer(
            await self._readers.of(lambda connection: question.statement.fetched(connection, question.parameters))
        )

    async def read_long(self, question: Callable[[Connection], T]) -> T:
        return await _in_greenlet(self._long.sync_engine, question)

    async def write(self, work: Callable[[Connection], T]) -> T:
        def transaction(connection: Connection) -> T:
            with connection.begin():
                return work(connection)

        return await _in_greenlet(self._writing.sync_engine, transaction)

    async def overwrite_deleted(self) -> None:
        """Dead rows wait for the server's vacuum."""

    def lane(self) -> Lane:
        return _PostgresLane(self._writing.sync_engine)

    async def create(self) -> None:
        """Asks first, since a role that may not make schemas may not even say IF NOT EXISTS."""
        there = text("SELECT 1 FROM pg_namespace WHERE nspname = :schema")
        if await self.read(lambda connection: connection.execute(there, {"schema": self._schema}).first()) is None:

            def make(connection: Connection) -> None:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({MAKING})"))  # IF NOT EXISTS alone fails for two at once
                connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"'))

            await self.write(make)

    async def close(self) -> None:
        await self._readers.close()
        for engine in (self._writing, self._reading, self._long):
            await engine.dispose()


class _Readers:
    """Connections for questions, kept between them: to take one from the pool and give it back costs as much as an answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._free = asyncio.Semaphore(READERS)
        self._idle: list[Connection] = []

    async def of(self, asking: Callable[[Connection], Awaitable[T]]) -> T:
        """What is answered over one of them. OperationalError when none is free within `LOCK_WAIT_S`."""
        if self._free.locked():
            try:
                async with asyncio.timeout(LOCK_WAIT_S):
                    await self._free.acquire()
            except TimeoutError as error:
                raise OperationalError(None, None, error) from error
        else:
            await self._free.acquire()  # at once
        connection: Connection | None = None
        try:
            with _operational():
                connection = await self._had()
                answer = await asking(connection)
            self._idle.append(connection)
            connection = None
        finally:
            try:
                await _let_go(connection)  # one that failed, or whose caller went away, may not be used again
            finally:
                self._free.release()
        return answer

    async def _had(self) -> Connection:
        """One that is open: when a server goes all of them end, and each that was kept would fail one question of a customer's."""
        while self._idle:
            connection = self._idle.pop()
            if _is_open(connection):
                return connection
            await _let_go(connection)
        opened: Connection = await greenlet_spawn(self._engine.connect)
        return opened

    async def close(self) -> None:
        while self._idle:
            await _let_go(self._idle.pop())


def _asked(connection: Connection, question: Callable[[Connection], T]) -> T:
    answer = question(connection)
    if connection.in_transaction():  # SQLAlchemy's own notion: the server knows of none
        connection.rollback()
    return answer


class _PostgresLane:
    """Keeps one connection; drops it after any error, since a connection that failed may have lost its transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._committing = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._alone: Connection | None = None

    async def begin(self) -> None:
        """The server hears of the transaction with its first statement."""
        if self._connection is not None and not _is_open(self._connection):
            await self._drop()
        try:
            if self._connection is None:
                with _operational():
                    self._connection = await greenlet_spawn(self._engine.connect)
            self._connection.begin()
        except OperationalError as error:
            await self._drop()
            raise DatabaseUnavailable from error

    async def run(self, work: Callable[[Connection], T]) -> T:
        with _operational():
            done: T = await greenlet_spawn(work, self._connected())
        return done

    async def commit(self) -> None:
        with _operational():
            await greenlet_spawn(self._connected().commit)

    async def rollback(self) -> None:
        await self._drop()

    async def alone(self, work: Callable[[Connection], T]) -> T | None:
        """Begin and commit would each cost a round trip."""
        if self._alone is not None and not _is_open(self._alone):
            gone, self._alone = self._alone, None
            await _let_go(gone)
        try:
            if self._alone is None:
                with _operational():
                    self._alone = await greenlet_spawn(self._committing.connect)
        except OperationalError as error:
            raise DatabaseUnavailable from error
        connection, self._alone = self._alone, None
        try:
            with _operational():
                done: T = await greenlet_spawn(work, connection)
            self._alone = connection
        finally:
            if self._alone is None:  # one that failed may not be used again
                await _let_go(connection)
        return done

    async def close(self) -> None:
        await self._drop()
        connection, self._alone = self._alone, None
        await _let_go(connection)

    def _connected(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("begin comes first")
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        await _let_go(connection)


def _only_open(_of_pool: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    """Have the pool open another connection in the place of one that the server ended."""
    if record.driver_connection is None or record.driver_connection.is_closed():
        raise DisconnectionError


def _is_open(connection: Connection) -> bool:
    """Whether the server has not ended it: what the driver knows already, without asking."""
    if connection.invalidated:  # to ask it for its connection would open another
        return False
    driver = connection.connection.driver_connection
    return driver is not None and not driver.is_closed()


async def _let_go(connection: Connection | None) -> None:
    if connection is None:
        return
    if not _is_open(connection):
        connection.invalidate()  # and not back to the pool, where the next one would find it
        connection.close()
        return
    try:
        with _operational():
            await greenlet_spawn(connection.rollback)
            await greenlet_spawn(connection.close)
    except SQLAlchemyError:
        connection.invalidate()


async def _in_greenlet(engine: Engine, question: Callable[[Connection], T]) -> T:
    def ask() -> T:
        with engine.connect() as connection:
            return question(connection)

    with _operational():
        answer: T = await greenlet_spawn(ask)
    return answer


@contextmanager
def _operational() -> Iterator[None]:
    """What the driver raises before SQLAlchemy sees it, or past it, becomes SQLAlchemy's; a lock that was not had, DatabaseUnavailable."""
    try:
        yield
    except SQLAlchemyError as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) == LOCK_NOT_AVAILABLE:
            raise DatabaseUnavailable from error
        if isinstance(error, PoolTimeout):
            raise OperationalError(None, None, error) from error
        raise
    except asyncpg.LockNotAvailableError as error:
        raise DatabaseUnavailable from error
    except asyncpg.IntegrityConstraintViolationError as error:
        raise IntegrityError(None, None, error, hide_parameters=True) from error
    except _OF_THE_DRIVER as error:
        raise OperationalError(None, None, error) from error
