"""What the gateway's database forgets, and when: never what a decision still rests on, so that absence gives nobody more than before."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Delete, Table, delete, select, tuple_

from gateway.domain.limits import MONTH
from gateway.domain.states import CallState
from gateway.store import spending
from gateway.store.conversations import TAINT_LASTS
from gateway.store.items import Item, ItemStore
from gateway.store.staff_tables import STAFF_APPROVALS, STAFF_SESSIONS
from gateway.store.tables import (
    APPROVERS,
    CALLS,
    CONFIRMATIONS,
    PROPOSED_CALLS,
    READINGS,
    TAINTS,
    THREADS,
    USES,
    WORDS,
)
from gateway.store.times import to_us

AT_ONCE = 500
"""Rows of one transaction: whoever writes waits for no more than that."""


class Swept(StrEnum):
    """A class of rows with an age of its own."""

    WORDS = "words"
    READINGS = "readings"
    CALLS = "calls"
    CONFIRMATIONS = "confirmations"
    APPROVERS = "approvers"
    SUMS = "sums"
    TAINTS = "taints"
    STAFF_SESSIONS = "staff_sessions"
    STAFF_APPROVALS = "staff_approvals"


@dataclass(frozen=True, slots=True)
class RetentionTimes:
    """For how long the bank keeps texts (what was said and read) and calls with what was confirmed for them."""

    texts: timedelta
    calls: timedelta

    def ends(self, now: datetime) -> Iterator[tuple[Swept, datetime]]:
        """Before when each class is forgotten."""
        slack = timedelta(days=1)
        yield Swept.WORDS, now - self.texts
        yield Swept.READINGS, now - self.texts
        yield Swept.CALLS, now - self.calls
        yield Swept.CONFIRMATIONS, now - self.calls
        yield Swept.APPROVERS, now - slack
        yield Swept.SUMS, now - MONTH - slack
        yield Swept.TAINTS, now - TAINT_LASTS - slack
        yield Swept.STAFF_SESSIONS, now
        yield Swept.STAFF_APPROVALS, now - slack  # what was asked, given and used stands in the trail


@dataclass(frozen=True, slots=True)
class Sweep(Item[int]):
    """Forget of one class what is older than `before`, `AT_ONCE` at most."""

    what: Swept
    before: datetime

    def apply(self, connection: Connection) -> int:
        """How many rows that were; fewer than `AT_ONCE`: there are no more."""
        if self.what is Swept.SUMS:
            spending.forget(connection, self.before)
            return 0
        table, is_old = _OLD[self.what]
        key = tuple(table.primary_key.columns)
        keys = [tuple(row) for row in connection.execute(select(*key).where(*is_old(to_us(self.before))).limit(AT_ONCE))]
        if keys:
            for statement in _behind(self.what, [row[0] for row in keys]):
                connection.execute(statement)
            connection.execute(delete(table).where(tuple_(*key).in_(keys)))
        return len(keys)


def _old_words(before_us: int) -> tuple[ColumnElement[bool], ...]:
    """Those of a thread go with it: they say whose it is to delete it."""
    in_thread = select(THREADS.c.id).where(THREADS.c.conversation == WORDS.c.conversation).exists()
    return (WORDS.c.at_us < before_us, ~in_thread)


def _old_calls(before_us: int) -> tuple[ColumnElement[bool], ...]:
    """What is not settled stays, however old."""
    return (CALLS.c.state.in_([CallState.POSTED, CallState.VOIDED]), CALLS.c.created_us < before_us)


_OLD: Mapping[Swept, tuple[Table, Callable[[int], tuple[ColumnElement[bool], ...]]]] = {
    Swept.WORDS: (WORDS, _old_words),
    Swept.READINGS: (READINGS, lambda before_us: (READINGS.c.at_us < before_us,)),
    Swept.CALLS: (CALLS, _old_calls),
    Swept.CONFIRMATIONS: (CONFIRMATIONS, lambda before_us: (CONFIRMATIONS.c.expires_us < before_us,)),
    Swept.APPROVERS: (APPROVERS, lambda before_us: (APPROVERS.c.expires_us < before_us,)),
    Swept.TAINTS: (TAINTS, lambda before_us: (TAINTS.c.last_us < before_us,)),
    Swept.STAFF_SESSIONS: (STAFF_SESSIONS, lambda before_us: (STAFF_SESSIONS.c.expires_us < before_us,)),
    Swept.STAFF_APPROVALS: (STAFF_APPROVALS, lambda before_us: (STAFF_APPROVALS.c.expires_us < before_us,)),
}


def _behind(what: Swept, ids: list[str]) -> Iterator[Delete]:
    """What belongs to these rows and goes with them."""
    if what is Swept.CALLS:
        yield delete(USES).where(USES.c.call_id.in_(ids))
    elif what is Swept.CONFIRMATIONS:
        yield delete(PROPOSED_CALLS).where(PROPOSED_CALLS.c.confirmation.in_(ids))


async def sweep(store: ItemStore, kept: RetentionTimes, now: datetime) -> int:
    """Forget everything that is past its time; how many rows. Unavailable."""
    forgotten = 0
    for what, before in kept.ends(now):
        while count := await store.write(Sweep(what, before)):
            forgotten += count
            if count < AT_ONCE:
                break
    return forgotten
