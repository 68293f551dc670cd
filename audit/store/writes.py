"""Statements of the committer: what one transaction of the log reads and writes. Blocking; the caller owns the transaction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from sqlalchemy import Connection, Insert, Update, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.merkle import HASH_BYTES, Tile
from audit.store.tables import checkpoints, head, intents, leaves, sealed, sequences, tiles


@dataclass(frozen=True, slots=True)
class Head:
    """The signed internal tree head as stored."""

    size: int
    root: bytes
    peaks: list[bytes]
    note: str


@dataclass(frozen=True, slots=True)
class Counter:
    """Last number of a sequence, and the leaf that says so (None: the row points at nothing)."""

    last: int
    idx: int
    leaf: bytes | None
    hash: bytes | None


@dataclass(frozen=True, slots=True)
class Intent:
    hash: bytes
    end_state: str | None


def read_head(connection: Connection) -> Head | None:
    row = connection.execute(_HEAD).first()
    return None if row is None else Head(row.size, row.root, split_hashes(row.peaks), row.note)


def write_head(connection: Connection, new: Head) -> None:
    row = {"b_id": 1, "size": new.size, "root": new.root, "peaks": b"".join(new.peaks), "note": new.note}
    if _HEAD_UPDATE.run(connection, [row]) == 0:
        connection.execute(insert(head), {"id": row.pop("b_id"), **row})


def write_leaves(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    _LEAVES.run(connection, rows)


def write_sealed(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    _SEALED.run(connection, rows)


def write_intents(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    connection.execute(insert(intents), rows)


def end_intents(connection: Connection, ended: Sequence[Mapping[str, object]]) -> None:
    connection.execute(_INTENT_UPDATE, ended)


def write_tiles(connection: Connection, full: Iterable[Tile]) -> None:
    rows = [{"level": each.level, "idx": each.index, "root": each.root, "hashes": each.hashes} for each in full]
    connection.execute(insert(tiles), rows)


def write_sequences(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert or update `key`, `last`, `idx`."""
    _SEQUENCE_UPSERTS[connection.dialect.name].run(connection, rows)


def write_checkpoint(connection: Connection, published: Head, time_s: int) -> None:
    row = {"size": published.size, "root": published.root, "peaks": b"".join(published.peaks), "note": published.note}
    connection.execute(insert(checkpoints), {**row, "time_s": time_s})


def remove_sealed(connection: Connection, indexes: Sequence[int]) -> None:
    connection.execute(delete(sealed).where(sealed.c.idx.in_(indexes)))


def read_counters(connection: Connection, keys: Sequence[str]) -> dict[str, Counter]:
    rows = connection.execute(_COUNTERS, {"keys": keys})
    return {row.key: Counter(row.last, row.idx, row.leaf, row.hash) for row in rows}


def read_intents(connection: Connection, indexes: Sequence[int]) -> dict[int, Intent]:
    rows = connection.execute(_INTENTS, {"indexes": indexes})
    return {row.idx: Intent(row.hash, row.end_state) for row in rows}


def split_hashes(joined: bytes) -> list[bytes]:
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]


class _Hot:
    """A statement of the hot path: compiled by Core once per dialect, its parameters handed to the driver as they are.

    Core's own handling of parameters costs 3 us a row and 15 us a statement; nothing here needs a conversion.
    """

    def __init__(self, statement: Insert | Update, keys: Sequence[str]) -> None:
        self._statement = statement
        self._keys = keys
        self._compiled: dict[str, tuple[str, Callable[[Mapping[str, object]], tuple[object, ...]]]] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> int:
        """Rows that were changed, as the driver counts them."""
        known = self._compiled.get(connection.dialect.name)
        if known is None:
            compiled = self._statement.compile(dialect=connection.dialect, column_keys=list(self._keys))
            known = compiled.string, itemgetter(*(compiled.positiontup or ()))
            self._compiled[connection.dialect.name] = known
        sql, ordered = known
        return connection.exec_driver_sql(sql, [ordered(row) for row in rows]).rowcount


_HEAD = select(head.c.size, head.c.root, head.c.peaks, head.c.note).where(head.c.id == 1)
_HEAD_UPDATE = _Hot(update(head).where(head.c.id == bindparam("b_id")), ("size", "root", "peaks", "note"))
_LEAVES = _Hot(insert(leaves), leaves.c.keys())
_SEALED = _Hot(insert(sealed), sealed.c.keys())
_INTENT_UPDATE = update(intents).where(intents.c.idx == bindparam("b_idx")).values(end_state=bindparam("b_end_state"))
_COUNTERS = (
    select(sequences.c.key, sequences.c.last, sequences.c.idx, leaves.c.leaf, leaves.c.hash)
    .select_from(sequences.outerjoin(leaves, leaves.c.idx == sequences.c.idx))
    .where(sequences.c.key.in_(bindparam("keys", expanding=True)))
)
_INTENTS = select(intents.c.idx, intents.c.hash, intents.c.end_state).where(intents.c.idx.in_(bindparam("indexes", expanding=True)))


def _upsert(dialect_insert: "type[sqlite.Insert] | type[postgresql.Insert]") -> "sqlite.Insert | postgresql.Insert":
    statement = dialect_insert(sequences)
    return statement.on_conflict_do_update(
        index_elements=[sequences.c.key], set_={"last": statement.excluded.last, "idx": statement.excluded.idx}
    )


_SEQUENCE_UPSERTS = {
    "sqlite": _Hot(_upsert(sqlite.Insert), sequences.c.keys()),
    "postgresql": _Hot(_upsert(postgresql.Insert), sequences.c.keys()),
}
