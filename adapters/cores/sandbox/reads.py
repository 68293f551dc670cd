"""Questions to the bank, each one or two statements on one persistent connection that sees what is committed.

The statements are SQLAlchemy Core, compiled once when the reader is opened: executing them through the driver keeps a read at some
microseconds, on the event loop, where a round trip to a thread would cost far more.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import BindParameter, ColumnClause, ColumnElement, Engine, Select, bindparam, case, func, literal_column, select
from sqlalchemy.dialects import sqlite

from adapters.core import (
    Account,
    Balance,
    Beneficiary,
    Card,
    CoreUnavailable,
    Identified,
    Money,
    ObjectFacts,
    Payment,
    ReferenceKind,
    SpendingGroup,
    StandingOrder,
    Transaction,
    TransactionFilter,
    TransactionPage,
)
from adapters.cores.sandbox.tables import (
    account,
    account_owner,
    balance,
    beneficiary,
    card,
    entry,
    instruction,
    micros,
    moment,
    movement,
    payment,
    standing_order,
)

_DAY = timedelta(days=1)


class Reader:
    """One reading connection and the compiled statements. Not for use by several threads at once."""

    def __init__(self, engine: Engine) -> None:
        self._pooled = engine.raw_connection()
        driver = self._pooled.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise TypeError("the sandbox reads from SQLite")
        self._execute = driver.execute

    def close(self) -> None:
        """Give the connection back."""
        self._pooled.close()

    def describe(self, identified: Identified) -> ObjectFacts | None:
        """What the policies may know of this object."""
        rows = self._rows(_DESCRIBE[identified.kind], {"id": identified.id})
        if not rows:
            return None
        _, status, currency, its_account, first = rows[0]
        settled = None if first is None else moment(first)
        return ObjectFacts(identified, frozenset([row[0] for row in rows]), status, currency, its_account, settled)

    def accounts(self, customer: str) -> list[Account]:
        """The customer's accounts, closed ones too."""
        owners: dict[str, set[str]] = {}
        rows: dict[str, tuple[Any, ...]] = {}
        for row in self._rows(_ACCOUNTS, {"customer": customer}):
            rows[row[0]] = row
            owners.setdefault(row[0], set()).add(row[-1])
        return [
            Account(id_, row[1], row[2], row[3], row[4], frozenset(owners[id_]), row[5], row[6], row[7])
            for id_, row in rows.items()
        ]

    def balance(self, account_id: str, balance_type: str, now: datetime) -> Balance | None:
        """ITBD and ITAV as of now; CLBD and CLAV as of the last midnight in UTC. ValueError for another type."""
        if balance_type == "ITAV":
            asked, as_of = _AVAILABLE, now
        elif balance_type == "ITBD":
            asked, as_of = _BOOKED, now
        elif balance_type in {"CLBD", "CLAV"}:
            asked, as_of = _CLOSING, datetime.combine(now.date(), time(), UTC)
        else:
            raise ValueError("not a balance type of this bank")
        rows = self._rows(asked, {"id": account_id, "at": micros(as_of)})
        return Balance(account_id, balance_type, Money(rows[0][0], rows[0][1]), as_of) if rows else None

    def transactions(self, wanted: TransactionFilter) -> TransactionPage:
        """Newest first. The cursor is a position in the account's own count of entries: it names nothing outside it."""
        start, end = _span(wanted.start, wanted.end)
        sign = {"CRDT": 1, "DBIT": -1, None: 0}[wanted.credit_debit]
        before = 2**62 if wanted.cursor is None else int(wanted.cursor)
        like = "%" if wanted.text is None else f"%{_escaped(wanted.text)}%"
        limit = min(max(wanted.limit, 1), 100)
        asked = {
            "account": wanted.account,
            "start": start,
            "end": end,
            "sign": sign,
            "before": before,
            "like": like,
            "n": limit + 1,
        }
        rows = self._rows(_LISTING, asked)
        more = str(rows[limit - 1][-1]) if len(rows) > limit else None
        return TransactionPage([_transaction(row) for row in rows[:limit]], more)

    def transaction(self, transaction: str) -> Transaction | None:
        """One booked transaction."""
        rows = self._rows(_TRANSACTION, {"id": transaction})
        return _transaction(rows[0]) if rows else None

    def spending(self, accounts: Sequence[str], start: date, end: date, group_by: str) -> list[SpendingGroup]:
        """Booked debits per group and currency, summed exactly. ValueError for another grouping."""
        first, last = _span(start, end)
        totals: dict[tuple[str, str], tuple[int, int]] = {}
        for id_ in dict.fromkeys(accounts):
            for category, booked_at, counterparty, currency, minor in self._rows(_DEBITS, {"id": id_, "start": first, "end": last}):
                group = _group(group_by, category, booked_at, counterparty)
                total, count = totals.get((group, currency), (0, 0))
                totals[(group, currency)] = (total + minor, count + 1)
        return [SpendingGroup(group, Money(total, currency), n) for (group, currency), (total, n) in sorted(totals.items())]

    def beneficiaries(self, account_id: str) -> list[Beneficiary]:
        """The payees saved for an account, by name."""
        return [
            Beneficiary(id_, of, name, identifier, moment(created), None if paid is None else moment(paid))
            for id_, of, name, identifier, created, paid in self._rows(_BENEFICIARIES, {"id": account_id})
        ]

    def standing_orders(self, account_id: str) -> list[StandingOrder]:
        """The account's standing orders, the next one first."""
        return [
            StandingOrder(id_, of, payee, Money(minor, currency), every, date.fromisoformat(on), _day(last), reference, status)
            for id_, of, payee, minor, currency, every, on, last, reference, status in self._rows(_STANDING, {"id": account_id})
        ]

    def cards(self, customer: str) -> list[Card]:
        """The cards that the customer holds."""
        return [Card(*row) for row in self._rows(_CARDS, {"customer": customer})]

    def payment(self, payment_id: str) -> Payment | None:
        """One payment."""
        rows = self._rows(_PAYMENT, {"id": payment_id})
        return _payment(rows[0]) if rows else None

    def scheduled_payments(self, account_id: str) -> list[Payment]:
        """The account's payments of a later day, the next one first."""
        return [_payment(row) for row in self._rows(_SCHEDULED, {"id": account_id})]

    def answer(self, key: str) -> tuple[str, str] | None:
        """The outcome (done, declined, burned) and the stored answer under this key."""
        rows = self._rows(_ANSWER, {"key": key})
        return (rows[0][0], rows[0][1]) if rows else None

    def executed(self, since: datetime) -> int:
        """How many instructions had their effect since then."""
        return int(self._rows(_EXECUTED, {"at": micros(since)})[0][0])

    def _rows(self, statement: str, values: Mapping[str, object]) -> list[Any]:
        try:
            return self._execute(statement, values).fetchall()
        except sqlite3.OperationalError as failed:
            raise CoreUnavailable from failed


