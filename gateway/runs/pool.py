"""The runs that this process has: taken up when they begin or are due, kept by saying so, let go when it stops.

Any number of processes share one database: each run is had by one of them, under a lease. One that is paused for longer than its lease
finds its runs lost, and writes nothing more of them.
"""

import asyncio
import contextlib
import logging
import secrets
import traceback
from dataclasses import dataclass, field

from gateway.domain.alarms import Alarm
from gateway.domain.errors import Unavailable
from gateway.domain.states import RunState
from gateway.runs.loop import LEASE, RunDependencies, RunDriver
from gateway.store.run_leases import FreeLeases, LeaseRuns, RenewLeases, is_any_due
from gateway.store.runs import Run

LOOK_S = 0.2
"""How often this process looks whether a run is due."""

RENEW_S = 4.0

_LOG = logging.getLogger("tellergate.runs")


@dataclass(slots=True)
class _LeasedRun:
    task: asyncio.Task[None]
    cancelled: asyncio.Event


@dataclass(slots=True)
class RunPool:
    """`most`: runs that this process drives at once; others wait until one ends."""

    parts: RunDependencies
    most: int
    lease: str = field(default_factory=lambda: secrets.token_hex(16))
    _having: dict[str, _LeasedRun] = field(default_factory=dict)
    _is_closed: bool = False

    @property
    def has_room(self) -> bool:
        return not self._is_closed and len(self._having) < self.most

    @property
    def driven(self) -> int:
        """Runs that are driven now."""
        return len(self._having)

    def take_up(self, run: Run) -> None:
        """Drive a run that was written with our lease."""
        if run.id in self._having:
            return
        if self._is_closed:  # it is due, for others, when the lease is over
            self.parts.broadcast.break_off(run.id)
            return
        cancelled = asyncio.Event()
        task = asyncio.create_task(self._drive(RunDriver(self.parts, run, self.lease, cancelled)))
        self._having[run.id] = _LeasedRun(task, cancelled)
        task.add_done_callback(lambda _: self._having.pop(run.id, None))

    def cancelled(self, run: str) -> None:
        """Somebody cancelled it; if we have it, it ends now."""
        if (having := self._having.get(run)) is not None:
            having.cancelled.set()

    async def run(self) -> None:
        """Take up what is due, and keep what we have, until cancelled."""
        now = asyncio.get_running_loop().time
        renewed = now()
        while True:
            try:
                await self.take_due()
                if now() - renewed > RENEW_S:
                    renewed = now()
                    await self.renew()
            except Unavailable as unavailable:
                _LOG.log(*Alarm.RUN_WAITS.line(cause=unavailable.reason))
            await asyncio.sleep(LOOK_S)

    async def take_due(self) -> int:
        """Take up the runs that are due, as many as there is room for; how many."""
        at, room = self.parts.clock(), self.most - len(self._having)
        if not self.has_room or not await self.parts.book.read(lambda connection: is_any_due(connection, at)):
            return 0
        due = await self.parts.book.write(LeaseRuns(self.lease, at, at + LEASE, room))
        for item in due:
            self.take_up(item)
        return len(due)

    async def renew(self) -> None:
        """Say that we still have our runs; end those that were cancelled elsewhere, drop those that we have lost."""
        ours = tuple(self._having)
        if not ours:
            return
        states = await self.parts.book.write(RenewLeases(self.lease, ours, self.parts.clock() + LEASE))
        for run in ours:
            state = states.get(run)
            having = self._having.get(run)
            if having is None:
                continue
            if state is None:
                having.task.cancel()
            elif state is RunState.CANCELLING:
                having.cancelled.set()

    async def free(self) -> None:
        """At the start of the only process: whatever was had by the one before is due."""
        await self.parts.book.write(FreeLeases(self.parts.clock()))

    async def close(self) -> None:
        """Stop, and let go of everything: others may go on with it at once. The pipeline's own effects go on to their end.

        Nothing is taken up afterwards. It may be called again.
        """
        self._is_closed = True
        having = dict(self._having)
        for item in having.values():
            item.task.cancel()
        await asyncio.gather(*(item.task for item in having.values()), return_exceptions=True)
        if having:
            with contextlib.suppress(Unavailable):
                await self.parts.book.write(RenewLeases(self.lease, tuple(having), self.parts.clock()))

    async def _drive(self, loop: RunDriver) -> None:
        """What a dependency does not answer is tried again when the lease is over; a defect ends the run."""
        try:
            await loop.drive()
        except Unavailable as unavailable:
            _LOG.log(*Alarm.RUN_WAITS.line(cause=unavailable.reason))
        except Exception as error:  # noqa: BLE001  # whatever it was, the thread must not stay locked by it
            where = traceback.extract_tb(error.__traceback__)[-1]
            _LOG.log(*Alarm.DEFECT.line(error=type(error).__name__, at=f"{where.name}:{where.lineno or 0}", request_id=None))
            with contextlib.suppress(Unavailable):
                await loop.break_down()
        finally:
            self.parts.broadcast.break_off(loop.run.id)
