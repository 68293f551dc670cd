"""Mandates that a bank brings come into the gateway's database: all of a batch or none, and on record."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from audit.leaf import Plain, Record, RecordKind
from audit.log import Log
from gateway.app.alignment import refuse_apart, refuse_keys_apart
from gateway.app.clock import Clock
from gateway.app.databases import DatabaseLocations, DatabaseName, open_log, refuse_unmade
from gateway.app.mandate_files import ImportedMandate
from gateway.calls.record_fields import mandate_record
from gateway.domain.mandate import MandateNotNewer, MandateVerifier
from gateway.store.book import SqlBook
from gateway.store.customers import GrantMandates

WAIT_MS = 5_000
AT_ONCE = 64
"""Records that are appended at once: the log takes them as a group."""


@dataclass(frozen=True, slots=True)
class MandateBatch:
    """What is imported at once. `digest`: SHA-256 of the file; `officer`: who does it."""

    taken: Sequence[ImportedMandate]
    digest: str
    officer: str


async def import_batch(
    places: DatabaseLocations, key: MandateVerifier, batch: MandateBatch, *, clock: Clock
) -> MandateNotNewer | None:
    """Store the whole batch and record it, or nothing: then whose mandate is not newer than the stored one. A gateway may run meanwhile,
    and goes by the new mandates from its next call on. UnsafeSettings, LogUnavailable, KeyRefused, LogCorrupt, HistoryUnknown."""
    await refuse_unmade(places)
    async with AsyncExitStack() as undo:
        log = await open_log(places, writer_id="command", clock=clock, may_upgrade=False)
        undo.push_async_callback(log.close)
        database = places.open(DatabaseName.GATEWAY, name="command")
        undo.push_async_callback(database.close)
        await refuse_keys_apart(log)
        await refuse_apart(database)
        SqlBook(database, mandate_key=key, duplicate_window_s=0, shared=log.transactions)  # makes the log's changes
        return await _on_record(log, batch, clock())


async def _on_record(log: Log, batch: MandateBatch, now: datetime) -> MandateNotNewer | None:
    """First of each customer what is to be imported, then all of it together with the record that it was."""
    common = {"by": batch.officer, "file_sha256": batch.digest}
    for first in range(0, len(batch.taken), AT_ONCE):
        await asyncio.gather(
            *(log.append(_intended(item, common, now), timeout_ms=WAIT_MS) for item in batch.taken[first : first + AT_ONCE])
        )
    change = GrantMandates(tuple((item.mandate, item.signature) for item in batch.taken))
    facts: dict[str, Plain] = {**common, "word": "mandates_imported", "count": len(batch.taken)}
    try:
        await log.append_with(change, Record(kind=RecordKind.ADMIN, time=now, facts=facts), timeout_ms=WAIT_MS)
    except MandateNotNewer as refused:
        return refused
    return None


def _intended(item: ImportedMandate, common: dict[str, str], now: datetime) -> Record:
    return mandate_record(item.mandate, "mandate_import", common, now)
