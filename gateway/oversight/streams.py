"""The trail goes to receivers outside as it grows: at least once, in order, resumed where the receiver's last acknowledgement was.

A record leaves once a published checkpoint covers it and its leaf has the hash that the tree has. Nothing waits for a receiver: its
stream falls behind, and nothing of it is ever passed over but by an operator's word on record. Must never send what `audit.streams.record`
does not allow.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

import orjson

from audit.log import Log
from audit.merkle import leaf_hash
from audit.store.reads import LogCorrupt, Reads
from audit.store.streams import StreamPosition, advance_stream, begin, fail_stream, position_of, release, take, time_of
from audit.streams.formats import StreamFormat, line_of
from audit.streams.record import PseudonymForm, StreamRecord, StreamView, allowed
from audit.streams.selection import Takes
from gateway.domain.alarms import Alarm

LEASE_MS = 60_000
"""So long who took a stream may send it alone: longer than one batch takes, with all that goes with it."""

SEND_MOST_S = 20.0
"""A batch that is not acknowledged by then has failed."""

READ_AT_ONCE = 2_000
"""Leaves that are looked through for one batch."""

AGAIN_MOST_S = 300.0
"""Back-off, and after so long an alarm is said again."""

_LOG = logging.getLogger("tellergate.streams")


class StreamNotTaken(Exception):
    """The receiver did not acknowledge. `why`: in words of ours, nothing of its answer. `refused`: it takes these very records never, or
    not so many. `retry_after_s`: it asked to be left alone for so long."""

    def __init__(self, why: str, *, refused: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(why)
        self.why, self.refused, self.retry_after_s = why, refused, retry_after_s


class StreamLine(NamedTuple):
    """A record, and the line that leaves of it, without its end."""

    record: StreamRecord
    line: bytes


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """Lines in the order of their records. `id`: the same for the same records of the same stream, however often they are sent."""

    id: str
    lines: Sequence[StreamLine]


class StreamReceiver(Protocol):
    """Where a stream goes.

    Durability: what it acknowledges is the receiver's. Concurrency: one `send` at a time. Retry: the caller's, with the same records first.
    Errors: StreamNotTaken, and then any part of the batch may have arrived.
    """

    async def send(self, batch: StreamBatch) -> int:
        """How many of the first records were acknowledged: all, or fewer where the receiver says so."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream, as the settings say it. `takes` None: every record. `from_beginning`: with what the log has already."""

    name: str
    format: StreamFormat
    receiver: StreamReceiver
    takes: Takes | None = None
    pseudonyms: PseudonymForm = PseudonymForm.HASHED
    from_beginning: bool = False
    records_most: int = 500
    bytes_most: int = 1_048_576
    behind_alarm_s: int = 300


@dataclass(frozen=True, slots=True)
class StreamStanding:
    """How a stream stood when this process last looked. `behind`: records that its receiver has yet to acknowledge, or that the stream has
    yet to pass over; `behind_s`: the age of the oldest of them, in seconds."""

    name: str
    upto: int
    behind: int
    behind_s: float
    failures: int
    error: str | None


class _Part(NamedTuple):
    lines: Sequence[StreamLine]
    end: int


