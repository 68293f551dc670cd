"""How far the streams of the trail to others are, for people: the same for the command and for the page of the log's state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from audit.leaf import rfc3339
from audit.log import Log
from audit.store.reads import Reads
from audit.store.streams import StreamPosition, positions, time_of


@dataclass(frozen=True, slots=True)
class NamedStream:
    """A stream of the settings: the form of its lines, and where they go, without what a path or a query might keep secret."""

    name: str
    format: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """Of a stream that began. `behind`: records that its receiver has yet to acknowledge, the oldest of which is `behind_s` seconds old.
    `sent_until`: so long the process that has it may send; None: none has it now. Times as RFC 3339."""

    name: str
    next_record: int
    began_at: int
    behind: int
    behind_s: int | None
    acknowledged: str | None
    failures: int
    error: str | None
    failed: str | None
    sent_until: str | None


async def stream_facts(log: Log) -> tuple[int, Sequence[StreamFacts]]:
    """The size of the log, and every stream that ever began, by name. LogUnavailable."""
    size, _ = await log.head()
    now = log.now()

    def ask(reads: Reads) -> Sequence[StreamFacts]:
        return [_facts(item, size, time_of(reads.connection, item.upto), now) for item in positions(reads.connection)]

    return size, await log.read_long(ask)


def _facts(item: StreamPosition, size: int, oldest: str | None, now: datetime) -> StreamFacts:
    age_s = None if oldest is None else max(int((now - datetime.fromisoformat(oldest)).total_seconds()), 0)
    is_held = item.holder is not None and item.held_until_ms > now.timestamp() * 1000
    return StreamFacts(
        name=item.name,
        next_record=item.upto,
        began_at=item.begun_at,
        behind=max(size - item.upto, 0),
        behind_s=age_s,
        acknowledged=_moment(item.acknowledged_ms),
        failures=item.failures,
        error=item.error,
        failed=_moment(item.failed_ms),
        sent_until=_moment(item.held_until_ms) if is_held else None,
    )


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(datetime.fromtimestamp(at_ms / 1000, UTC))
