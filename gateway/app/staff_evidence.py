"""Exports and erasures that people ask for on the operations listener.

Each runs in a thread with a loop and a log of its own, as a command has them in its process: no call waits for one, and it does what the
command does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from audit.database import DatabaseUnavailable
from audit.erasure import Certificate
from audit.keyring import KeyStorage
from audit.log import Log, LogUnavailable
from audit.query import Why
from gateway.app.databases import DatabaseLocations, open_log
from gateway.app.erasing import Agreed, erase_customer
from gateway.app.handover import Handover, NotHandedOver
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.doors.faults import too_often
from gateway.oversight.erasing import ErasureOrder
from gateway.oversight.evidence import ExportOrder, export_ordered, refuse_absent

AT_ONCE = 2
"""Exports and erasures together, in each process; of one person one."""

RETRY_S = 30

T = TypeVar("T")

_Work = Callable[[Log], Coroutine[Any, Any, T]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffEvidence:
    """`storage`: the gateway's keys, which it opened."""

    places: DatabaseLocations
    storage: KeyStorage
    clock: Callable[[], datetime]
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE, thread_name_prefix="evidence"))
    _busy: "dict[str, asyncio.Future[Any]]" = field(default_factory=dict)
    _open: set[Handover] = field(default_factory=set)

    async def export(self, order: ExportOrder, why: Why, agreed: Agreed) -> tuple[AsyncIterator[bytes], Callable[[], None]]:
        """The parts of the bundle, and what is called when its reader has them or goes. What fails before the first part is raised here:
        NothingKnown, ValueError for a checkpoint or records that are none, RequestFault, Unavailable. Later the parts end early, and that
        is on record."""
        loop = asyncio.get_running_loop()
        handover = Handover(loop)

        async def work(log: Log) -> None:
            await refuse_absent(log, order, why)
            await _there(loop, agreed, order.subject())
            await export_ordered(log, order, why, handover)

        working, parts = self._begun(why.auditor, work), handover.parts()
        self._open.add(handover)
        working.add_done_callback(lambda _: self._ended(handover))
        try:
            first = await anext(parts)
        except NotHandedOver:
            await _answered(working)
            raise
        except asyncio.CancelledError:
            handover.abandon()
            raise
        return _whole(first, parts, working), handover.abandon

    def _ended(self, handover: Handover) -> None:
        handover.ended.set()
        self._open.discard(handover)

    async def erase(self, order: ErasureOrder, why: Why, agreed: Agreed) -> Certificate:
        """As the command does it, and to its end, also where nobody waits for it any more. One of `gateway.oversight.erasing.OBSTACLES`,
        RequestFault, Unavailable: then nothing was destroyed."""
        loop, is_agreed = asyncio.get_running_loop(), False

        async def used(subject: Mapping[str, object]) -> None:
            nonlocal is_agreed
            await _there(loop, agreed, subject)
            is_agreed = True

        async def work(log: Log) -> Certificate:
            return await erase_customer(self.places, log, order, why, used)

        try:
            return await _answered(self._begun(why.auditor, work))
        except Unavailable as error:
            if not is_agreed:
                raise
            message = "the databases do not answer, and the erasure may be done in part: ask, approve and do it again"
            raise RequestFault(Fault.UNAVAILABLE, message) from error

    def _begun(self, person: str, work: _Work[T]) -> "asyncio.Future[T]":
        if person in self._busy or len(self._busy) >= AT_ONCE:
            raise too_often(RETRY_S)
        working = asyncio.get_running_loop().run_in_executor(self._threads, asyncio.run, self._alone(work))
        self._busy[person] = working
        working.add_done_callback(lambda done: (self._busy.pop(person), done.cancelled() or done.exception()))
        return working

    async def _alone(self, work: _Work[T]) -> T:
        log = await open_log(self.places, writer_id="evidence", clock=self.clock, may_upgrade=False, storage=self.storage)
        try:
            return await work(log)
        finally:
            await log.close()

    async def close(self) -> None:
        """Who still reads gets no more; what was begun ends, and is on record."""
        for handover in tuple(self._open):
            handover.abandon()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
        self._threads.shutdown(wait=False)


async def _there(loop: asyncio.AbstractEventLoop, agreed: Agreed, subject: Mapping[str, object]) -> None:
    """On the gateway's loop, from a thread's."""

    async def asking() -> None:
        await agreed(subject)

    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asking(), loop))


async def _answered(working: "asyncio.Future[T]") -> T:
    try:
        return await asyncio.shield(working)
    except (LogUnavailable, DatabaseUnavailable, SQLAlchemyError, UnsafeSettings, OSError) as error:
        raise Unavailable("audit_unavailable") from error


async def _whole(first: bytes, rest: AsyncIterator[bytes], working: "asyncio.Future[None]") -> AsyncIterator[bytes]:
    """The parts, and then the end of who wrote them: after the last one the person may ask for the next bundle. NotHandedOver."""
    yield first
    async for part in rest:
        yield part
    await asyncio.wait({working})
    if working.exception() is not None:
        raise NotHandedOver("the writer failed after the last part")
