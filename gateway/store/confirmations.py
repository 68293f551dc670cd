"""What waits for a customer's word, and the calls behind it. Each change compares the state that it starts from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from gateway.domain.errors import Code, Refusal
from gateway.domain.obstacle import Obstacle
from gateway.domain.proposal import NewProposal, Proposal, ProposalChange, ProposedCall, StoredProposal
from gateway.domain.states import ProposalState
from gateway.store import standing_mandates
from gateway.store.items import Consequences, Item, ItemStore, Locks
from gateway.store.tables import APPROVERS, CONFIRMATIONS, PROPOSED_CALLS
from gateway.store.times import from_us, to_us

DECLINED_LASTS = timedelta(days=1)
"""How long what the customer declined is not asked again."""

_C = CONFIRMATIONS.c


@dataclass(frozen=True, slots=True)
class StoreProposal(Item[None]):
    """Keep a new proposal. Refusal where the customer is not asked: they declined the same, or too much waits already."""

    new: NewProposal

    @property
    def locks(self) -> Locks:
        return Locks(customers=frozenset({self.new.proposal.customer}))

    def apply(self, connection: Connection) -> Refusal | None:
        """Keep it; or why the customer is not asked: they declined the same, or too much waits already."""
        wanted = self.new.proposal
        mine = _C.customer == wanted.customer
        declined = and_(
            mine,
            _C.repeat_key == self.new.repeat_key,
            _C.state == ProposalState.DECLINED,
            _C.ended_us > to_us(wanted.created - DECLINED_LASTS),
        )
        if connection.execute(select(_C.id).where(declined).limit(1)).first() is not None:
            return Refusal(Code.DENIED, "declined_before")
        is_open = and_(mine, _C.state == ProposalState.OPEN, _C.expires_us > to_us(wanted.created))
        if connection.execute(select(func.count()).where(is_open)).scalar_one() >= self.new.open_most:
            return Refusal(Code.DENIED, "too_many_proposals")
        of_today = and_(mine, _C.state.in_(tuple(ProposalState)), _C.created_us > to_us(wanted.created - timedelta(days=1)))
        if connection.execute(select(func.count()).where(of_today)).scalar_one() >= self.new.day_most:
            return Refusal(Code.DENIED, "too_many_proposals")
        connection.execute(insert(CONFIRMATIONS), [_row(self.new)])
        if self.new.calls:
            connection.execute(insert(PROPOSED_CALLS), _call_rows(self.new))
        if self.new.approvers:
            connection.execute(insert(APPROVERS), _approver_rows(self.new))
        return None

    def consequences(self, _connection: Connection, _answer: None) -> Consequences:
        calls = tuple(call.call_id for call in self.new.calls)
        return Consequences(at=self.new.proposal.created, held=calls, until=self.new.proposal.expires)


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
class MoveProposal(Item[Obstacle | None]):
    """Answered with what stands in the way: then nothing was written."""

    change: ProposalChange

    def apply(self, connection: Connection) -> Obstacle | None:
        change = self.change
        blocking = obstacle(connection, change)
        if blocking is not None:
            return blocking
        values: dict[str, object] = {"state": change.after, "ended_us": to_us(change.at)}
        if change.after is ProposalState.CONFIRMED:
            values["evidence"] = change.evidence
        elif change.after is ProposalState.APPROVED:
            values |= {"approver": change.by, "approval": change.evidence}
        connection.execute(update(CONFIRMATIONS).where(_C.id == change.id).values(values))
        if change.signing is not None:
            signed = change.signing
            standing_mandates.StoreStandingMandate(signed.mandate, signed.signature, change.at).apply(connection)
        return None

    def consequences(self, connection: Connection, answer: Obstacle | None) -> Consequences | None:
        if answer is not None:
            return None
        change = self.change
        declined = select(PROPOSED_CALLS.c.call_id).where(PROPOSED_CALLS.c.confirmation == change.id)
        ended = tuple(connection.execute(declined).scalars()) if change.after is ProposalState.DECLINED else ()
        return Consequences(at=change.at, ended=ended, spoken_of=change.id)


def _row(new: NewProposal) -> dict[str, object]:
    proposal = new.proposal
    return {
        "id": proposal.id,
        "customer": proposal.customer,
        "agent": proposal.agent,
        "conversation": new.conversation,
        "turn": new.turn,
        "intent": proposal.intent,
        "principal": new.principal,
        "level": proposal.level,
        "moves_money": proposal.moves_money,
        "repeat_key": new.repeat_key,
        "state": ProposalState.OPEN,
        "created_us": to_us(proposal.created),
        "expires_us": to_us(proposal.expires),
    }


def _approver_rows(new: NewProposal) -> list[dict[str, object]]:
    named = {"confirmation": new.proposal.id, "expires_us": to_us(new.proposal.expires)}
    return [{"approver": approver, **named} for approver in sorted(new.approvers)]


def _call_rows(new: NewProposal) -> list[dict[str, object]]:
    return [
        {
            "call_id": call.call_id,
            "confirmation": new.proposal.id,
            "position": position,
            "native_id": call.native_id,
            "turn": call.turn,
            "function": call.function,
            "arguments": call.arguments,
            "arguments_hash": call.arguments_hash,
            "sources": call.grounding,
            "claimed": False,
        }
        for position, call in enumerate(new.calls)
    ]


def obstacle(connection: Connection, change: ProposalChange) -> Obstacle | None:
    """The state that stands in the way of a change: `waits` behind an older one that moves money, or its own; None: nothing does."""
    row = connection.execute(select(CONFIRMATIONS).where(_C.id == change.id).with_for_update()).one_or_none()
    if row is None or row.intent != change.intent:
        return Obstacle("changed")
    if row.state != change.before:
        return Obstacle(row.state)
    at = to_us(change.at)
    if row.expires_us <= at and change.after is not ProposalState.EXPIRED:
        return Obstacle(ProposalState.EXPIRED)
    if change.after is ProposalState.CONFIRMED and row.moves_money and _waits(connection, row, at):
        return Obstacle("waits")
    return None


def _waits(connection: Connection, row: Any, at_us: int) -> bool:
    """Whether an older proposal of this customer that moves money is open. What the customer began themselves waits for nobody."""
    older = and_(
        _C.customer == row.customer,
        _C.state == ProposalState.OPEN,
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
    mine = (_C.customer == customer, _C.state == ProposalState.OPEN, _C.expires_us > to_us(at))
    return [_stored(row) for row in connection.execute(select(CONFIRMATIONS).where(*mine).order_by(_C.created_us, _C.id))]


def to_approve(connection: Connection, approver: str, at: datetime) -> Sequence[StoredProposal]:
    """What waits for this person's approval, as the owners were when it was proposed; whether they still may is asked of the core."""
    in_time = (APPROVERS.c.expires_us > to_us(at), _C.expires_us > to_us(at))  # the first for its index
    waits = (_C.state == ProposalState.CONFIRMED, _C.level == 4, *in_time)
    joined = APPROVERS.join(CONFIRMATIONS, _C.id == APPROVERS.c.confirmation)
    theirs = select(CONFIRMATIONS).select_from(joined).where(APPROVERS.c.approver == approver, *waits)
    return [_stored(row) for row in connection.execute(theirs.order_by(_C.created_us, _C.id))]


