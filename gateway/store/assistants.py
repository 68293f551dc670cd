"""Assistants: what the bank's back ends made, and customers by them; each its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, insert, literal_column, or_, select, update

from audit.store.prepared import Prepared
from gateway.domain.strict_json import Json
from gateway.store.items import Item
from gateway.store.pages import PageRequest, rows_of
from gateway.store.resources import replaced
from gateway.store.tables import ASSISTANTS
from gateway.store.times import from_us, to_us

Metadata = Mapping[str, str]

RESOURCES = "tool_resources"
"""The field of an assistant's body."""

_A = ASSISTANTS.c

_SEEN = Prepared(
    select(ASSISTANTS).where(
        _A.id == bindparam("id"),
        _A.owner == bindparam("owner"),
        or_(_A.customer.is_(literal_column("null")), _A.customer == bindparam("customer")),  # none equals no customer
    )
)
_CREATE = Prepared(insert(ASSISTANTS))


@dataclass(frozen=True, slots=True)
class Maker:
    """Whose an assistant or a file is: the client's, or, where `customer` is named, that customer's by this client, and nobody else's."""

    client: str
    customer: str | None = None

    def owns(self, table: Table) -> tuple[ColumnElement[bool], ...]:
        """The rows of what this one made, and may change."""
        return (table.c.owner == self.client, table.c.customer == self.customer)  # None: is null

    def sees(self, table: Table) -> tuple[ColumnElement[bool], ...]:
        """Those, and what its client made for everybody."""
        return (table.c.owner == self.client, or_(table.c.customer.is_(None), table.c.customer == self.customer))


@dataclass(frozen=True, slots=True)
class Assistant:
    """`body` holds the API's own names."""

    id: str
    maker: Maker
    created: datetime
    body: Mapping[str, Json]
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class CreateAssistant(Item[Assistant]):
    assistant: Assistant

    def apply(self, connection: Connection) -> Assistant:
        made = self.assistant
        row = {
            "id": made.id,
            "owner": made.maker.client,
            "customer": made.maker.customer,
            "created_us": to_us(made.created),
            "body": as_text(made.body),
            "metadata": as_text(made.metadata),
        }
        _CREATE.one(connection, row)
        return made


@dataclass(frozen=True, slots=True)
class ChangeAssistant(Item[Assistant | None]):
    """Put these fields in the place of the earlier ones, of `tool_resources` each tool's by itself. Answered with what it is now; None:
    not this maker's."""

    maker: Maker
    id: str
    changes: Mapping[str, Any]
    metadata: Metadata | None

    def apply(self, connection: Connection) -> Assistant | None:
        mine = (_A.id == self.id, *self.maker.owns(ASSISTANTS))
        row = connection.execute(select(ASSISTANTS).where(*mine).with_for_update()).one_or_none()
        if row is None:
            return None
        before = orjson.loads(row.body)
        changes = dict(self.changes)
        if RESOURCES in changes:
            changes[RESOURCES] = replaced(before.get(RESOURCES), changes[RESOURCES])
        body = as_text({**before, **changes})
        metadata = row.metadata if self.metadata is None else as_text(self.metadata)
        connection.execute(update(ASSISTANTS).where(*mine).values(body=body, metadata=metadata))
        return find(connection, self.maker, self.id)


@dataclass(frozen=True, slots=True)
class DeleteAssistant(Item[bool | None]):
    """Answered True; None: not this maker's. Runs that were begun with it go on: they hold what they need."""

    maker: Maker
    id: str

    def apply(self, connection: Connection) -> bool | None:
        gone = connection.execute(delete(ASSISTANTS).where(_A.id == self.id, *self.maker.owns(ASSISTANTS)))
        return True if gone.rowcount else None


def find(connection: Connection, who: Maker, id_: str) -> Assistant | None:
    """One that they see."""
    rows = _SEEN.rows(connection, {"id": id_, "owner": who.client, "customer": who.customer})
    return _assistant(rows[0]) if rows else None


def page(connection: Connection, who: Maker, page_request: PageRequest) -> tuple[Sequence[Assistant], bool]:
    """One page of what they see, and whether there are more. NoSuchCursor."""
    rows, more = rows_of(connection, ASSISTANTS, [*who.sees(ASSISTANTS)], page_request)
    return [_assistant(row) for row in rows], more


def names(connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
    """Names of those of these assistants that have one and that a client made: a customer's token may write no name to confirm by."""
    rows = connection.execute(select(_A.id, _A.body).where(_A.id.in_(ids), _A.customer.is_(None)))
    found = {row.id: orjson.loads(row.body).get("name") for row in rows}
    return {id_: name for id_, name in found.items() if name}


def _assistant(row: Sequence[Any]) -> Assistant:
    id_, client, created_us, body, metadata, customer = row
    return Assistant(id_, Maker(client, customer), from_us(created_us), orjson.loads(body), orjson.loads(metadata))


def as_text(value: Mapping[str, Json] | Metadata) -> str:
    """JSON as a column holds it."""
    return orjson.dumps(value).decode()