def _span(start: date, end: date) -> tuple[int, int]:
    """Both days inclusive, as microseconds from the first to before the second, in UTC."""
    last = datetime.combine(end, time(), UTC) + _DAY if end < date.max else datetime.max.replace(tzinfo=UTC)
    return micros(datetime.combine(start, time(), UTC)), micros(last)


def _escaped(text: str) -> str:
    return text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _group(group_by: str, category: str, booked_at_us: int, counterparty: str) -> str:
    match group_by:
        case "category":
            return category
        case "month":
            return moment(booked_at_us).strftime("%Y-%m")
        case "counterparty":
            return counterparty
    raise ValueError("not a grouping of this bank")


def _transaction(row: tuple[Any, ...]) -> Transaction:
    id_, account_id, booked_at, minor, currency, category, memo, payment_id = row[:8]
    is_credit = minor > 0
    name, number = row[8:10] if is_credit else row[10:12]
    amount = Money(abs(minor), currency)
    kind = "CRDT" if is_credit else "DBIT"
    return Transaction(id_, account_id, moment(booked_at), amount, kind, "BOOK", category, memo, name, number, payment_id)


def _payment(row: tuple[Any, ...]) -> Payment:
    id_, of, minor, currency, payee, reference, status, created, execute_on, assisted = row
    amount = Money(minor, currency)
    return Payment(id_, of, amount, payee, reference, status, moment(created), _day(execute_on), bool(assisted))


