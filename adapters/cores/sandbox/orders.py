"""What the bank does with a group of instructions in one transaction: every key acts once, every answer is stored with its effect.

The group's rows are read with one statement per table, decided in order and in memory, and written with one statement per table.
An item that cannot be carried out changes nothing before it is known to be so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, insert, select, update

from adapters.core import (
    CancelScheduledPayment,
    Declined,
    Done,
    FreezeCard,
    Identified,
    Instruction,
    Money,
    NotSeen,
    ReferenceKind,
    ReportFraud,
    RequestHuman,
    Transfer,
)
from adapters.cores.sandbox import stored
from adapters.cores.sandbox.ledger import LedgerAccount, LedgerAnswer, LedgerGroup, Pend, Wording, name_for
from adapters.cores.sandbox.tables import account, beneficiary, card, case, entry, instruction, micros, payment

LARGEST_ANSWER = 4000
"""Characters of a stored answer; the column is no longer."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Carry out this instruction; `digest` is the SHA-256 of its canonical bytes, in hexadecimal."""

    instruction: Instruction
    digest: str


@dataclass(frozen=True, slots=True)
class Burn:
    """Say what became of this key, and refuse it from now on if nothing did."""

    key: str


@dataclass(frozen=True, slots=True)
class Post:
    """Post a held movement."""

    id: str


@dataclass(frozen=True, slots=True)
class Void:
    """Void a held movement."""

    id: str


Item = Submit | Burn | Pend | Post | Void
Answer = Done | Declined | NotSeen | LedgerAnswer


@dataclass(slots=True)
class _Seen:
    digest: str | None
    answer: Done | Declined | NotSeen


@dataclass(slots=True)
class _Group:
    """Everything that the group's items read, and what they will write."""

    connection: Connection
    now: datetime
    ledger: LedgerGroup
    seen: dict[str, _Seen] = field(default_factory=dict)
    beneficiaries: dict[str, Any] = field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    payments: dict[str, Any] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    clearing: dict[str, str] = field(default_factory=dict)
    keys: list[dict[str, Any]] = field(default_factory=list)
    new_payments: list[dict[str, Any]] = field(default_factory=list)
    new_cases: list[dict[str, Any]] = field(default_factory=list)
    frozen: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)


def apply(connection: Connection, items: Sequence[Item], now: datetime) -> list[Answer | Exception]:
    """Carry out `items` in order, inside the caller's transaction; one answer each. `now` is read once for the group."""
    group = _Group(connection, now, LedgerGroup(connection, now))
    _load(group, items)
    answers: list[Answer | Exception] = [_one(group, item) for item in items]
    _flush(group)
    return answers


def _one(group: _Group, item: Item) -> Answer:
    match item:
        case Submit():
            return _submit(group, item)
        case Burn():
            return _burn(group, item.key)
        case Pend():
            return group.ledger.pend(item)
        case Post():
            return group.ledger.post(item.id)
        case Void():
            return group.ledger.void(item.id)


def _submit(group: _Group, item: Submit) -> Done | Declined:
    key = item.instruction.key
    seen = group.seen.get(key)
    if seen is not None:
        if seen.digest != item.digest or isinstance(seen.answer, NotSeen):
            return Declined("DUPL")
        return seen.answer
    answer = _act(group, item.instruction)
    text = stored.to_text(answer)
    group.seen[key] = _Seen(item.digest, answer)
    group.keys.append(_journal(group, key, item.digest, "done" if isinstance(answer, Done) else "declined", text))
    return answer


def _burn(group: _Group, key: str) -> Done | Declined | NotSeen:
    seen = group.seen.get(key)
    if seen is not None:
        return seen.answer
    group.seen[key] = _Seen(None, NotSeen())
    group.keys.append(_journal(group, key, None, "burned", ""))
    return NotSeen()


def _journal(group: _Group, key: str, digest: str | None, outcome: str, text: str) -> dict[str, Any]:
    return {"key": key, "digest": digest, "outcome": outcome, "answer": text, "answered_at_us": micros(group.now)}


def _act(group: _Group, told: Instruction) -> Done | Declined:
    order = told.order
    match order:
        case Transfer():
            return _transfer(group, told, order)
        case FreezeCard():
            return _freeze(group, told, order)
        case CancelScheduledPayment():
            return _cancel(group, told, order)
        case ReportFraud():
            return _report(group, told, order)
        case RequestHuman():
            return _open_case(group, told, "human", None, order.topic)


