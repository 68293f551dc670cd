"""With what customers confirm: WebAuthn credentials, as the bank's identity system enrolled them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, insert, literal, or_, select, update

from gateway.domain.ports import Passkey
from gateway.store.items import Item, ItemStore
from gateway.store.tables import PASSKEYS
from gateway.store.times import from_us, to_us

_P = PASSKEYS.c


@dataclass(frozen=True, slots=True)
class EnrolPasskey(Item[bool]):
    passkey: Passkey

    def apply(self, connection: Connection) -> bool:
        passkey = self.passkey
        if connection.execute(select(_P.customer).where(_P.credential == passkey.credential)).first() is not None:
            return False
        row = {
            "credential": passkey.credential,
            "customer": passkey.customer,
            "public_key": passkey.public_key,
            "sign_count": passkey.sign_count,
            "active_us": to_us(passkey.active_from),
        }
        connection.execute(insert(PASSKEYS), [row])
        return True


@dataclass(frozen=True, slots=True)
class RevokePasskey(Item[bool]):
    customer: str
    credential: str
    at: datetime

    def apply(self, connection: Connection) -> bool:
        mine = and_(_P.credential == self.credential, _P.customer == self.customer, _P.revoked_us.is_(None))
        return connection.execute(update(PASSKEYS).where(mine).values(revoked_us=to_us(self.at))).rowcount == 1


@dataclass(frozen=True, slots=True)
class CountAssertion(Item[bool]):
    credential: str
    sign_count: int

    def apply(self, connection: Connection) -> bool:
        """Compare and swap: a counter that does not grow is a clone's, unless the authenticator keeps none (0 for ever)."""
        grows = or_(_P.sign_count < self.sign_count, and_(_P.sign_count == 0, literal(self.sign_count) == 0))
        this_one = and_(_P.credential == self.credential, _P.revoked_us.is_(None), grows)
        return connection.execute(update(PASSKEYS).where(this_one).values(sign_count=self.sign_count)).rowcount == 1


def _of(connection: Connection, customer: str) -> Sequence[Passkey]:
    rows = connection.execute(select(PASSKEYS).where(_P.customer == customer, _P.revoked_us.is_(None)).order_by(_P.credential))
    return [_passkey(row) for row in rows]


def _find(connection: Connection, credential: str) -> Passkey | None:
    row = connection.execute(select(PASSKEYS).where(_P.credential == credential, _P.revoked_us.is_(None))).one_or_none()
    return None if row is None else _passkey(row)


def _passkey(row: Any) -> Passkey:
    return Passkey(row.credential, row.customer, row.public_key, row.sign_count, from_us(row.active_us))


@dataclass(frozen=True, slots=True)
class SqlPasskeys:
    """The `Passkeys` on the gateway's database."""

    store: ItemStore

    async def of(self, customer: str) -> Sequence[Passkey]:
        return await self.store.read(lambda connection: _of(connection, customer))

    async def find(self, credential: str) -> Passkey | None:
        return await self.store.read(lambda connection: _find(connection, credential))

    async def enrol(self, passkey: Passkey) -> bool:
        return await self.store.write(EnrolPasskey(passkey))

    async def revoke(self, customer: str, credential: str, at: datetime) -> bool:
        return await self.store.write(RevokePasskey(customer, credential, at))

    async def count(self, credential: str, sign_count: int) -> bool:
        return await self.store.write(CountAssertion(credential, sign_count))
