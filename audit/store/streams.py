"""Statements over how far each stream of the trail to others got. The caller owns the transaction.

A cursor moves only from where its holder read it, and only while it is held: whoever lost the lease moves nothing, and what it sent
meanwhile is sent again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Update, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Row

from audit.store.tables import leaves, streams

ERROR_MOST = 200

NARROWED_MOST = 8_192
"""From here on a batch that was narrowed is as wide as the settings say."""


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """How far a stream got. `upto`: the first record that its receiver has not acknowledged; `begun_at`: the first that was for it. Times
    in milliseconds since 1970; `error` and `failed_ms` of the last failure, None since it was made good."""

    name: str
    upto: int
    begun_at: int
    acknowledged_ms: int | None
    holder: str | None
    held_until_ms: int
    failures: int
    again_ms: int
    error: str | None
    failed_ms: int | None
    narrowed: int | None


def positions(connection: Connection) -> Sequence[StreamPosition]:
    """Of every stream that ever began, by name."""
    return [_position(row) for row in connection.execute(select(streams).order_by(streams.c.name))]


def position_of(connection: Connection, name: str) -> StreamPosition | None:
    """None before it began."""
    row = connection.execute(select(streams).where(streams.c.name == name)).first()
    return None if row is None else _position(row)


def begin(connection: Connection, name: str, start: int) -> None:
    """A stream begins at this record, unless it has begun: several processes may say so."""
    made = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"name": name, "upto": start, "begun_at": start, "held_until_ms": 0, "failures": 0, "again_ms": 0}
    connection.execute(made(streams).values(**values).on_conflict_do_nothing())


def take(connection: Connection, name: str, holder: str, now_ms: int, until_ms: int) -> StreamPosition | None:
    """The lease of a stream for this holder: its position; None while another has it."""
    mine = (streams.c.holder == holder) | (streams.c.held_until_ms < now_ms) | streams.c.holder.is_(None)
    held = update(streams).where(streams.c.name == name, mine).values(holder=holder, held_until_ms=until_ms)
    return position_of(connection, name) if connection.execute(held).rowcount == 1 else None


def advance_stream(connection: Connection, before: StreamPosition, upto: int, now_ms: int, until_ms: int) -> bool:
    """The receiver acknowledged what is below `upto`: the cursor stands there, and the lease goes on. False where it stood elsewhere, or
    another has the lease: then nothing is changed."""
    wider = None if before.narrowed is None or before.narrowed >= NARROWED_MOST else before.narrowed * 2
    values = {"upto": upto, "acknowledged_ms": now_ms, "held_until_ms": until_ms, "failures": 0, "again_ms": 0}
    moved = _mine(before).values(**values, error=None, failed_ms=None, narrowed=wider)
    return connection.execute(moved).rowcount == 1


def fail_stream(
    connection: Connection, before: StreamPosition, error: str, now_ms: int, *, again_ms: int, most: int | None
) -> bool:
    """The receiver did not take what was sent: tried again from `again_ms` on, by whoever is first, with at most so many records."""
    values = {"failures": before.failures + 1, "again_ms": again_ms, "error": error[:ERROR_MOST], "failed_ms": now_ms}
    return connection.execute(_mine(before).values(**values, narrowed=most, held_until_ms=0)).rowcount == 1


def release(connection: Connection, holder: str) -> None:
    """Whoever is next need not wait for the end of these leases."""
    connection.execute(update(streams).where(streams.c.holder == holder).values(holder=None, held_until_ms=0))


def skip(connection: Connection, name: str, index: int) -> bool:
    """The stream goes on behind this record, without it. False unless it stands there."""
    passed = update(streams).where(streams.c.name == name, streams.c.upto == index)
    values = {"upto": index + 1, "failures": 0, "again_ms": 0, "error": None, "failed_ms": None, "narrowed": None}
    return connection.execute(passed.values(**values)).rowcount == 1


def time_of(connection: Connection, index: int) -> str | None:
    """The time that a record says, RFC 3339; None where there is none."""
    return connection.execute(select(leaves.c.time).where(leaves.c.idx == index)).scalar()


def _mine(before: StreamPosition) -> Update:
    return update(streams).where(streams.c.name == before.name, streams.c.holder == before.holder, streams.c.upto == before.upto)


def _position(row: Row[*tuple[object, ...]]) -> StreamPosition:
    return StreamPosition(**row._mapping)