def _transfer(group: _Group, told: Instruction, order: Transfer) -> Done | Declined:
    debit = group.ledger.accounts.get(order.debit.id)
    payee = _payee(group, told.customer, order.credit)
    refused = _why_not(group, told, order, debit, payee)
    if refused is not None or debit is None or payee is None:
        return Declined(refused or "AC01")
    credit, name, number = payee
    id_ = name_for("p", told.key)
    later = order.execute_on is not None and order.execute_on > group.now.date()
    if not later:
        wording = Wording(order.reference, "transfer", debit.name, debit.number, name, number)
        body = Pend(name_for("m", told.key), debit.id, credit.id, order.amount, group.now + _TO_POST, wording, id_)
        held = group.ledger.pend(body)
        if held is not LedgerAnswer.CREATED:
            return Declined(_REASONS[held])
        group.ledger.post(body.id)
    row = {
        "id": id_,
        "account": debit.id,
        "credit": credit.id,
        "beneficiary": order.credit.id if order.credit.kind is ReferenceKind.BENEFICIARY else None,
        "amount_minor": order.amount.minor,
        "currency": order.amount.currency,
        "counterparty_name": name,
        "reference": order.reference,
        "status": "SCHD" if later else "ACSC",
        "created_at_us": micros(group.now),
        "settled_at_us": None if later else micros(group.now),
        "execute_on": order.execute_on.isoformat() if order.execute_on else None,
        "through_assistant": 1,
    }
    group.new_payments.append(row)
    group.payments[id_] = row
    return Done(
        {
            "payment": Identified(ReferenceKind.PAYMENT, id_),
            "status": row["status"],
            "amount": order.amount,
            "execute_on": order.execute_on,
            "initiated_through_assistant": True,
        }
    )


_TO_POST = timedelta(minutes=1)

_REASONS = {
    LedgerAnswer.EXCEEDS_FUNDS: "AM04",
    LedgerAnswer.OUT_OF_RANGE: "AM02",
    LedgerAnswer.NO_ACCOUNT: "AC01",
    LedgerAnswer.WRONG_CURRENCY: "AC09",
}


def _payee(group: _Group, customer: str, credit: Identified) -> tuple[LedgerAccount, str, str] | None:
    """The account that is credited, and the payee's name and number; a beneficiary is paid through the clearing account."""
    if credit.kind is ReferenceKind.ACCOUNT:
        own = group.ledger.accounts.get(credit.id)
        return None if own is None or customer not in own.owners else (own, own.name, own.number)
    row = group.beneficiaries.get(credit.id)
    if row is None or customer not in group.ledger.accounts[row.account].owners:
        return None
    nostro = group.ledger.accounts[group.clearing[group.ledger.accounts[row.account].currency]]
    return nostro, row.name, row.identifier


def _why_not(
    group: _Group, told: Instruction, order: Transfer, debit: LedgerAccount | None, payee: tuple[LedgerAccount, str, str] | None
) -> str | None:
    """The ISO 20022 reason against a transfer, save funds, which the ledger holds."""
    if debit is None or told.customer not in debit.owners:
        return "AC01"
    if payee is None:
        return "AC03"
    credit = payee[0]
    if "closed" in {debit.status, credit.status}:
        return "AC04"
    if "frozen" in {debit.status, credit.status}:
        return "AG01"
    if order.amount.currency != debit.currency:
        return "AM03"
    if credit.currency != debit.currency:
        return "AC09"
    if order.execute_on is not None and order.execute_on < group.now.date():
        return "DT01"
    return None


def _freeze(group: _Group, told: Instruction, order: FreezeCard) -> Done | Declined:
    row = group.cards.get(order.card.id)
    if row is None or not _owns(group, told, row["account"]):
        return Declined("AC01")
    if row["status"] == "expired":
        return Declined("AG01")
    if row["status"] != "frozen":
        row["status"] = "frozen"
        group.frozen.add(order.card.id)
    return Done({"card": order.card, "status": "frozen"})


def _cancel(group: _Group, told: Instruction, order: CancelScheduledPayment) -> Done | Declined:
    row = group.payments.get(order.payment.id)
    if row is None or not _owns(group, told, row["account"]):
        return Declined("NOOR")
    if row["status"] != "SCHD":
        return Declined("AG01")
    row["status"] = "CANC"
    if row not in group.new_payments:
        group.cancelled.add(row["id"])
    amount = Money(row["amount_minor"], row["currency"])
    return Done({"payment": order.payment, "status": "CANC", "amount": amount})


