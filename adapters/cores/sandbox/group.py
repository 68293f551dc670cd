"""The rows that one group of items touches: read with one statement per table, changed in memory, written with one per table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Table, bindparam, insert, literal_column, select, update

from adapters.core import Declined, Done, Instruction, NotSeen, ReferenceKind
from adapters.cores.sandbox import stored
from adapters.cores.sandbox.bulk import Bulk
from adapters.cores.sandbox.days import bank_day
from adapters.cores.sandbox.items import Burn, ExecuteDue, Item, Keep, Post, Return, Submit, Void
from adapters.cores.sandbox.ledger import LedgerGroup, Pend
from adapters.cores.sandbox.named import Named, named_by
from adapters.cores.sandbox.tables import (
    account,
    beneficiary,
    card,
    case,
    direct_debit,
    entry,
    instruction,
    micros,
    payee_check,
    payment,
    payment_return,
    quote,
    standing_order,
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class UsedKey:
    """A key that was used: by the instruction with this digest, or burned (no digest)."""

    digest: str | None
    answer: Done | Declined | NotSeen


@dataclass(slots=True)
class Group:
    """Everything that the group's items read, by identifier, and what they write. `now` is read once for all of them."""

    connection: Connection
    now: datetime
    ledger: LedgerGroup
    seen: dict[str, UsedKey] = field(default_factory=dict)
    beneficiaries: dict[str, Row] = field(default_factory=dict)
    clearing: dict[str, str] = field(default_factory=dict)
    """Account that stands for other banks, by currency."""
    cards: dict[str, Row] = field(default_factory=dict)
    replacements: dict[str, str] = field(default_factory=dict)
    """Card that was ordered in the place of a closed one, by the closed one."""
    payments: dict[str, Row] = field(default_factory=dict)
    returned: set[str] = field(default_factory=set)
    """Payments whose money came back."""
    standing: dict[str, Row] = field(default_factory=dict)
    debits: dict[str, Row] = field(default_factory=dict)
    checks: dict[str, Row] = field(default_factory=dict)
    entries: dict[str, Row] = field(default_factory=dict)
    """Of each transaction that is named: its account, and its amount, negative for a debit."""
    disputed: set[str] = field(default_factory=set)
    """Transactions with an open dispute."""
    _new: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in _INSERTS})
    _changed: dict[str, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in _UPDATES})
    """Rows that changed, by table and identifier; new ones too, which are written as they are in the end."""
    _kept: set[str] = field(default_factory=set)
    _due: dict[str, set[str]] = field(default_factory=lambda: {"payment": set(), "standing_order": set()})

    @classmethod
    def load(cls, connection: Connection, items: Sequence[Item], now: datetime) -> "Group":
        """Read what these items will touch."""
        group = cls(connection, now, LedgerGroup(connection, now))
        told = [item.instruction for item in items if isinstance(item, Submit)]
        group._load_keys({it.key for it in told} | {item.key for item in items if isinstance(item, Burn)})
        named = named_by(it.order for it in told if it.key not in group.seen)
        returned = {item.payment for item in items if isinstance(item, Return)}
        named.of[ReferenceKind.PAYMENT] |= returned
        for due in (item for item in items if isinstance(item, ExecuteDue)):
            group._load_due(due.most)
        group._load_objects(named)
        group._load_kept([item for item in items if isinstance(item, Keep)])
        group.returned = {row.payment for row in group._rows(_RETURNED, returned)}
        accounts = named.of[ReferenceKind.ACCOUNT] | group._load_payees(named)
        accounts |= {row["account"] for rows in (group.cards, group.debits, group.entries) for row in rows.values()}
        accounts |= {side for row in group.payments.values() for side in (row["account"], row["credit"])}
        accounts |= {row["account"] for row in group.standing.values()}
        accounts |= {side for item in items if isinstance(item, Pend) for side in (item.debit, item.credit)}
        group.ledger.load(accounts, {item.id for item in items if isinstance(item, Pend | Post | Void)})
        return group

    def due_payments(self) -> list[Row]:
        """The payments that are scheduled for today or earlier, the oldest first."""
        rows = [self.payments[id_] for id_ in self._due["payment"]]
        return sorted((row for row in rows if row["status"] == "SCHD"), key=lambda row: (row["execute_on"], row["id"]))

    def due_turns(self) -> list[Row]:
        """The standing orders whose next payment is due, the oldest first."""
        today = bank_day(self.now).isoformat()
        rows = [self.standing[id_] for id_ in self._due["standing_order"]]
        due = (row for row in rows if row["status"] == "active" and row["next_on"] <= today)
        return sorted(due, key=lambda row: (row["next_on"], row["id"]))

    def owns(self, customer: str, account_: str) -> bool:
        """Whether the customer is an owner of this account, which is loaded."""
        return customer in self.ledger.accounts[account_].owners

    def remember(self, key: str, digest: str | None, answer: Done | Declined | NotSeen, told: Instruction | None) -> None:
        """Answer this key so from now on. No instruction: it is burned."""
        self.seen[key] = UsedKey(digest, answer)
        self._new["instruction"].append(
            {
                "key": key,
                "digest": digest,
                "customer": None if told is None else told.customer,
                "told": None if told is None else type(told.order).__name__,
                "outcome": {Done: "done", Declined: "declined", NotSeen: "burned"}[type(answer)],
                "answer": "" if isinstance(answer, NotSeen) else stored.to_text(answer),
                "answered_at_us": micros(self.now),
            }
        )

    def add_payment(self, row: Row) -> None:
        """A new payment; the group's later items see it."""
        self._add("payment", row, self.payments)

    def move_payment(self, row: Row, status: str) -> None:
        """Give a scheduled payment its final status."""
        self._change("payment", row, status=status, settled_at_us=micros(self.now) if status == "ACSC" else None)

    def return_payment(self, row: Row, movement: str) -> None:
        """Note that this movement brought the payment's money back."""
        self.returned.add(row["id"])
        self._new["payment_return"].append({"payment": row["id"], "movement": movement, "returned_at_us": micros(self.now)})

    def move_card(self, row: Row, status: str) -> None:
        """Give a card another status; one that is frozen remembers the status that it had."""
        self._change("card", row, thawed=row["status"] if status == "frozen" else row["thawed"], status=status)

    def replace_card(self, row: Row, replacement: Row) -> None:
        """A new card in the place of one that was closed."""
        self._new["card"].append(replacement)
        self.replacements[row["id"]] = replacement["id"]

    def add_beneficiary(self, row: Row) -> None:
        """A new payee; the group's later items see it."""
        self._add("beneficiary", row, self.beneficiaries)

    def remove_beneficiary(self, row: Row) -> None:
        """From now on nobody finds this payee."""
        self._change("beneficiary", row, removed_at_us=micros(self.now))

    def add_standing_order(self, row: Row) -> None:
        """A new standing order; the group's later items see it."""
        self._add("standing_order", row, self.standing)

    def change_standing_order(self, row: Row, **changes: str | int | None) -> None:
        """Give columns of a standing order these values."""
        self._change("standing_order", row, **changes)

    def cancel_direct_debit(self, row: Row) -> None:
        """Nothing is collected under this mandate any more."""
        self._change("direct_debit", row, status="cancelled", next_on=None)

    def keep(self, item: Keep) -> None:
        """A row that a question leaves behind, unless it is there."""
        if item.row["id"] not in self._kept:
            self._new[item.table].append(dict(item.row))
            self._kept.add(str(item.row["id"]))

    def open_case(self, row: Row) -> None:
        """A new case for the bank's people."""
        self._new["case"].append(row)
        if row["kind"] == "dispute":
            self.disputed.add(row["about"])

    def flush(self) -> None:
        """Write what changed."""
        self.ledger.flush()
        for name, insert_ in _INSERTS.items():
            insert_.run(self.connection, self._new[name])
        for name, update_ in _UPDATES.items():
            fresh = {row["id"] for row in self._new[name]}
            changed = sorted(self._changed[name].keys() - fresh)
            rows = [self._changed[name][id_] for id_ in changed]
            update_.run(self.connection, [{f"to_{column}": value for column, value in row.items()} for row in rows])

    def _add(self, table: str, row: Row, known: dict[str, Row]) -> None:
        self._new[table].append(row)
        known[row["id"]] = row

    def _change(self, table: str, row: Row, **changes: str | int | None) -> None:
        row |= changes
        self._changed[table][row["id"]] = row

    def _load_keys(self, keys: set[str]) -> None:
        for row in self._rows(_KEYS, keys):
            self.seen[row.key] = UsedKey(row.digest, NotSeen() if row.outcome == "burned" else stored.from_text(row.answer))

    def _load_due(self, most: int) -> None:
        asked = {"today": bank_day(self.now).isoformat(), "most": most}
        for table, statement, known in (("payment", _DUE, self.payments), ("standing_order", _DUE_TURNS, self.standing)):
            due = _by_id(self.connection.execute(statement, asked).fetchall())
            known.update(due)
            self._due[table] |= due.keys()

    def _load_objects(self, named: Named) -> None:
        of = named.of
        self.cards = _by_id(self._rows(_CARDS, of[ReferenceKind.CARD]))
        self.replacements = {row.replaces: row.id for row in self._rows(_REPLACEMENTS, named.closing)}
        self.debits = _by_id(self._rows(_DEBITS, of[ReferenceKind.DIRECT_DEBIT]))
        self.checks = _by_id(self._rows(_CHECKS, of[ReferenceKind.PAYEE_CHECK]))
        self.entries = _by_id(self._rows(_ENTRIES, of[ReferenceKind.TRANSACTION]))
        self.disputed = {row.about for row in self._rows(_DISPUTED, named.disputed)}
        for known, statement, ids in (
            (self.payments, _PAYMENTS, of[ReferenceKind.PAYMENT]),
            (self.payments, _PLANNED_FOR, named.removing),
            (self.standing, _STANDING, of[ReferenceKind.STANDING_ORDER]),
            (self.standing, _STANDING_FOR, named.removing),
        ):
            known.update(_by_id(self._rows(statement, ids)))

    def _load_payees(self, named: Named) -> set[str]:
        """The payees of everything that is loaded, and which accounts they need."""
        payees = named.of[ReferenceKind.BENEFICIARY] | {row["beneficiary"] for row in self.standing.values()}
        payees |= {row["beneficiary"] for row in self.payments.values() if row["beneficiary"]}
        self.beneficiaries = _by_id(self._rows(_BENEFICIARIES, payees)) | _by_id(self._rows(_SAVED_FOR, named.saving))
        if not payees:
            return set()
        self.clearing = {row.currency: row.id for row in self.connection.execute(_CLEARING)}
        return {row["account"] for row in self.beneficiaries.values()} | set(self.clearing.values())

    def _load_kept(self, items: Sequence[Keep]) -> None:
        for name, statement in _KEPT.items():
            self._kept |= {row.id for row in self._rows(statement, {str(it.row["id"]) for it in items if it.table == name})}

    def _rows(self, statement: Any, ids: Iterable[str]) -> Sequence[Any]:
        wanted = sorted(ids)
        return self.connection.execute(statement, {"ids": wanted}).fetchall() if wanted else ()


