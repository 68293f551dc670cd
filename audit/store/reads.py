"""Statements of everybody who only reads the log, over a connection that the caller got from `Database.read` or `read_long`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, bindparam, func, select

from audit.merkle import TILE_HEIGHT, TILE_WIDTH, subtree_root
from audit.store.prepared import Prepared
from audit.store.tables import checkpoints, intents, leaves, sealed, tiles
from audit.store.writes import Head, read_head, split_hashes

LEAVES_AT_ONCE = 1024

TILES_REMEMBERED = 64

NODES_REMEMBERED = 4096

_RANGE = Prepared(
    select(leaves.c.idx, leaves.c.leaf, leaves.c.hash)
    .where(leaves.c.idx >= bindparam("start"), leaves.c.idx < bindparam("until"))
    .order_by(leaves.c.idx)
)
_GROWN = Prepared(
    select(leaves.c.hash, leaves.c.customer, leaves.c.conversation)
    .where(leaves.c.idx >= bindparam("start"), leaves.c.idx < bindparam("until"))
    .order_by(leaves.c.idx)
)
_HASHES = Prepared(
    select(leaves.c.hash).where(leaves.c.idx >= bindparam("start"), leaves.c.idx < bindparam("until")).order_by(leaves.c.idx)
)


class LogCorrupt(Exception):
    """What is stored is not what was signed. The log neither appends nor answers until people have looked."""


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    idx: int
    leaf: bytes
    hash: bytes


def stored_leaf(idx: int, leaf: object, hashed: object) -> StoredLeaf:
    """LogCorrupt unless both are bytes: SQLite keeps in a column whatever somebody else wrote there."""
    if not isinstance(leaf, bytes) or not isinstance(hashed, bytes):
        raise LogCorrupt("a leaf is not bytes")
    return StoredLeaf(idx, leaf, hashed)


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent without a final end state. `end_state` is None or `outcome_unknown`."""

    index: int
    leaf_hash: bytes
    call_id: str
    time: str
    end_state: str | None