@dataclass(slots=True, kw_only=True)
class Streams:
    """All streams of a process. Any number of processes may have the same: who has a stream's lease sends it."""

    log: Log
    streams: Sequence[Stream]
    holder: str
    version: str
    clock: Callable[[], datetime]
    jitter: Callable[[], float] = random.random
    standings: dict[str, StreamStanding] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    """Records acknowledged to this process, by stream."""
    _told: dict[str, float] = field(default_factory=dict)

    async def step(self, stream: Stream) -> bool:
        """Look, and send one batch if it is this process's turn; whether there is more to send now. LogUnavailable, LogCorrupt."""
        seen, published = await self._look(stream)
        now_ms = self._now_ms()
        if seen.upto >= published or seen.again_ms > now_ms:
            return False
        held = await self.log.write(lambda connection: take(connection, stream.name, self.holder, now_ms, now_ms + LEASE_MS))
        if held is None or held.again_ms > now_ms or held.upto >= published:
            return False
        part = await self._part(stream, held, published)
        try:
            upto = await self._sent(stream, part)
        except StreamNotTaken as failed:
            return await self._failed(stream, held, part, failed)
        now_ms = self._now_ms()
        moved = await self.log.write(lambda connection: advance_stream(connection, held, upto, now_ms, now_ms + LEASE_MS))
        if moved:
            self._told.pop(f"refused {stream.name}", None)
            self.sent[stream.name] = self.sent.get(stream.name, 0) + sum(line.record.index < upto for line in part.lines)
        return moved and upto < published

    async def close(self) -> None:
        """Let go of the leases and of the receivers. LogUnavailable."""
        for stream in self.streams:
            await stream.receiver.close()
        await self.log.write(lambda connection: release(connection, self.holder))

    async def _look(self, stream: Stream) -> tuple[StreamPosition, int]:
        """Where the stream is, which begins with the first look, and how many records are published. The standing is renewed."""

        def ask(reads: Reads) -> tuple[StreamPosition | None, int, int, str | None]:
            found, published = position_of(reads.connection, stream.name), reads.published_size()
            head = reads.head()
            oldest = None if found is None else time_of(reads.connection, found.upto)
            return found, published, 0 if head is None else head.size, oldest

        found, published, size, oldest = await self.log.read(ask)
        if found is None:
            start = 0 if stream.from_beginning else published
            await self.log.write(lambda connection: begin(connection, stream.name, start))
            found, published, size, oldest = await self.log.read(ask)
        if found is None:
            raise LogCorrupt("the cursor of a stream is gone")
        age_s = 0.0 if oldest is None else max((self.clock() - datetime.fromisoformat(oldest)).total_seconds(), 0.0)
        behind = max(size - found.upto, 0)
        standing = StreamStanding(stream.name, found.upto, behind, age_s, found.failures, found.error)
        self.standings[stream.name] = standing
        if age_s > stream.behind_alarm_s:
            cause = found.error or "none"
            self._say(
                f"behind {stream.name}", Alarm.STREAM_BEHIND.line(stream=stream.name, records=behind, age_s=int(age_s), cause=cause)
            )
        else:
            self._told.pop(f"behind {stream.name}", None)
        return found, published

    async def _part(self, stream: Stream, held: StreamPosition, published: int) -> _Part:
        """What is to be sent next: lines of at most so many records and bytes, one at least, and where the stream is behind them."""
        most = stream.records_most if held.narrowed is None else min(held.narrowed, stream.records_most)
        until = min(published, held.upto + READ_AT_ONCE)
        stored = await self.log.read_long(lambda reads: list(reads.leaves(held.upto, until)))

        def made() -> _Part:
            lines, size = list[StreamLine](), 0
            view = StreamView(self.log.origin, stream.name, stream.pseudonyms)
            for item in stored:
                if leaf_hash(item.leaf) != item.hash:
                    raise LogCorrupt(f"the leaf at {item.idx} is not what was signed")
                leaf: Mapping[str, object] = orjson.loads(item.leaf)
                if stream.takes is not None and not stream.takes(leaf):
                    continue
                record = allowed(item.idx, item.hash, leaf, view)
                line = line_of(stream.format, record, self.version)
                size += len(line) + 1
                if lines and (len(lines) == most or size > stream.bytes_most):
                    return _Part(lines, item.idx)
                lines.append(StreamLine(record, line))
            return _Part(lines, until)

        return await asyncio.to_thread(made)

    async def _sent(self, stream: Stream, part: _Part) -> int:
        """Where the stream stands now. StreamNotTaken."""
        if not part.lines:
            return part.end
        first, last = part.lines[0].record.index, part.lines[-1].record.index
        named = "\n".join((self.log.origin, stream.name, str(first), str(last), str(len(part.lines))))
        batch = StreamBatch(hashlib.sha256(named.encode()).hexdigest()[:32], part.lines)
        try:
            async with asyncio.timeout(SEND_MOST_S):
                count = await stream.receiver.send(batch)
        except TimeoutError:
            raise StreamNotTaken("no acknowledgement in time") from None
        if not 0 <= count <= len(part.lines):
            raise StreamNotTaken("acknowledges what was not sent")
        if count == 0:
            raise StreamNotTaken("acknowledges nothing")
        return part.end if count == len(part.lines) else part.lines[count].record.index

    async def _failed(self, stream: Stream, held: StreamPosition, part: _Part, failed: StreamNotTaken) -> bool:
        """A refused batch is halved until the one record is found that is refused; that one is tried again and again, and alarmed."""
        first, count = part.lines[0].record.index, len(part.lines)
        halved, again_s = failed.refused and count > 1, 0.0
        if not halved:
            again_s = max(min(AGAIN_MOST_S, 2.0 ** min(held.failures, 16)) * (0.5 + self.jitter() / 2), failed.retry_after_s)
        if failed.refused and not halved:
            line = Alarm.STREAM_REFUSED.line(stream=stream.name, record=first, cause=failed.why)
            self._say(f"refused {stream.name}", line)
        why = f"record {first}: {failed.why}" if failed.refused else failed.why
        most = max(count // 2, 1) if failed.refused else held.narrowed
        again_ms = (now_ms := self._now_ms()) + int(again_s * 1000)
        await self.log.write(lambda connection: fail_stream(connection, held, why, now_ms, again_ms=again_ms, most=most))
        return halved

    def _say(self, about: str, line: tuple[int, str]) -> None:
        """Once, and again only where it stays for long."""
        now_s = self.clock().timestamp()
        if now_s - self._told.get(about, 0.0) >= AGAIN_MOST_S:
            self._told[about] = now_s
            _LOG.log(*line)

    def _now_ms(self) -> int:
        return int(self.clock().timestamp() * 1000)
