"""A gateway's databases of several moments, after a backup was put back, made one again: everything stops first, then what the log tells is
put back, in one transaction with the record of it. Two officers lift the switch.

May be killed at any moment and run again: until that transaction is committed the databases differ, and nothing begins on them.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from adapters.core import CoreEffect
from audit.apart import Apart, apart
from audit.database import Database
from audit.erasure import replay_destructions
from audit.inspection import verify_store
from audit.keyring import KeyRing, SignedRows
from audit.leaf import Plain, Record, RecordKind
from audit.log import LEAVES_MOST, Log
from audit.store.find import Filter, find
from gateway.app.alignment import finding_of, keys_finding
from gateway.app.clock import Clock
from gateway.app.databases import DatabaseLocations, DatabaseName, open_log, refuse_unmade
from gateway.app.forgotten import ForgottenOfLog, erasures_of_keys, known_effects, read_forgotten
from gateway.app.keys import MANDATES, file_keys
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls.record import Records
from gateway.domain.kill_switch import Scope
from gateway.domain.limits import MONTH
from gateway.domain.staff import ProvedBy
from gateway.oversight.kill_switches import KillSwitches
from gateway.store.direct import DirectStore
from gateway.store.forgotten import RecoverBook
from gateway.store.kill_switches import SqlKillSwitches
from gateway.store.log_position import Aligned, Alignment, aligned

EffectsOfCore = Callable[[Log, datetime], Awaitable[Sequence[CoreEffect]]]

REASON = "databases were restored from a backup"
WAIT_MS = 600_000
"""For a transaction that puts back days of records."""


class TrailDamaged(Exception):
    """The log does not verify: nothing is put back by it. The text is the first finding."""


@dataclass(frozen=True, slots=True)
class RecoveryOrder:
    """Who recovers, and whether they say that records of the log are lost for good: then the log goes on from what it has, on record."""

    officer: str
    records_lost: bool = False
    signed: Mapping[str, str] = field(default_factory=dict)
    """The officer's statement of it, with its signature, for the record."""
    effects: EffectsOfCore | None = None
    """What the core did since a time. None: it is not asked, and what no record tells counts towards no limit."""


@dataclass(slots=True)
class Recovered:
    """`before`, `keys`: how the databases stood. `switch`: what stops everything; None where there was nothing to recover. `counts`: how
    much was put back, by kind; `unknown`: records whose sealed part the log holds no more, since its keys were destroyed or lost."""

    before: Aligned
    keys: Apart | None
    switch: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    record: int | None = None


async def recover(places: DatabaseLocations, wanted: RecoveryOrder, *, clock: Clock) -> Recovered:
    """Recover. UnsafeSettings where the log is older and nobody says that its records are lost, or it is another one; TrailDamaged;
    LogMoved where somebody still writes; HistoryUnknown, KeyRefused, LogUnavailable, LogCorrupt, Unavailable: then nothing was put back,
    and it may be run again."""
    await refuse_unmade(places)
    async with _opened(places, clock) as (log, database):
        found = Recovered(await database.read(aligned), await apart(log))
        if found.before.alignment is Alignment.TOGETHER and found.keys is None:
            return found
        lost = _refuse(found, wanted)
        if findings := await verify_store(log):
            raise TrailDamaged(findings[0].what)
        switches = KillSwitches(
            store=SqlKillSwitches(DirectStore(database)), trail=Records(log, {}, WAIT_MS), clock=clock, via=ProvedBy.KEY.value
        )
        found.switch = (await switches.engage(Scope.GLOBAL, "", REASON, wanted.officer)).switch.id
        if found.keys is Apart.KEYS_BEHIND_LOG:
            found.counts["destroyed_keys"] = await _destroy_again(log)
        forgotten = ForgottenOfLog((await log.head())[0])
        if found.before.alignment is Alignment.BOOK_BEHIND_LOG:
            key = SignedRows(KeyRing(MANDATES, file_keys(places.data, places.passphrase_file)))
            forgotten = await read_forgotten(log, found.before.book_size or 0, key)
        if wanted.effects is not None:
            forgotten.known += known_effects(await wanted.effects(log, clock() - MONTH))
        if lost:
            forgotten.known += await erasures_of_keys(log)
        await _together(log, forgotten, found, wanted, clock())
        await database.overwrite_deleted()
        if lost:
            await log.keys.forget_position()
        await log.publish(force=True)
        return found