class Reads:
    """Reads over one connection to the log's database."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def head(self) -> Head | None:
        return read_head(self.connection)

    def leaf(self, index: int) -> StoredLeaf | None:
        wanted = select(leaves.c.idx, leaves.c.leaf, leaves.c.hash).where(leaves.c.idx == index)
        row = self.connection.execute(wanted).first()
        return None if row is None else stored_leaf(row.idx, row.leaf, row.hash)

    def leaves(self, start: int, end: int) -> Iterator[StoredLeaf]:
        """The leaves of [start, end) in order, read in pieces; LogCorrupt where one is missing."""
        while start < end:
            until = min(end, start + LEAVES_AT_ONCE)
            rows = _RANGE.rows(self.connection, {"start": start, "until": until})
            if [row[0] for row in rows] != list(range(start, until)):
                raise LogCorrupt("a leaf is missing")
            for index, leaf, hashed in rows:
                yield stored_leaf(index, leaf, hashed)
            start = until

    def hashes(self, start: int, end: int) -> list[bytes]:
        """Stored hashes of the leaves of [start, end)."""
        found = [row[0] for row in _HASHES.rows(self.connection, {"start": start, "until": end})]
        if len(found) != end - start or not all(isinstance(match, bytes) for match in found):
            raise LogCorrupt("a leaf is missing")
        return found

    def grown(self, start: int, end: int) -> Iterator[tuple[bytes, str | None, str | None]]:
        """Stored hash, customer and conversation of the leaves of [start, end), in order."""
        while start < end:
            until = min(end, start + LEAVES_AT_ONCE)
            rows = _GROWN.rows(self.connection, {"start": start, "until": until})
            if len(rows) != until - start or not all(isinstance(row[0], bytes) for row in rows):
                raise LogCorrupt("a leaf is missing")
            yield from rows
            start = until

    def tile_roots(self, level: int, start: int, end: int) -> list[bytes]:
        """Roots of the full tiles [start, end) of a level: hashes of the level above."""
        wanted = select(tiles.c.root).where(tiles.c.level == level, tiles.c.idx >= start, tiles.c.idx < end)
        found = list(self.connection.execute(wanted.order_by(tiles.c.idx)).scalars())
        if len(found) != end - start:
            raise LogCorrupt("a tile is missing")
        return found

    def tile(self, level: int, index: int) -> list[bytes] | None:
        wanted = select(tiles.c.hashes).where(tiles.c.level == level, tiles.c.idx == index)
        found = self.connection.execute(wanted).scalar()
        return None if found is None else split_hashes(found)

    def last_leaf_index(self) -> int | None:
        return self.connection.execute(select(func.max(leaves.c.idx))).scalar()

    def checkpoint(self, size: int | None = None) -> Head | None:
        """The latest published checkpoint, or the latest of exactly this size."""
        wanted = select(checkpoints.c.size, checkpoints.c.root, checkpoints.c.peaks, checkpoints.c.note)
        if size is not None:
            wanted = wanted.where(checkpoints.c.size == size)
        row = self.connection.execute(wanted.order_by(checkpoints.c.id.desc()).limit(1)).first()
        return None if row is None else Head(row.size, row.root, split_hashes(row.peaks), row.note)

    def published_size(self) -> int:
        """Size of the latest published checkpoint, 0 before the first."""
        published = self.checkpoint()
        return 0 if published is None else published.size

    def earlier_checkpoints(self, size: int, most: int, *, above: int) -> list[Head]:
        """Up to `most` published checkpoints of distinct sizes in between, the first and the rest spread evenly, oldest first."""
        newest = select(func.max(checkpoints.c.id).label("id")).where(checkpoints.c.size < size, checkpoints.c.size > above)
        known = sorted(self.connection.execute(newest.group_by(checkpoints.c.size)).scalars())
        step = max(1, -(-len(known) // most))
        wanted = select(checkpoints.c.size, checkpoints.c.root, checkpoints.c.peaks, checkpoints.c.note)
        rows = self.connection.execute(wanted.where(checkpoints.c.id.in_(known[::step])).order_by(checkpoints.c.size)).all()
        return [Head(row.size, row.root, split_hashes(row.peaks), row.note) for row in rows]

    def published_sizes(self, size: int) -> list[int]:
        """Sizes below `size` of all published checkpoints, each once, in order."""
        wanted = select(checkpoints.c.size).where(checkpoints.c.size < size, checkpoints.c.size > 0).distinct()
        return list(self.connection.execute(wanted.order_by(checkpoints.c.size)).scalars())

    def sealed(self, indexes: Sequence[int]) -> dict[int, bytes]:
        """Sealed blobs by index; those that were destroyed, or never were, are left out."""
        wanted = select(sealed.c.idx, sealed.c.blob).where(sealed.c.idx.in_(indexes))
        return {row.idx: row.blob for row in self.connection.execute(wanted)}

    def open_intents(self) -> list[OpenIntent]:
        """Intents without a final end state, oldest first."""
        wanted = select(intents).where(intents.c.end_state.is_(None) | (intents.c.end_state == "outcome_unknown"))
        rows = self.connection.execute(wanted.order_by(intents.c.idx)).all()
        return [OpenIntent(row.idx, row.hash, row.call, row.time, row.end_state) for row in rows]


class Nodes:
    """Hashes of tree nodes by (height, index), from full tiles and, for what no full tile holds yet, from leaves and tile roots.

    It remembers the tiles and nodes that proofs touched last: those of neighbours share almost all.
    """

    def __init__(self, reads: Reads, size: int) -> None:
        self._reads = reads
        self._size = size
        self.tile = lru_cache(TILES_REMEMBERED)(self._tile)
        self._node = lru_cache(NODES_REMEMBERED)(self._computed)

    def __call__(self, height: int, index: int) -> bytes:
        return self._node(height, index)

    def _computed(self, height: int, index: int) -> bytes:
        level, above = divmod(height, TILE_HEIGHT)
        first = index << above
        hashes = self.tile(level, first // TILE_WIDTH)
        start = first % TILE_WIDTH
        return subtree_root(hashes[start : start + (1 << above)])

    def _tile(self, level: int, index: int) -> list[bytes]:
        """The hashes that this tree has of a tile: 256, or fewer at its right edge."""
        start = index * TILE_WIDTH
        end = min(start + TILE_WIDTH, self._size >> (TILE_HEIGHT * level))
        found = self._reads.tile(level, index) if end - start == TILE_WIDTH else None
        if found is None:
            found = self._reads.hashes(start, end) if level == 0 else self._reads.tile_roots(level - 1, start, end)
        return found
