"""`DeclaredCore`: a core that calls declared functions at their upstream, and passes everything else to the core behind it.

An instruction to the upstream goes in this order:

    1  the permit covers exactly its bytes
    2  the journal notes it as sent, durably; a key that is there already is answered from the journal
    3  it is sent, with its key
    4  what was understood is noted and answered: done, or declined by a status that the manifest lists
    5  anything else, once a byte may have gone, is Unknown, and the row stays `sent`

It is sent again under the same key only where the manifest says that the upstream acts once for one key, and only with a permit.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast
from weakref import WeakValueDictionary

from adapters.alarms import CoreAlarm
from adapters.core import (
    CallUpstream,
    CoreAnswer,
    CoreBank,
    CoreUnavailable,
    Declined,
    Done,
    ExecutionPermit,
    Instruction,
    NotSeen,
    PermitVerifier,
    Unknown,
)
from adapters.declared.conversion import NotAnAnswer, output_of
from adapters.declared.declarations import Declared, StatusQuestion
from adapters.declared.journal import Journal, JournalRow
from adapters.declared.paths import NotASegment
from adapters.declared.requests import UpstreamRequest, request_of, status_question
from adapters.declared.upstream import AnswerLost, NotSent, Response, Upstream

SKEW = timedelta(seconds=5)
"""So long after a permit's end its key is not asked for: what was sent may still arrive."""

_TRIES = 2
_OURS = frozenset({"submit", "status", "executed", "is_near"})
_LOG = logging.getLogger("tellergate.upstream")


def open_declared(
    behind: CoreBank,
    functions: Sequence[Declared],
    upstream: Upstream,
    *,
    journal: Path,
    permits: PermitVerifier,
    clock: Callable[[], datetime],
) -> tuple[CoreBank, "DeclaredCore"]:
    """The core, as the port and as itself. Its questions, and all other instructions, are those of the core behind. Called on the loop on
    which it is used: what is watched of the upstream begins."""
    upstream.start()
    core = DeclaredCore(behind, functions, upstream, Journal(journal), permits, clock=clock)
    return cast(CoreBank, core), core