def _report(group: _Group, told: Instruction, order: ReportFraud) -> Done | Declined:
    if order.payment is not None:
        if order.payment.kind is ReferenceKind.PAYMENT and order.payment.id in group.payments:
            its_account = group.payments[order.payment.id]["account"]
        else:
            its_account = group.entries.get(order.payment.id)
        if its_account is None or not _owns(group, told, its_account):
            return Declined("NOOR")
    return _open_case(group, told, "fraud", order.payment, order.text)


def _owns(group: _Group, told: Instruction, account_id: str) -> bool:
    return told.customer in group.ledger.accounts[account_id].owners


def _open_case(group: _Group, told: Instruction, kind: str, about: Identified | None, words: str) -> Done:
    number = name_for("c", told.key)
    group.new_cases.append(
        {
            "number": number,
            "kind": kind,
            "customer": told.customer,
            "about_kind": about.kind.value if about else None,
            "about": about.id if about else None,
            "words": words,
            "opened_at_us": micros(group.now),
        }
    )
    return Done({"case": number, "status": "open"})


def _load(group: _Group, items: Sequence[Item]) -> None:
    told = [item.instruction for item in items if isinstance(item, Submit)]
    keys = {it.key for it in told} | {item.key for item in items if isinstance(item, Burn)}
    for row in _rows(group, _KEYS, keys):
        answer = NotSeen() if row.outcome == "burned" else stored.from_text(row.answer)
        group.seen[row.key] = _Seen(row.digest, answer)
    orders = [it.order for it in told if it.key not in group.seen]
    transfers = [order for order in orders if isinstance(order, Transfer)]
    parties = [side for order in transfers for side in (order.debit, order.credit)]
    accounts = {side.id for side in parties if side.kind is ReferenceKind.ACCOUNT}
    payees = {side.id for side in parties if side.kind is ReferenceKind.BENEFICIARY}
    if payees:
        group.beneficiaries = {row.id: row for row in _rows(group, _BENEFICIARIES, payees)}
        group.clearing = {row.currency: row.id for row in group.connection.execute(_CLEARING)}
        accounts |= {row.account for row in group.beneficiaries.values()} | set(group.clearing.values())
    cards = {it.card.id for it in orders if isinstance(it, FreezeCard)}
    group.cards = {row.id: dict(row._mapping) for row in _rows(group, _CARDS, cards)}
    named = {it.payment.id for it in orders if isinstance(it, CancelScheduledPayment | ReportFraud) and it.payment is not None}
    group.payments = {row.id: dict(row._mapping) for row in _rows(group, _PAYMENTS, named)}
    group.entries = {row.id: row.account for row in _rows(group, _ENTRIES, named)}
    accounts |= {row["account"] for row in (*group.cards.values(), *group.payments.values())} | set(group.entries.values())
    bodies = [item for item in items if isinstance(item, Pend)]
    movements = {item.id for item in items if isinstance(item, Pend | Post | Void)}
    accounts |= {side for body in bodies for side in (body.debit, body.credit)}
    group.ledger.load(accounts, movements)


def _rows(group: _Group, statement: Any, ids: Iterable[str]) -> Sequence[Any]:
    wanted = sorted(ids)
    return group.connection.execute(statement, {"ids": wanted}).fetchall() if wanted else ()


def _flush(group: _Group) -> None:
    group.ledger.flush()
    for statement, rows in (
        (insert(payment), group.new_payments),
        (insert(case), group.new_cases),
        (_FREEZE, [{"of": id_} for id_ in sorted(group.frozen)]),
        (_CANCEL, [{"of": id_} for id_ in sorted(group.cancelled)]),
        (insert(instruction), group.keys),
    ):
        if rows:
            group.connection.execute(statement, rows)


_ids: BindParameter[Any] = bindparam("ids", expanding=True)
_KEYS = select(instruction.c.key, instruction.c.digest, instruction.c.outcome, instruction.c.answer).where(
    instruction.c.key.in_(_ids)
)
_BENEFICIARIES = select(beneficiary).where(beneficiary.c.id.in_(_ids))
_CLEARING = select(account.c.id, account.c.currency).where(account.c.kind == "clearing")
_CARDS = select(card).where(card.c.id.in_(_ids))
_PAYMENTS = select(payment).where(payment.c.id.in_(_ids))
_ENTRIES = select(entry.c.id, entry.c.account).where(entry.c.id.in_(_ids))
_FREEZE = update(card).where(card.c.id == bindparam("of")).values(status="frozen")
_CANCEL = update(payment).where(payment.c.id == bindparam("of")).values(status="CANC")
