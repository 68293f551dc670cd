"""What a restored backup of the gateway's tables has forgotten, put back by what the log tells: one transaction, all of it or nothing.

What the log does not tell word by word errs on the side of asking again: nothing that was said, proposed, confirmed or under way before may
lead to an effect any more. Each `Known` applies itself; they are given in the order of their records.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy import delete as deletion

from audit.store.writes import lock_head
from gateway.domain.kill_switch import KillSwitch
from gateway.domain.mandate import Mandate, SignedMandate
from gateway.domain.states import ACTIVE_RUNS, CallState, ProposalState, RunState
from gateway.store import calls, erasure, kill_switches, spending, standing_mandates, tables
from gateway.store.conversations import DELETED, TaintConversation
from gateway.store.customers import GrantMandates
from gateway.store.items import Item, Settlement
from gateway.store.log_position import align
from gateway.store.passkeys import RevokePasskey
from gateway.store.runs import OVER
from gateway.store.times import to_us


class LogMoved(Exception):
    """The log grew while it was read: somebody still uses it. Nothing was written."""


class Known(ABC):
    """One thing that the log knows. `counted`: as what it is told."""

    __slots__ = ()

    counted = ""

    @abstractmethod
    def put_back(self, connection: Connection) -> bool:
        """Inside the transaction. Whether the tables did not know it."""


@dataclass(frozen=True, slots=True)
class KnownCall(Known):
    """A call that was claimed: its row of `calls`, `pending`, and so its ids and its part of the limits."""

    row: Mapping[str, object]
    counted = "calls"

    def put_back(self, connection: Connection) -> bool:
        if calls.find(connection, str(self.row["call_id"])) is not None:
            return False
        connection.execute(insert(tables.CALLS), [dict(self.row)])
        if self.row["minor"] is not None:
            spending.move(connection, self.row, 1)
        return True


@dataclass(frozen=True, slots=True)
class KnownEnd(Known):
    """How a call ended; also of one that the tables knew as open."""

    settlement: Settlement
    counted = "ends"

    def put_back(self, connection: Connection) -> bool:
        row = calls.find(connection, self.settlement.call_id)
        if row is None or row.state not in (CallState.PENDING, CallState.UNKNOWN) or row.state == self.settlement.state:
            return False
        calls.settle(connection, [self.settlement])
        return True


@dataclass(frozen=True, slots=True)
class KnownSwitch(Known):
    """A kill switch that was engaged. That one was lifted is not put back: officers lift it again."""

    switch: KillSwitch
    counted = "kill_switches"

    def put_back(self, connection: Connection) -> bool:
        if kill_switches.find(connection, self.switch.id) is not None:
            return False
        return kill_switches.EngageSwitch(self.switch).apply(connection).id == self.switch.id


@dataclass(frozen=True, slots=True)
class KnownRevocation(Known):
    """A standing mandate that its customer revoked."""

    customer: str
    mandate: str
    at: datetime
    counted = "revoked_mandates"

    def put_back(self, connection: Connection) -> bool:
        return standing_mandates.RevokeStandingMandate(self.customer, self.mandate, self.at).apply(connection)


@dataclass(frozen=True, slots=True)
class KnownStanding(Known):
    """A standing mandate that its customer confirmed, signed anew."""

    signed: SignedMandate
    at: datetime
    counted = "standing_mandates"

    def put_back(self, connection: Connection) -> bool:
        wanted = select(tables.STANDING_MANDATES.c.id).where(tables.STANDING_MANDATES.c.id == self.signed.mandate.id)
        if connection.execute(wanted).first() is not None:
            return False
        standing_mandates.StoreStandingMandate(self.signed.mandate, self.signed.signature, self.at).apply(connection)
        return True


@dataclass(frozen=True, slots=True)
class KnownMandate(Known):
    """A mandate that the bank imported, signed anew."""

    mandate: Mandate
    signature: bytes
    counted = "mandates"

    def put_back(self, connection: Connection) -> bool:
        return GrantMandates(((self.mandate, self.signature),)).apply(connection) is None


@dataclass(frozen=True, slots=True)
class KnownPasskeyRevoked(Known):
    """A passkey that the bank's identity system revoked."""

    customer: str
    credential: str
    at: datetime
    counted = "revoked_passkeys"

    def put_back(self, connection: Connection) -> bool:
        return RevokePasskey(self.customer, self.credential, self.at).apply(connection)


