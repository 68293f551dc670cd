"""What waits for a customer's word, and the calls behind it. Each change compares the state that it starts from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from gateway.domain.errors import Code, Refusal
from gateway.domain.proposal import Proposal
from gateway.store import standing_mandates
from gateway.store.items import Consequences, Item, Locks
from gateway.store.tables import CONFIRMATIONS, PROPOSED_CALLS
from gateway.store.times import from_us, to_us

DECLINED_LASTS = timedelta(days=1)
"""How long what the customer declined is not asked again."""

_C = CONFIRMATIONS.c


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """One call of a proposal: `arguments` as `arguments.stored` keeps them, `grounding` its sources and uses, both JSON."""

    call_id: str
    native_id: str
    turn: str
    function: str
    arguments: bytes
    arguments_hash: bytes
    grounding: bytes
    claimed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreProposal(Item[None]):
    """A new proposal. `open_most`: how many may wait for one customer; `day_most`: how many may be made in a day."""

    proposal: Proposal
    conversation: str | None
    turn: str | None
    principal: bytes
    repeat_key: bytes
    calls: tuple[ProposedCall, ...]
    open_most: int
    day_most: int

    @property
    def locks(self) -> Locks:
        return Locks(customers=frozenset({self.proposal.customer}))

    def apply(self, connection: Connection) -> Refusal | None:
        """Keep it; or why the customer is not asked: they declined the same, or too much waits already."""
        wanted = self.proposal
        mine = _C.customer == wanted.customer
        declined = and_(
            mine, _C.repeat_key == self.repeat_key, _C.state == "declined", _C.ended_us > to_us(wanted.created - DECLINED_LASTS)
        )
        if connection.execute(select(_C.id).where(declined).limit(1)).first() is not None:
            return Refusal(Code.DENIED, "declined_before")
        is_open = and_(mine, _C.state == "open", _C.expires_us > to_us(wanted.created))
        if connection.execute(select(func.count()).where(is_open)).scalar_one() >= self.open_most:
            return Refusal(Code.DENIED, "too_many_proposals")
        of_today = and_(mine, _C.created_us > to_us(wanted.created - timedelta(days=1)))
        if connection.execute(select(func.count()).where(of_today)).scalar_one() >= self.day_most:
            return Refusal(Code.DENIED, "too_many_proposals")
        row = {
            "id": wanted.id,
            "customer": wanted.customer,
            "agent": wanted.agent,
            "conversation": self.conversation,
            "turn": self.turn,
            "intent": wanted.intent,
            "principal": self.principal,
            "level": wanted.level,
            "moves_money": wanted.moves_money,
            "repeat_key": self.repeat_key,
            "state": "open",
            "created_us": to_us(wanted.created),
            "expires_us": to_us(wanted.expires),
        }
        connection.execute(insert(CONFIRMATIONS), [row])
        calls = [
            {
                "call_id": call.call_id,
                "confirmation": wanted.id,
                "position": position,
                "native_id": call.native_id,
                "turn": call.turn,
                "function": call.function,
                "arguments": call.arguments,
                "arguments_hash": call.arguments_hash,
                "sources": call.grounding,
                "claimed": False,
            }
            for position, call in enumerate(self.calls)
        ]
        if calls:
            connection.execute(insert(PROPOSED_CALLS), calls)
        return None

    def consequences(self, _connection: Connection, _answer: None) -> Consequences:
        calls = tuple(call.call_id for call in self.calls)
        return Consequences(at=self.proposal.created, held=calls, until=self.proposal.expires)


@dataclass(frozen=True, slots=True)
class OpenProposal(Item[None]):
    id: str
    at: datetime

    def apply(self, connection: Connection) -> None:
        connection.execute(update(CONFIRMATIONS).where(_C.id == self.id).values(opened_us=to_us(self.at)))


@dataclass(frozen=True, slots=True)
class SpendCall(Item[None]):
    """A confirmed call was refused after all: it does not happen any more, whatever stood in its way."""

    call_id: str
    at: datetime

    def apply(self, connection: Connection) -> None:
        connection.execute(update(PROPOSED_CALLS).where(PROPOSED_CALLS.c.call_id == self.call_id).values(claimed=True))

    def consequences(self, _connection: Connection, _answer: None) -> Consequences:
        return Consequences(at=self.at, ended=(self.call_id,))


@dataclass(frozen=True, slots=True)
class MoveProposal(Item[str | None]):
    """From one state to another, over exactly this intent. `evidence`: of who confirmed or approved. `signing`: a standing mandate that
    is in force with it."""

    id: str
    intent: bytes
    before: str
    after: str
    by: str
    at: datetime
    evidence: bytes | None = None
    signing: standing_mandates.StoreStandingMandate | None = None

    def apply(self, connection: Connection) -> str | None:
        """None when it was moved; else what stands in the way."""
        stands = obstacle(connection, self)
        if stands is not None:
            return stands
        values: dict[str, object] = {"state": self.after, "ended_us": to_us(self.at)}
        if self.after == "confirmed":
            values["evidence"] = self.evidence
        elif self.after == "approved":
            values |= {"approver": self.by, "approval": self.evidence}
        connection.execute(update(CONFIRMATIONS).where(_C.id == self.id).values(values))
        if self.signing is not None:
            self.signing.apply(connection)
        return None

    def consequences(self, connection: Connection, answer: str | None) -> Consequences | None:
        if answer is not None:
            return None
        declined = select(PROPOSED_CALLS.c.call_id).where(PROPOSED_CALLS.c.confirmation == self.id)
        ended = tuple(connection.execute(declined).scalars()) if self.after == "declined" else ()
        return Consequences(at=self.at, ended=ended, spoken_of=self.id)


@dataclass(frozen=True, slots=True)
class StoredProposal:
    """A proposal as it is kept, with what only the gateway needs of it."""

    proposal: Proposal
    conversation: str | None
    turn: str | None
    principal: bytes
    evidence: bytes | None


def obstacle(connection: Connection, item: MoveProposal) -> str | None:
    """The state that stands in the way of a move: `waits` behind an older one that moves money, or its own; None: nothing does."""
    row = connection.execute(select(CONFIRMATIONS).where(_C.id == item.id).with_for_update()).one_or_none()
    if row is None or row.intent != item.intent:
        return "changed"
    if row.state != item.before:
        return str(row.state)
    at = to_us(item.at)
    if row.expires_us <= at and item.after != "expired":
        return "expired"
    if item.after == "confirmed" and row.moves_money and _waits(connection, row, at):
        return "waits"
    return None


def _waits(connection: Connection, row: Any, at_us: int) -> bool:
    """Whether an older proposal of this customer that moves money is open. What the customer began themselves waits for nobody."""
    older = and_(
        _C.customer == row.customer,
        _C.state == "open",
        _C.moves_money.is_(True),
        _C.expires_us > at_us,
        or_(_C.created_us < row.created_us, and_(_C.created_us == row.created_us, _C.id < row.id)),
    )
    return row.agent is not None and connection.execute(select(_C.id).where(older).limit(1)).first() is not None


def find(connection: Connection, confirmation: str) -> StoredProposal | None:
    row = connection.execute(select(CONFIRMATIONS).where(_C.id == confirmation)).one_or_none()
    return None if row is None else _stored(row)


def calls_of(connection: Connection, confirmation: str) -> Sequence[ProposedCall]:
    rows = connection.execute(
        select(PROPOSED_CALLS).where(PROPOSED_CALLS.c.confirmation == confirmation).order_by(PROPOSED_CALLS.c.position)
    )
    return [_call(row) for row in rows]


def proposed(connection: Connection, conversation: str, turn: str, native_id: str) -> tuple[ProposedCall, StoredProposal] | None:
    """The call that was proposed under these ids, with its proposal."""
    ids = (PROPOSED_CALLS.c.turn == turn, PROPOSED_CALLS.c.native_id == native_id, _C.conversation == conversation)
    joined = PROPOSED_CALLS.join(CONFIRMATIONS, _C.id == PROPOSED_CALLS.c.confirmation)
    row = connection.execute(select(PROPOSED_CALLS).select_from(joined).where(*ids)).first()
    stored = None if row is None else find(connection, row.confirmation)
    return None if row is None or stored is None else (_call(row), stored)


def of_call(connection: Connection, call_id: str) -> tuple[ProposedCall, StoredProposal] | None:
    row = connection.execute(select(PROPOSED_CALLS).where(PROPOSED_CALLS.c.call_id == call_id)).one_or_none()
    stored = None if row is None else find(connection, row.confirmation)
    return None if row is None or stored is None else (_call(row), stored)


def waiting(connection: Connection, customer: str, at: datetime) -> Sequence[StoredProposal]:
    """What this customer is to confirm, the oldest first."""
    mine = (_C.customer == customer, _C.state == "open", _C.expires_us > to_us(at))
    return [_stored(row) for row in connection.execute(select(CONFIRMATIONS).where(*mine).order_by(_C.created_us, _C.id))]


def to_approve(connection: Connection, at: datetime) -> Sequence[StoredProposal]:
    """What a second person is to approve, whoever may."""
    waits = (_C.state == "confirmed", _C.level == 4, _C.expires_us > to_us(at))
    return [_stored(row) for row in connection.execute(select(CONFIRMATIONS).where(*waits).order_by(_C.created_us, _C.id))]


def unfinished(connection: Connection, before: datetime) -> Sequence[StoredProposal]:
    """Confirmed (or approved) with a call that nobody claimed yet: what a crash left behind."""
    joined = CONFIRMATIONS.join(PROPOSED_CALLS, PROPOSED_CALLS.c.confirmation == _C.id)
    ready = or_(and_(_C.state == "confirmed", _C.level == 3), _C.state == "approved")
    rows = connection.execute(
        select(CONFIRMATIONS)
        .distinct()
        .select_from(joined)
        .where(ready, PROPOSED_CALLS.c.claimed.is_(False), _C.ended_us < to_us(before), _C.expires_us > to_us(before))
    )
    return [_stored(row) for row in rows]


def _stored(row: Any) -> StoredProposal:
    proposal = Proposal(
        id=row.id,
        customer=row.customer,
        agent=row.agent,
        intent=row.intent,
        level=row.level,
        moves_money=row.moves_money,
        state=row.state,
        created=from_us(row.created_us),
        expires=from_us(row.expires_us),
        opened=None if row.opened_us is None else from_us(row.opened_us),
        confirmed_by=row.customer if row.evidence is not None else None,
        approver=row.approver,
    )
    return StoredProposal(proposal, row.conversation, row.turn, row.principal, row.evidence)


def _call(row: Any) -> ProposedCall:
    return ProposedCall(
        call_id=row.call_id,
        native_id=row.native_id,
        turn=row.turn,
        function=row.function,
        arguments=row.arguments,
        arguments_hash=row.arguments_hash,
        grounding=row.sources,
        claimed=row.claimed,
    )
