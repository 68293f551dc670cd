"""The index of vector stores: written in pieces under the lease of who indexes, searched within what one sees, swept in pieces."""

import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    any_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from gateway.domain.states import IndexState
from gateway.store.assistants import Maker
from gateway.store.file_tables import FILES, file_stands
from gateway.store.items import Item
from gateway.store.times import to_us
from gateway.store.vector_files import Attributes, IndexProblem, VectorFile, entry_of
from gateway.store.vector_filters import Filter, condition
from gateway.store.vector_tables import VECTOR_CHUNKS, VECTOR_EMBEDDINGS, VECTOR_FILES, VECTOR_LEFT, VECTOR_WORDS

AT_ONCE = 500
"""Rows of one transaction: whoever writes waits for no more than that."""

BLOCKS_AT_ONCE = 50
"""The same of blocks of vectors, which have some ten thousand bytes each."""

PLACE_BYTES = 6

_V, _F, _K, _W, _L, _E = VECTOR_FILES.c, FILES.c, VECTOR_CHUNKS.c, VECTOR_WORDS.c, VECTOR_LEFT.c, VECTOR_EMBEDDINGS.c


@dataclass(frozen=True, slots=True)
class SealedChunk:
    """A piece of a file's text; `first` and `behind` say from where to where it goes, in characters."""

    number: int
    first: int
    behind: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Places:
    """In which chunks a word is, and how much it weighs in each."""

    chunks: tuple[int, ...]
    weights: tuple[int, ...]

    def packed(self) -> bytes:
        count = len(self.chunks)
        return struct.pack(f"<{count}I{count}H", *self.chunks, *self.weights)

    @classmethod
    def unpacked(cls, packed: bytes) -> "Places":
        count = len(packed) // PLACE_BYTES
        both = struct.unpack(f"<{count}I{count}H", packed)
        return cls(both[:count], both[count:])


@dataclass(frozen=True, slots=True)
class _Leased:
    entry: VectorFile
    lease: str

    def rows(self) -> tuple[ColumnElement[bool], ...]:
        """Its row, while the lease is held and the file is in the store."""
        which = self.entry
        return (_V.store == which.store, _V.id == which.file, _V.entry == which.entry, _V.lease == self.lease)


@dataclass(frozen=True, slots=True)
class WriteIndex(_Leased, Item[bool]):
    """A piece of an index. Whether the lease is held; if not, nothing was written."""

    chunks: Sequence[SealedChunk] = ()
    words: Sequence[tuple[int, bytes]] = ()
    vectors: Sequence[tuple[int, bytes]] = ()

    def apply(self, connection: Connection) -> bool:
        if connection.execute(select(_V.id).where(*self.rows()).with_for_update()).one_or_none() is None:
            return False
        of = {"store": self.entry.store, "entry": self.entry.entry}
        if self.chunks:
            rows = [
                {**of, "number": item.number, "first": item.first, "behind": item.behind, "text": item.text} for item in self.chunks
            ]
            connection.execute(insert(VECTOR_CHUNKS), rows)
        if self.words:
            connection.execute(insert(VECTOR_WORDS), [{**of, "word": word, "places": places} for word, places in self.words])
        if self.vectors:
            rows = [{**of, "block": block, "vectors": sealed} for block, sealed in self.vectors]
            connection.execute(insert(VECTOR_EMBEDDINGS), rows)
        return True


@dataclass(frozen=True, slots=True)
class ClearIndex(_Leased, Item[bool]):
    """Remove a piece of what an earlier try left. Whether that was all."""

    def apply(self, connection: Connection) -> bool:
        if connection.execute(select(_V.id).where(*self.rows()).with_for_update()).one_or_none() is None:
            return True
        return _removed(connection, self.entry.store, self.entry.entry)


@dataclass(frozen=True, slots=True)
class FinishIndex(_Leased, Item[bool]):
    """Its index is whole, and counts from now on. Whether the lease was held."""

    chunks: int = 0
    usage: int = 0
    embedded: str | None = None

    def apply(self, connection: Connection) -> bool:
        over = {"state": IndexState.COMPLETED, "lease": None, "due_us": None}
        done = {**over, "chunks": self.chunks, "usage_bytes": self.usage, "embedded": self.embedded}
        return connection.execute(update(VECTOR_FILES).where(*self.rows()).values(done)).rowcount == 1


