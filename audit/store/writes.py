"""Statements of the committer: what one transaction of the log reads and writes. Blocking; the caller owns the transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, bindparam, delete, insert, literal_column, select, update

from audit.merkle import HASH_BYTES, Tile
from audit.store.prepared import Prepared
from audit.store.tables import checkpoints, head, intents, leaves, sealed, tiles


@dataclass(frozen=True, slots=True)
class Head:
    """The signed internal tree head as stored."""

    size: int
    root: bytes
    peaks: list[bytes]
    note: str


@dataclass(frozen=True, slots=True)
class Counter:
    """Last number of a sequence, and the leaf that says so."""

    last: int
    idx: int
    leaf: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Intent:
    hash: bytes
    end_state: str | None


def read_head(connection: Connection) -> Head | None:
    found = _HEAD.rows(connection, {})
    return None if not found else Head(found[0][0], found[0][1], split_hashes(found[0][2]), found[0][3])


def write_head(connection: Connection, new: Head) -> None:
    row = {"id": 1, "size": new.size, "root": new.root, "peaks": b"".join(new.peaks), "note": new.note}
    if _HEAD_UPDATE.one(connection, {**row, "b_id": 1}) == 0:
        _HEAD_INSERT.one(connection, row)


def write_leaves(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    _LEAVES.many(connection, rows)


def write_sealed(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    _SEALED.many(connection, rows)


def write_intents(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    _NEW_INTENTS.many(connection, rows)


def end_intents(connection: Connection, ended: Sequence[dict[str, object]]) -> None:
    _ENDED_INTENTS.many(connection, ended)


def write_tiles(connection: Connection, full: Iterable[Tile]) -> None:
    rows = [{"level": each.level, "idx": each.index, "root": each.root, "hashes": each.hashes} for each in full]
    connection.execute(insert(tiles), rows)


def write_checkpoint(connection: Connection, published: Head, time_s: int) -> None:
    row = {"size": published.size, "root": published.root, "peaks": b"".join(published.peaks), "note": published.note}
    connection.execute(insert(checkpoints), {**row, "time_s": time_s})


def remove_sealed(connection: Connection, indexes: Sequence[int]) -> None:
    connection.execute(delete(sealed).where(sealed.c.idx.in_(indexes)))


def read_counter(connection: Connection, key: str) -> Counter | None:
    """The last leaf of a sequence, by its index: no other table repeats what the leaves say."""
    rows = _LAST[key[0]].rows(connection, {"key": key[2:]})
    return None if not rows else Counter(*rows[0])


def read_intents(connection: Connection, indexes: Sequence[int]) -> dict[int, Intent]:
    rows = connection.execute(_INTENTS, {"indexes": indexes})
    return {row.idx: Intent(row.hash, row.end_state) for row in rows}


def split_hashes(joined: bytes) -> list[bytes]:
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]


_HEAD = Prepared(select(head.c.size, head.c.root, head.c.peaks, head.c.note).where(head.c.id == literal_column("1")))
_HEAD_UPDATE = Prepared(
    update(head)
    .where(head.c.id == bindparam("b_id"))
    .values({name: bindparam(name) for name in ("id", "size", "root", "peaks", "note")})
)
_HEAD_INSERT = Prepared(insert(head))
_LEAVES = Prepared(insert(leaves))
_SEALED = Prepared(insert(sealed))
_NEW_INTENTS = Prepared(insert(intents).values({name: bindparam(name) for name in ("idx", "hash", "call", "time")}))
_ENDED_INTENTS = Prepared(update(intents).where(intents.c.idx == bindparam("b_idx")).values(end_state=bindparam("b_end_state")))
_INTENTS = select(intents.c.idx, intents.c.hash, intents.c.end_state).where(intents.c.idx.in_(bindparam("indexes", expanding=True)))


def _last(name: "Column[str]", number: "Column[int]") -> Prepared:
    wanted = select(number, leaves.c.idx, leaves.c.leaf, leaves.c.hash).where(name == bindparam("key"), number.is_not(None))
    return Prepared(wanted.order_by(number.desc()).limit(literal_column("1")))


_LAST = {
    "u": _last(leaves.c.customer, leaves.c.customer_seq),
    "c": _last(leaves.c.conversation, leaves.c.conversation_seq),
}
