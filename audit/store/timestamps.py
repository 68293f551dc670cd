"""Statements over the time stamps of published checkpoints. The caller owns the transaction.

Nothing here is believed: a token counts where somebody verifies it, against roots that they have from elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Row

from audit.store.tables import checkpoints, timestamps


@dataclass(frozen=True, slots=True)
class PublishedCheckpoint:
    """A published checkpoint by its row. `time_s`: when it was signed, seconds since 1970."""

    id: int
    size: int
    root: bytes
    time_s: int
    note: str


@dataclass(frozen=True, slots=True)
class KeptTimestamp:
    """A token (TimeStampResp, DER) of an authority, by its URL, over a checkpoint's note as it was published; when the authority says that
    this was, in seconds since 1970."""

    checkpoint: PublishedCheckpoint
    authority: str
    time_s: int
    token: bytes


def latest_published(connection: Connection) -> PublishedCheckpoint | None:
    """The latest published checkpoint."""
    row = connection.execute(select(checkpoints).order_by(checkpoints.c.id.desc()).limit(1)).first()
    return None if row is None else _checkpoint(row)


def keep_timestamp(connection: Connection, new: KeptTimestamp) -> None:
    """Keep this one, unless the authority has stamped the same checkpoint before."""
    made = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"checkpoint": new.checkpoint.id, "size": new.checkpoint.size, "authority": new.authority, "time_s": new.time_s}
    connection.execute(made(timestamps).values(**values, token=new.token).on_conflict_do_nothing())


def last_timestamp(connection: Connection, authority: str) -> KeptTimestamp | None:
    """What this authority stamped last."""
    wanted = _stamps().where(timestamps.c.authority == authority).order_by(timestamps.c.checkpoint.desc())
    row = connection.execute(wanted.limit(1)).first()
    return None if row is None else _kept(row)


def last_timestamp_of_each(connection: Connection) -> list[KeptTimestamp]:
    """The same of every authority of which anything is kept, by their URLs."""
    names = connection.execute(select(timestamps.c.authority).distinct().order_by(timestamps.c.authority)).scalars().all()
    return [found for name in names if (found := last_timestamp(connection, name)) is not None]


def newest_timestamps(connection: Connection, least: int, size: int, most: int) -> list[KeptTimestamp]:
    """The newest over trees of `least` to `size` leaves, newest first."""
    wanted = _stamps().where(timestamps.c.size >= least, timestamps.c.size <= size).order_by(timestamps.c.checkpoint.desc())
    return [_kept(row) for row in connection.execute(wanted.limit(most))]


def first_timestamps(connection: Connection, least: int, size: int) -> list[KeptTimestamp]:
    """Those over the smallest stamped tree of `least` to `size` leaves, of each authority the first."""
    smallest = (
        select(timestamps.c.size)
        .where(timestamps.c.size >= least, timestamps.c.size <= size)
        .order_by(timestamps.c.size)
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(
        _stamps().where(timestamps.c.size == smallest).order_by(timestamps.c.checkpoint, timestamps.c.authority)
    )
    return list({row.authority: _kept(row) for row in reversed(rows.all())}.values())


def _stamps() -> Select[tuple[object, ...]]:
    joined = timestamps.join(checkpoints, timestamps.c.checkpoint == checkpoints.c.id)
    columns = (timestamps.c.authority, timestamps.c.token, timestamps.c.time_s.label("stamped_s"), *checkpoints.c)
    return select(*columns).select_from(joined)


def _checkpoint(row: Row[tuple[object, ...]]) -> PublishedCheckpoint:
    return PublishedCheckpoint(row.id, row.size, row.root, row.time_s, row.note)


def _kept(row: Row[tuple[object, ...]]) -> KeptTimestamp:
    return KeptTimestamp(_checkpoint(row), row.authority, row.stamped_s, row.token)


def oldest_first(found: Sequence[KeptTimestamp]) -> list[KeptTimestamp]:
    """Each once, in the order of their checkpoints."""
    each = {(item.checkpoint.id, item.authority): item for item in found}
    return [each[key] for key in sorted(each)]
