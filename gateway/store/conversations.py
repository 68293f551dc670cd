"""Conversations and what the customer said in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from audit.store.prepared import Prepared
from gateway.store.tables import CONVERSATIONS, CUSTOMERS, WORDS
from gateway.store.times import to_us

WITH_CUSTOMER = (
    select(CONVERSATIONS.c.customer, CONVERSATIONS.c.tainted, CUSTOMERS.c.mandate_version, CUSTOMERS.c.frozen)
    .select_from(CONVERSATIONS.outerjoin(CUSTOMERS, CUSTOMERS.c.customer == CONVERSATIONS.c.customer))
    .where(CONVERSATIONS.c.id == bindparam("conversation"))
)
"""A conversation's owner and taint, with the owner's grant: the columns of `conversation_of`."""

_WITH_CUSTOMER = Prepared(WITH_CUSTOMER)
_LOCK = (
    select(CONVERSATIONS.c.id)
    .where(CONVERSATIONS.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(CONVERSATIONS.c.id)
    .with_for_update(key_share=True)
)
_OWNER = select(CONVERSATIONS.c.customer).where(CONVERSATIONS.c.id == bindparam("conversation"))
_COUNT = select(func.count()).select_from(WORDS).where(WORDS.c.conversation == bindparam("conversation"))


@dataclass(frozen=True, slots=True)
class Opening:
    id: str
    customer: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Tainting:
    id: str


@dataclass(frozen=True, slots=True)
class Hearing:
    """Messages are (text, origin)."""

    customer: str
    id: str
    messages: tuple[tuple[str, str], ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """A conversation's owner and taint, with the owner's grant. `mandate_version` is None for a customer without a row."""

    customer: str
    is_tainted: bool
    mandate_version: int | None
    is_frozen: bool


def with_customer(connection: Connection, conversation: str) -> Known | None:
    """One statement, as it is on every call's way."""
    rows = _WITH_CUSTOMER.rows(connection, {"conversation": conversation})
    return conversation_of(rows[0]) if rows else None


def conversation_of(row: Sequence[Any]) -> Known:
    """From the columns of `WITH_CUSTOMER`."""
    customer, tainted, version, frozen = row
    return Known(customer, bool(tainted), version, bool(frozen))


def lock(connection: Connection, ids: Iterable[str]) -> None:
    """Until the transaction ends, in the order of their names, so that two processes cannot wait for each other."""
    if wanted := sorted(ids):
        connection.execute(_LOCK, {"ids": wanted})


def open_one(connection: Connection, item: Opening) -> None:
    row = {"id": item.id, "customer": item.customer, "created_us": to_us(item.at), "tainted": False}
    connection.execute(insert(CONVERSATIONS), [row])


def taint(connection: Connection, item: Tainting) -> None:
    connection.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == item.id).values(tainted=True))


def hear(connection: Connection, item: Hearing) -> int | None:
    owner = connection.execute(_OWNER, {"conversation": item.id}).scalar_one_or_none()
    if owner != item.customer:
        return None
    count: int = connection.execute(_COUNT, {"conversation": item.id}).scalar_one()
    rows = [
        {"conversation": item.id, "position": count + offset, "origin": origin, "text": text, "at_us": to_us(item.at)}
        for offset, (text, origin) in enumerate(item.messages)
    ]
    connection.execute(insert(WORDS), rows)
    return count + len(rows)
