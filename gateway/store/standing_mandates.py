"""Standing mandates: what a customer signed so that payments within it are not asked again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, literal_column, select, update

from audit.store.prepared import Prepared
from gateway.domain.mandate import StandingMandate
from gateway.store.items import Item, Locks
from gateway.store.tables import STANDING_MANDATES
from gateway.store.times import to_us

OF = select(STANDING_MANDATES.c.terms, STANDING_MANDATES.c.signature).where(
    STANDING_MANDATES.c.customer == bindparam("customer"), STANDING_MANDATES.c.revoked_us.is_(literal_column("null"))
)
"""Those of a customer that were not revoked."""

_OF = Prepared(OF)
_STANDS = Prepared(
    select(STANDING_MANDATES.c.id).where(
        STANDING_MANDATES.c.id == bindparam("standing"), STANDING_MANDATES.c.revoked_us.is_(literal_column("null"))
    )
)


@dataclass(frozen=True, slots=True)
class StoreStandingMandate(Item[None]):
    mandate: StandingMandate
    signature: bytes
    at: datetime

    def apply(self, connection: Connection) -> None:
        row = {
            "id": self.mandate.id,
            "customer": self.mandate.customer,
            "terms": self.mandate.canonical(),
            "signature": self.signature,
            "created_us": to_us(self.at),
        }
        connection.execute(insert(STANDING_MANDATES), [row])


@dataclass(frozen=True, slots=True)
class RevokeStandingMandate(Item[bool]):
    customer: str
    id: str
    at: datetime

    @property
    def locks(self) -> Locks:
        return Locks(customers=frozenset({self.customer}))  # a payment under it that is being claimed comes before, or not at all

    def apply(self, connection: Connection) -> bool:
        mine = (STANDING_MANDATES.c.id == self.id, STANDING_MANDATES.c.customer == self.customer)
        change = update(STANDING_MANDATES).where(*mine, STANDING_MANDATES.c.revoked_us.is_(None)).values(revoked_us=to_us(self.at))
        return connection.execute(change).rowcount == 1


def of(connection: Connection, customer: str) -> Sequence[Any]:
    """Terms and signature of each that was not revoked."""
    return _OF.rows(connection, {"customer": customer})


def stands(connection: Connection, mandate: str) -> bool:
    """Whether it was not revoked: asked inside the transaction that pays under it."""
    return bool(_STANDS.rows(connection, {"standing": mandate}))
