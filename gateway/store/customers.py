"""What customers granted."""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from audit.store.prepared import Prepared
from gateway.domain.mandate import Mandate, MandateNotNewer
from gateway.store import epochs
from gateway.store.items import Item, Locks
from gateway.store.tables import CUSTOMERS

_MANDATE = select(CUSTOMERS.c.mandate, CUSTOMERS.c.mandate_signature).where(CUSTOMERS.c.customer == bindparam("customer"))

_VERSION = select(CUSTOMERS.c.mandate_version).where(CUSTOMERS.c.customer == bindparam("customer"))
_C = CUSTOMERS.c
_NEWCOMERS = "newcomers"
_NAMES = select(CUSTOMERS.c.customer).order_by(CUSTOMERS.c.customer).limit(100)
_FROZEN = Prepared(select(CUSTOMERS.c.frozen).where(CUSTOMERS.c.customer == bindparam("customer")))


@dataclass(frozen=True, slots=True)
class GrantMandate(Item[None]):
    mandate: Mandate
    signature: bytes

    def apply(self, connection: Connection) -> None:
        """Over the row that is there, if any: a claim that waits for it must find it again."""
        granted = self.mandate
        terms = {
            "mandate_version": granted.version,
            "mandate": granted.canonical(),
            "mandate_signature": self.signature,
            "frozen": False,
        }
        change = update(CUSTOMERS).where(CUSTOMERS.c.customer == granted.customer).values(terms)
        if connection.execute(change).rowcount == 0:
            connection.execute(insert(CUSTOMERS).values(customer=granted.customer, **terms))


@dataclass(frozen=True, slots=True)
class GrantMandates(Item[None]):
    """Signed mandates of several customers, each once: all in the place of earlier ones, or none. Answered with MandateNotNewer for none.
    A customer who is frozen stays so."""

    granted: tuple[tuple[Mandate, bytes], ...]

    @property
    def locks(self) -> Locks:
        return Locks(customers=frozenset(granted.customer for granted, _ in self.granted))

    def apply(self, connection: Connection) -> MandateNotNewer | None:
        if any(mandate_version(connection, granted.customer) is None for granted, _ in self.granted):
            epochs.lock(connection, _NEWCOMERS)  # who has no row yet has none that could be locked
        for granted, _ in self.granted:
            stored = mandate_version(connection, granted.customer)
            if stored is not None and stored >= granted.version:
                return MandateNotNewer(granted.customer, stored)
        for granted, signature in self.granted:
            stays_frozen = mandate_version(connection, granted.customer) is not None and is_frozen(connection, granted.customer)
            GrantMandate(granted, signature).apply(connection)
            if stays_frozen:
                connection.execute(update(CUSTOMERS).where(CUSTOMERS.c.customer == granted.customer).values(frozen=True))
        return None


def mandate(connection: Connection, customer: str) -> Row[bytes, bytes] | None:
    return connection.execute(_MANDATE, {"customer": customer}).one_or_none()


@dataclass(frozen=True, slots=True)
class GrantedRow:
    """A row as it stands: nothing of it is verified."""

    customer: str
    version: int
    mandate: bytes
    signature: bytes
    is_frozen: bool


def granted(connection: Connection, customer: str | None, after: str, limit: int) -> list[GrantedRow]:
    """At most `limit` rows, by customer: of this one, or of those after `after`."""
    which = _C.customer > after if customer is None else _C.customer == customer
    columns = (_C.customer, _C.mandate_version, _C.mandate, _C.mandate_signature, _C.frozen)
    rows = connection.execute(select(*columns).where(which).order_by(_C.customer).limit(limit))
    return [GrantedRow(name, version, bytes(terms), bytes(signature), frozen) for name, version, terms, signature, frozen in rows]


def names(connection: Connection) -> list[str]:
    """The first hundred customers who have been granted something, by name."""
    return list(connection.execute(_NAMES).scalars())


def is_frozen(connection: Connection, customer: str) -> bool:
    rows = _FROZEN.rows(connection, {"customer": customer})
    return not rows or bool(rows[0][0])


def mandate_version(connection: Connection, customer: str) -> int | None:
    return connection.execute(_VERSION, {"customer": customer}).scalar_one_or_none()