def _by_id(rows: Iterable[Any]) -> dict[str, Row]:
    return {row.id: dict(row._mapping) for row in rows}


_ids: BindParameter[Any] = bindparam("ids", expanding=True)
_KEYS = select(instruction.c.key, instruction.c.digest, instruction.c.outcome, instruction.c.answer).where(
    instruction.c.key.in_(_ids)
)
_BENEFICIARIES = select(beneficiary).where(beneficiary.c.id.in_(_ids))
_SAVED_FOR = select(beneficiary).where(beneficiary.c.account.in_(_ids), beneficiary.c.removed_at_us.is_(None))
_CLEARING = select(account.c.id, account.c.currency).where(account.c.kind == "clearing")
_CARDS = select(card).where(card.c.id.in_(_ids))
_REPLACEMENTS = select(card.c.id, card.c.replaces).where(card.c.replaces.in_(_ids))
_KEPT = {table.name: select(table.c.id).where(table.c.id.in_(_ids)) for table in (quote, payee_check)}
_CHECKS = select(payee_check).where(payee_check.c.id.in_(_ids))
_DEBITS = select(direct_debit).where(direct_debit.c.id.in_(_ids))
_ENTRIES = select(entry.c.id, entry.c.account, entry.c.amount_minor, entry.c.currency).where(entry.c.id.in_(_ids))
_DISPUTED = select(case.c.about).where(case.c.kind == literal_column("'dispute'"), case.c.about.in_(_ids))
_PAYMENTS = select(payment).where(payment.c.id.in_(_ids))
_IS_PLANNED = payment.c.status == literal_column("'SCHD'")
_PLANNED_FOR = select(payment).where(_IS_PLANNED, payment.c.beneficiary.in_(_ids))
_RETURNED = select(payment_return.c.payment).where(payment_return.c.payment.in_(_ids))
_STANDING = select(standing_order).where(standing_order.c.id.in_(_ids))
_IS_ACTIVE = standing_order.c.status == literal_column("'active'")
_STANDING_FOR = select(standing_order).where(
    standing_order.c.status.in_([literal_column("'active'"), literal_column("'suspended'")]), standing_order.c.beneficiary.in_(_ids)
)
_DUE = (
    select(payment)
    .where(_IS_PLANNED, payment.c.execute_on <= bindparam("today"))
    .order_by(payment.c.execute_on, payment.c.id)
    .limit(bindparam("most"))
)
_DUE_TURNS = (
    select(standing_order)
    .where(_IS_ACTIVE, standing_order.c.next_on <= bindparam("today"))
    .order_by(standing_order.c.next_on, standing_order.c.id)
    .limit(bindparam("most"))
)
_INSERTS: dict[str, Bulk] = {
    table.name if table is not case else "case": Bulk(insert(table))
    for table in (beneficiary, standing_order, payment, payment_return, case, card, direct_debit, quote, payee_check, instruction)
}
"""In an order that lets a row name one of a table before."""


def _changing(table: Table, *columns: str) -> Bulk:
    of = table.c.id == bindparam("to_id")
    return Bulk(update(table).where(of).values({column: bindparam(f"to_{column}") for column in columns}))


_UPDATES: dict[str, Bulk] = {
    "card": _changing(card, "status", "thawed"),
    "beneficiary": _changing(beneficiary, "removed_at_us"),
    "direct_debit": _changing(direct_debit, "status", "next_on"),
    "payment": _changing(payment, "status", "settled_at_us"),
    "standing_order": _changing(
        standing_order,
        *("beneficiary", "amount_minor", "frequency", "first_on", "month_day", "turn", "next_on", "last_on", "status"),
    ),
}
