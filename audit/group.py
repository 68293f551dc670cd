"""One writer over one database: whatever waits is committed as one transaction.

Owns the connection that writes, the queue before it and the order of groups. Must never know what is written: `apply` does. The
gateway's store and the sandbox bank use it too.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from audit.database import DatabaseUnavailable, Lane
from audit.keyring import SignerUnavailable

GROUP_MOST = 256
"""Items of one transaction: bounds how long the statements of a group may hold the event loop."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Alone = Callable[[Connection], "Sequence[Answer | Exception] | None"]


class WriterFull(Exception):
    """`capacity` items wait already. Nothing was written; try later."""


class WriterClosed(Exception):
    """The writer was closed. Nothing was written."""


class CommitUnknown(Exception):
    """The commit raised: the item may or may not be durable. Read the database to know."""


class GroupWriter(Generic[Item, Answer]):
    """Commits whatever waits as one transaction, in the order of `submit`.

    `apply(connection, items)` makes the writes of a group inside the open transaction and returns one answer per item. An
    exception that it returns for an item goes to that item's caller only, and means that its writes were not made. If it raises,
    the group is rolled back and every item is tried alone, in a transaction of its own.
    `alone(items)` may give work that writes the group by one statement, for a lane to which that saves something; it answers None where
    it wrote nothing after all. `before()` is awaited first: what a group must wait for while it holds no lock.
    `committed(answers)` is called after a commit and before the callers hear of it; `failed()` after each transaction that was
    rolled back or whose commit raised, so that what `apply` keeps in memory can be dropped.

    Durability: an answer is given after the commit. Concurrency: one event loop, one lane of the database; other processes may have
    theirs. No timer: a lone item is written at once. Retry: what raised WriterFull, WriterClosed or DatabaseUnavailable may be submitted
    again; after CommitUnknown look first. `most`: items of one transaction.
    """

    def __init__(
        self,
        lane: Lane,
        apply: Callable[[Connection, Sequence[Item]], Sequence[Answer | Exception]],
        *,
        alone: "Callable[[Sequence[Item]], Alone[Answer] | None] | None" = None,
        before: Callable[[], Awaitable[None]] | None = None,
        committed: Callable[[Sequence[Answer | Exception]], None] | None = None,
        failed: Callable[[], None] | None = None,
        capacity: int = 4096,
        most: int = GROUP_MOST,
    ) -> None:
        self._lane = lane
        self._apply = apply
        self._alone = alone
        self._before = before
        self._grouped: Callable[[int, float], None] | None = None
        self._committed = committed
        self._failed = failed
        self._capacity = capacity
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
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

    @property
    def waiting(self) -> int:
        """Items that wait for the next group."""
        return len(self._waiting)

    def observe(self, grouped: Callable[[int, float], None]) -> None:
        """From now on `grouped` hears of each group: how many items it had, and how many seconds it took, whatever became of it."""
        self._grouped = grouped

    async def close(self) -> None:
        """Take no more items, write those that wait, and let go of the lane."""
        self._closed = True
        if self._running is not None:
            await self._running
        await self._lane.close()

    async def _run(self) -> None:
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))]
            begun = time.perf_counter()
            await self._write_group(group)
            if self._grouped is not None:
                self._grouped(len(group), time.perf_counter() - begun)
        # No await stands between the test above and this line, so no item can slip in unseen.
        self._running = None

    async def _write_group(self, group: list[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        try:
            answers = await self._write([item for item, _ in group])
        except Exception as error:  # noqa: BLE001  the writer's group: whatever went wrong fails futures, not the writer
            if len(group) > 1 and not isinstance(error, (CommitUnknown, DatabaseUnavailable, SignerUnavailable)):
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
        if self._before is not None:
            await self._before()
        return await self._write_alone(items) or await self._write_transaction(items)

    async def _write_alone(self, items: list[Item]) -> Sequence[Answer | Exception] | None:
        work = None if self._alone is None else self._alone(items)
        if work is None:
            return None
        is_over = False
        try:
            answers = await self._lane.alone(work)
            is_over = True
        except IntegrityError:  # nothing was written
            raise
        except SQLAlchemyError as error:
            raise CommitUnknown from error
        finally:
            if not is_over and self._failed is not None:
                self._failed()
        if answers is not None and self._committed is not None:
            self._committed(answers)
        return answers

    async def _write_transaction(self, items: list[Item]) -> Sequence[Answer | Exception]:
        await self._lane.begin()
        try:
            answers = await self._lane.run(lambda connection: self._apply(connection, items))
            if len(answers) != len(items):
                raise RuntimeError("apply must answer every item")
        except Exception:
            await self._undo()
            raise
        try:
            await self._lane.commit()
            if self._committed is not None:
                self._committed(answers)
        except Exception as error:
            await self._undo()
            raise CommitUnknown from error
        return answers

    async def _undo(self) -> None:
        await self._lane.rollback()
        if self._failed is not None:
            self._failed()
