"""Vector stores: whose they are, how long they last, and what their files come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Row, case, delete, func, insert, select, update

from gateway.domain.states import IndexState
from gateway.store.assistants import Maker, Metadata, as_text
from gateway.store.items import Item
from gateway.store.pages import PageRequest, rows_of
from gateway.store.times import from_us, to_us
from gateway.store.vector_files import forget_entries
from gateway.store.vector_tables import VECTOR_BATCHES, VECTOR_FILES, VECTOR_STORES

STORES_MOST = 1000
"""Of one owner."""

_S, _F, _B = VECTOR_STORES.c, VECTOR_FILES.c, VECTOR_BATCHES.c


class TooManyStores(Exception):
    """Its owner has `STORES_MOST`."""


@dataclass(frozen=True, slots=True)
class VectorStore:
    """`lasts`: how long after `active`, when it was last used; None: for good. `key`: of its index, wrapped under its owner's."""

    id: str
    owner: Maker
    created: datetime
    name: str
    description: str | None
    metadata: Metadata
    lasts: timedelta | None
    active: datetime
    key: bytes
    thread: str | None = None
    """For which it was made, and with which it goes."""

    @property
    def expires(self) -> datetime | None:
        return None if self.lasts is None else self.active + self.lasts

    def has_expired(self, at: datetime) -> bool:
        return self.expires is not None and self.expires <= at


@dataclass(frozen=True, slots=True)
class IndexedCounts:
    """How many files of a store, or a batch, are in each state, and how many bytes those have together that are indexed."""

    of: Mapping[IndexState, int]
    size: int

    @property
    def total(self) -> int:
        return sum(self.of.values())


NOTHING = IndexedCounts({}, 0)


@dataclass(frozen=True, slots=True)
class CreateVectorStore(Item[None]):
    """TooManyStores."""

    store: VectorStore

    def apply(self, connection: Connection) -> TooManyStores | None:
        new = self.store
        count = select(func.count()).where(*new.owner.owns(VECTOR_STORES))
        if connection.execute(count).scalar_one() >= STORES_MOST:
            return TooManyStores()
        row = {
            "id": new.id,
            "owner": new.owner.client,
            "customer": new.owner.customer,
            "created_us": to_us(new.created),
            "name": new.name,
            "description": new.description,
            "metadata": as_text(new.metadata),
            **_times(new.active, new.lasts),
            "key": new.key,
            "thread": new.thread,
        }
        connection.execute(insert(VECTOR_STORES), [row])
        return None


@dataclass(frozen=True, slots=True)
class ChangeVectorStore(Item[VectorStore | None]):
    """Answered with what it is now; None: not this owner's. `changes`: `name`, `metadata` and `lasts`, where they change."""

    owner: Maker
    id: str
    at: datetime
    changes: Mapping[str, Any]

    def apply(self, connection: Connection) -> VectorStore | None:
        mine = (_S.id == self.id, *self.owner.owns(VECTOR_STORES))
        row = connection.execute(select(VECTOR_STORES).where(*mine).with_for_update()).one_or_none()
        if row is None:
            return None
        store = _store(row)
        values: dict[str, object] = _times(self.at, self.changes.get("lasts", store.lasts))
        if "name" in self.changes:
            values["name"] = self.changes["name"]
        if "metadata" in self.changes:
            values["metadata"] = as_text(self.changes["metadata"])
        connection.execute(update(VECTOR_STORES).where(*mine).values(values))
        return find_store(connection, self.owner, self.id)


@dataclass(frozen=True, slots=True)
class UseVectorStore(Item[None]):
    """It was used by one who sees it: it lasts from now on."""

    who: Maker
    id: str
    at: datetime

    def apply(self, connection: Connection) -> None:
        seen = (_S.id == self.id, *self.who.sees(VECTOR_STORES))
        row = connection.execute(select(VECTOR_STORES).where(*seen).with_for_update()).one_or_none()
        if row is not None and not _store(row).has_expired(self.at):
            connection.execute(update(VECTOR_STORES).where(*seen).values(_times(self.at, _store(row).lasts)))


