"""What the gateway's database forgets, and when: never what a decision still rests on, so that absence gives nobody more than before, and
nothing of a customer whom a legal hold is on.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Delete, Table, bindparam, delete, or_, select

from gateway.domain.limits import MONTH
from gateway.domain.states import CallState
from gateway.store import spending
from gateway.store.conversations import TAINT_LASTS
from gateway.store.file_tables import CONTENTS, FILES, UPLOAD_PARTS, UPLOADS
from gateway.store.files import forget_files
from gateway.store.items import Item, ItemStore
from gateway.store.staff_tables import AUDIT_CASE_ENTRIES, STAFF_APPROVALS, STAFF_SESSIONS
from gateway.store.tables import (
    APPROVERS,
    CALLS,
    CONFIRMATIONS,
    CONVERSATIONS,
    PROPOSED_CALLS,
    READINGS,
    RUN_IS_ACTIVE,
    RUNS,
    TAINTS,
    THREADS,
    USES,
    WORDS,
)
from gateway.store.threads import forget_thread
from gateway.store.times import to_us
from gateway.store.vector_tables import VECTOR_STORES
from gateway.store.vectors import forget_stores

AT_ONCE = 500
"""Rows of one transaction: whoever writes waits for no more than that."""

THREADS_AT_ONCE = 20
"""The same of threads, each of which goes with its messages, runs and steps."""

HELD_MOST = 10_000
"""Customers under a legal hold: each is a parameter of a statement, and both databases take three times as many."""


class TooManyHeld(Exception):
    """More than `HELD_MOST` customers are under a legal hold. Nothing is deleted any more."""


class Swept(StrEnum):
    """A class of rows with an age of its own."""

    THREADS = "threads"
    WORDS = "words"
    READINGS = "readings"
    CALLS = "calls"
    CONFIRMATIONS = "confirmations"
    APPROVERS = "approvers"
    SUMS = "sums"
    TAINTS = "taints"
    FILES = "files"
    UPLOADS = "uploads"
    VECTOR_STORES = "vector_stores"
    STAFF_SESSIONS = "staff_sessions"
    STAFF_APPROVALS = "staff_approvals"
    AUDIT_CASE_ENTRIES = "audit_case_entries"


@dataclass(frozen=True, slots=True)
class RetentionTimes:
    """For how long the bank keeps texts (what was said and read), calls with what was confirmed for them, and threads that nobody writes
    to."""

    texts: timedelta
    calls: timedelta
    threads: timedelta

    def ends(self, now: datetime) -> Iterator[tuple[Swept, datetime]]:
        """Before when each class is forgotten."""
        slack = timedelta(days=1)
        yield Swept.THREADS, now - self.threads  # first: its words stay for as long as it does
        yield Swept.WORDS, now - self.texts
        yield Swept.READINGS, now - self.texts
        yield Swept.CALLS, now - self.calls
        yield Swept.CONFIRMATIONS, now - self.calls
        yield Swept.APPROVERS, now - slack
        yield Swept.SUMS, now - MONTH - slack
        yield Swept.TAINTS, now - TAINT_LASTS - slack
        yield Swept.FILES, now
        yield Swept.UPLOADS, now - slack
        yield Swept.VECTOR_STORES, now - slack  # until then it is said to have expired
        yield Swept.STAFF_SESSIONS, now
        yield Swept.STAFF_APPROVALS, now - slack  # what was asked, given and used stands in the trail
        yield Swept.AUDIT_CASE_ENTRIES, now - self.calls


@dataclass(frozen=True, slots=True)
class Sweep(Item[int]):
    """Forget of one class what is older than `before`, `most_of(what)` at most, and nothing of the customers who are `held`."""

    what: Swept
    before: datetime
    held: Collection[str] = ()

    def apply(self, connection: Connection) -> int:
        """How many rows that were; fewer than at most: there are no more."""
        if self.what is Swept.SUMS:
            spending.forget(connection, self.before)
            return 0
        table, is_old = _OLD[self.what]
        key = tuple(table.primary_key.columns)
        of_others = () if self.what not in _WHOSE or not self.held else (~_WHOSE[self.what](self.held),)
        wanted = select(*key).where(*is_old(to_us(self.before)), *of_others).limit(most_of(self.what))
        keys = [tuple(row) for row in connection.execute(wanted)]
        if self.what is Swept.THREADS:
            for (thread,) in keys:
                forget_thread(connection, thread)
        elif self.what is Swept.FILES and keys:
            forget_files(connection, [row[0] for row in keys])
        elif self.what is Swept.VECTOR_STORES and keys:
            forget_stores(connection, [row[0] for row in keys])
        elif keys:
            for statement in _behind(self.what, [row[0] for row in keys]):
                connection.execute(statement)
            # One after the other, in one exchange: SQLite compares rows of several columns with a list by reading the whole table
            this = delete(table).where(*(column == bindparam(f"of_{column.name}") for column in key))
            connection.execute(this, [{f"of_{column.name}": value for column, value in zip(key, row, strict=True)} for row in keys])
        return len(keys)


def most_of(what: Swept) -> int:
    """Rows of this class in one transaction."""
    return min(AT_ONCE, THREADS_AT_ONCE) if what is Swept.THREADS else AT_ONCE


def _of_conversations(table: Table) -> Callable[[Collection[str]], ColumnElement[bool]]:
    def whose(held: Collection[str]) -> ColumnElement[bool]:
        its = CONVERSATIONS.c.id == table.c.conversation  # asked of each row by its key: nothing finds conversations by customer
        return select(CONVERSATIONS.c.id).where(its, CONVERSATIONS.c.customer.in_(held)).exists()

    return whose


_WHOSE: Mapping[Swept, Callable[[Collection[str]], ColumnElement[bool]]] = {
    Swept.THREADS: THREADS.c.customer.in_,
    Swept.WORDS: _of_conversations(WORDS),
    Swept.READINGS: _of_conversations(READINGS),
    Swept.CALLS: CALLS.c.customer.in_,
    Swept.CONFIRMATIONS: CONFIRMATIONS.c.customer.in_,
    Swept.APPROVERS: lambda held: or_(
        APPROVERS.c.approver.in_(held),
        select(CONFIRMATIONS.c.id)
        .where(CONFIRMATIONS.c.id == APPROVERS.c.confirmation, CONFIRMATIONS.c.customer.in_(held))
        .exists(),
    ),
    Swept.TAINTS: TAINTS.c.customer.in_,
    Swept.FILES: lambda held: FILES.c.customer.is_not(None) & FILES.c.customer.in_(held),
    Swept.UPLOADS: lambda held: UPLOADS.c.customer.is_not(None) & UPLOADS.c.customer.in_(held),
    Swept.VECTOR_STORES: lambda held: VECTOR_STORES.c.customer.is_not(None) & VECTOR_STORES.c.customer.in_(held),
    Swept.STAFF_APPROVALS: lambda held: STAFF_APPROVALS.c.customer.is_not(None) & STAFF_APPROVALS.c.customer.in_(held),
    Swept.AUDIT_CASE_ENTRIES: lambda held: AUDIT_CASE_ENTRIES.c.customer.is_not(None) & AUDIT_CASE_ENTRIES.c.customer.in_(held),
}
"""Of which customers the rows of a class are. Not here: sums, since the calls stay that they were made of, and sessions of the bank's
people."""


def _old_threads(before_us: int) -> tuple[ColumnElement[bool], ...]:
    """What a run is under way in stays."""
    return (THREADS.c.last_us < before_us, ~select(RUNS.c.id).where(RUNS.c.thread == THREADS.c.id, RUN_IS_ACTIVE).exists())


def _old_words(before_us: int) -> tuple[ColumnElement[bool], ...]:
    """Those of a thread go with it: they say whose it is to delete it."""
    in_thread = select(THREADS.c.id).where(THREADS.c.conversation == WORDS.c.conversation).exists()
    return (WORDS.c.at_us < before_us, ~in_thread)


def _old_calls(before_us: int) -> tuple[ColumnElement[bool], ...]:
    """What is not settled stays, however old."""
    return (CALLS.c.state.in_([CallState.POSTED, CallState.VOIDED]), CALLS.c.created_us < before_us)


_OLD: Mapping[Swept, tuple[Table, Callable[[int], tuple[ColumnElement[bool], ...]]]] = {
    Swept.THREADS: (THREADS, _old_threads),
    Swept.WORDS: (WORDS, _old_words),
    Swept.READINGS: (READINGS, lambda before_us: (READINGS.c.at_us < before_us,)),
    Swept.CALLS: (CALLS, _old_calls),
    Swept.CONFIRMATIONS: (CONFIRMATIONS, lambda before_us: (CONFIRMATIONS.c.expires_us < before_us,)),
    Swept.APPROVERS: (APPROVERS, lambda before_us: (APPROVERS.c.expires_us < before_us,)),
    Swept.TAINTS: (TAINTS, lambda before_us: (TAINTS.c.last_us < before_us,)),
    Swept.FILES: (FILES, lambda before_us: (FILES.c.expires_us < before_us,)),
    Swept.UPLOADS: (UPLOADS, lambda before_us: (UPLOADS.c.expires_us < before_us,)),
    Swept.VECTOR_STORES: (VECTOR_STORES, lambda before_us: (VECTOR_STORES.c.expires_us < before_us,)),
    Swept.STAFF_SESSIONS: (STAFF_SESSIONS, lambda before_us: (STAFF_SESSIONS.c.expires_us < before_us,)),
    Swept.STAFF_APPROVALS: (STAFF_APPROVALS, lambda before_us: (STAFF_APPROVALS.c.expires_us < before_us,)),
    Swept.AUDIT_CASE_ENTRIES: (AUDIT_CASE_ENTRIES, lambda before_us: (AUDIT_CASE_ENTRIES.c.at_us < before_us,)),
}


def _behind(what: Swept, ids: list[str]) -> Iterator[Delete]:
    """What belongs to these rows and goes with them."""
    if what is Swept.CALLS:
        yield delete(USES).where(USES.c.call_id.in_(ids))
    elif what is Swept.UPLOADS:
        parts = UPLOAD_PARTS.c.upload.in_(ids)
        yield delete(CONTENTS).where(CONTENTS.c.name.in_(select(UPLOAD_PARTS.c.content).where(parts)))
        yield delete(UPLOAD_PARTS).where(parts)
    elif what is Swept.CONFIRMATIONS:
        yield delete(PROPOSED_CALLS).where(PROPOSED_CALLS.c.confirmation.in_(ids))


async def nobody() -> Collection[str]:
    """Where no legal hold can be."""
    return ()


async def sweep(
    store: ItemStore, kept: RetentionTimes, now: datetime, *, held: Callable[[], Awaitable[Collection[str]]] = nobody
) -> int:
    """Forget everything that is past its time; how many rows. Unavailable. `held`: who is under a legal hold, asked before each
    transaction; what it raises ends the sweep, since a hold that cannot be read may be there. TooManyHeld."""
    forgotten = 0
    for what, before in kept.ends(now):
        count = most_of(what)
        while count == most_of(what):
            theirs = await held()
            if len(theirs) > HELD_MOST:
                raise TooManyHeld
            count = await store.write(Sweep(what, before, theirs))
            forgotten += count
    return forgotten