def _compiled(statement: Select[Any]) -> str:
    """The statement as SQLite's text. Its constants must be literal columns: a parameter has no value here."""
    compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
    if any(value is not None for value in compiled.params.values()):
        raise ValueError(f"a constant became a parameter: {compiled.params}")
    return str(compiled)


_ZERO: ColumnClause[Any] = literal_column("0")
_NULL: ColumnClause[Any] = literal_column("NULL")
_id: BindParameter[Any] = bindparam("id")


def _owned(table: Any, its_account: ColumnElement[str], status: Any, currency: Any, first: Any = _NULL) -> str:
    """Facts of an object with its owners, who are those of its account: one row for each."""
    return _compiled(
        select(account_owner.c.customer, status, currency, its_account, first)
        .select_from(table)
        .join(account_owner, account_owner.c.account == its_account)
        .where(table.c.id == _id)
    )


_FIRST_SETTLED = (
    select(func.min(payment.c.settled_at_us)).where(payment.c.beneficiary == beneficiary.c.id, payment.c.settled_at_us.is_not(None))
).scalar_subquery()
_ACCOUNT_CURRENCY = select(account.c.currency).where(account.c.id == beneficiary.c.account).scalar_subquery()

_DESCRIBE = {
    ReferenceKind.ACCOUNT: _owned(account, account.c.id, account.c.status, account.c.currency),
    ReferenceKind.BENEFICIARY: _owned(
        beneficiary, beneficiary.c.account, literal_column("'saved'"), _ACCOUNT_CURRENCY, _FIRST_SETTLED
    ),
    ReferenceKind.CARD: _owned(card, card.c.account, card.c.status, _NULL),
    ReferenceKind.PAYMENT: _owned(payment, payment.c.account, payment.c.status, payment.c.currency),
    ReferenceKind.STANDING_ORDER: _owned(
        standing_order, standing_order.c.account, standing_order.c.status, standing_order.c.currency
    ),
    ReferenceKind.TRANSACTION: _owned(entry, entry.c.account, literal_column("'BOOK'"), entry.c.currency),
}

_mine = account_owner.alias("mine")
_ACCOUNTS = _compiled(
    select(
        account.c.id,
        account.c.name,
        account.c.product,
        account.c.currency,
        account.c.status,
        account.c.iban,
        account.c.sort_code,
        account.c.number,
        account_owner.c.customer,
    )
    .select_from(_mine)
    .join(account, account.c.id == _mine.c.account)
    .join(account_owner, account_owner.c.account == account.c.id)
    .where(_mine.c.customer == bindparam("customer"))
    .order_by(account.c.id)
)
_HELD = (
    select(func.coalesce(func.sum(movement.c.amount_minor), _ZERO))
    .where(
        movement.c.debit == balance.c.account,
        movement.c.state == literal_column("'pending'"),
        movement.c.expires_at_us > bindparam("at"),
    )
    .scalar_subquery()
)
_SINCE = (
    select(func.coalesce(func.sum(entry.c.amount_minor), _ZERO))
    .where(entry.c.account == balance.c.account, entry.c.booked_at_us >= bindparam("at"))
    .scalar_subquery()
)
_of_account = balance.c.account == _id
_BOOKED = _compiled(select(balance.c.booked_minor, balance.c.currency).where(_of_account))
_AVAILABLE = _compiled(select(balance.c.booked_minor - _HELD, balance.c.currency).where(_of_account))
_CLOSING = _compiled(select(balance.c.booked_minor - _SINCE, balance.c.currency).where(_of_account))

