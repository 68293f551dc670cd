"""Standing mandates: what a customer signed so that payments within it are not asked again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, literal_column, select, update

from audit.store.prepared import Prepared
from gateway.domain.mandate import StandingMandate
from gateway.store.tables import STANDING_MANDATES
from gateway.store.times import to_us

_OF = Prepared(
    select(STANDING_MANDATES.c.terms, STANDING_MANDATES.c.signature).where(
        STANDING_MANDATES.c.customer == bindparam("customer"), STANDING_MANDATES.c.revoked_us.is_(literal_column("null"))
    )
)
_STANDS = Prepared(
    select(STANDING_MANDATES.c.id).where(
        STANDING_MANDATES.c.id == bindparam("standing"), STANDING_MANDATES.c.revoked_us.is_(literal_column("null"))
    )
)


@dataclass(frozen=True, slots=True)
class StoreStandingMandate:
    mandate: StandingMandate
    signature: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class RevokeStandingMandate:
    customer: str
    id: str
    at: datetime


def of(connection: Connection, customer: str) -> Sequence[Any]:
    """Terms and signature of each that was not revoked."""
    return _OF.rows(connection, {"customer": customer})


def stands(connection: Connection, mandate: str) -> bool:
    """Whether it was not revoked: asked inside the transaction that pays under it."""
    return bool(_STANDS.rows(connection, {"standing": mandate}))


def sign(connection: Connection, item: StoreStandingMandate) -> None:
    row = {
        "id": item.mandate.id,
        "customer": item.mandate.customer,
        "terms": item.mandate.canonical(),
        "signature": item.signature,
        "created_us": to_us(item.at),
    }
    connection.execute(insert(STANDING_MANDATES), [row])


def revoke(connection: Connection, item: RevokeStandingMandate) -> bool:
    mine = (STANDING_MANDATES.c.id == item.id, STANDING_MANDATES.c.customer == item.customer)
    change = update(STANDING_MANDATES).where(*mine, STANDING_MANDATES.c.revoked_us.is_(None)).values(revoked_us=to_us(item.at))
    return connection.execute(change).rowcount == 1