@dataclass(frozen=True, slots=True)
class FailIndex(_Leased, Item[bool]):
    """It cannot be indexed. Whether the lease was held."""

    problem: IndexProblem = field(default_factory=lambda: IndexProblem("server_error", "the file could not be indexed"))

    def apply(self, connection: Connection) -> bool:
        failed = {"state": IndexState.FAILED, "error": self.problem.code, "error_text": self.problem.message}
        over = {**failed, "lease": None, "due_us": None, "entry": -_V.entry}
        if connection.execute(update(VECTOR_FILES).where(*self.rows()).values(over)).rowcount != 1:
            return False
        left = self.entry
        row = {"store": left.store, "entry": left.entry, "owner": left.owner.client, "customer": left.owner.customer}
        connection.execute(insert(VECTOR_LEFT), [row])
        return True


@dataclass(frozen=True, slots=True)
class PostponeIndex(_Leased, Item[None]):
    """Somebody tries again from `until` on. It was no fault of the file's, and counts as no try; but the first stays counted, so that what
    it left is looked for."""

    until: datetime | None = None

    def apply(self, connection: Connection) -> None:
        due_us = 0 if self.until is None else to_us(self.until)
        tries = case((_V.tries > 1, _V.tries - 1), else_=1)
        connection.execute(update(VECTOR_FILES).where(*self.rows()).values(lease=None, due_us=due_us, tries=tries))


@dataclass(frozen=True, slots=True)
class ForgetLeft(Item[bool]):
    """Remove a piece of an index that nobody has any more. Whether there may be more."""

    def apply(self, connection: Connection) -> bool:
        row = connection.execute(select(VECTOR_LEFT).limit(1).with_for_update(skip_locked=True)).one_or_none()
        if row is None:
            return False
        if _removed(connection, row.store, row.entry):
            connection.execute(delete(VECTOR_LEFT).where(_L.store == row.store, _L.entry == row.entry))
        return True


def is_any_left(connection: Connection) -> bool:
    return connection.execute(select(_L.entry).limit(1)).first() is not None


def chunks_of(connection: Connection, entry: VectorFile, numbers: range | None = None) -> Sequence[SealedChunk]:
    """The chunks of an entry, in their order; of these numbers, from 0, or all of them."""
    of = [_K.store == entry.store, _K.entry == entry.entry]
    if numbers is not None:
        of += [_K.number >= numbers.start, _K.number < numbers.stop]
    asked = select(_K.number, _K.first, _K.behind, _K.text).where(*of).order_by(_K.number)
    return [SealedChunk(*row[:3], bytes(row[3])) for row in connection.execute(asked)]


@dataclass(frozen=True, slots=True)
class SearchScope:
    """Within what is searched: completed files of one store that `who` sees and whose own time is not over. `wanted` and `name`, of a
    file, None: all of them."""

    who: Maker
    store: str
    at: datetime
    wanted: Filter | None
    name: str | None = None

    def rows(self, connection: Connection) -> tuple[ColumnElement[bool], ...]:
        return (
            _V.store == self.store,
            *self.who.sees(VECTOR_FILES),
            _V.state == IndexState.COMPLETED,
            file_stands(self.at),
            *(() if self.name is None else (_F.name == self.name,)),
            *(() if self.wanted is None else (condition(connection, self.wanted),)),
        )


@dataclass(frozen=True, slots=True)
class EntryFound:
    """`embedded`: the model that made its vectors; None: it has none."""

    entry: int
    chunks: int
    embedded: str | None


def find_entries(connection: Connection, scope: SearchScope) -> Sequence[EntryFound]:
    """What is searched, in no order; empty files apart."""
    asked = select(_V.entry, _V.chunks, _V.embedded).join_from(VECTOR_FILES, FILES, _V.id == _F.id)
    return [EntryFound(*row) for row in connection.execute(asked.where(_V.chunks > 0, *scope.rows(connection)))]


@dataclass(frozen=True, slots=True)
class WordsFound:
    """`chunks`: how many there are in the scope. `places`: of each word that was looked at, by entry. `counts`: in how many chunks each
    word is."""

    chunks: int
    counts: Mapping[int, int]
    places: Sequence[tuple[int, int, bytes]]


