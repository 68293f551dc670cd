"""Documents that can be read: files that are indexed in a store which somebody sees, across their stores."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, Select, and_, or_, select

from gateway.domain.states import IndexState
from gateway.store.assistants import Maker
from gateway.store.file_tables import FILES, file_stands
from gateway.store.times import from_us, to_us
from gateway.store.vector_tables import VECTOR_FILES, VECTOR_STORES

_V, _F, _S = VECTOR_FILES.c, FILES.c, VECTOR_STORES.c


@dataclass(frozen=True, slots=True)
class Document:
    """`own`: the customer's; else the client's, for all of its customers. `chunks`: of its index."""

    store: str
    file: str
    created: datetime
    name: str
    own: bool
    chunks: int


Place = tuple[str, str]
"""A document's store and file, by which lists go on."""


def page_of_documents(
    connection: Connection, who: Maker, at: datetime, after: Place | None, limit: int
) -> tuple[Sequence[Document], bool]:
    """One page in the order of stores and files, and whether there are more. `after` need not be there any more."""
    asked = _readable(who, at)
    if after is not None:
        asked = asked.where(or_(_V.store > after[0], and_(_V.store == after[0], _V.id > after[1])))
    rows = connection.execute(asked.order_by(_V.store, _V.id).limit(limit + 1)).all()
    return [_document(row) for row in rows[:limit]], len(rows) > limit


def find_document(connection: Connection, who: Maker, at: datetime, place: Place) -> Document | None:
    row = connection.execute(_readable(who, at).where(_V.store == place[0], _V.id == place[1])).one_or_none()
    return None if row is None else _document(row)


def _readable(who: Maker, at: datetime) -> Select[tuple[str, str, int, str, str | None, int]]:
    """Whoever sees the store reads what is in it, while both last."""
    asked = select(_V.store, _V.id, _V.created_us, _F.name, _F.customer, _V.chunks)
    asked = asked.join_from(VECTOR_FILES, FILES, _V.id == _F.id).join(VECTOR_STORES, _V.store == _S.id)
    lasts = or_(_S.expires_us.is_(None), _S.expires_us > to_us(at))
    return asked.where(*who.sees(VECTOR_FILES), _V.state == IndexState.COMPLETED, lasts, file_stands(at))


def _document(row: Row[tuple[str, str, int, str, str | None, int]]) -> Document:
    return Document(row.store, row.id, from_us(row.created_us), row.name, row.customer is not None, row.chunks)
