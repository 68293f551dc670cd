"""Files in vector stores: attached, indexed in the background under a lease, and taken out again.

Whose turn it is: the files of one owner follow each other by a second each, so that another's one file comes before the rest of a
thousand; and of one owner one is indexed at a time.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import orjson
from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, update
from sqlalchemy.orm import aliased

from gateway.domain.states import IndexState
from gateway.store.assistants import Maker, as_text
from gateway.store.file_tables import CONTENTS, FILES, file_stands
from gateway.store.items import Item
from gateway.store.pages import PageRequest, rows_of
from gateway.store.times import from_us, to_us
from gateway.store.vector_tables import VECTOR_ATTRIBUTES, VECTOR_BATCHES, VECTOR_FILES, VECTOR_LEFT, VECTOR_STORES

Attributes: TypeAlias = Mapping[str, str | float | bool]

TRIES_MOST = 5
"""How often the indexing of a file is begun. One that ends its process each time is given up."""

_FOLLOWS = timedelta(seconds=1)

_V, _F, _C, _S, _B, _A = VECTOR_FILES.c, FILES.c, CONTENTS.c, VECTOR_STORES.c, VECTOR_BATCHES.c, VECTOR_ATTRIBUTES.c


class NoSuchStore(Exception):
    """There is no such store of this owner."""


class NoSuchFile(Exception):
    """A file that this owner does not see; `number`: which of those named."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class TooManyAttached(Exception):
    """Its owner has as many files in stores, or bytes in them, as they may."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a text is cut: into pieces of so many tokens, of which each repeats so many of the one before."""

    tokens: int = 800
    overlap: int = 400


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A file to be attached."""

    file: str
    attributes: Attributes
    chunking: Chunking


@dataclass(frozen=True, slots=True)
class IndexProblem:
    """What was in the way of indexing: a code of the API, and words."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorFile:
    """A file in a store. `entry`: the number of its index. `usage`: bytes of it."""

    store: str
    file: str
    owner: Maker
    created: datetime
    batch: str | None
    entry: int
    state: IndexState
    error: IndexProblem | None
    attributes: Attributes
    chunking: Chunking
    usage: int
    tries: int


@dataclass(frozen=True, slots=True)
class AttachedMost:
    """How many files one owner may have in stores, and how many bytes in them; a file counts in each store that it is in."""

    count: int
    size: int


