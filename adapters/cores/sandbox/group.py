"""The rows that one group of items touches: read with one statement per table, changed in memory, written with one per table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, insert, literal_column, select, update

from adapters.core import (
    CancelScheduledPayment,
    CloseCard,
    Declined,
    Done,
    FreezeCard,
    NotSeen,
    ReferenceKind,
    ReportFraud,
    Transfer,
)
from adapters.cores.sandbox import stored
from adapters.cores.sandbox.bulk import Bulk
from adapters.cores.sandbox.items import Burn, Due, Item, Keep, Post, Submit, Void
from adapters.cores.sandbox.ledger import LedgerGroup, Pend
from adapters.cores.sandbox.tables import (
    account,
    beneficiary,
    card,
    case,
    entry,
    instruction,
    micros,
    payee_check,
    payment,
    quote,
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A key that was used: by the instruction with this digest, or burned (no digest)."""

    digest: str | None
    answer: Done | Declined | NotSeen


@dataclass(slots=True)
class Group:
    """Everything that the group's items read, by identifier, and what they write. `now` is read once for all of them."""

    connection: Connection
    now: datetime
    ledger: LedgerGroup
    seen: dict[str, Seen] = field(default_factory=dict)
    beneficiaries: dict[str, Any] = field(default_factory=dict)
    clearing: dict[str, str] = field(default_factory=dict)
    """Account that stands for other banks, by currency."""
    cards: dict[str, Row] = field(default_factory=dict)
    replacements: dict[str, str] = field(default_factory=dict)
    """Card that was ordered in the place of a closed one, by the closed one."""
    payments: dict[str, Row] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    """Account of each transaction that is named."""
    _new: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in _INSERTS})
    _kept: set[str] = field(default_factory=set)
    _changed: set[str] = field(default_factory=set)
    """Cards whose status changed."""
    _moved: set[str] = field(default_factory=set)

    @classmethod
    def load(cls, connection: Connection, items: Sequence[Item], now: datetime) -> "Group":
        """Read what these items will touch."""
        group = cls(connection, now, LedgerGroup(connection, now))
        told = [item.instruction for item in items if isinstance(item, Submit)]
        group._load_keys({it.key for it in told} | {item.key for item in items if isinstance(item, Burn)})
        orders = [it.order for it in told if it.key not in group.seen]
        accounts = group._load_parties([order for order in orders if isinstance(order, Transfer)])
        accounts |= group._load_named(orders)
        group._load_kept([item for item in items if isinstance(item, Keep)])
        for due in (item for item in items if isinstance(item, Due)):
            accounts |= group._load_due(due.most)
        accounts |= {side for item in items if isinstance(item, Pend) for side in (item.debit, item.credit)}
        group.ledger.load(accounts, {item.id for item in items if isinstance(item, Pend | Post | Void)})
        return group

    def due(self) -> list[Row]:
        """The loaded payments that are scheduled for today or earlier, the oldest first."""
        today = self.now.date().isoformat()
        rows = [row for row in self.payments.values() if row["status"] == "SCHD" and row["execute_on"] <= today]
        return sorted(rows, key=lambda row: (row["execute_on"], row["id"]))

    def remember(self, key: str, digest: str | None, answer: Done | Declined | NotSeen) -> None:
        """Answer this key so from now on."""
        self.seen[key] = Seen(digest, answer)
        outcome = {Done: "done", Declined: "declined", NotSeen: "burned"}[type(answer)]
        text = "" if isinstance(answer, NotSeen) else stored.to_text(answer)
        at = micros(self.now)
        self._new["instruction"].append({"key": key, "digest": digest, "outcome": outcome, "answer": text, "answered_at_us": at})

    def add_payment(self, row: Row) -> None:
        """A new payment; the group's later items see it."""
        self._new["payment"].append(row)
        self.payments[row["id"]] = row

    def move_payment(self, row: Row, status: str) -> None:
        """Give a scheduled payment its final status."""
        row["status"] = status
        row["settled_at_us"] = micros(self.now) if status == "ACSC" else None
        self._moved.add(row["id"])

    def move_card(self, row: Row, status: str) -> None:
        """Give a card another status."""
        row["status"] = status
        self._changed.add(row["id"])

    def replace_card(self, row: Row, replacement: Row) -> None:
        """A new card in the place of one that was closed."""
        self._new["card"].append(replacement)
        self.replacements[row["id"]] = replacement["id"]

    def keep(self, item: Keep) -> None:
        """A row that a question leaves behind, unless it is there."""
        if item.row["id"] not in self._kept:
            self._new[item.table].append(dict(item.row))
            self._kept.add(str(item.row["id"]))

    def open_case(self, row: Row) -> None:
        """A new case for the bank's people."""
        self._new["case"].append(row)

    def flush(self) -> None:
        """Write what changed."""
        self.ledger.flush()
        fresh = {row["id"] for row in self._new["payment"]}
        moved = [self.payments[id_] for id_ in sorted(self._moved - fresh)]
        for name, insert_ in _INSERTS.items():
            insert_.run(self.connection, self._new[name])
        _UPDATE_CARD.run(self.connection, [{"of": id_, "to": self.cards[id_]["status"]} for id_ in sorted(self._changed)])
        _UPDATE_PAYMENT.run(self.connection, [{"of": row["id"], "to": row["status"], "at": row["settled_at_us"]} for row in moved])

    def _load_keys(self, keys: set[str]) -> None:
        for row in self._rows(_KEYS, keys):
            self.seen[row.key] = Seen(row.digest, NotSeen() if row.outcome == "burned" else stored.from_text(row.answer))

    def _load_parties(self, transfers: Sequence[Transfer]) -> set[str]:
        sides = [side for order in transfers for side in (order.debit, order.credit)]
        payees = {side.id for side in sides if side.kind is ReferenceKind.BENEFICIARY}
        accounts = {side.id for side in sides if side.kind is ReferenceKind.ACCOUNT}
        return accounts | self._load_beneficiaries(payees)

    def _load_beneficiaries(self, payees: set[str]) -> set[str]:
        if not payees:
            return set()
        self.beneficiaries |= {row.id: row for row in self._rows(_BENEFICIARIES, payees)}
        self.clearing = {row.currency: row.id for row in self.connection.execute(_CLEARING)}
        return {row.account for row in self.beneficiaries.values()} | set(self.clearing.values())

    def _load_named(self, orders: Sequence[object]) -> set[str]:
        cards = {order.card.id for order in orders if isinstance(order, FreezeCard | CloseCard)}
        about = [order.payment for order in orders if isinstance(order, CancelScheduledPayment | ReportFraud) and order.payment]
        self.cards = {row.id: dict(row._mapping) for row in self._rows(_CARDS, cards)}
        closing = {order.card.id for order in orders if isinstance(order, CloseCard)}
        self.replacements = {row.replaces: row.id for row in self._rows(_REPLACEMENTS, closing)}
        payments = {it.id for it in about if it.kind is ReferenceKind.PAYMENT}
        self.payments = {row.id: dict(row._mapping) for row in self._rows(_PAYMENTS, payments)}
        entries = {it.id for it in about if it.kind is ReferenceKind.TRANSACTION}
        self.entries = {row.id: row.account for row in self._rows(_ENTRIES, entries)}
        return {row["account"] for row in (*self.cards.values(), *self.payments.values())} | set(self.entries.values())

    def _load_kept(self, items: Sequence[Keep]) -> None:
        for name, statement in _KEPT.items():
            self._kept |= {row.id for row in self._rows(statement, {str(it.row["id"]) for it in items if it.table == name})}

    def _load_due(self, most: int) -> set[str]:
        rows = self.connection.execute(_DUE, {"today": self.now.date().isoformat(), "most": most})
        due = {row.id: dict(row._mapping) for row in rows}
        self.payments |= due
        sides = {row[side] for row in due.values() for side in ("account", "credit")}
        return sides | self._load_beneficiaries({row["beneficiary"] for row in due.values() if row["beneficiary"]})

    def _rows(self, statement: Any, ids: Iterable[str]) -> Sequence[Any]:
        wanted = sorted(ids)
        return self.connection.execute(statement, {"ids": wanted}).fetchall() if wanted else ()


