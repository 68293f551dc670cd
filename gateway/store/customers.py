"""What customers granted."""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from audit.store.prepared import Prepared
from gateway.mandate import Mandate
from gateway.store.tables import CUSTOMERS

_MANDATE = select(CUSTOMERS.c.mandate, CUSTOMERS.c.mandate_signature).where(CUSTOMERS.c.customer == bindparam("customer"))

_VERSION = select(CUSTOMERS.c.mandate_version).where(CUSTOMERS.c.customer == bindparam("customer"))
_FROZEN = Prepared(select(CUSTOMERS.c.frozen).where(CUSTOMERS.c.customer == bindparam("customer")))


@dataclass(frozen=True, slots=True)
class Grant:
    mandate: Mandate
    signature: bytes


def mandate(connection: Connection, customer: str) -> Row[bytes, bytes] | None:
    return connection.execute(_MANDATE, {"customer": customer}).one_or_none()


def grant(connection: Connection, item: Grant) -> None:
    granted = item.mandate
    connection.execute(delete(CUSTOMERS).where(CUSTOMERS.c.customer == granted.customer))
    row = {
        "customer": granted.customer,
        "mandate_version": granted.version,
        "mandate": granted.canonical(),
        "mandate_signature": item.signature,
        "frozen": False,
    }
    connection.execute(insert(CUSTOMERS), [row])


def is_frozen(connection: Connection, customer: str) -> bool:
    rows = _FROZEN.rows(connection, {"customer": customer})
    return not rows or bool(rows[0][0])


def mandate_version(connection: Connection, customer: str) -> int | None:
    return connection.execute(_VERSION, {"customer": customer}).scalar_one_or_none()