@dataclass(frozen=True, slots=True)
class AttachFiles(Item[Sequence[VectorFile]]):
    """Put files that this owner sees into a store of theirs, to be indexed; one that is there already is indexed anew. `batch`: made with
    them. NoSuchStore, NoSuchFile, TooManyAttached: nothing was attached."""

    owner: Maker
    store: str
    files: tuple[NewEntry, ...]
    at: datetime
    most: AttachedMost
    batch: str | None = None

    def apply(self, connection: Connection) -> Sequence[VectorFile] | Exception:
        mine = (_S.id == self.store, *self.owner.owns(VECTOR_STORES), or_(_S.expires_us.is_(None), _S.expires_us > to_us(self.at)))
        store = connection.execute(select(_S.lasts_days).where(*mine).with_for_update()).one_or_none()
        if store is None:
            return NoSuchStore()
        ids = [new.file for new in self.files]
        if (problem := self._not_seen(connection, ids)) is not None:
            return problem
        before = _V.store == self.store, _V.id.in_(ids)
        kept = _attached(connection, self.owner, and_not=before)
        coming = select(func.count(), func.coalesce(func.sum(_C.size), 0)).join_from(FILES, CONTENTS, _F.content == _C.name)
        count, size = (a + b for a, b in zip(kept, connection.execute(coming.where(_F.id.in_(ids))).one(), strict=True))
        if count > self.most.count or size > self.most.size:
            return TooManyAttached()
        forget_entries(connection, *before)
        self._insert(connection)
        expires_us = None if store.lasts_days is None else to_us(self.at + timedelta(days=store.lasts_days))
        connection.execute(update(VECTOR_STORES).where(*mine).values(active_us=to_us(self.at), expires_us=expires_us))
        return page_of_entries(connection, self.store, _V.id.in_(ids))

    def _not_seen(self, connection: Connection, ids: Sequence[str]) -> NoSuchFile | None:
        seen = (_F.id.in_(ids), *self.owner.sees(FILES), file_stands(self.at))
        known = set(connection.execute(select(_F.id).where(*seen)).scalars())
        return next((NoSuchFile(number) for number, id_ in enumerate(ids) if id_ not in known), None)

    def _insert(self, connection: Connection) -> None:
        if self.batch is not None:
            row = {"id": self.batch, "store": self.store, "created_us": to_us(self.at), "cancelled_us": None}
            connection.execute(insert(VECTOR_BATCHES), [row])
        waiting = (*self.owner.owns(VECTOR_FILES), _V.due_us.is_not(None))
        last_us = connection.execute(select(func.max(_V.turn_us)).where(*waiting)).scalar_one()
        first_us = max(to_us(self.at), (last_us or 0) + to_us_of(_FOLLOWS))
        rows = [self._row(new, first_us + number * to_us_of(_FOLLOWS)) for number, new in enumerate(self.files)]
        connection.execute(insert(VECTOR_FILES), rows)
        for new in self.files:
            _put_attributes(connection, self.store, new.file, new.attributes)

    def _row(self, new: NewEntry, turn_us: int) -> dict[str, object]:
        return {
            "store": self.store,
            "id": new.file,
            "owner": self.owner.client,
            "customer": self.owner.customer,
            "created_us": to_us(self.at),
            "batch": self.batch,
            "entry": 1 + secrets.randbits(62),
            "state": IndexState.IN_PROGRESS,
            "error": None,
            "error_text": None,
            "attributes": as_text(new.attributes),
            "chunk_tokens": new.chunking.tokens,
            "overlap_tokens": new.chunking.overlap,
            "usage_bytes": 0,
            "chunks": 0,
            "embedded": None,
            "turn_us": turn_us,
            "tries": 0,
            "lease": None,
            "due_us": to_us(self.at),
        }


@dataclass(frozen=True, slots=True)
class DetachFile(Item[bool | None]):
    """Take a file out of a store of this owner. Answered True; None: it is not in one."""

    owner: Maker
    store: str
    file: str

    def apply(self, connection: Connection) -> bool | None:
        return forget_entries(connection, _V.store == self.store, _V.id == self.file, *self.owner.owns(VECTOR_FILES)) or None


@dataclass(frozen=True, slots=True)
class ChangeAttributes(Item[VectorFile | None]):
    """Put these in the place of the earlier ones. Answered with what it is now; None: not in a store of this owner."""

    owner: Maker
    store: str
    file: str
    attributes: Attributes

    def apply(self, connection: Connection) -> VectorFile | None:
        mine = (_V.store == self.store, _V.id == self.file, *self.owner.owns(VECTOR_FILES))
        changed = connection.execute(update(VECTOR_FILES).where(*mine).values(attributes=as_text(self.attributes)))
        if not changed.rowcount:
            return None
        connection.execute(delete(VECTOR_ATTRIBUTES).where(_A.store == self.store, _A.file == self.file))
        _put_attributes(connection, self.store, self.file, self.attributes)
        return find_entry(connection, self.owner, self.store, self.file)


@dataclass(frozen=True, slots=True)
class CancelBatch(Item[bool | None]):
    """Cancel what of a batch is not indexed yet. Answered True; None: no such batch in a store of this owner."""

    owner: Maker
    store: str
    batch: str
    at: datetime

    def apply(self, connection: Connection) -> bool | None:
        if find_batch(connection, self.owner, self.store, self.batch, is_theirs=True) is None:
            return None
        open_ones = (_V.store == self.store, _V.batch == self.batch, _V.state == IndexState.IN_PROGRESS)
        _leave(connection, *open_ones)
        over = {"state": IndexState.CANCELLED, "lease": None, "due_us": None, "entry": -_V.entry}
        if connection.execute(update(VECTOR_FILES).where(*open_ones).values(over)).rowcount:
            connection.execute(update(VECTOR_BATCHES).where(_B.id == self.batch).values(cancelled_us=to_us(self.at)))
        return True