@dataclass(frozen=True, slots=True)
class KnownWord(Known):
    """What the customer, or who approves, said of a proposal."""

    confirmation: str
    state: ProposalState
    at: datetime
    counted = "confirmations"

    def put_back(self, connection: Connection) -> bool:
        held = tables.CONFIRMATIONS
        state = connection.execute(select(held.c.state).where(held.c.id == self.confirmation)).scalar()
        before = (ProposalState.OPEN,) if self.state is ProposalState.CONFIRMED else (ProposalState.OPEN, ProposalState.CONFIRMED)
        if state not in before:
            return False
        if self.state is ProposalState.APPROVED and state == ProposalState.OPEN:
            return False
        change = update(held).where(held.c.id == self.confirmation).values(state=self.state, ended_us=to_us(self.at))
        connection.execute(change)
        return True


@dataclass(frozen=True, slots=True)
class KnownTaint(Known):
    """An agent that read something for a customer: what others wrote may have been in it."""

    customer: str
    agent: str
    conversation: str
    at: datetime
    counted = "taints"

    def put_back(self, connection: Connection) -> bool:
        TaintConversation(self.customer, self.agent, self.conversation, self.at).apply(connection)
        return True


@dataclass(frozen=True, slots=True)
class KnownErasure(Known):
    """A person who was erased since: whoever these ids of their records lead to. StillInDoubt, StillStopped: then nothing is put back."""

    ids: frozenset[str]
    counted = "erased_customers"

    def put_back(self, connection: Connection) -> bool:
        found: set[str] = set()
        named = sorted(self.ids)
        for table, key in ((tables.CALLS, "call_id"), *((table, "id") for table in _OF_RECORDS)):
            for start in range(0, len(named), _IDS_AT_ONCE):
                wanted = select(table.c.customer).where(table.c[key].in_(named[start : start + _IDS_AT_ONCE]))
                found.update(connection.execute(wanted).scalars())
        for customer in sorted(found):
            erasure.erase(connection, customer)
        return bool(found)


_OF_RECORDS = (tables.CONVERSATIONS, tables.CONFIRMATIONS, tables.STANDING_MANDATES)
_IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class RecoverBook(Item[Mapping[str, int]]):
    """Put back everything, end what waited, and take both halves for one moment. `size`: of the log as it was read; LogMoved where it has
    another by now. Answered with how much there was of each, for the record that is written in the same transaction."""

    known: Sequence[Known]
    size: int
    at: datetime
    counts: dict[str, int] = field(default_factory=dict)

    def apply(self, connection: Connection) -> Mapping[str, int] | LogMoved:
        kill_switches.lock(connection)
        head = lock_head(connection)
        if head is None or head.size != self.size:
            return LogMoved()
        for item in self.known:
            if item.put_back(connection):
                self.counts[item.counted] = self.counts.get(item.counted, 0) + 1
        for name, count in _ended(connection, self.at).items():
            if count:
                self.counts[name] = count
        align(connection)
        return self.counts


def _ended(connection: Connection, at: datetime) -> Mapping[str, int]:
    """What was said, proposed, confirmed or under way when the backup was made leads to nothing any more; how much that was.

    Which words were used or deleted since, and which confirmed calls were refused, no record tells: so none of them counts.
    """
    words, held, runs = tables.WORDS, tables.CONFIRMATIONS, tables.RUNS
    waits = held.c.state.in_((ProposalState.OPEN, ProposalState.CONFIRMED))
    over = update(runs).where(runs.c.state.in_(ACTIVE_RUNS))
    changes = {
        "words_taken_back": update(words).where(words.c.origin != DELETED).values(origin=DELETED, text="", reading=None),
        "documents_forgotten": deletion(tables.READINGS),
        "conversations_tainted": update(tables.CONVERSATIONS)
        .where(tables.CONVERSATIONS.c.tainted_us.is_(None))
        .values(tainted_us=to_us(at)),
        "proposals_expired": update(held)
        .where(waits, (held.c.state == ProposalState.OPEN) | (held.c.level > 3))
        .values(state=ProposalState.EXPIRED, ended_us=to_us(at)),
        "proposed_calls_spent": update(tables.PROPOSED_CALLS)
        .where(tables.PROPOSED_CALLS.c.claimed.is_(False))
        .values(claimed=True),
        "runs_failed": over.values(state=RunState.FAILED, due_us=None, lease=None, principal=OVER),
    }
    found = {name: connection.execute(change).rowcount for name, change in changes.items()}
    connection.execute(deletion(tables.RUN_WAITS))
    return found
