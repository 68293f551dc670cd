"""Statements of the committer: what one transaction of the log reads and writes. The caller owns the transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Text,
    any_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from audit.merkle import HASH_BYTES, Tile
from audit.store.bulk_insert import Row, SharedChange, write_at_once
from audit.store.prepared import Prepared
from audit.store.tables import checkpoints, head, intents, leaves, sealed, tiles


@dataclass(frozen=True, slots=True)
class Head:
    """A tree head as stored: the committed one, or that of a published checkpoint, which has neither `origin` nor `mac`."""

    size: int
    root: bytes
    peaks: list[bytes]
    note: str
    origin: str | None = None
    mac: bytes | None = None


@dataclass(frozen=True, slots=True)
class SequenceHead:
    """Last number of a sequence, and the leaf that says so."""

    last: int
    idx: int
    leaf: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class IntentRow:
    hash: bytes
    end_state: str | None


def read_head(connection: Connection) -> Head | None:
    return _head(_HEAD.rows(connection, {}))


def lock_head(connection: Connection) -> Head | None:
    """The head, held until the transaction ends: this lock is the one lane in which the records of all processes are numbered."""
    return _head(_HEAD_LOCKED.rows(connection, {}))


def _head(found: Sequence[Any]) -> Head | None:
    return None if not found else Head(found[0][0], found[0][1], split_hashes(found[0][2]), *found[0][3:])


def write_head(connection: Connection, new: Head) -> None:
    row = _head_row(new)
    if _HEAD_UPDATE.one(connection, {**row, "b_id": 1}) == 0:
        _HEAD_INSERT.one(connection, row)


def write_group(
    connection: Connection,
    new: Mapping[str, Sequence[Row]],
    ended: Sequence[Row],
    head: Head,
    known: Head | None,
    *,
    beside: SharedChange | None = None,
) -> bool:
    """The records of a group and the head that holds them. `new`: rows of leaves, sealed and intents. `known`: the head that must be stored
    now, where its row is not locked; False, and nothing was written, if it is another. `beside`: as `write_at_once`, on PostgreSQL alone.
    """
    if connection.dialect.name == "postgresql":
        found = None if known is None else _known(known)
        return write_at_once(connection, new, ended, _head_row(head), found, beside=beside)
    if known is not None and _HEAD_MOVED.one(connection, {**_head_row(head), **_known(known)}) == 0:
        return False
    for table, statement in (("leaves", _LEAVES), ("sealed", _SEALED), ("intents", _NEW_INTENTS)):
        if new[table]:
            statement.many(connection, new[table])
    if ended:
        _ENDED_INTENTS.many(connection, ended)
    if known is None:
        write_head(connection, head)
    return True


def _head_row(new: Head) -> dict[str, object]:
    row = {"id": 1, "size": new.size, "root": new.root, "peaks": b"".join(new.peaks), "note": new.note}
    return {**row, "origin": new.origin, "mac": new.mac}


def _known(head: Head) -> dict[str, object]:
    return {"known_size": head.size, "known_root": head.root, "known_mac": head.mac}


def write_tiles(connection: Connection, full: Iterable[Tile]) -> None:
    rows = [{"level": item.level, "idx": item.index, "root": item.root, "hashes": item.hashes} for item in full]
    connection.execute(insert(tiles), rows)


def write_checkpoint(connection: Connection, published: Head, time_s: int) -> None:
    row = {"size": published.size, "root": published.root, "peaks": b"".join(published.peaks), "note": published.note}
    connection.execute(insert(checkpoints), {**row, "time_s": time_s})


def remove_sealed(connection: Connection, indexes: Sequence[int]) -> None:
    connection.execute(delete(sealed).where(sealed.c.idx.in_(indexes)))


def read_counters(connection: Connection, keys: Iterable[str]) -> dict[str, SequenceHead]:
    """The last leaf of each sequence, by its index: no other table repeats what the leaves say. One statement on PostgreSQL, where
    each costs a round trip.
    """
    wanted: dict[str, list[str]] = {}
    for key in keys:
        wanted.setdefault(key[0], []).append(key[2:])
    found: dict[str, SequenceHead] = {}
    for sequence, names in wanted.items():
        if connection.dialect.name == "postgresql":
            rows = _LAST_OF_ALL[sequence].rows(connection, {"keys": names})
        else:
            rows = [row for name in names for row in _LAST[sequence].rows(connection, {"key": name})]
        found |= {f"{sequence}:{row[0]}": SequenceHead(*row[1:]) for row in rows}
    return found


def read_intents(connection: Connection, indexes: Sequence[int]) -> dict[int, IntentRow]:
    """The intents at these indexes, those that there are. One statement on PostgreSQL, as in `read_counters`."""
    if connection.dialect.name == "postgresql":
        rows = _ALL_INTENTS.rows(connection, {"indexes": [*indexes]})
    else:
        rows = [row for index in indexes for row in _INTENT.rows(connection, {"b_idx": index})]
    return {idx: IntentRow(hashed, end_state) for idx, hashed, end_state in rows}


def split_hashes(joined: bytes) -> list[bytes]:
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]


_THE_HEAD = select(head.c.size, head.c.root, head.c.peaks, head.c.note, head.c.origin, head.c.mac).where(
    head.c.id == literal_column("1")
)
_HEAD = Prepared(_THE_HEAD)
_HEAD_LOCKED = Prepared(_THE_HEAD.with_for_update())
_HEAD_UPDATE = Prepared(
    update(head)
    .where(head.c.id == bindparam("b_id"))
    .values({name: bindparam(name) for name in ("id", "size", "root", "peaks", "note", "origin", "mac")})
)
_HEAD_MOVED = Prepared(
    update(head)
    .where(
        head.c.id == literal_column("1"),
        head.c.size == bindparam("known_size"),
        head.c.root == bindparam("known_root"),
        head.c.mac == bindparam("known_mac"),
    )
    .values({name: bindparam(name) for name in ("id", "size", "root", "peaks", "note", "origin", "mac")})
)
_HEAD_INSERT = Prepared(insert(head))
_LEAVES = Prepared(insert(leaves))
_SEALED = Prepared(insert(sealed))
_NEW_INTENTS = Prepared(insert(intents).values({name: bindparam(name) for name in ("idx", "hash", "call", "time")}))
_ENDED_INTENTS = Prepared(update(intents).where(intents.c.idx == bindparam("b_idx")).values(end_state=bindparam("b_end_state")))
_THE_INTENT = select(intents.c.idx, intents.c.hash, intents.c.end_state)
_INTENT = Prepared(_THE_INTENT.where(intents.c.idx == bindparam("b_idx")))
_ALL_INTENTS = Prepared(_THE_INTENT.where(intents.c.idx == any_(bindparam("indexes", type_=ARRAY(BigInteger)))))


def _last(name: "Column[str]", number: "Column[int]") -> Prepared:
    wanted = select(name, number, leaves.c.idx, leaves.c.leaf, leaves.c.hash).where(name == bindparam("key"), number.is_not(None))
    return Prepared(wanted.order_by(number.desc()).limit(literal_column("1")))


def _last_of_all(name: "Column[str]", number: "Column[int]") -> Prepared:
    asked = func.unnest(bindparam("keys", type_=ARRAY(Text))).table_valued("key", name="asked").render_derived()
    last = (
        select(number, leaves.c.idx, leaves.c.leaf, leaves.c.hash)
        .where(name == asked.c.key, number.is_not(None))
        .order_by(number.desc())
        .limit(literal_column("1"))
        .lateral("last")
    )
    return Prepared(select(asked.c.key, last).select_from(asked.join(last, true())))


_SEQUENCES = {"u": (leaves.c.customer, leaves.c.customer_seq), "c": (leaves.c.conversation, leaves.c.conversation_seq)}
_LAST = {sequence: _last(*columns) for sequence, columns in _SEQUENCES.items()}
_LAST_OF_ALL = {sequence: _last_of_all(*columns) for sequence, columns in _SEQUENCES.items()}