def find_words(connection: Connection, scope: SearchScope, words: Collection[int], most: int) -> WordsFound:
    """Where these words are, within the scope. Of words that are in more than `most` chunks together the rarest are looked at."""
    entries = find_entries(connection, scope)
    chunks = sum(item.chunks for item in entries)
    within = (_W.store == scope.store, _one_of(connection, _unled(connection, _W.entry), [item.entry for item in entries]))
    asked = select(_W.word, func.sum(func.length(_W.places))).where(*within, _W.word.in_(words)).group_by(_W.word)
    counts = {word: int(length) // PLACE_BYTES for word, length in connection.execute(asked)}
    looked_at, left = list[int](), most
    for word in sorted(counts, key=lambda item: (counts[item], item)):
        left -= counts[word]
        if left < 0 and looked_at:
            break
        looked_at.append(word)
    rows = connection.execute(select(_W.word, _W.entry, _W.places).where(*within, _W.word.in_(looked_at)))
    return WordsFound(chunks, counts, [(word, entry, bytes(places)) for word, entry, places in rows])


def find_vectors(connection: Connection, store: str, entries: Collection[int]) -> Mapping[int, Sequence[tuple[int, bytes]]]:
    """The sealed blocks of these entries, in their order, as far as they are there still. Whose they are was asked by `find_entries`."""
    asked = select(_E.entry, _E.block, _E.vectors).where(_E.store == store, _one_of(connection, _E.entry, entries))
    found: dict[int, list[tuple[int, bytes]]] = {}
    for entry, block, vectors in connection.execute(asked.order_by(_E.entry, _E.block)):
        found.setdefault(entry, []).append((block, bytes(vectors)))
    return found


@dataclass(frozen=True, slots=True)
class ChunkFound:
    file: str
    name: str
    attributes: Attributes
    entry: int
    chunk: SealedChunk


def find_chunks(
    connection: Connection, scope: SearchScope, which: Collection[tuple[int, int]]
) -> Mapping[tuple[int, int], ChunkFound]:
    """These chunks, by entry and number, as far as they are within the scope still."""
    if not which:
        return {}
    by_entry: dict[int, list[int]] = {}
    for entry, number in which:
        by_entry.setdefault(entry, []).append(number)
    named = or_(*(and_(_K.store == scope.store, _K.entry == entry, _K.number.in_(some)) for entry, some in by_entry.items()))
    asked = select(VECTOR_FILES, _F.name.label("name"), _K.number, _K.first, _K.behind, _K.text.label("sealed"))
    asked = asked.join_from(VECTOR_CHUNKS, VECTOR_FILES, and_(_K.store == _V.store, _V.entry == _unled(connection, _K.entry)))
    asked = asked.join(FILES, _V.id == _F.id).where(_K.store == scope.store, named, *scope.rows(connection))
    found = {}
    for row in connection.execute(asked):
        of, chunk = entry_of(row), SealedChunk(row.number, row.first, row.behind, bytes(row.sealed))
        found[of.entry, chunk.number] = ChunkFound(of.file, row.name, of.attributes, of.entry, chunk)
    return found


def _one_of(connection: Connection, entry: ColumnElement[int], entries: Collection[int]) -> ColumnElement[bool]:
    """Of entries that were asked for before, not joined: without statistics PostgreSQL took one file for all that there are, and read the
    words once for each of them. Measured over 200 files: 91 ms of its processor for five words, 1 ms so."""
    if connection.dialect.name == "postgresql":
        return entry == any_(bindparam(None, list(entries), ARRAY(BigInteger)))
    held = func.json_each(orjson.dumps(list(entries)).decode()).table_valued("value")
    return entry.in_(select(held.c.value))


def _unled(connection: Connection, entry: ColumnElement[int]) -> ColumnElement[int]:
    """The column, so that PostgreSQL does not go from files to it: without statistics it would read every word of each file. Measured:
    28 ms for 37,000 words, 0.2 ms so. SQLite finds word and entry at once by the primary key."""
    return entry + 0 if connection.dialect.name == "postgresql" else entry


def _removed(connection: Connection, store: str, entry: int) -> bool:
    """Remove a piece of an index; whether that was all."""
    words = list(connection.execute(select(_W.word).where(_W.store == store, _W.entry == entry).limit(AT_ONCE)).scalars())
    chunks = list(connection.execute(select(_K.number).where(_K.store == store, _K.entry == entry).limit(AT_ONCE)).scalars())
    if words:
        connection.execute(delete(VECTOR_WORDS).where(_W.store == store, _W.entry == entry, _W.word.in_(words)))
    if chunks:
        connection.execute(delete(VECTOR_CHUNKS).where(_K.store == store, _K.entry == entry, _K.number.in_(chunks)))
    blocks = list(connection.execute(select(_E.block).where(_E.store == store, _E.entry == entry).limit(BLOCKS_AT_ONCE)).scalars())
    if blocks:
        connection.execute(delete(VECTOR_EMBEDDINGS).where(_E.store == store, _E.entry == entry, _E.block.in_(blocks)))
    return len(words) < AT_ONCE and len(chunks) < AT_ONCE and len(blocks) < BLOCKS_AT_ONCE