@dataclass(frozen=True, slots=True)
class DeleteVectorStore(Item[bool | None]):
    """Answered True; None: not this owner's. Its key goes at once, and with it what is left of its index."""

    owner: Maker
    id: str

    def apply(self, connection: Connection) -> bool | None:
        mine = (_S.id == self.id, *self.owner.owns(VECTOR_STORES))
        if connection.execute(select(_S.id).where(*mine)).one_or_none() is None:
            return None
        forget_stores(connection, [self.id])
        return True


def find_store(connection: Connection, who: Maker, id_: str) -> VectorStore | None:
    """One that they see."""
    row = connection.execute(select(VECTOR_STORES).where(_S.id == id_, *who.sees(VECTOR_STORES))).one_or_none()
    return None if row is None else _store(row)


def page_of_stores(
    connection: Connection, who: Maker, page: PageRequest
) -> tuple[Sequence[tuple[VectorStore, IndexedCounts]], bool]:
    """One page of what they see, and whether there are more. NoSuchCursor."""
    rows, more = rows_of(connection, VECTOR_STORES, [*who.sees(VECTOR_STORES)], page)
    counts = counts_of(connection, [row.id for row in rows])
    return [(_store(row), counts.get(row.id, NOTHING)) for row in rows], more


def with_counts(connection: Connection, who: Maker, id_: str) -> tuple[VectorStore, IndexedCounts] | None:
    """One that they see, and what its files come to."""
    store = find_store(connection, who, id_)
    return None if store is None else (store, counts_of(connection, [id_]).get(id_, NOTHING))


def counts_of(connection: Connection, stores: Sequence[str]) -> Mapping[str, IndexedCounts]:
    """Of each of these stores that has files."""
    size = func.sum(case((_F.state == IndexState.COMPLETED, _F.usage_bytes), else_=0))
    asked = select(_F.store, _F.state, func.count(), size).where(_F.store.in_(stores)).group_by(_F.store, _F.state)
    return _counted(connection.execute(asked).all())


def counts_of_batch(connection: Connection, store: str, batch: str) -> IndexedCounts:
    """Of the files of a batch that are in the store still."""
    asked = select(_F.store, _F.state, func.count(), func.sum(0)).where(_F.store == store, _F.batch == batch)
    return _counted(connection.execute(asked.group_by(_F.store, _F.state)).all()).get(store, NOTHING)


def forget_stores(connection: Connection, ids: Sequence[str]) -> None:
    """Remove these stores and what is in them."""
    forget_entries(connection, _F.store.in_(ids))
    connection.execute(delete(VECTOR_BATCHES).where(_B.store.in_(ids)))
    connection.execute(delete(VECTOR_STORES).where(_S.id.in_(ids)))


def forget_stores_of_thread(connection: Connection, thread: str) -> None:
    """Remove the stores that were made for this thread; one that was only named in it stays."""
    of_thread = select(_S.id).where(_S.thread == thread).order_by(_S.id).with_for_update()  # before its files, as who attaches does
    made = list(connection.execute(of_thread).scalars())
    if made:
        forget_stores(connection, made)


def _counted(rows: Sequence[Sequence[Any]]) -> Mapping[str, IndexedCounts]:
    found: dict[str, IndexedCounts] = {}
    for store, state, count, size in rows:
        before = found.get(store, NOTHING)
        found[store] = IndexedCounts({**before.of, IndexState(state): count}, before.size + int(size))
    return found


def _times(active: datetime, lasts: timedelta | None) -> dict[str, object]:
    """The columns that say when it goes."""
    expires_us = None if lasts is None else to_us(active + lasts)
    return {"active_us": to_us(active), "lasts_days": None if lasts is None else lasts.days, "expires_us": expires_us}


def _store(row: Row[Any]) -> VectorStore:
    return VectorStore(
        id=row.id,
        owner=Maker(row.owner, row.customer),
        created=from_us(row.created_us),
        name=row.name,
        description=row.description,
        metadata=orjson.loads(row.metadata),
        lasts=None if row.lasts_days is None else timedelta(days=row.lasts_days),
        active=from_us(row.active_us),
        key=bytes(row.key),
        thread=row.thread,
    )
