"""What the bank does with a group of items in one transaction: every key acts once, every answer is stored with its effect.

An item that cannot be carried out changes nothing before it is known to be so. Reasons are ISO 20022 external status reasons:
AC01, AC03 no such account (debtor, creditor); AC04 closed; AC09 creditor in another currency; AG01 forbidden in this state; AM02
amount not allowed; AM03 currency not the account's; AM04 insufficient funds; DT01 day in the past; DUPL key used for something
else; NOOR no such payment.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from adapters.core import (
    CallUpstream,
    CancelScheduledPayment,
    CloseCard,
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
from adapters.cores.sandbox.group import Group, Row
from adapters.cores.sandbox.items import Answer, Burn, Due, Executed, Item, Keep, Kept, Post, Submit, Void
from adapters.cores.sandbox.ledger import LedgerAccount, LedgerAnswer, Pend, Wording, name_for
from adapters.cores.sandbox.tables import micros

_TO_POST = timedelta(minutes=1)
"""A transfer is posted in the transaction that pends it, so its hold never gets this old."""

_REASONS = {
    LedgerAnswer.EXCEEDS_FUNDS: "AM04",
    LedgerAnswer.OUT_OF_RANGE: "AM02",
    LedgerAnswer.NO_ACCOUNT: "AC01",
    LedgerAnswer.WRONG_CURRENCY: "AC09",
}


def apply(connection: Connection, items: Sequence[Item], now: datetime) -> list[Answer | Exception]:
    """Carry out `items` in order, inside the caller's transaction; one answer each."""
    group = Group.load(connection, items, now)
    answers: list[Answer | Exception] = [_one(group, item) for item in items]
    group.flush()
    return answers


def _one(group: Group, item: Item) -> Answer:
    match item:
        case Submit():
            return _submit(group, item)
        case Burn():
            return _burn(group, item.key)
        case Due():
            return _execute_due(group)
        case Keep():
            group.keep(item)
            return Kept()
        case Pend():
            return group.ledger.pend(item)
        case Post():
            return group.ledger.post(item.id)
        case Void():
            return group.ledger.void(item.id)


def _submit(group: Group, item: Submit) -> Done | Declined:
    key = item.instruction.key
    seen = group.seen.get(key)
    if seen is not None:
        if seen.digest != item.digest or isinstance(seen.answer, NotSeen):
            return Declined("DUPL")
        return seen.answer
    answer = _act(group, item.instruction)
    group.remember(key, item.digest, answer)
    return answer


def _burn(group: Group, key: str) -> Done | Declined | NotSeen:
    seen = group.seen.get(key)
    if seen is not None:
        return seen.answer
    group.remember(key, None, NotSeen())
    return NotSeen()


def _act(group: Group, told: Instruction) -> Done | Declined:
    order = told.order
    match order:
        case Transfer():
            return _transfer(group, told, order)
        case FreezeCard():
            return _freeze(group, told, order)
        case CloseCard():
            return _close(group, told, order)
        case CancelScheduledPayment():
            return _cancel(group, told, order)
        case ReportFraud():
            return _report(group, told, order)
        case RequestHuman():
            return _open_case(group, told, "human", None, order.topic)
        case CallUpstream():
            return Declined("AG01")


def _transfer(group: Group, told: Instruction, order: Transfer) -> Done | Declined:
    debit = group.ledger.accounts.get(order.debit.id)
    payee = _payee(group, told.customer, order.credit)
    if debit is None or told.customer not in debit.owners:
        return Declined("AC01")
    if payee is None:
        return Declined("AC03")
    credit, name, number = payee
    today = group.now.date()
    later = order.execute_on is not None and order.execute_on > today
    refused = _why_not(order.amount, debit, credit) or ("DT01" if order.execute_on and order.execute_on < today else None)
    row = _payment_row(group, told, order, (credit.id, name))
    if refused is None and not later:
        refused = _move(group, row, Wording(order.reference, "transfer", debit.name, debit.number, name, number))
    if refused is not None:
        return Declined(refused)
    row["status"] = "SCHD" if later else "ACSC"
    row["settled_at_us"] = None if later else micros(group.now)
    group.add_payment(row)
    return Done(
        {
            "payment": Identified(ReferenceKind.PAYMENT, row["id"]),
            "status": row["status"],
            "amount": order.amount,
            "execute_on": order.execute_on,
            "initiated_through_assistant": True,
        }
    )


def _payment_row(group: Group, told: Instruction, order: Transfer, payee: tuple[str, str]) -> Row:
    return {
        "id": name_for("p", micros(group.now), told.key),
        "account": order.debit.id,
        "credit": payee[0],
        "beneficiary": order.credit.id if order.credit.kind is ReferenceKind.BENEFICIARY else None,
        "amount_minor": order.amount.minor,
        "currency": order.amount.currency,
        "counterparty_name": payee[1],
        "reference": order.reference,
        "created_at_us": micros(group.now),
        "execute_on": order.execute_on.isoformat() if order.execute_on else None,
        "through_assistant": 1,
    }


