"""Ends what a crash, a timeout or a dead dependency left open, and does the log's chores: checkpoints and the census.

Every intent gets exactly one end state, and every hold on a limit is posted or given back, from two truths only: the log says what was
intended, the core says what was done.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.core import CoreAnswer, CoreBank, CoreUnavailable, Declined, Done, NotSeen, Unknown
from audit.catching_up import EACH_SECOND_MOST, catch_up
from audit.committer import IntentEnded
from audit.leaf import EndState, Record, RecordKind
from audit.log import Log, LogUnavailable
from audit.store.reads import OpenIntent
from gateway.calls.chores import alarmed
from gateway.calls.pipeline import CallPipeline
from gateway.calls.record import Records, history_of
from gateway.domain.alarms import Chore
from gateway.domain.errors import Unavailable
from gateway.domain.ports import Book
from gateway.domain.request import core_key
from gateway.domain.stages import RecordPosition
from gateway.domain.states import RELEASED, CallState, SettledAs

GRACE = timedelta(seconds=45)
"""Older than this, an intent is not under way any more: its permit lived for 30 s."""

PUBLISH_EVERY_S = 1
SWEEP_EVERY_S = 30
CENSUS_EVERY_S = 60

_LOG = logging.getLogger("tellergate.recovery")

_STATE_OF_END: Mapping[str, SettledAs] = {
    EndState.EXECUTED.value: CallState.POSTED,
    EndState.REJECTED_BY_CORE.value: CallState.VOIDED,
    EndState.NOT_ATTEMPTED.value: RELEASED,
}


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What one sweep did: reservations without an intent given back, settled from the log, intents ended, still unknown."""

    released: int = 0
    settled: int = 0
    ended: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    book: Book
    core: CoreBank
    log: Log
    records: Records
    clock: Callable[[], datetime]

    async def sweep(self, *, grace: timedelta = GRACE) -> SweepResult:
        """Once over everything that has been open for longer than `grace`. Unavailable when a dependency does not answer."""
        before = self.clock() - grace
        released = settled = ended = unknown = 0
        # First the book's open rows, then the log's open intents: an intent without a row was taken late, and is found by the second.
        for row in await self.book.unsettled(before):
            story = await history_of(self.log, row.call_id)
            await self.book.expect_outcome(row.call_id, self.clock())
            if story is None or story.intent is None:
                # to ask burns the key: a process that only stood still, and goes on now, cannot act on what is given back here
                if isinstance(await self._status(row.core_key), NotSeen):
                    await self.book.settle(row.call_id, RELEASED, self.clock())
                    released += 1
            elif story.end_state is not None and story.end_state in _STATE_OF_END:
                await self.book.settle(row.call_id, _STATE_OF_END[story.end_state], self.clock())
                settled += 1
        for intent in await self.log.open_intents():
            if datetime.fromisoformat(intent.time) < before:
                if await self.end(intent):
                    ended += 1
                else:
                    unknown += 1
        return SweepResult(released, settled, ended, unknown)

    async def end(self, intent: OpenIntent) -> bool:
        """Ask the core what became of an intent and record its end. False while the core does not know either.

        Recorded first, settled second: a crash between the two is settled from the log by the next sweep.
        """
        await self.book.expect_outcome(intent.call_id, self.clock())
        match await self._status(core_key(intent.call_id)):
            case Done():
                state = EndState.EXECUTED
            case Declined():
                state = EndState.REJECTED_BY_CORE
            case NotSeen():
                state = EndState.NOT_ATTEMPTED
            case Unknown():
                if intent.end_state is None:
                    await self._record(intent, EndState.OUTCOME_UNKNOWN)
                    await self.book.settle(intent.call_id, CallState.UNKNOWN, self.clock())
                return False
        with contextlib.suppress(IntentEnded):  # somebody else was quicker; the log holds their word
            await self._record(intent, state)
        await self.book.settle(intent.call_id, _STATE_OF_END[state.value], self.clock())
        return True

    async def _status(self, key: str) -> CoreAnswer | NotSeen:
        try:
            return await self.core.status(key)
        except CoreUnavailable:
            raise Unavailable("core_unavailable") from None

    async def _record(self, intent: OpenIntent, state: EndState) -> None:
        await self.records.ended(
            intent.call_id,
            await self.book.find(intent.call_id),
            RecordPosition(intent.index, intent.leaf_hash),
            state,
            was_unknown=intent.end_state is not None,
            at=self.clock(),
        )

    async def census(self, since: datetime) -> None:
        """One record of how much there was: the log's own counts beside the core's, so that neither can hide from the other."""
        counts = await self.log.counts_since(since)
        facts = {f"recorded_{kind.replace('.', '_')}": count for kind, count in sorted(counts.items())}
        counters = self.records.counters
        facts |= {
            "core_executed": await self.core.executed(since),
            "open_intents": len(await self.log.open_intents()),
            "rate_limited": counters.rate_limited,
            "unauthenticated": counters.unauthenticated,
            "since_us": int(since.timestamp() * 1e6),
        }
        counters.rate_limited = counters.unauthenticated = 0
        try:
            await self.log.append(Record(kind=RecordKind.CENSUS, time=self.clock(), facts=facts))
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error

    async def run(self, pipeline: CallPipeline) -> None:
        """The chores, until cancelled. A chore that fails is logged and tried again at its next turn."""
        last_census = self.clock()
        for second in itertools.count(1):
            await asyncio.sleep(PUBLISH_EVERY_S)
            with alarmed(Chore.PUBLISH):
                await self.log.publish()
            with alarmed(Chore.AUDITORS_INDEX):
                await catch_up(self.log, most=EACH_SECOND_MOST)
            if pipeline.unrecorded:
                with alarmed(Chore.UNRECORDED):
                    await self._end_unrecorded(pipeline)
            if second % SWEEP_EVERY_S == 0:
                with alarmed(Chore.SWEEP):
                    await self.sweep()
            if second % CENSUS_EVERY_S == 0:
                with alarmed(Chore.CENSUS):
                    now = self.clock()
                    await self.census(last_census)
                    last_census = now

    async def _end_unrecorded(self, pipeline: CallPipeline) -> None:
        intents = {intent.call_id: intent for intent in await self.log.open_intents()}
        for call_id in sorted(pipeline.unrecorded):
            if call_id not in intents or await self.end(intents[call_id]):
                pipeline.unrecorded.discard(call_id)