def unfinished(connection: Connection, before: datetime) -> Sequence[StoredProposal]:
    """Confirmed (or approved) with a call that nobody claimed yet: what a crash left behind."""
    ready = or_(and_(_C.state == ProposalState.CONFIRMED, _C.level == 3), _C.state == ProposalState.APPROVED)
    # As a question of each of the few that have not expired: of a join SQLite would read every call that was ever proposed
    waits = (
        select(PROPOSED_CALLS.c.call_id).where(PROPOSED_CALLS.c.confirmation == _C.id, PROPOSED_CALLS.c.claimed.is_(False)).exists()
    )
    in_time = (_C.ended_us < to_us(before), _C.expires_us > to_us(before))
    return [_stored(row) for row in connection.execute(select(CONFIRMATIONS).where(ready, *in_time, waits))]


def _stored(row: Any) -> StoredProposal:
    proposal = Proposal(
        id=row.id,
        customer=row.customer,
        agent=row.agent,
        intent=row.intent,
        level=row.level,
        moves_money=row.moves_money,
        state=ProposalState(row.state),
        created=from_us(row.created_us),
        expires=from_us(row.expires_us),
        opened=None if row.opened_us is None else from_us(row.opened_us),
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


@dataclass(frozen=True, slots=True)
class SqlProposals:
    """The `ProposalStore` on the gateway's database."""

    store: ItemStore

    async def keep(self, new: NewProposal) -> None:
        await self.store.write(StoreProposal(new))

    async def open(self, confirmation_id: str, at: datetime) -> None:
        await self.store.write(OpenProposal(confirmation_id, at))

    async def obstacle(self, change: ProposalChange) -> Obstacle | None:
        return await self.store.read(lambda connection: obstacle(connection, change))

    async def change(self, change: ProposalChange) -> Obstacle | None:
        return await self.store.write(MoveProposal(change))

    async def spend(self, call_id: str, at: datetime) -> None:
        await self.store.write(SpendCall(call_id, at))

    async def find(self, confirmation_id: str) -> StoredProposal | None:
        return await self.store.read(lambda connection: find(connection, confirmation_id))

    async def calls_of(self, confirmation_id: str) -> Sequence[ProposedCall]:
        return await self.store.read(lambda connection: calls_of(connection, confirmation_id))

    async def proposed(self, conversation: str, turn: str, native_id: str) -> tuple[ProposedCall, StoredProposal] | None:
        return await self.store.read(lambda connection: proposed(connection, conversation, turn, native_id))

    async def of_call(self, call_id: str) -> tuple[ProposedCall, StoredProposal] | None:
        return await self.store.read(lambda connection: of_call(connection, call_id))

    async def waiting(self, customer: str, at: datetime) -> Sequence[StoredProposal]:
        return await self.store.read(lambda connection: waiting(connection, customer, at))

    async def to_approve(self, approver: str, at: datetime) -> Sequence[StoredProposal]:
        return await self.store.read(lambda connection: to_approve(connection, approver, at))

    async def unfinished(self, before: datetime) -> Sequence[StoredProposal]:
        return await self.store.read(lambda connection: unfinished(connection, before))