@dataclass(frozen=True, slots=True)
class LeaseFiles(Item[Sequence[VectorFile]]):
    """Take what is due to be indexed, `most` at once, and of one owner one; nobody else gets it before `until`. What was begun too often
    has failed."""

    lease: str
    at: datetime
    until: datetime
    most: int

    def apply(self, connection: Connection) -> Sequence[VectorFile]:
        now_us = to_us(self.at)
        spent = (_V.due_us <= now_us, _V.tries >= TRIES_MOST)
        _leave(connection, *spent)
        failed = {"state": IndexState.FAILED, "error": "server_error", "error_text": GIVEN_UP}
        connection.execute(update(VECTOR_FILES).where(*spent).values(**failed, lease=None, due_us=None, entry=-_V.entry))
        other = aliased(VECTOR_FILES)
        is_had = select(other.c.id).where(
            other.c.owner == _V.owner,
            or_(other.c.customer == _V.customer, other.c.customer.is_(None) & _V.customer.is_(None)),
            other.c.lease.is_not(None),
            other.c.due_us > now_us,
        )
        due = select(VECTOR_FILES).where(_V.due_us <= now_us, ~is_had.exists()).order_by(_V.turn_us).limit(_LOOKED_AT)
        first: dict[Maker, VectorFile] = {}
        for row in connection.execute(due.with_for_update(skip_locked=True)):
            first.setdefault(Maker(row.owner, row.customer), entry_of(row))
        taken = list(first.values())[: self.most]
        for entry in taken:
            self._take(connection, entry)
        return [replace(entry, tries=entry.tries + 1) for entry in taken]

    def _take(self, connection: Connection, entry: VectorFile) -> None:
        ours = {"lease": self.lease, "due_us": to_us(self.until), "tries": _V.tries + 1}
        connection.execute(update(VECTOR_FILES).where(_V.store == entry.store, _V.id == entry.file).values(ours))


@dataclass(frozen=True, slots=True)
class RenewFiles(Item[None]):
    """The process that has these leases lives. `until` now: it lets go of them."""

    lease: str
    until: datetime

    def apply(self, connection: Connection) -> None:
        mine = (_V.lease == self.lease, _V.due_us.is_not(None))
        connection.execute(update(VECTOR_FILES).where(*mine).values(due_us=to_us(self.until)))


@dataclass(frozen=True, slots=True)
class FreeFiles(Item[None]):
    """Nobody has any: the only process that could has just started."""

    at: datetime

    def apply(self, connection: Connection) -> None:
        had = (_V.lease.is_not(None), _V.due_us.is_not(None))
        connection.execute(update(VECTOR_FILES).where(*had).values(lease=None, due_us=to_us(self.at)))


GIVEN_UP = "indexing did not come to an end: attach the file again, or split it"
_LOOKED_AT = 1000
"""Rows among which whose turn it is is looked for."""


def is_any_due(connection: Connection, at: datetime) -> bool:
    return connection.execute(select(_V.id).where(_V.due_us <= to_us(at)).limit(1)).first() is not None


def find_entry(connection: Connection, who: Maker, store: str, file: str) -> VectorFile | None:
    """A file in a store that they see."""
    asked = select(VECTOR_FILES).where(_V.store == store, _V.id == file, *who.sees(VECTOR_FILES))
    row = connection.execute(asked).one_or_none()
    return None if row is None else entry_of(row)


@dataclass(frozen=True, slots=True)
class EntriesWanted:
    """`batch` and `state` None: of any."""

    page: PageRequest
    batch: str | None = None
    state: IndexState | None = None


