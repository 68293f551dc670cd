"""Ends what a crash, a timeout or a dead dependency left open, and does the log's chores: checkpoints and the census.

Every intent gets exactly one end state, and with it every hold on a limit is posted or given back, from two truths only: the log says what
was intended, the core says what was done.
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
from audit.census import census_of
from audit.committer import IntentEnded
from audit.leaf import EndState, Plain, Record, RecordKind
from audit.log import Log, LogUnavailable
from audit.store.reads import OpenIntent
from gateway.calls.chores import alarmed
from gateway.calls.history import history_of
from gateway.calls.pipeline import CallPipeline
from gateway.calls.record import Records
from gateway.domain.alarms import Alarm, Chore
from gateway.domain.errors import Unavailable
from gateway.domain.ports import Book
from gateway.domain.request import core_key
from gateway.domain.states import RELEASED, CallState, SettledAs

GRACE = timedelta(seconds=45)
"""Older than this, an intent is not under way any more: its permit lived for 30 s."""

LATE_MOST = timedelta(seconds=30)
"""How long a call is looked for each second that was told that nothing happened."""

PUBLISH_EVERY_S = 1
SWEEP_EVERY_S = 30
CENSUS_EVERY_S = 60

_LOG = logging.getLogger("tellergate.recovery")

STATE_OF_END: Mapping[EndState, SettledAs] = {
    EndState.EXECUTED: CallState.POSTED,
    EndState.REJECTED_BY_CORE: CallState.VOIDED,
    EndState.NOT_ATTEMPTED: RELEASED,
    EndState.OUTCOME_UNKNOWN: CallState.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What one sweep did: intents ended, still unknown; and claims that are open without an open intent, which no crash leaves behind."""

    ended: int = 0
    unknown: int = 0
    not_in_log: int = 0


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
        ended = unknown = 0
        claims = [row.call_id for row in await self.book.unsettled(before)]
        intents = await self.log.open_intents()
        for intent in intents:
            if datetime.fromisoformat(intent.time) < before:
                if await self.end(intent):
                    ended += 1
                else:
                    unknown += 1
        not_in_log = 0
        for call_id in {*claims} - {intent.call_id for intent in intents}:
            if await self._is_not_in_log(call_id):
                not_in_log += 1
                _LOG.log(*Alarm.CALL_NOT_IN_LOG.line(call_id=call_id))
        return SweepResult(ended, unknown, not_in_log)

    async def _is_not_in_log(self, call_id: str) -> bool:
        """Whether a claim is open without an open intent, now: somebody else may have ended both since they were read."""
        row = await self.book.find(call_id)
        if row is None or row.state not in (CallState.PENDING, CallState.UNKNOWN):
            return False
        story = await history_of(self.log, call_id)
        return story is None or story.is_ended

    async def end(self, intent: OpenIntent) -> bool:
        """Ask the core what became of an intent, record its end and settle its claim. False while the core does not know either."""
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
                return False
        with contextlib.suppress(IntentEnded):  # somebody else was quicker; the log holds their word
            await self._record(intent, state)
        return True

    async def _status(self, key: str) -> CoreAnswer | NotSeen:
        try:
            return await self.core.status(key)
        except CoreUnavailable:
            raise Unavailable("core_unavailable") from None

    async def _record(self, intent: OpenIntent, state: EndState) -> None:
        claimed = await self.book.find(intent.call_id)
        settling = self.book.settling(intent.call_id, STATE_OF_END[state], self.clock())
        await self.records.ended(claimed, intent, state, settling, at=self.clock())

    async def census(self, since: datetime) -> None:
        """One record of how much there was: the log's own counts beside the core's, so that neither can hide from the other."""
        counters = self.records.counters
        facts: dict[str, Plain] = {
            **(await census_of(self.log)).facts(),
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
            if pipeline.late:
                with alarmed(Chore.LATE):
                    await self._end_late(pipeline)
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

    async def _end_late(self, pipeline: CallPipeline) -> None:
        """End what was committed after its caller had been told that nothing happened. What does not come in time is left to the sweep."""
        for intent in await self.log.open_intents():
            if intent.call_id in pipeline.late and await self.end(intent):
                del pipeline.late[intent.call_id]
        before = self.clock() - LATE_MOST
        for call_id in [call_id for call_id, at in pipeline.late.items() if at < before]:
            del pipeline.late[call_id]
