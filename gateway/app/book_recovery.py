"""A gateway's database that is behind its log, brought up to it: everything stops first, then what the log tells is put back, in one
transaction with the record of it. Two officers lift the switch.

May be killed at any moment and run again: until that transaction is committed both halves differ, and nothing begins on them.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from audit.inspection import verify_store
from audit.keyring import KeyRing, SignedRows
from audit.leaf import Plain, Record, RecordKind
from audit.log import Log
from gateway.app.alignment import finding_of
from gateway.app.clock import Clock
from gateway.app.databases import DatabaseLocations, DatabaseName, open_log, refuse_unmade
from gateway.app.forgotten import read_forgotten
from gateway.app.keys import MANDATES, file_keys
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls.record import Records
from gateway.domain.kill_switch import Scope
from gateway.oversight.kill_switches import KillSwitches
from gateway.store.direct import DirectStore
from gateway.store.forgotten import RecoverBook
from gateway.store.kill_switches import SqlKillSwitches
from gateway.store.log_position import Aligned, Alignment, aligned

REASON = "the gateway's database was restored from a backup"
WAIT_MS = 600_000
"""For a transaction that puts back days of records."""


class TrailDamaged(Exception):
    """The log does not verify: nothing is put back by it. The text is the first finding."""


@dataclass(frozen=True, slots=True)
class BookRecovered:
    """`before`: how the halves stood. `switch`: what stops everything; None where there was nothing to recover. `counts`: how much was put
    back, by kind; `unknown`: records whose sealed part the log holds no more, since its keys were destroyed or lost."""

    before: Aligned
    switch: str | None
    counts: Mapping[str, int]
    unknown: int
    record: int | None


async def recover_book(places: DatabaseLocations, officer: str, *, clock: Clock) -> BookRecovered:
    """Recover. UnsafeSettings where the log is the older half, or another one; TrailDamaged; LogMoved where somebody still writes;
    HistoryUnknown, KeyRefused, LogUnavailable, LogCorrupt, Unavailable: then nothing was put back, and it may be run again."""
    await refuse_unmade(places)
    async with AsyncExitStack() as undo:
        log = await open_log(places, writer_id="command", clock=clock, may_upgrade=False)
        undo.push_async_callback(log.close)
        database = places.open(DatabaseName.GATEWAY, name="command")
        undo.push_async_callback(database.close)
        before = await database.read(aligned)
        if before.alignment is Alignment.TOGETHER:
            return BookRecovered(before, None, {}, 0, None)
        if before.alignment is not Alignment.BOOK_BEHIND_LOG:
            raise UnsafeSettings(findings=[finding for finding in [finding_of(before)] if finding is not None])
        if findings := await verify_store(log):
            raise TrailDamaged(findings[0].what)
        switches = KillSwitches(
            store=SqlKillSwitches(DirectStore(database)), trail=Records(log, {}, WAIT_MS), clock=clock, via="command"
        )
        stopped = await switches.engage(Scope.GLOBAL, "", REASON, officer)
        key = SignedRows(KeyRing(MANDATES, file_keys(places.data, places.passphrase_file)))
        found = await read_forgotten(log, before.book_size or 0, key)
        log.transactions.share(lambda connection, items: [item.apply(connection) for item in items])
        change = RecoverBook(found.known, found.size, clock())
        return await _together(log, change, before, BookRecovered(before, stopped.switch.id, {}, found.unknown, None), officer)


async def _together(log: Log, change: RecoverBook, before: Aligned, so_far: BookRecovered, officer: str) -> BookRecovered:
    """What is put back, and the record that it was."""
    facts: dict[str, Plain] = {
        "word": "book_recovered",
        "by": officer,
        "via": "command",
        "from": before.book_size or 0,
        "to": change.size,
        "kill_switch": so_far.switch,
    }
    record = Record(kind=RecordKind.ADMIN, time=change.at, facts=facts)
    counts, entry = await log.append_with(change, record, timeout_ms=WAIT_MS)
    return BookRecovered(before, so_far.switch, counts, so_far.unknown, None if entry is None else entry.index)