def page_of_files(connection: Connection, who: Maker, store: str, wanted: EntriesWanted) -> tuple[Sequence[VectorFile], bool]:
    """One page of the files in a store that they see, and whether there are more. NoSuchCursor."""
    within = [_V.store == store, *who.sees(VECTOR_FILES)]
    if wanted.batch is not None:
        within.append(_V.batch == wanted.batch)
    if wanted.state is not None:
        within.append(_V.state == wanted.state)
    rows, more = rows_of(connection, VECTOR_FILES, within, wanted.page)
    return [entry_of(row) for row in rows], more


def page_of_entries(connection: Connection, store: str, which: ColumnElement[bool]) -> Sequence[VectorFile]:
    return [entry_of(row) for row in connection.execute(select(VECTOR_FILES).where(_V.store == store, which))]


@dataclass(frozen=True, slots=True)
class StoredBatch:
    id: str
    store: str
    created: datetime
    is_cancelled: bool


def find_batch(connection: Connection, who: Maker, store: str, id_: str, *, is_theirs: bool = False) -> StoredBatch | None:
    """A batch of a store that they see, or, if it must be theirs, own."""
    within = who.owns(VECTOR_STORES) if is_theirs else who.sees(VECTOR_STORES)
    asked = select(VECTOR_BATCHES).join_from(VECTOR_BATCHES, VECTOR_STORES, _B.store == _S.id)
    row = connection.execute(asked.where(_B.id == id_, _S.id == store, *within)).one_or_none()
    return None if row is None else StoredBatch(row.id, row.store, from_us(row.created_us), row.cancelled_us is not None)


def forget_entries(connection: Connection, *which: ColumnElement[bool]) -> bool:
    """Remove files from their stores; what is left of their index is swept. Whether there were any."""
    _leave(connection, *which)
    for row in connection.execute(select(_V.store, _V.id).where(*which, _V.attributes != as_text({}))).all():
        connection.execute(delete(VECTOR_ATTRIBUTES).where(_A.store == row.store, _A.file == row.id))
    return bool(connection.execute(delete(VECTOR_FILES).where(*which)).rowcount)


def entry_of(row: Row[Any]) -> VectorFile:
    return VectorFile(
        store=row.store,
        file=row.id,
        owner=Maker(row.owner, row.customer),
        created=from_us(row.created_us),
        batch=row.batch,
        entry=row.entry,
        state=IndexState(row.state),
        error=None if row.error is None else IndexProblem(row.error, row.error_text or ""),
        attributes=orjson.loads(row.attributes),
        chunking=Chunking(row.chunk_tokens, row.overlap_tokens),
        usage=row.usage_bytes,
        tries=row.tries,
    )


def to_us_of(time: timedelta) -> int:
    return time // timedelta(microseconds=1)


def _leave(connection: Connection, *which: ColumnElement[bool]) -> None:
    """Have the index of these entries swept."""
    columns = ("store", "entry", "owner", "customer")
    connection.execute(
        insert(VECTOR_LEFT).from_select(columns, select(*(_V[name] for name in columns)).where(*which, _V.entry > 0))
    )


def _attached(connection: Connection, owner: Maker, and_not: tuple[ColumnElement[bool], ...]) -> Sequence[int]:
    """How many files this owner has in stores, and how many bytes in them, but those."""
    sizes = select(func.count(), func.coalesce(func.sum(_C.size), 0))
    joined = sizes.join_from(VECTOR_FILES, FILES, _V.id == _F.id).join(CONTENTS, _F.content == _C.name)
    store, ids = and_not
    return tuple(connection.execute(joined.where(*owner.owns(VECTOR_FILES), ~(store & ids))).one())


def _put_attributes(connection: Connection, store: str, file: str, attributes: Attributes) -> None:
    rows = []
    for key, value in attributes.items():
        columns: dict[str, object] = {"text": None, "number": None, "truth": None}
        if isinstance(value, bool):
            columns["truth"] = int(value)
        elif isinstance(value, str):
            columns["text"] = value
        else:
            columns["number"] = float(value)
        rows.append({"store": store, "file": file, "key": key, **columns})
    if rows:
        connection.execute(insert(VECTOR_ATTRIBUTES), rows)
