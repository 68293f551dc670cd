"""The book of calls with an effect: each one's idempotency key, its hold on the limits, its state.

A claim runs inside the one writer's transaction, so what it reads cannot move before it has written.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    insert,
    literal_column,
    or_,
    select,
    true,
    update,
)

from adapters.core import Money
from audit.store.prepared import Asked, Prepared
from gateway.domain.errors import Code, Refusal
from gateway.domain.limits import Totals, exceeded, standing_holds
from gateway.domain.mandate import Limits, StandingMandate
from gateway.domain.ports import Claim, Claimed, FactsMoved, Movement
from gateway.domain.states import RELEASED, CallState, SettledAs
from gateway.store import spending, standing_mandates
from gateway.store.conversations import WITH_CUSTOMER, about
from gateway.store.items import Consequences, Item, Locks, Settlement
from gateway.store.spending import SPENT_OF, windows
from gateway.store.tables import CALLS, CONVERSATIONS, CUSTOMERS, PROPOSED_CALLS, USES
from gateway.store.times import from_us, to_us

LimitsOf = Callable[[Connection, str, int, str], Limits]


@dataclass(frozen=True, slots=True)
class ClaimCall(Item[Claimed]):
    claim: Claim
    limits_of: LimitsOf
    """Limits of (customer, mandate version, currency), from the signed mandate."""
    duplicate_window_s: int
    """How long the same payment again is suspected to be the same one."""
    ahead: "Grounds | None" = None
    """What it is decided on as it stood before the transaction, for who compares it there (`gateway.store.at_once`)."""

    @property
    def locks(self) -> Locks:
        return Locks(customers=frozenset({self.claim.customer}), conversations=frozenset({self.claim.conversation}))

    def grounds(self) -> "Asked[Grounds]":
        """What it is decided on: one question."""
        return Asked(_GROUNDS, _asked(self.claim, self.duplicate_window_s), lambda rows: Grounds._make(rows[0]))

    def obstacle(self, connection: Connection, grounds: "Grounds") -> Claimed | Exception | None:
        """The stored row of the same call, or why it may not be claimed; None if it may."""
        wanted, stored = self.claim, grounds.stored
        if stored is not None:
            return stored.claimed() if stored.arguments_hash == wanted.arguments_hash else _conflict()
        # The decision was made outside this transaction; what it rested on is compared here, where nothing can move any more.
        if grounds.owner is None or grounds.versions != wanted.decided_on:
            return FactsMoved()
        if wanted.amount is not None:
            limits = self.limits_of(connection, wanted.customer, wanted.decided_on[0], wanted.amount.currency)
            limit = exceeded(limits, grounds.totals, wanted.amount.minor)
            if limit is not None:
                return Refusal(Code.LIMIT_EXCEEDED, f"limit_{limit}")
            if grounds.alike is not None and wanted.confirmation is None:
                return Refusal(Code.DUPLICATE_SUSPECTED, "duplicate_suspected")
            if wanted.covered is not None and not _is_covered(connection, wanted, wanted.amount, wanted.covered):
                return FactsMoved()
        return None

    def apply(self, connection: Connection) -> Claimed | Exception:
        """Insert the row, or give the stored one, or say why not. Everything is checked before the only write."""
        wanted = self.claim
        obstacle = self.obstacle(connection, self.grounds().of(connection))
        if obstacle is not None:
            return obstacle
        # A confirmation is used up by the very transaction that claims its effect, so that of two at once one finds it used.
        if wanted.confirmation is not None and _CONFIRMED.one(connection, {"proposed": wanted.call_id}) != 1:
            return Refusal(Code.DENIED, "confirmation_used")
        row = self.row()
        _NEW.one(connection, row)
        if wanted.amount is not None:
            spending.move(connection, row, 1)
        for use in self.use_rows():
            _USE.one(connection, use)
        return self.claimed()

    def claimed(self) -> Claimed:
        """The answer to a claim that is made now."""
        wanted = self.claim
        return Claimed(
            call_id=wanted.call_id,
            customer=wanted.customer,
            conversation=wanted.conversation,
            function=wanted.function,
            agent=wanted.agent,
            core_key=wanted.core_key,
            trace_id=wanted.trace_id,
            state=CallState.PENDING,
            at=wanted.at,
            fresh=True,
        )

    def row(self) -> dict[str, object]:
        """Of `calls`."""
        wanted = self.claim
        return {
            "call_id": wanted.call_id,
            "customer": wanted.customer,
            "conversation": wanted.conversation,
            "turn": wanted.turn,
            "native_id": wanted.native_id,
            "function": wanted.function,
            "arguments_hash": wanted.arguments_hash,
            "agent": wanted.agent,
            "channel": wanted.channel,
            "core_key": wanted.core_key,
            "trace_id": wanted.trace_id,
            "state": CallState.PENDING,
            "created_us": to_us(wanted.at),
            "currency": wanted.amount.currency if wanted.amount else None,
            "minor": wanted.amount.minor if wanted.amount else None,
            "payee": wanted.payee,
            "standing_mandate": None if wanted.covered is None else wanted.covered.id,
            "confirmation": wanted.confirmation,
        }

    def use_rows(self) -> Sequence[dict[str, object]]:
        """Of `uses`."""
        of_call = {"call_id": self.claim.call_id, "conversation": self.claim.conversation}
        return [{**of_call, "kind": use.kind, "value": use.value, "turn": use.turn} for use in self.claim.uses]


@dataclass(frozen=True, slots=True)
class SettleCall(Item[None]):
    call_id: str
    state: SettledAs
    at: datetime

    @property
    def settlement(self) -> Settlement:
        return Settlement(call_id=self.call_id, state=self.state, at=self.at)

    def apply(self, _connection: Connection) -> None:
        """Written already, with all others of its group."""

    def consequences(self, _connection: Connection, _answer: None) -> Consequences | None:
        return None if self.state is CallState.UNKNOWN else Consequences(at=self.at, ended=(self.call_id,))


_CONFIRMED = Prepared(
    update(PROPOSED_CALLS)
    .where(PROPOSED_CALLS.c.call_id == bindparam("proposed"), PROPOSED_CALLS.c.claimed == literal_column("false"))
    .values(claimed=literal_column("true"))
)
_USE = Prepared(insert(USES).values({column.name: bindparam(column.name) for column in USES.c}))


class _CallRow(NamedTuple):
    """A row of `_HEAD`: the driver gives plain tuples, and these are their names."""

    call_id: str
    customer: str
    conversation: str
    function: str
    agent: str | None
    core_key: str
    trace_id: str
    state: str
    created_us: int
    arguments_hash: bytes

    def claimed(self) -> Claimed:
        return Claimed(
            call_id=self.call_id,
            customer=self.customer,
            conversation=self.conversation,
            function=self.function,
            agent=self.agent,
            core_key=self.core_key,
            trace_id=self.trace_id,
            state=CallState(self.state),
            at=from_us(self.created_us),
        )


class Grounds(NamedTuple):
    """The row of `_GROUNDS`. `owner` None: no such conversation; `stored_call_id` None: nothing stands under these ids."""

    owner: str | None
    tainted: bool
    mandate_version: int | None
    frozen: bool
    kill_epoch: int
    moves: int | None
    tainted_us: int | None
    day_minor: int
    week_minor: int
    month_minor: int
    day_count: int
    alike: str | None
    stored_call_id: str | None
    stored_customer: str
    stored_conversation: str
    stored_function: str
    stored_agent: str | None
    stored_core_key: str
    stored_trace_id: str
    stored_state: str
    stored_created_us: int
    stored_arguments_hash: bytes

    @property
    def versions(self) -> tuple[int, bool, bool, int]:
        """As `Facts.versions`, of now."""
        return (self.mandate_version or 0, bool(self.frozen), bool(self.tainted), self.kill_epoch)

    @property
    def totals(self) -> Totals:
        return Totals(self.day_minor, self.week_minor, self.month_minor, self.day_count)

    @property
    def stored(self) -> _CallRow | None:
        if self.stored_call_id is None:
            return None
        return _CallRow(*(getattr(self, f"stored_{name}") for name in _CallRow._fields))


_HEAD = (
    CALLS.c.call_id,
    CALLS.c.customer,
    CALLS.c.conversation,
    CALLS.c.function,
    CALLS.c.agent,
    CALLS.c.core_key,
    CALLS.c.trace_id,
    CALLS.c.state,
    CALLS.c.created_us,
    CALLS.c.arguments_hash,
)


_UNDER_THE_IDS = select(*_HEAD).where(
    CALLS.c.conversation == bindparam("conversation"),
    CALLS.c.turn == bindparam("turn"),
    CALLS.c.native_id == bindparam("native_id"),
)
_STORED = Prepared(_UNDER_THE_IDS)


def _grounds_statement() -> Select[Any]:
    """What a claim is decided on, in one statement: a round trip each is what a claim costs on PostgreSQL.

    One row: the stored call under the same ids, if any; the conversation and its customer's grant; the totals; a call alike.
    """
    stored = _UNDER_THE_IDS.subquery("stored")
    conversation = WITH_CUSTOMER.add_columns(CUSTOMERS.c.moves, CONVERSATIONS.c.tainted_us).subquery("known")
    alike = (
        select(CALLS.c.call_id.label("like_this"))
        .where(
            CALLS.c.customer == bindparam("customer"),
            CALLS.c.currency == bindparam("currency"),
            CALLS.c.created_us > bindparam("after"),
            CALLS.c.minor == bindparam("minor"),
            CALLS.c.payee == bindparam("payee"),
            CALLS.c.state != literal_column("'voided'"),
        )
        .limit(literal_column("1"))
        .subquery("alike")
    )
    spent = SPENT_OF.subquery("spent_now")
    joined = spent.outerjoin(conversation, true()).outerjoin(alike, true()).outerjoin(stored, true())
    return select(conversation, spent, alike, stored).select_from(joined)


_GROUNDS = Prepared(_grounds_statement())
_NEW = Prepared(insert(CALLS).values({column.name: bindparam(column.name) for column in CALLS.c if column.name != "settled_us"}))
_IS_OPEN = or_(CALLS.c.state == literal_column("'pending'"), CALLS.c.state == literal_column("'unknown'"))
_BY_CALL = Prepared(select(*_HEAD).where(CALLS.c.call_id == bindparam("call_id")))
_UNSETTLED = Prepared(select(*_HEAD).where(_IS_OPEN, CALLS.c.created_us < bindparam("before")))
_IS_THIS = and_(CALLS.c.call_id == bindparam("settled_id"), _IS_OPEN)
_MOVED_COLUMNS = ("customer", "currency", "minor", "created_us", "standing_mandate")
_MOVED = Prepared(select(*(CALLS.c[name] for name in _MOVED_COLUMNS)).where(_IS_THIS, CALLS.c.minor.is_not(literal_column("null"))))
_RELEASE = Prepared(delete(CALLS).where(_IS_THIS))
_SETTLE = Prepared(update(CALLS).where(_IS_THIS).values(state=bindparam("new_state"), settled_us=bindparam("at_us")))


def _is_covered(connection: Connection, wanted: Claim, amount: Money, covered: StandingMandate) -> bool:
    """Under the lock: the standing mandate was not revoked, and all that was paid under it, by whichever agent, stays within it."""
    spent = spending.automatic(connection, wanted.customer, amount.currency, wanted.at).get(covered.id, Totals())
    return standing_mandates.stands(connection, covered.id) and standing_holds(covered, spent, amount)


def _asked(wanted: Claim, duplicate_window_s: int) -> dict[str, object]:
    return {
        "conversation": wanted.conversation,
        "turn": wanted.turn,
        "native_id": wanted.native_id,
        "customer": wanted.customer,
        "currency": wanted.amount.currency if wanted.amount else None,
        "minor": wanted.amount.minor if wanted.amount else None,
        "payee": wanted.payee,
        "after": to_us(wanted.at - timedelta(seconds=duplicate_window_s)),
        **about(wanted.conversation, wanted.agent or "", wanted.set_at),
        **windows(wanted.at),
    }


def settle(connection: Connection, items: Sequence[Settlement]) -> None:
    """All of a group at once, in the order of their names, so that two processes cannot wait for each other. The customers of those that
    are given back (`owners_of`) are locked."""
    # Rows are locked in the order in which they are changed: two processes with another order each would wait for each other.
    ordered = sorted(items, key=lambda item: item.call_id)
    kept = [
        {"settled_id": item.call_id, "new_state": item.state, "at_us": to_us(item.at)} for item in ordered if item.state != RELEASED
    ]
    released = [{"settled_id": item.call_id} for item in ordered if item.state == RELEASED]
    for call in _given_back(items):
        for row in _MOVED.rows(connection, {"settled_id": call}):
            spending.move(connection, dict(zip(_MOVED_COLUMNS, row, strict=True)), -1)
    if kept:
        _SETTLE.many(connection, kept)
    if released:
        _RELEASE.many(connection, released)


def owners_of(connection: Connection, items: Sequence[Settlement]) -> frozenset[str]:
    """The customers whose sums change with these: of what does not count any more."""
    wanted = _given_back(items)
    if not wanted:
        return frozenset()
    return frozenset(connection.execute(select(CALLS.c.customer).where(CALLS.c.call_id.in_(wanted))).scalars())


def _given_back(items: Sequence[Settlement]) -> list[str]:
    return sorted({item.call_id for item in items if item.state in (RELEASED, CallState.VOIDED)})


def movements(connection: Connection, customer: str, calls: Collection[str]) -> Mapping[str, Movement]:
    """Those of these calls that are this customer's and move money."""
    wanted = (CALLS.c.customer == customer, CALLS.c.call_id.in_(calls), CALLS.c.minor.is_not(None))
    rows = connection.execute(select(CALLS.c.call_id, CALLS.c.minor, CALLS.c.currency, CALLS.c.payee).where(*wanted))
    return {row.call_id: Movement(Money(row.minor, row.currency), row.payee) for row in rows}


def find(connection: Connection, call_id: str) -> Claimed | None:
    rows = _BY_CALL.rows(connection, {"call_id": call_id})
    return _CallRow._make(rows[0]).claimed() if rows else None


def earlier(
    connection: Connection, conversation: str, turn: str, native_id: str, arguments_hash: bytes
) -> Claimed | Refusal | None:
    rows = _STORED.rows(connection, {"conversation": conversation, "turn": turn, "native_id": native_id})
    if not rows:
        return None
    stored = _CallRow._make(rows[0])
    return stored.claimed() if stored.arguments_hash == arguments_hash else _conflict()


def _conflict() -> Refusal:
    message = "The id of this call was used for another call; a new call needs a new id."
    return Refusal(Code.INVALID_ARGUMENT, "native_id_conflict", message=message)


def unsettled(connection: Connection, before: datetime) -> Sequence[Claimed]:
    return [_CallRow._make(row).claimed() for row in _UNSETTLED.rows(connection, {"before": to_us(before)})]
