"""What the bank does with a group of items in one transaction: every key acts once, every answer is stored with its effect.

An item that cannot be carried out changes nothing before it is known to be so. Reasons are ISO 20022 external status reasons:
AC01, AC03 no such account (debtor, creditor); AC04 closed; AC09 creditor in another currency; AG01 forbidden in this state; AM02
amount not allowed; AM03 currency not the account's; AM04 insufficient funds; AM05 there already; BE01 not the payee that was checked;
DT01 day in the past, or a check that has expired; DT04 day too far away; DUPL key used for something else; NOOR no such thing; PTNA
passed on already, of a payment that is to be cancelled; TM01 after the cut-off.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from adapters.core import (
<<<<<<< HEAD
    AddBeneficiary,
    AmendStandingOrder,
    CancelDirectDebit,
=======
    CallUpstream,
>>>>>>> refs/heads/declared
    CancelScheduledPayment,
    CancelStandingOrder,
    CloseCard,
    CreateStandingOrder,
    Declined,
    Done,
    FreezeCard,
    Instruction,
    NotSeen,
    RaiseDispute,
    RemoveBeneficiary,
    ReportFraud,
    RequestHuman,
    Transfer,
    UnfreezeCard,
)
from adapters.cores.sandbox import cards, cases, recurring, saved, transfers
from adapters.cores.sandbox.group import Group
from adapters.cores.sandbox.items import Answer, Burn, Due, Executed, Item, Keep, Kept, Post, Return, Submit, Void
from adapters.cores.sandbox.ledger import Pend


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
        case Return():
            return transfers.give_back(group, item.payment)


def _submit(group: Group, item: Submit) -> Done | Declined:
    key = item.instruction.key
    seen = group.seen.get(key)
    if seen is not None:
        if seen.digest != item.digest or isinstance(seen.answer, NotSeen):
            return Declined("DUPL")
        return seen.answer
    answer = _act(group, item.instruction)
    group.remember(key, item.digest, answer, item.instruction)
    return answer


def _burn(group: Group, key: str) -> Done | Declined | NotSeen:
    seen = group.seen.get(key)
    if seen is not None:
        return seen.answer
    group.remember(key, None, NotSeen(), None)
    return NotSeen()


def _act(group: Group, told: Instruction) -> Done | Declined:  # one line for each order there is
    order = told.order
    match order:
        case Transfer():
            return transfers.transfer(group, told, order)
        case CancelScheduledPayment():
            return transfers.cancel(group, told, order)
        case CreateStandingOrder():
            return recurring.create(group, told, order)
        case AmendStandingOrder():
            return recurring.amend(group, told, order)
        case CancelStandingOrder():
            return recurring.cancel(group, told, order)
        case CancelDirectDebit():
            return recurring.cancel_direct_debit(group, told, order)
        case AddBeneficiary():
            return saved.add(group, told, order)
        case RemoveBeneficiary():
            return saved.remove(group, told, order)
        case FreezeCard():
            return cards.freeze(group, told, order)
        case UnfreezeCard():
            return cards.unfreeze(group, told, order)
        case CloseCard():
            return cards.close(group, told, order)
        case RaiseDispute():
            return cases.dispute(group, told, order)
        case ReportFraud():
            return cases.report(group, told, order)
        case RequestHuman():
<<<<<<< HEAD
            return cases.open_case(group, told, "human", None, order.topic)
=======
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
>>>>>>> refs/heads/declared


def _execute_due(group: Group) -> Executed:
    """Everything that was planned for today or before. Funds and freezes are checked again on the day."""
    settled = [transfers.execute(group, row) for row in group.due_payments()]
    settled += [recurring.execute(group, row) for row in group.due_turns()]
    return Executed(sum(settled), len(settled) - sum(settled))