class DeclaredCore:
    """A `CoreBank`: the port says what each method does. Close it with `close`; the core behind is closed by whoever opened it."""

    def __init__(
        self,
        behind: CoreBank,
        functions: Sequence[Declared],
        upstream: Upstream,
        journal: Journal,
        permits: PermitVerifier,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._behind = behind
        self._functions: Mapping[str, Declared] = {function.name: function for function in functions}
        self._upstream = upstream
        self._journal = journal
        self._permits = permits
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        for name in vars(CoreBank):
            if not name.startswith("_") and name not in _OURS:
                setattr(self, name, partial(self._ask, name))

    @property
    def is_near(self) -> bool:
        return self._behind.is_near

    async def _ask(self, name: str, *arguments: object, **named: object) -> object:
        return await getattr(self._behind, name)(*arguments, **named)

    async def close(self) -> None:
        """Close the journal and the upstream's connections."""
        await self._upstream.close()
        await asyncio.to_thread(self._journal.close)

    async def submit(self, instruction: Instruction, permit: ExecutionPermit) -> CoreAnswer:
        """As the module says. Cancelling it leaves the row as it is."""
        if not isinstance(instruction.order, CallUpstream):
            if await asyncio.to_thread(self._journal.find, instruction.key) is not None:
                self._permits.verify(permit, instruction.canonical(), self._clock())
                return Declined("DUPL")
            return await self._behind.submit(instruction, permit)
        self._permits.verify(permit, instruction.canonical(), self._clock())
        async with self._lock(instruction.key):
            return await self._submit(instruction, instruction.order, permit)

    async def status(self, key: str) -> CoreAnswer | NotSeen:
        """What became of this key: from the journal; of what was sent without a known end, from the upstream, where it can be asked."""
        lock = self._locks.get(key)
        if lock is not None and lock.locked():
            return Unknown("on its way")
        row = await asyncio.to_thread(self._journal.find, key)
        if row is None or row.state == "burned":
            answer = await self._behind.status(key)
            if answer != NotSeen():
                return answer  # an instruction of the core behind; a key of ours was burned there just now
            row = await asyncio.to_thread(self._journal.burn, key, self._clock())
            if row is None:
                return NotSeen()
        if row.state == "unsent":
            row = await asyncio.to_thread(self._journal.burn, key, self._clock()) or row
            if row.state == "unsent":
                return NotSeen()
        return row.answer if row.answer is not None else await self._asked(row)

    async def executed(self, since: datetime) -> int:
        """Both counts."""
        return await self._behind.executed(since) + await asyncio.to_thread(self._journal.done_since, since)

    # An instruction

    def _lock(self, key: str) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())

    async def _submit(self, told: Instruction, order: CallUpstream, permit: ExecutionPermit) -> CoreAnswer:
        digest = hashlib.sha256(told.canonical()).digest()
        known = await asyncio.to_thread(self._journal.find, told.key)
        if known is not None and known.digest != digest:
            return Declined("DUPL")
        if known is not None and known.answer is not None:
            return known.answer
        prepared = self._prepared(told, order)
        row = JournalRow(told.key, digest, order.function, told.customer, "sent", None, permit.expires)
        may_repeat = self._upstream.address.honours_idempotency
        standing = await asyncio.to_thread(partial(self._journal.claim, row, self._clock(), may_repeat=may_repeat))
        if standing is not None:
            return _standing(standing, digest)
        if isinstance(prepared, Declined):
            return await self._ended(told.key, prepared)
        function, request = prepared
        was_sent = known is not None and known.state == "sent"
        return await self._sent(told, function, request, permit, was_sent=was_sent)

    async def _sent(
        self, told: Instruction, function: Declared, request: UpstreamRequest, permit: ExecutionPermit, *, was_sent: bool
    ) -> CoreAnswer:
        """Send it, and once more where the upstream acts once for one key. `was_sent`: a byte may have gone before."""
        left_s = min(function.timeout_ms / 1000, (permit.expires - self._clock()).total_seconds())
        deadline = asyncio.get_running_loop().time() + left_s
        why = ""
        for _ in range(_TRIES if self._upstream.address.honours_idempotency else 1):
            within_s = deadline - asyncio.get_running_loop().time()
            try:
                if within_s <= 0:
                    raise NotSent("no time is left")
                response = await self._upstream.send(request, told.customer, told.key, within_s=within_s)
            except NotSent as nothing:
                why = why or str(nothing)
                break
            except AnswerLost as lost:
                was_sent, why = True, str(lost)
                continue
            answer = _understood(function, response)
            if answer is not None:
                return await self._ended(told.key, answer)
            was_sent, why = True, f"status_{response.status}"
        if was_sent:
            return _in_doubt(why)
        await asyncio.to_thread(self._journal.end, told.key, "unsent", self._clock())
        raise CoreUnavailable(why)

    def _prepared(self, told: Instruction, order: CallUpstream) -> Declined | tuple[Declared, UpstreamRequest]:
        """The request; Declined for what no request can be made of, before anything is sent."""
        function = self._functions.get(order.function)
        if function is None:
            return Declined("AG01")
        try:
            return function, request_of(function, order.arguments, told.customer)
        except NotASegment:
            return Declined("AG01")

    async def _ended(self, key: str, answer: Done | Declined) -> CoreAnswer:
        state = "done" if isinstance(answer, Done) else "declined"
        await asyncio.to_thread(self._journal.end, key, state, self._clock(), answer)
        return answer

    # What became of it

    async def _asked(self, row: JournalRow) -> CoreAnswer | NotSeen:
        function = self._functions.get(row.function)
        if self._clock() < row.permit_ends + SKEW:
            return Unknown("on its way")
        if function is None or function.status is None:
            return Unknown("the upstream cannot be asked")
        asked = function.status
        try:
            response = await self._upstream.ask(status_question(asked, row.key, row.customer), row.customer)
        except NotASegment:
            return Unknown("not a key that can be asked for")
        said = _said(asked, response)
        if said in asked.never:
            await asyncio.to_thread(self._journal.end, row.key, "burned", self._clock())
            return NotSeen()
        if said in asked.declined:
            return await self._ended(row.key, Declined(asked.declined[said]))
        output = _output(function, response) if said in asked.done else None
        return Unknown(f"status_{said}") if output is None else await self._ended(row.key, Done(output))


def _said(asked: StatusQuestion, response: Response) -> int:
    """The status, or the code for the word by which a tool says it; 0 for any other word."""
    if asked.tool is None or response.status != 200:
        return response.status
    try:
        value = response.json()
    except NotAnAnswer:
        return 0
    word = value.get(asked.at) if isinstance(value, Mapping) else None
    return asked.words.get(word, 0) if isinstance(word, str) else 0


def _standing(row: JournalRow, digest: bytes) -> CoreAnswer:
    if row.digest != digest or row.state == "burned":
        return Declined("DUPL")
    return Unknown("sent before") if row.answer is None else row.answer


def _in_doubt(why: str) -> Unknown:
    _LOG.log(*CoreAlarm.UPSTREAM_OUTCOME_UNKNOWN.line(cause=why))
    return Unknown(why)


def _understood(function: Declared, response: Response) -> Done | Declined | None:
    """What the answer to an instruction says; None when it cannot be known."""
    if response.status in function.declined:
        return Declined(function.declined[response.status])
    output = _output(function, response) if response.status in function.done else None
    return None if output is None else Done(output)


def _output(function: Declared, response: Response) -> Mapping[str, object] | None:
    """What fits of the answer's fields: that it happened is never lost over a field. None when it is no JSON at all."""
    if response.status == 204 or (not response.body and not function.answer.fields):
        return {}
    try:
        return output_of(function.answer, response.json(), is_lenient=True)
    except NotAnAnswer:
        return None