_ids: BindParameter[Any] = bindparam("ids", expanding=True)
_of: BindParameter[Any] = bindparam("of")
_KEYS = select(instruction.c.key, instruction.c.digest, instruction.c.outcome, instruction.c.answer).where(
    instruction.c.key.in_(_ids)
)
_BENEFICIARIES = select(beneficiary).where(beneficiary.c.id.in_(_ids))
_CLEARING = select(account.c.id, account.c.currency).where(account.c.kind == "clearing")
_CARDS = select(card).where(card.c.id.in_(_ids))
_REPLACEMENTS = select(card.c.id, card.c.replaces).where(card.c.replaces.in_(_ids))
_KEPT = {table.name: select(table.c.id).where(table.c.id.in_(_ids)) for table in (quote, payee_check)}
_PAYMENTS = select(payment).where(payment.c.id.in_(_ids))
_ENTRIES = select(entry.c.id, entry.c.account).where(entry.c.id.in_(_ids))
_DUE = (
    select(payment)
    .where(payment.c.status == literal_column("'SCHD'"), payment.c.execute_on <= bindparam("today"))
    .order_by(payment.c.execute_on, payment.c.id)
    .limit(bindparam("most"))
)
_UPDATE_CARD = Bulk(update(card).where(card.c.id == _of).values(status=bindparam("to")))
_UPDATE_PAYMENT = Bulk(update(payment).where(payment.c.id == _of).values(status=bindparam("to"), settled_at_us=bindparam("at")))
_INSERTS: dict[str, Bulk] = {
    "payment": Bulk(insert(payment)),
    "case": Bulk(insert(case)),
    "card": Bulk(insert(card)),
    "quote": Bulk(insert(quote)),
    "payee_check": Bulk(insert(payee_check)),
    "instruction": Bulk(insert(instruction)),
}
