"""A person goes from the trail, as far as the law allows, from the gateway's store and from its journal.

The one place that does it, for the command and for the operations listener.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adapters.declared.journal import FILE, Journal
from audit import erasure
from audit.database import Database
from audit.erasure import Certificate, LegalHold, NothingToErase
from audit.log import Log
from audit.query import Why
from gateway.app.alignment import refuse_apart, refuse_keys_apart
from gateway.app.database_roles import may_erase
from gateway.app.databases import DatabaseLocations, DatabaseName
from gateway.oversight.erasing import ErasureOrder, RoleMayNotErase
from gateway.store import erasure as store

Agreed = Callable[[Mapping[str, object]], Awaitable[None]]
"""Uses the approval of exactly this subject, or raises: then nothing is destroyed."""


@dataclass(frozen=True, slots=True)
class GatewayStores:
    """What the gateway keeps of a customer beside the trail."""

    database: Database
    journal: Path
    customer: str

    async def check(self) -> None:
        await self.database.read(lambda connection: store.check(connection, self.customer))

    async def remove(self) -> Mapping[str, int]:
        removed = dict(await self.database.write(lambda connection: store.erase(connection, self.customer)))
        await self.database.overwrite_deleted()
        if self.journal.exists() and (sent := await asyncio.to_thread(self._forget)):
            removed["journal"] = sent
        return removed

    def _forget(self) -> int:
        journal = Journal(self.journal)
        try:
            return journal.forget(self.customer)
        finally:
            journal.close()


async def erase_customer(places: DatabaseLocations, log: Log, order: ErasureOrder, why: Why, agreed: Agreed) -> Certificate:
    """Erase who is named. What stands in the way is said before anybody is asked to approve, or an approval is used; the erasure itself
    looks again. One of `gateway.oversight.erasing.OBSTACLES`, UnsafeSettings, LogUnavailable, or what `agreed` raises."""
    await _refuse_role(places)
    database = places.open(DatabaseName.GATEWAY, name=log.writer_id)
    try:
        await refuse_apart(database)
        await refuse_keys_apart(log)
        elsewhere = GatewayStores(database, places.data / FILE, order.customer)
        await _erasable(log, elsewhere)
        await agreed(order.subject())
        return await erasure.erase(log, order.customer, why, minimums=order.minimums, elsewhere=elsewhere)
    finally:
        await database.close()


async def _refuse_role(places: DatabaseLocations) -> None:
    """Found out before anything is on record: an erasure that ended half way would have told of what it did not destroy."""
    for part in (DatabaseName.LOG, DatabaseName.KEYS):
        database = places.open(part, name="command")
        try:
            if not await database.read(partial(may_erase, part=part)):
                raise RoleMayNotErase
        finally:
            await database.close()


async def _erasable(log: Log, elsewhere: GatewayStores) -> None:
    if await log.keys.subject_of(elsewhere.customer) is None:
        raise NothingToErase
    if await erasure.holds(log, elsewhere.customer):
        raise LegalHold
    await elsewhere.check()
