"""Questions to the bank, each one or two statements on one persistent connection that sees what is committed.

The statements (`questions`) are compiled once, and executed through the driver: that keeps a read at some microseconds, on the
event loop, where a round trip to a thread would cost far more.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Engine

from adapters.core import (
    Account,
    Acquaintance,
    Balance,
    Beneficiary,
    Card,
    CoreEffect,
    CoreUnavailable,
    DirectDebit,
    Done,
    EffectPage,
    ExistingOrder,
    Identified,
    KnownPayee,
    Money,
    ObjectFacts,
    Payment,
    ReferenceKind,
    SpendingGroup,
    StandingOrder,
    Statement,
    Transaction,
    TransactionFilter,
    TransactionPage,
)
from adapters.cores.sandbox import payees, questions, stored
from adapters.cores.sandbox.tables import micros, moment

_DAY = timedelta(days=1)
EFFECTS_MOST = 1_000
"""Effects of a page."""

_STATED = re.compile(r"d(.{1,16})\.[0-9]{8}\.[0-9]{8}", re.ASCII)
"""The identifier of a statement, and the account in it."""


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
        named = identified.id
        if identified.kind is ReferenceKind.DOCUMENT:
            stated = _STATED.fullmatch(named)
            named = "" if stated is None else stated[1]
        rows = self._rows(questions.DESCRIBE[identified.kind], {"id": named})
        if not rows:
            return None
        _, status, currency, its_account, first = rows[0]
        settled = None if first is None else moment(first)
        return ObjectFacts(identified, frozenset([row[0] for row in rows]), status, currency, its_account, settled)

    def accounts(self, customer: str) -> list[Account]:
        """The customer's accounts, closed ones too."""
        owners: dict[str, set[str]] = {}
        rows: dict[str, tuple[Any, ...]] = {}
        for row in self._rows(questions.ACCOUNTS, {"customer": customer}):
            rows[row[0]] = row
            owners.setdefault(row[0], set()).add(row[-1])
        return [
            Account(id_, row[1], row[2], row[3], row[4], frozenset(owners[id_]), row[5], row[6], row[7])
            for id_, row in rows.items()
        ]

    def balance(self, account_id: str, balance_type: str, now: datetime) -> Balance | None:
        """ITBD and ITAV as of now; CLBD and CLAV as of the last midnight in UTC. ValueError for another type."""
        if balance_type == "ITAV":
            asked, as_of = questions.AVAILABLE, now
        elif balance_type == "ITBD":
            asked, as_of = questions.BOOKED, now
        elif balance_type in {"CLBD", "CLAV"}:
            asked, as_of = questions.CLOSING, datetime.combine(now.date(), time(), UTC)
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
        rows = self._rows(questions.LISTING, asked)
        more = str(rows[limit - 1][-1]) if len(rows) > limit else None
        return TransactionPage([_transaction(row) for row in rows[:limit]], more)

    def transaction(self, transaction: str) -> Transaction | None:
        """One booked transaction."""
        rows = self._rows(questions.TRANSACTION, {"id": transaction})
        return _transaction(rows[0]) if rows else None

    def spending(self, accounts: Sequence[str], start: date, end: date, group_by: str) -> list[SpendingGroup]:
        """Booked debits per group and currency, summed exactly. ValueError for another grouping."""
        first, last = _span(start, end)
        totals: dict[tuple[str, str], tuple[int, int]] = {}
        for id_ in dict.fromkeys(accounts):
            for category, booked_at, counterparty, currency, minor in self._rows(
                questions.DEBITS, {"id": id_, "start": first, "end": last}
            ):
                group = _group(group_by, category, booked_at, counterparty)
                total, count = totals.get((group, currency), (0, 0))
                totals[(group, currency)] = (total + minor, count + 1)
        return [SpendingGroup(group, Money(total, currency), n) for (group, currency), (total, n) in sorted(totals.items())]

    def acquaintance(self, customer: str) -> Acquaintance:
        """Whom the customer saved and paid, from any of their accounts, and what is ordered. A payment counts from its settlement; what
        a payee sent, a direct debit and a card payment are no payments here, so they make nobody known."""
        asked = {"customer": customer}
        rows = self._rows(questions.PAYEES, asked)
        # One whom two accounts have saved is one payee: in the order of their last payments, the last one stays.
        last_from = {number: of for _, _, number, of, _, _, last in sorted(rows, key=lambda row: row[-1] or 0) if last is not None}
        payees_ = tuple(
            KnownPayee(
                key=_key(ReferenceKind.BENEFICIARY, id_),
                name=name,
                identifier=number,
                known_since=None if first is None else moment(first),
                saved_at=moment(saved),
                paid_from=_key(ReferenceKind.ACCOUNT, last_from[number]) if number in last_from else None,
            )
            for id_, name, number, _, saved, first, _ in rows
        )
        orders: dict[str, ExistingOrder] = {}
        for id_, payee, name, minor, currency in self._rows(questions.ORDERED, asked):
            key = _key(ReferenceKind.STANDING_ORDER, id_)
            orders[key] = ExistingOrder(id_, _key(ReferenceKind.BENEFICIARY, payee), Money(minor, currency), name)
        for id_, payee, own, name, minor, currency in self._rows(questions.PLANNED, asked):
            to = _key(ReferenceKind.ACCOUNT, own) if payee is None else _key(ReferenceKind.BENEFICIARY, payee)
            orders[_key(ReferenceKind.PAYMENT, id_)] = ExistingOrder(id_, to, Money(minor, currency), name)
        return Acquaintance(
            payees_, orders, frozenset(it for account in self.accounts(customer) for it in (account.key, *account.written))
        )

    def beneficiaries(self, account_id: str) -> list[Beneficiary]:
        """The payees saved for an account, by name."""
        return [
            Beneficiary(id_, of, name, identifier, moment(created), None if paid is None else moment(paid))
            for id_, of, name, identifier, created, paid in self._rows(questions.BENEFICIARIES, {"id": account_id})
        ]

    def standing_orders(self, account_id: str) -> list[StandingOrder]:
        """The account's standing orders, the next one first."""
        return [
            StandingOrder(id_, of, payee, Money(minor, currency), every, date.fromisoformat(on), _day(last), reference, status)
            for id_, of, payee, minor, currency, every, on, last, reference, status in self._rows(
                questions.STANDING, {"id": account_id}
            )
        ]

    def cards(self, customer: str) -> list[Card]:
        """The cards that the customer holds."""
        return [Card(*row) for row in self._rows(questions.CARDS, {"customer": customer})]

    def payment(self, payment_id: str) -> Payment | None:
        """One payment."""
        rows = self._rows(questions.PAYMENT, {"id": payment_id})
        return _payment(rows[0]) if rows else None

    def scheduled_payments(self, account_id: str) -> list[Payment]:
        """The account's payments of a later day, the next one first."""
        return [_payment(row) for row in self._rows(questions.SCHEDULED, {"id": account_id})]

    def direct_debits(self, account_id: str) -> list[DirectDebit]:
        """The account's mandates for direct debit, by creditor."""
        return [
            DirectDebit(id_, of, who, reference, status, None if minor is None else Money(minor, currency), _day(last), _day(on))
            for id_, of, who, reference, status, minor, currency, last, on in self._rows(
                questions.DIRECT_DEBITS, {"id": account_id}
            )
        ]

    def funds(self, account_id: str, amount: Money, now: datetime) -> bool | None:
        """Whether so much can be taken from the account; by the ledger's own arithmetic."""
        rows = self._rows(questions.FUNDS, {"id": account_id, "at": micros(now)})
        if not rows or rows[0][1] != amount.currency:
            return None
        return bool(rows[0][2] == "open" and 0 < amount.minor <= rows[0][0])

    def statement(self, account_id: str, start: date, end: date, today: date) -> Statement | None:
        """A statement follows from the entries, which are immutable: its identifier says all of it, and no row is kept."""
        (first,) = self._rows(questions.FIRST_BOOKED, {"id": account_id})[0]
        if first is None or not start <= end < today or moment(first).date() > end:
            return None
        return Statement(f"d{account_id}.{start:%Y%m%d}.{end:%Y%m%d}", account_id, start, end, "application/pdf")

    def payee(self, name: str, identifier: str) -> tuple[str, str | None]:
        """What is answered about this name and account, and the holder's name where it may be told."""
        key, bank = payees.account_key(identifier)
        holders = [(holder, bool(opted_out)) for holder, opted_out in self._rows(questions.HOLDERS, {"identifier": key})]
        return payees.answered(name, holders, takes_part=bool(self._rows(questions.TAKES_PART, {"bank": bank})[0][0]))

    def answer(self, key: str) -> tuple[str, str] | None:
        """The outcome (done, declined, burned) and the stored answer under this key."""
        rows = self._rows(questions.ANSWER, {"key": key})
        return (rows[0][0], rows[0][1]) if rows else None

    def effects(self, since: datetime, cursor: str | None) -> EffectPage:
        """What the journal of instructions and the payments say, with what was booked. ValueError for a cursor that is none."""
        at, _, ref = (cursor or f"{micros(since)}.").partition(".")
        asked = {"at": int(at), "ref": ref, "n": EFFECTS_MOST + 1}
        rows = self._rows(questions.EFFECTS, asked)
        last = rows[EFFECTS_MOST - 1] if len(rows) > EFFECTS_MOST else None
        return EffectPage([_effect(row) for row in rows[:EFFECTS_MOST]], None if last is None else f"{last[-2]}.{last[-1]}")

    def executed(self, since: datetime) -> int:
        """How many instructions had their effect since then."""
        return int(self._rows(questions.EXECUTED, {"at": micros(since)})[0][0])

    def _rows(self, statement: str, values: Mapping[str, object]) -> list[Any]:
        try:
            return self._execute(statement, values).fetchall()
        except sqlite3.OperationalError as failed:
            raise CoreUnavailable from failed


def _span(start: date, end: date) -> tuple[int, int]:
    """Both days inclusive, as microseconds from the first to before the second, in UTC."""
    last = datetime.combine(end, time(), UTC) + _DAY if end < date.max else datetime.max.replace(tzinfo=UTC)
    return micros(datetime.combine(start, time(), UTC)), micros(last)


def _key(kind: ReferenceKind, named: str) -> str:
    return Identified(kind, named).key


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


def _effect(row: tuple[Any, ...]) -> CoreEffect:
    key, customer, told, outcome, answer, status, minor, currency, at, _ = row
    if status is not None:
        return CoreEffect(key, customer, told, status, Money(minor, currency), moment(at))
    amount = None
    if told in _WITH_AMOUNT and outcome == "done":
        done = stored.from_text(answer)
        amount = done.output.get("amount") if isinstance(done, Done) else None
    return CoreEffect(key, customer, told, outcome, amount if isinstance(amount, Money) else None, moment(at))


_WITH_AMOUNT = frozenset({"CreateStandingOrder", "AmendStandingOrder"})
