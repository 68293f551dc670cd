"""A database, and the two ways to it: questions that only read, and one lane that writes.

Every statement of this project is written once, against a SQLAlchemy `Connection`. SQLite runs it on the event loop, where it costs
less than handing it to a thread; PostgreSQL runs it in a greenlet that waits for asyncpg. The log, the gateway's store and the sandbox
bank each have a database of their own: a file, or a schema.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from audit.store.prepared import Asked

LOCK_WAIT_S = 5.0
"""How long a writer waits for another process's lock. Beyond it nothing was written."""

LONG_READS = 2
"""Long reads of one SQLite file at once; others wait for a thread, and hold nobody else up."""

MAKING = 7_310_824_401
"""The advisory lock of PostgreSQL under which schemas and tables are made: several processes may start at once."""

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
    "busy_timeout=20",
    # 64 MiB each: with the defaults (4 MiB of log, 2 MiB of cache) every fourth commit of a busy log copies its pages back
    "wal_autocheckpoint=16384",
    "cache_size=-65536",
)

T = TypeVar("T")


class DatabaseUnavailable(Exception):
    """The database cannot be reached, or another process kept its lock for `LOCK_WAIT_S`. Nothing was written."""


class Lane(Protocol):
    """The one connection of a process that writes: one transaction after the other, each `begin`, `run`s, `commit` or `rollback`.

    Durability: `commit` returns when what was written survives a crash. Concurrency: not for two tasks at once; other processes may
    have a lane on the same database. Errors: DatabaseUnavailable (nothing was written), SQLAlchemyError; after an error of `commit`
    nobody knows. Every error is followed by `rollback`, which does not raise.
    """

    async def begin(self) -> None: ...

    async def run(self, work: Callable[[Connection], T]) -> T: ...

    async def commit(self) -> None: ...

    async def rollback(self) -> None: ...

    async def alone(self, work: Callable[[Connection], T]) -> T | None:
        """Instead of a transaction: work of questions and one statement that changes something, which commits itself. None where that
        saves nothing, and nothing was done. After an error of SQLAlchemy's nobody knows, save an IntegrityError."""

    async def close(self) -> None: ...


class Database(Protocol):
    """Durability: what `write` or a lane committed. Concurrency: any task of one event loop. Retry: reads may be repeated. Errors:
    SQLAlchemy's OperationalError when it does not answer, with statements and parameters left out.
    """

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Ask as part of a call: quick statements, each of which sees what is committed."""

    async def ask(self, question: Asked[T]) -> T:
        """The same for a question of one statement, which costs less so."""

    async def read_long(self, question: Callable[[Connection], T]) -> T:
        """Ask beside the calls, without holding them up, over one snapshot: of a whole log, say."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """One small transaction beside the lane, for what is seldom written: one after the other, so what many callers write at once
        goes by a lane. It is made although its caller is cancelled. DatabaseUnavailable when its turn does not come in `LOCK_WAIT_S`."""

    async def overwrite_deleted(self) -> None:
        """Leave nothing of deleted rows where this process can help it: SQLite empties its write-ahead log, whose file itself is
        overwritten by `secure_delete`; on PostgreSQL dead rows wait for vacuum."""

    def lane(self) -> Lane: ...

    async def create(self) -> None:
        """Make the file or the schema, if it is not there."""

    async def close(self) -> None: ...


class SqliteDatabase:
    """One SQLite file: WAL, `synchronous=FULL` (a commit returns after fsync), deleted content overwritten.

    Nothing here waits on the loop: not for a connection, since there is no pool; not for a lock, which is tried and tried again; not for
    the disk, which commits wait for in a thread.
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)  # private from its first byte on
        self._engine = open_sqlite(path)
        self._reader = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._beside = SqliteLane(self._engine)
        self._turn = asyncio.Lock()
        # Of its own: whoever reads long takes no thread from another database, nor from the names that the process looks up
        self._long = ThreadPoolExecutor(max_workers=LONG_READS, thread_name_prefix="long-read")

    async def read(self, question: Callable[[Connection], T]) -> T:
        return question(self._reader)

    async def ask(self, question: Asked[T]) -> T:
        return question.of(self._reader)

    async def read_long(self, question: Callable[[Connection], T]) -> T:
        def ask() -> T:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                return question(connection)

        return await asyncio.get_running_loop().run_in_executor(self._long, ask)

    async def write(self, work: Callable[[Connection], T]) -> T:
        # A task of its own: a caller that is cancelled must not let go of a connection whose commit is under way in a thread
        writing = asyncio.ensure_future(self._transaction(work))
        writing.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # whether or not anybody still listens
        return await asyncio.shield(writing)

    async def _transaction(self, work: Callable[[Connection], T]) -> T:
        try:
            async with asyncio.timeout(LOCK_WAIT_S):
                await self._turn.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        try:
            await self._beside.begin()
            done = await self._beside.run(work)
            await self._beside.commit()
            return done
        finally:
            await self._beside.rollback()  # after a commit there is nothing to undo
            self._turn.release()

    async def overwrite_deleted(self) -> None:
        def empty() -> None:
            with self._engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

        await asyncio.get_running_loop().run_in_executor(self._long, empty)

    def lane(self) -> Lane:
        return SqliteLane(self._engine)

    async def create(self) -> None:
        """It was made when it was opened."""

    async def close(self) -> None:
        await self._beside.close()
        await asyncio.to_thread(self._long.shutdown)
        await asyncio.to_thread(self._reader.close)
        self._engine.dispose()


class SqliteLane:
    """Statements run on the loop; only the commit, which waits for the disk, runs in a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")

    async def begin(self) -> None:
        """At once for writing: a lock that is taken late can only fail."""
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            if self._connection is None:
                self._connection = await asyncio.get_running_loop().run_in_executor(self._executor, self._opened)
            try:
                self._connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                await self.rollback()
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable from error
                await asyncio.sleep(0.005)

    def _opened(self) -> Connection:
        connection = self._engine.connect()
        connection.exec_driver_sql("PRAGMA busy_timeout=0")  # the loop waits for a lock, not SQLite inside a statement
        connection.rollback()
        return connection

    async def run(self, work: Callable[[Connection], T]) -> T:
        if self._connection is None:
            raise RuntimeError("run follows begin")
        return work(self._connection)

    async def commit(self) -> None:
        if self._connection is None:
            raise RuntimeError("commit follows begin")
        await asyncio.get_running_loop().run_in_executor(self._executor, self._connection.commit)

    async def alone(self, _work: Callable[[Connection], T]) -> T | None:
        """The beginning of a transaction costs nothing here, and its commit must not run on the loop."""
        return None

    async def rollback(self) -> None:
        if self._connection is not None:
            try:
                self._connection.rollback()
            except SQLAlchemyError:
                self._connection.invalidate()
                self._connection = None

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:  # whoever is the last to close a file writes its log back
            end = connection.invalidate if connection.in_transaction() else connection.close
            await asyncio.get_running_loop().run_in_executor(self._executor, end)
        await asyncio.to_thread(self._executor.shutdown)


def open_sqlite(path: Path) -> Engine:
    """An engine over one SQLite file. Its connections may be handed between threads, one at a time."""
    # No pool: one that is used up would be waited for on the loop. Who asks often keeps a connection.
    engine = create_engine(
        f"sqlite+pysqlite:///{path}", connect_args={"check_same_thread": False}, hide_parameters=True, poolclass=NullPool
    )

    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", prepare)
    return engine