@asynccontextmanager
async def _opened(places: DatabaseLocations, clock: Clock) -> AsyncIterator[tuple[Log, Database]]:
    async with AsyncExitStack() as undo:
        log = await open_log(places, writer_id="command", clock=clock, may_upgrade=False)
        undo.push_async_callback(log.close)
        database = places.open(DatabaseName.GATEWAY, name="command")
        undo.push_async_callback(database.close)
        yield log, database


def _refuse(found: Recovered, wanted: RecoveryOrder) -> bool:
    """Whether records of the log are lost. UnsafeSettings for what must not be recovered from, or not without saying so."""
    apart_ones = [item for item in (finding_of(found.before), None if found.keys is None else keys_finding(found.keys)) if item]
    lost = found.before.alignment is Alignment.LOG_BEHIND_BOOK or found.keys is Apart.LOG_BEHIND_KEYS
    if found.before.alignment in (Alignment.ANOTHER_LOG, Alignment.NOT_WATCHED) or (lost and not wanted.records_lost):
        raise UnsafeSettings(findings=apart_ones)
    return lost


async def _destroy_again(log: Log) -> int:
    """What the log says was destroyed, in a key store that was restored; how many keys there were of it."""
    destroyed, after, listed = 0, -1, await log.keys.destroyed()
    while rows := await log.read_long(
        lambda reads, after=after: find(reads.connection, Filter(kinds=(RecordKind.KEY_DESTROY,)), LEAVES_MOST, after, 500)  # type: ignore[misc]
    ):
        for row in rows:
            facts = json.loads(row.leaf)["facts"]
            subject = facts["subject"]
            known = listed.get(subject, {})
            classes = [name for name in facts["destroyed"] if known.get(name, -1) < row.idx]  # a later key may be a new one
            if not classes:
                continue
            destroyed += len({*classes} & {*await log.keys.classes_of(subject)})
            locked = dict(item.split(" until ", 1) for item in facts.get("locked", ()))
            ends = {name: datetime.fromisoformat(end) for name, end in locked.items()}
            await log.keys.destroy(subject, classes, below=row.idx, locked=ends)
        after = rows[-1].idx
    await replay_destructions(log)
    return destroyed


async def _together(log: Log, forgotten: ForgottenOfLog, found: Recovered, wanted: RecoveryOrder, now: datetime) -> None:
    """What is put back, and the record that it was."""
    facts: dict[str, Plain] = {
        "word": "databases_recovered",
        "by": wanted.officer,
        "via": ProvedBy.KEY.value,
        **wanted.signed,
        "alignment": found.before.alignment.value,
        "from": found.before.book_size or 0,
        "to": forgotten.size,
        "kill_switch": found.switch,
    }
    if found.keys is not None:
        facts["keys"] = found.keys.value
    if wanted.records_lost and (noted := await log.keys.position()) is not None:
        facts |= {"noted_size": noted[0], "noted_root": noted[1].hex()}
    log.transactions.share(lambda connection, items: [item.apply(connection) for item in items])
    change = RecoverBook(forgotten.known, forgotten.size, now)
    counts: Mapping[str, int]
    counts, entry = await log.append_with(change, Record(kind=RecordKind.ADMIN, time=now, facts=facts), timeout_ms=WAIT_MS)
    found.counts |= counts
    found.unknown, found.record = forgotten.unknown, None if entry is None else entry.index
