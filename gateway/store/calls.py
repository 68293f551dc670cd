"""The book of calls with an effect: each one's idempotency key, its hold on the limits, its state.

A claim runs inside the one writer's transaction, so what it reads cannot move before it has written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, case, delete, func, insert, select, update

from gateway.errors import Code, Refusal
from gateway.limits import Starts, Totals, exceeded
from gateway.mandate import Limits
from gateway.ports import Claim, Claimed, Moved
from gateway.store.conversations import with_customer
from gateway.store.tables import CALLS, OPEN_STATES
from gateway.store.times import from_us, to_us

LimitsOf = Callable[[str, int, str], Limits]


@dataclass(frozen=True, slots=True)
class NewCall:
    claim: Claim
    limits_of: LimitsOf
    """Limits of (customer, mandate version, currency): from the signed mandate."""


@dataclass(frozen=True, slots=True)
class Settlement:
    call_id: str
    state: str
    at: datetime


_TOTALS: Select[int, int, int, int] = select(
    func.coalesce(func.sum(case((CALLS.c.created_us > bindparam("day"), CALLS.c.minor), else_=0)), 0),
    func.coalesce(func.sum(case((CALLS.c.created_us > bindparam("week"), CALLS.c.minor), else_=0)), 0),
    func.coalesce(func.sum(CALLS.c.minor), 0),
    func.coalesce(func.sum(case((CALLS.c.created_us > bindparam("day"), 1), else_=0)), 0),
).where(
    CALLS.c.customer == bindparam("customer"),
    CALLS.c.currency == bindparam("currency"),
    CALLS.c.created_us > bindparam("month"),
    CALLS.c.state != "voided",
)
_BY_IDS = select(CALLS).where(
    CALLS.c.conversation == bindparam("conversation"),
    CALLS.c.turn == bindparam("turn"),
    CALLS.c.native_id == bindparam("native_id"),
)
_LIKE = (
    select(CALLS.c.call_id)
    .where(
        CALLS.c.customer == bindparam("customer"),
        CALLS.c.currency == bindparam("currency"),
        CALLS.c.created_us > bindparam("after"),
        CALLS.c.minor == bindparam("minor"),
        CALLS.c.payee == bindparam("payee"),
        CALLS.c.state != "voided",
    )
    .limit(1)
)
_BY_CALL = select(CALLS).where(CALLS.c.call_id == bindparam("call_id"))
_UNSETTLED = select(CALLS).where(CALLS.c.state.in_(OPEN_STATES), CALLS.c.created_us < bindparam("before"))
_IS_OPEN = and_(CALLS.c.call_id == bindparam("settled_id"), CALLS.c.state.in_(OPEN_STATES))
_RELEASE = delete(CALLS).where(_IS_OPEN)
_SETTLE = update(CALLS).where(_IS_OPEN).values(state=bindparam("new_state"), settled_us=bindparam("at_us"))


def totals(connection: Connection, customer: str, currency: str, now: datetime) -> Totals:
    starts = Starts.at(now)
    row = connection.execute(
        _TOTALS,
        {
            "customer": customer,
            "currency": currency,
            "day": to_us(starts.day),
            "week": to_us(starts.week),
            "month": to_us(starts.month),
        },
    ).one()
    return Totals(int(row[0]), int(row[1]), int(row[2]), int(row[3]))


def claim(connection: Connection, item: NewCall, duplicate_window_s: int) -> Claimed | Exception:
    """Insert the row, or give the stored one, or say why not. Everything is checked before the only write."""
    wanted = item.claim
    ids = {"conversation": wanted.conversation, "turn": wanted.turn, "native_id": wanted.native_id}
    stored = connection.execute(_BY_IDS, ids).one_or_none()
    if stored is not None:
        if stored.arguments_hash != wanted.arguments_hash:
            message = "The id of this call was used for another call; a new call needs a new id."
            return Refusal(Code.INVALID_ARGUMENT, "native_id_conflict", message=message)
        return _claimed(stored)
    facts = with_customer(connection, wanted.conversation)
    if facts is None or (facts.mandate_version or 0, bool(facts.frozen), bool(facts.tainted)) != wanted.decided_on:
        return Moved()
    refusal = _held(connection, item, duplicate_window_s)
    if refusal is not None:
        return refusal
    connection.execute(insert(CALLS), [_row(wanted)])
    return Claimed(
        call_id=wanted.call_id,
        customer=wanted.customer,
        conversation=wanted.conversation,
        function=wanted.function,
        agent=wanted.agent,
        core_key=wanted.core_key,
        trace_id=wanted.trace_id,
        state="pending",
        at=wanted.at,
        fresh=True,
    )


def _held(connection: Connection, item: NewCall, duplicate_window_s: int) -> Refusal | None:
    wanted = item.claim
    if wanted.amount is None:
        return None
    money = wanted.amount
    spent = totals(connection, wanted.customer, money.currency, wanted.at)
    limits = item.limits_of(wanted.customer, wanted.decided_on[0], money.currency)
    limit = exceeded(limits, spent, money.minor)
    if limit is not None:
        return Refusal(Code.LIMIT_EXCEEDED, f"limit_{limit}")
    like = connection.execute(
        _LIKE,
        {
            "customer": wanted.customer,
            "currency": money.currency,
            "minor": money.minor,
            "payee": wanted.payee,
            "after": to_us(wanted.at - timedelta(seconds=duplicate_window_s)),
        },
    ).first()
    return Refusal(Code.DUPLICATE_SUSPECTED, "duplicate_suspected") if like is not None else None


def _row(wanted: Claim) -> dict[str, object]:
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
        "state": "pending",
        "created_us": to_us(wanted.at),
        "currency": wanted.amount.currency if wanted.amount else None,
        "minor": wanted.amount.minor if wanted.amount else None,
        "payee": wanted.payee,
    }


def settle(connection: Connection, item: Settlement) -> None:
    if item.state == "released":
        connection.execute(_RELEASE, {"settled_id": item.call_id})
    else:
        connection.execute(_SETTLE, {"settled_id": item.call_id, "new_state": item.state, "at_us": to_us(item.at)})


def find(connection: Connection, call_id: str) -> Claimed | None:
    row = connection.execute(_BY_CALL, {"call_id": call_id}).one_or_none()
    return None if row is None else _claimed(row)


def unsettled(connection: Connection, before: datetime) -> Sequence[Claimed]:
    return [_claimed(row) for row in connection.execute(_UNSETTLED, {"before": to_us(before)})]


def _claimed(row: Row[Any]) -> Claimed:
    return Claimed(
        call_id=row.call_id,
        customer=row.customer,
        conversation=row.conversation,
        function=row.function,
        agent=row.agent,
        core_key=row.core_key,
        trace_id=row.trace_id,
        state=row.state,
        at=from_us(row.created_us),
    )
