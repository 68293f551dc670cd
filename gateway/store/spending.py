"""What a customer spent over rolling windows, to the microsecond, without a look at each payment: sums by the hour, and the calls
themselves at the edges of a window.

Whoever claims a call adds it to the sum of its hour in the same transaction, whoever gives it back takes it off, and both hold the
customer's lock: a sum is always that of the calls that count.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Label,
    Select,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    select,
    text,
    union_all,
)

from audit.store.prepared import Prepared
from gateway.domain.limits import Starts, Totals
from gateway.store.tables import CALLS, SPENT
from gateway.store.times import to_us

HOUR_US = 3_600_000_000

_NO_MANDATE = ""
"""Of what the customer confirmed themselves."""

_ZERO: ColumnElement[int] = literal_column("0")
_WINDOWS = ("day", "week", "month")
_MONEY = ("day_minor", "week_minor", "month_minor", "day_count")

ADDED = (
    " ON CONFLICT (customer, currency, hour, standing_mandate)"
    " DO UPDATE SET minor = spent.minor + excluded.minor, payments = spent.payments + excluded.payments"
)
_ADD = Prepared(
    text(
        "INSERT INTO spent (customer, currency, hour, standing_mandate, minor, payments)"  # noqa: S608  # our own parts
        " VALUES (:customer, :currency, :hour, :standing_mandate, :minor, :payments)" + ADDED
    )
)


def move(connection: Connection, call: Mapping[str, Any], sign: int) -> None:
    """Add a call that moves money to its hour (`sign` 1), or take it off (-1). `call`: customer, currency, minor, created_us and
    standing_mandate of its row. The customer is locked."""
    _ADD.one(connection, row_of(call, sign))


def row_of(call: Mapping[str, Any], sign: int) -> dict[str, object]:
    """What `move` adds to the sum of an hour."""
    return {
        "customer": call["customer"],
        "currency": call["currency"],
        "hour": call["created_us"] // HOUR_US,
        "standing_mandate": call["standing_mandate"] or _NO_MANDATE,
        "minor": sign * call["minor"],
        "payments": sign,
    }


def windows(now: datetime) -> dict[str, int]:
    """The parameters of `SPENT_OF` for windows that end now: where each begins, where its first hour ends, and its first whole hour."""
    starts = Starts.at(now)
    found: dict[str, int] = {}
    for name in _WINDOWS:
        began = to_us(getattr(starts, name))
        whole = began // HOUR_US + 1
        found |= {name: began, f"{name}_edge": whole * HOUR_US, f"{name}_hour": whole}
    return found


def _whole_hours() -> Select[Any]:
    """Hours that lie in a window whole."""
    since_day, since_week = SPENT.c.hour >= bindparam("day_hour"), SPENT.c.hour >= bindparam("week_hour")
    return select(
        SPENT.c.standing_mandate.label("standing_mandate"),
        case((since_day, SPENT.c.minor), else_=_ZERO).label("day_minor"),
        case((since_week, SPENT.c.minor), else_=_ZERO).label("week_minor"),
        SPENT.c.minor.label("month_minor"),
        case((since_day, SPENT.c.payments), else_=_ZERO).label("day_count"),
    ).where(
        SPENT.c.customer == bindparam("customer"),
        SPENT.c.currency == bindparam("currency"),
        SPENT.c.hour >= bindparam("month_hour"),
    )


def _edge(window: str) -> Select[Any]:
    """The calls of the hour in which a window begins, that lie in it. They count for this window alone: for the longer ones their whole
    hour does."""
    counted: Mapping[str, ColumnElement[int]] = {f"{window}_minor": CALLS.c.minor}
    if window == "day":
        counted = {**counted, "day_count": literal_column("1")}
    columns: list[Label[Any]] = [counted.get(name, _ZERO).label(name) for name in _MONEY]
    return select(func.coalesce(CALLS.c.standing_mandate, literal_column("''")).label("standing_mandate"), *columns).where(
        CALLS.c.customer == bindparam("customer"),
        CALLS.c.currency == bindparam("currency"),
        CALLS.c.created_us > bindparam(window),
        CALLS.c.created_us < bindparam(f"{window}_edge"),
        CALLS.c.state != literal_column("'voided'"),
    )


_COUNTED = union_all(_whole_hours(), *(_edge(window) for window in _WINDOWS)).subquery("counted")


def _sum(name: str) -> Label[int]:
    """As an integer: PostgreSQL sums bigint to numeric."""
    return cast(func.coalesce(func.sum(_COUNTED.c[name]), _ZERO), BigInteger).label(name)


SPENT_OF: Any = select(*(_sum(name) for name in _MONEY))
"""One row: the columns of `Totals`. Parameters: customer, currency, and `windows`."""

_TOTALS = Prepared(SPENT_OF)
_AUTOMATIC = Prepared(
    SPENT_OF.add_columns(_COUNTED.c.standing_mandate)
    .where(_COUNTED.c.standing_mandate != literal_column("''"))
    .group_by(_COUNTED.c.standing_mandate)
)
_FORGET = Prepared(delete(SPENT).where(SPENT.c.hour < bindparam("before_hour")))


def totals(connection: Connection, customer: str, currency: str, now: datetime) -> Totals:
    """All that was paid, confirmed or not."""
    (row,) = _TOTALS.rows(connection, {"customer": customer, "currency": currency, **windows(now)})
    return Totals(*row)


def automatic(connection: Connection, customer: str, currency: str, now: datetime) -> Mapping[str, Totals]:
    """What was paid without a confirmation, by the id of the standing mandate under which it went."""
    rows: Sequence[Any] = _AUTOMATIC.rows(connection, {"customer": customer, "currency": currency, **windows(now)})
    return {mandate: Totals(*sums) for *sums, mandate in rows}


def forget(connection: Connection, before: datetime) -> int:
    """Delete the sums of hours that no window reaches any more; how many."""
    return _FORGET.one(connection, {"before_hour": to_us(before) // HOUR_US})