def _move(group: Group, row: Row, wording: Wording) -> str | None:
    """Pend and post a payment's money; the reason if the ledger refuses."""
    amount = Money(row["amount_minor"], row["currency"])
    body = Pend(f"m{row['id'][1:]}", row["account"], row["credit"], amount, group.now + _TO_POST, wording, row["id"])
    for answer in (group.ledger.pend(body), group.ledger.post(body.id)):
        if answer is not LedgerAnswer.CREATED:
            return _REASONS.get(answer, "AG01")
    return None


def _payee(group: Group, customer: str, credit: Identified) -> tuple[LedgerAccount, str, str] | None:
    """The account that is credited, and the payee's name and number; a beneficiary is paid through the clearing account."""
    if credit.kind is ReferenceKind.ACCOUNT:
        own = group.ledger.accounts.get(credit.id)
        return None if own is None or customer not in own.owners else (own, own.name, own.number)
    row = group.beneficiaries.get(credit.id)
    if row is None or customer not in group.ledger.accounts[row.account].owners:
        return None
    clearing = group.clearing[group.ledger.accounts[row.account].currency]
    return group.ledger.accounts[clearing], row.name, row.identifier


def _why_not(amount: Money, debit: LedgerAccount, credit: LedgerAccount) -> str | None:
    """The reason against a movement, save funds, which the ledger holds."""
    if debit is credit:
        return "AG01"
    if "closed" in {debit.status, credit.status}:
        return "AC04"
    if "frozen" in {debit.status, credit.status}:
        return "AG01"
    if amount.currency != debit.currency:
        return "AM03"
    if credit.currency != debit.currency:
        return "AC09"
    return None


def _execute_due(group: Group) -> Executed:
    """Funds and freezes are checked again on the day; what does not pass is rejected, once and for all."""
    settled = rejected = 0
    for row in group.due():
        debit, credit = (group.ledger.accounts[row[side]] for side in ("account", "credit"))
        payee = group.beneficiaries.get(row["beneficiary"])
        number = credit.number if payee is None else payee.identifier
        wording = Wording(row["reference"], "transfer", debit.name, debit.number, row["counterparty_name"], number)
        refused = _why_not(Money(row["amount_minor"], row["currency"]), debit, credit) or _move(group, row, wording)
        group.move_payment(row, "ACSC" if refused is None else "RJCT")
        settled, rejected = settled + (refused is None), rejected + (refused is not None)
    return Executed(settled, rejected)


def _freeze(group: Group, told: Instruction, order: FreezeCard) -> Done | Declined:
    row = group.cards.get(order.card.id)
    if row is None or not _owns(group, told, row["account"]):
        return Declined("AC01")
    if row["status"] in {"expired", "closed"}:
        return Declined("AG01")
    if row["status"] != "frozen":
        group.move_card(row, "frozen")
    return Done({"card": order.card, "status": "frozen"})


def _close(group: Group, told: Instruction, order: CloseCard) -> Done | Declined:
    row = group.cards.get(order.card.id)
    if row is None or not _owns(group, told, row["account"]):
        return Declined("AC01")
    if row["status"] == "expired":
        return Declined("AG01")
    if row["status"] != "closed":
        group.move_card(row, "closed")
        group.replace_card(row, _replacement(group, told, row))
        _open_case(group, told, "card", order.card, order.reason)
    replacement = Identified(ReferenceKind.CARD, group.replacements[row["id"]])
    return Done({"card": order.card, "status": "closed", "replacement": replacement})


def _replacement(group: Group, told: Instruction, row: Row) -> Row:
    """A card with a number of its own, for the same holder; where it is sent is nobody's word but the bank's file."""
    last4 = int.from_bytes(hashlib.sha256(f"card {told.key}".encode()).digest()[:4], "big") % 10_000
    return {
        "id": name_for("k", micros(group.now), told.key),
        "account": row["account"],
        "last4": f"{last4:04d}",
        "scheme": row["scheme"],
        "status": "ordered",
        "holder": row["holder"],
        "replaces": row["id"],
    }


def _cancel(group: Group, told: Instruction, order: CancelScheduledPayment) -> Done | Declined:
    row = group.payments.get(order.payment.id)
    if row is None or not _owns(group, told, row["account"]):
        return Declined("NOOR")
    if row["status"] != "SCHD":
        return Declined("AG01")
    group.move_payment(row, "CANC")
    return Done({"payment": order.payment, "status": "CANC", "amount": Money(row["amount_minor"], row["currency"])})


def _report(group: Group, told: Instruction, order: ReportFraud) -> Done | Declined:
    about = order.payment
    if about is not None:
        row = group.payments.get(about.id)
        its_account = row["account"] if row is not None else group.entries.get(about.id)
        if its_account is None or not _owns(group, told, its_account):
            return Declined("NOOR")
    return _open_case(group, told, "fraud", about, order.text)


def _open_case(group: Group, told: Instruction, kind: str, about: Identified | None, words: str) -> Done:
    number = name_for("c", micros(group.now), told.key)
    group.open_case(
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


def _owns(group: Group, told: Instruction, its_account: str) -> bool:
    return told.customer in group.ledger.accounts[its_account].owners