_entries = (
    select(
        entry.c.id,
        entry.c.account,
        entry.c.booked_at_us,
        entry.c.amount_minor,
        entry.c.currency,
        movement.c.category,
        movement.c.memo,
        movement.c.payment,
        movement.c.debtor_name,
        movement.c.debtor_account,
        movement.c.creditor_name,
        movement.c.creditor_account,
        entry.c.position,
    )
    .select_from(entry)
    .join(movement, movement.c.id == entry.c.movement)
)
_counterparty = case((entry.c.amount_minor > _ZERO, movement.c.debtor_name), else_=movement.c.creditor_name)
_like: BindParameter[Any] = bindparam("like")
_LISTING = _compiled(
    _entries.where(
        entry.c.account == bindparam("account"),
        entry.c.booked_at_us >= bindparam("start"),
        entry.c.booked_at_us < bindparam("end"),
        entry.c.position < bindparam("before"),
        entry.c.amount_minor * bindparam("sign") >= _ZERO,
        (_like == literal_column("'%'"))
        | func.lower(movement.c.memo).like(_like, escape="\\")
        | func.lower(_counterparty).like(_like, escape="\\"),
    )
    .order_by(entry.c.booked_at_us.desc(), entry.c.position.desc())
    .limit(bindparam("n"))
    .offset(_ZERO)
)
_TRANSACTION = _compiled(_entries.where(entry.c.id == _id))
_DEBITS = _compiled(
    select(movement.c.category, entry.c.booked_at_us, movement.c.creditor_name, entry.c.currency, -entry.c.amount_minor)
    .select_from(entry)
    .join(movement, movement.c.id == entry.c.movement)
    .where(
        entry.c.account == _id,
        entry.c.booked_at_us >= bindparam("start"),
        entry.c.booked_at_us < bindparam("end"),
        entry.c.amount_minor < _ZERO,
    )
)
_LAST_PAID = select(func.max(payment.c.settled_at_us)).where(payment.c.beneficiary == beneficiary.c.id).scalar_subquery()
_BENEFICIARIES = _compiled(
    select(
        beneficiary.c.id,
        beneficiary.c.account,
        beneficiary.c.name,
        beneficiary.c.identifier,
        beneficiary.c.created_at_us,
        _LAST_PAID,
    )
    .where(beneficiary.c.account == _id)
    .order_by(beneficiary.c.name, beneficiary.c.id)
)
_STANDING = _compiled(
    select(
        standing_order.c.id,
        standing_order.c.account,
        beneficiary.c.name,
        standing_order.c.amount_minor,
        standing_order.c.currency,
        standing_order.c.frequency,
        standing_order.c.next_on,
        standing_order.c.last_on,
        standing_order.c.reference,
        standing_order.c.status,
    )
    .select_from(standing_order)
    .join(beneficiary, beneficiary.c.id == standing_order.c.beneficiary)
    .where(standing_order.c.account == _id)
    .order_by(standing_order.c.next_on, standing_order.c.id)
)
_CARDS = _compiled(
    select(card.c.id, card.c.account, card.c.last4, card.c.scheme, card.c.status, card.c.holder)
    .where(card.c.holder == bindparam("customer"))
    .order_by(card.c.id)
)
_payments = select(
    payment.c.id,
    payment.c.account,
    payment.c.amount_minor,
    payment.c.currency,
    payment.c.counterparty_name,
    payment.c.reference,
    payment.c.status,
    payment.c.created_at_us,
    payment.c.execute_on,
    payment.c.through_assistant,
)
_PAYMENT = _compiled(_payments.where(payment.c.id == _id))
_SCHEDULED = _compiled(
    _payments.where(payment.c.account == _id, payment.c.status == literal_column("'SCHD'")).order_by(
        payment.c.execute_on, payment.c.id
    )
)
_ANSWER = _compiled(select(instruction.c.outcome, instruction.c.answer).where(instruction.c.key == bindparam("key")))
_EXECUTED = _compiled(
    select(func.count())
    .select_from(instruction)
    .where(instruction.c.outcome == literal_column("'done'"), instruction.c.answered_at_us >= bindparam("at"))
)
