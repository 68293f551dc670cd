"""The book of calls with an effect: each one's idempotency key, its hold on the limits, its state.

A claim runs inside the one writer's transaction, so what it reads cannot move before it has written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from audit.store.prepared import Prepared
from gateway.errors import Code, Refusal
from gateway.limits import Starts, Totals, exceeded
from gateway.mandate import Limits
from gateway.ports import Claim, Claimed, Moved
from gateway.store.conversations import with_customer
from gateway.store.tables import CALLS
from gateway.store.times import from_us, to_us

LimitsOf = Callable[[Connection, str, int, str], Limits]


@dataclass(frozen=True, slots=True)
class NewCall:
    claim: Claim
    limits_of: LimitsOf
    """Limits of (customer, mandate version, currency), from the signed mandate."""


@dataclass(frozen=True, slots=True)
class Settlement:
    call_id: str
    state: str
    at: datetime


_ZERO: ColumnElement[int] = literal_column("0")


def _sum(amounts: ColumnElement[int]) -> ColumnElement[int]:
    """As an integer: PostgreSQL sums bigint to numeric."""
    return cast(func.coalesce(func.sum(amounts), _ZERO), BigInteger)


_TOTALS = Prepared(
    select(
        _sum(case((CALLS.c.created_us > bindparam("day"), CALLS.c.minor), else_=_ZERO)),
        _sum(case((CALLS.c.created_us > bindparam("week"), CALLS.c.minor), else_=_ZERO)),
        _sum(CALLS.c.minor),
        _sum(case((CALLS.c.created_us > bindparam("day"), literal_column("1")), else_=_ZERO)),
    ).where(
        CALLS.c.customer == bindparam("customer"),
        CALLS.c.currency == bindparam("currency"),
        CALLS.c.created_us > bindparam("month"),
        CALLS.c.state != literal_column("'voided'"),
    )
)
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
)
_BY_IDS = Prepared(
    select(*_HEAD, CALLS.c.arguments_hash).where(
        CALLS.c.conversation == bindparam("conversation"),
        CALLS.c.turn == bindparam("turn"),
        CALLS.c.native_id == bindparam("native_id"),
    )
)
_LIKE = Prepared(
    select(CALLS.c.call_id)
    .where(
        CALLS.c.customer == bindparam("customer"),
        CALLS.c.currency == bindparam("currency"),
        CALLS.c.created_us > bindparam("after"),
        CALLS.c.minor == bindparam("minor"),
        CALLS.c.payee == bindparam("payee"),
        CALLS.c.state != literal_column("'voided'"),
    )
    .limit(literal_column("1"))
)
_NEW = Prepared(insert(CALLS).values({column.name: bindparam(column.name) for column in CALLS.c if column.name != "settled_us"}))
_IS_OPEN = or_(CALLS.c.state == literal_column("'pending'"), CALLS.c.state == literal_column("'unknown'"))
_BY_CALL = Prepared(select(*_HEAD).where(CALLS.c.call_id == bindparam("call_id")))
_UNSETTLED = Prepared(select(*_HEAD).where(_IS_OPEN, CALLS.c.created_us < bindparam("before")))
_IS_THIS = and_(CALLS.c.call_id == bindparam("settled_id"), _IS_OPEN)
_RELEASE = Prepared(delete(CALLS).where(_IS_THIS))
_SETTLE = Prepared(update(CALLS).where(_IS_THIS).values(state=bindparam("new_state"), settled_us=bindparam("at_us")))


def totals(connection: Connection, customer: str, currency: str, now: datetime) -> Totals:
    starts = Starts.at(now)
    windows = {"day": to_us(starts.day), "week": to_us(starts.week), "month": to_us(starts.month)}
    (row,) = _TOTALS.rows(connection, {"customer": customer, "currency": currency, **windows})
    return Totals(*row)


def claim(connection: Connection, item: NewCall, duplicate_window_s: int) -> Claimed | Exception:
    """Insert the row, or give the stored one, or say why not. Everything is checked before the only write."""
    wanted = item.claim
    ids = {"conversation": wanted.conversation, "turn": wanted.turn, "native_id": wanted.native_id}
    for stored in _BY_IDS.rows(connection, ids):
        if stored[-1] != wanted.arguments_hash:
            message = "The id of this call was used for another call; a new call needs a new id."
            return Refusal(Code.INVALID_ARGUMENT, "native_id_conflict", message=message)
        return _claimed(stored[:-1])
    facts = with_customer(connection, wanted.conversation)
    if facts is None or (facts.mandate_version or 0, facts.is_frozen, facts.is_tainted) != wanted.decided_on:
        return Moved()
    refusal = _held(connection, item, duplicate_window_s)
    if refusal is not None:
        return refusal
    _NEW.one(connection, _row(wanted))
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
    limits = item.limits_of(connection, wanted.customer, wanted.decided_on[0], money.currency)
    limit = exceeded(limits, spent, money.minor)
    if limit is not None:
        return Refusal(Code.LIMIT_EXCEEDED, f"limit_{limit}")
    like = _LIKE.rows(
        connection,
        {
            "customer": wanted.customer,
            "currency": money.currency,
            "minor": money.minor,
            "payee": wanted.payee,
            "after": to_us(wanted.at - timedelta(seconds=duplicate_window_s)),
        },
    )
    return Refusal(Code.DUPLICATE_SUSPECTED, "duplicate_suspected") if like else None


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
        _RELEASE.one(connection, {"settled_id": item.call_id})
    else:
        _SETTLE.one(connection, {"settled_id": item.call_id, "new_state": item.state, "at_us": to_us(item.at)})


def find(connection: Connection, call_id: str) -> Claimed | None:
    rows = _BY_CALL.rows(connection, {"call_id": call_id})
    return _claimed(rows[0]) if rows else None


def unsettled(connection: Connection, before: datetime) -> Sequence[Claimed]:
    return [_claimed(row) for row in _UNSETTLED.rows(connection, {"before": to_us(before)})]


def _claimed(row: Sequence[Any]) -> Claimed:
    """From the columns of `_HEAD`."""
    call_id, customer, conversation, function, agent, core_key, trace_id, state, created_us = row
    return Claimed(
        call_id=call_id,
        customer=customer,
        conversation=conversation,
        function=function,
        agent=agent,
        core_key=core_key,
        trace_id=trace_id,
        state=state,
        at=from_us(created_us),
    )
