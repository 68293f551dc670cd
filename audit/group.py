"""One writer over one database: whatever waits is committed as one transaction.

Owns the connection that writes, the queue before it and the order of groups. Must never know what is written: `apply` does. The
gateway's store and the sandbox bank use it too.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

GROUP_MOST = 256
"""Items of one transaction: bounds how long the statements of a group may hold the event loop."""

LOCK_WAIT_S = 5.0
"""How long the writer asks for SQLite's write lock before it gives up; another process holds it for a millisecond."""

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

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class WriterFull(Exception):
    """`capacity` items wait already. Nothing was written; try later."""


class WriterClosed(Exception):
    """The writer was closed. Nothing was written."""


class WriterBusy(Exception):
    """Another process kept the database's write lock for `LOCK_WAIT_S`. Nothing was written."""


class CommitUnknown(Exception):
    """The commit raised: the item may or may not be durable. Read the database to know."""


def open_sqlite(path: Path) -> Engine:
    """An engine over one SQLite file: WAL, `synchronous=FULL` (a commit returns after fsync), deleted content overwritten.

    Its connections may be handed between threads, one at a time.
    """
    engine = create_engine(f"sqlite+pysqlite:///{path}", connect_args={"check_same_thread": False})

    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", prepare)
    return engine


class GroupWriter(Generic[Item, Answer]):
    """Commits whatever waits as one transaction, in the order of `submit`.

    `apply(connection, items)` makes the writes of a group inside the open transaction and returns one answer per item. An
    exception that it returns for an item goes to that item's caller only, and means that its writes were not made. If it raises,
    the group is rolled back and every item is tried alone, in a transaction of its own.
    `committed(answers)` is called after a commit and before the callers hear of it; `failed()` after each transaction that was
    rolled back or whose commit raised, so that what `apply` keeps in memory can be dropped.

    Durability: an answer is given after the commit. Concurrency: one event loop; statements run on it, since they are CPU work, and
    only the commit waits in a thread. No timer: a lone item is written at once. Retry: what raised WriterFull, WriterClosed or
    WriterBusy may be submitted again; after CommitUnknown look first.
    """

    def __init__(
        self,
        engine: Engine,
        apply: Callable[[Connection, Sequence[Item]], Sequence[Answer | Exception]],
        *,
        committed: Callable[[Sequence[Answer | Exception]], None] | None = None,
        failed: Callable[[], None] | None = None,
        capacity: int = 4096,
    ) -> None:
        self._engine = engine
        self._apply = apply
        self._committed = committed
        self._failed = failed
        self._capacity = capacity
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._connection: Connection | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, item: Item) -> Answer:
        """Write `item` and return its answer once durable. Cancelling the caller neither stops nor loses the item."""
        if self._closed:
            raise WriterClosed
        if len(self._waiting) >= self._capacity:
            raise WriterFull
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        # Whoever cancels the caller cancels this future only; the item waits in the queue and is written all the same.
        return await future

    async def close(self) -> None:
        """Take no more items, write those that wait, and let go of the connection."""
        self._closed = True
        if self._running is not None:
            await self._running
        self._drop_connection()
        self._executor.shutdown(wait=True)

    async def _run(self) -> None:
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_MOST))]
            await self._write_group(group)
        # No await stands between the test above and this line, so no item can slip in unseen.
        self._running = None

    async def _write_group(self, group: list[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        try:
            answers = await self._write([item for item, _ in group])
        except Exception as error:  # noqa: BLE001  the writer's group: whatever went wrong fails futures, not the writer
            if len(group) > 1 and not isinstance(error, (CommitUnknown, WriterBusy)):
                for single in group:
                    await self._write_group([single])
                return
            answers = [error] * len(group)
        for (_, future), answer in zip(group, answers, strict=True):
            if future.cancelled():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def _write(self, items: list[Item]) -> Sequence[Answer | Exception]:
        connection = await self._begin()
        try:
            answers = self._apply(connection, items)
            if len(answers) != len(items):
                raise RuntimeError("apply must answer every item")
        except Exception:
            self._undo(connection)
            raise
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, connection.commit)
            if self._committed is not None:
                self._committed(answers)
        except Exception as error:
            self._undo(connection)
            raise CommitUnknown from error
        return answers

    async def _begin(self) -> Connection:
        """Open the transaction. On SQLite at once for writing: a lock that is taken late can only fail."""
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            if self._connection is None:
                self._connection = self._engine.connect()
            try:
                if self._engine.dialect.name == "sqlite":
                    self._connection.exec_driver_sql("BEGIN IMMEDIATE")
                return self._connection
            except OperationalError as error:
                self._undo(self._connection)
                if time.monotonic() > deadline:
                    raise WriterBusy from error
                await asyncio.sleep(0.005)

    def _undo(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except SQLAlchemyError:
            self._drop_connection()
        if self._failed is not None:
            self._failed()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.invalidate() if self._connection.in_transaction() else self._connection.close()
            self._connection = None
