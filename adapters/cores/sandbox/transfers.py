"""One payment: at once, planned for a later day and then made, cancelled before, or sent back by the payee's bank."""

from datetime import date, timedelta

from adapters.core import CancelScheduledPayment, Declined, Done, Identified, Instruction, Money, ReferenceKind, Transfer
from adapters.cores.sandbox.days import MOST_AHEAD, bank_day, working_day
from adapters.cores.sandbox.group import Group, Row
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

_PASSED_ON = frozenset({"ACSC", "PDNG"})


def transfer(group: Group, told: Instruction, order: Transfer) -> Done | Declined:
    """Pay now, or on the working day that `execute_on` comes to."""
    debit = group.ledger.accounts.get(order.debit.id)
    payee = payee_of(group, told.customer, order.credit)
    if debit is None or told.customer not in debit.owners:
        return Declined("AC01")
    if payee is None:
        return Declined("AC03")
    credit, name, number = payee
    refused = why_not(order.amount, debit, credit) or _why_not_then(group, order.execute_on)
    later = order.execute_on is not None and order.execute_on > bank_day(group.now)
    row = _payment_row(group, told, order, (credit.id, name))
    if refused is None and later and order.execute_on is not None:
        row["execute_on"] = working_day(order.execute_on).isoformat()
    elif refused is None:
        refused = move(group, row, Wording(order.reference, "transfer", debit.name, debit.number, name, number))
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
            "execute_on": None if row["execute_on"] is None else date.fromisoformat(row["execute_on"]),
            "initiated_through_assistant": True,
        }
    )


def cancel(group: Group, told: Instruction, order: CancelScheduledPayment) -> Done | Declined:
    """Only what has not happened can be cancelled, and what cannot says why."""
    row = group.payments.get(order.payment.id)
    if row is None or not group.owns(told.customer, row["account"]):
        return Declined("NOOR")
    if row["status"] in _PASSED_ON:
        return Declined("PTNA")
    if row["status"] != "SCHD":
        return Declined("AG01")
    group.move_payment(row, "CANC")
    return Done(
        {
            "payment": order.payment,
            "status": "CANC",
            "amount": Money(row["amount_minor"], row["currency"]),
            "counterparty_name": row["counterparty_name"],
            "execute_on": date.fromisoformat(row["execute_on"]),
        }
    )


def execute(group: Group, row: Row) -> bool:
    """Make a planned payment whose day has come; whether it settled. What does not pass is rejected, once and for all."""
    debit, credit = (group.ledger.accounts[row[side]] for side in ("account", "credit"))
    payee = group.beneficiaries.get(row["beneficiary"])
    number = credit.number if payee is None else payee["identifier"]
    wording = Wording(row["reference"], "transfer", debit.name, debit.number, row["counterparty_name"], number)
    refused = why_not(Money(row["amount_minor"], row["currency"]), debit, credit) or move(group, row, wording)
    group.move_payment(row, "ACSC" if refused is None else "RJCT")
    return refused is None


def give_back(group: Group, payment: str) -> LedgerAnswer:
    """Book the money of a settled payment back where it came from: by a movement of its own, since entries stay what they are."""
    row = group.payments.get(payment)
    if row is None or row["status"] != "ACSC":
        return LedgerAnswer.NOT_FOUND
    if payment in group.returned:
        return LedgerAnswer.EXISTS
    amount = Money(row["amount_minor"], row["currency"])
    own, other = group.ledger.accounts[row["account"]], group.ledger.accounts[row["credit"]]
    wording = Wording("RETURN", "return", row["counterparty_name"], other.number, own.name, own.number)
    body = Pend(f"r{row['id'][1:]}", other.id, own.id, amount, group.now + _TO_POST, wording, row["id"])
    for answer in (group.ledger.pend(body), group.ledger.post(body.id)):
        if answer is not LedgerAnswer.CREATED:
            return answer
    group.return_payment(row, body.id)
    return LedgerAnswer.CREATED


def move(group: Group, row: Row, wording: Wording) -> str | None:
    """Pend and post a payment's money; the reason if the ledger refuses."""
    amount = Money(row["amount_minor"], row["currency"])
    body = Pend(f"m{row['id'][1:]}", row["account"], row["credit"], amount, group.now + _TO_POST, wording, row["id"])
    for answer in (group.ledger.pend(body), group.ledger.post(body.id)):
        if answer is not LedgerAnswer.CREATED:
            return _REASONS.get(answer, "AG01")
    return None


def payee_of(group: Group, customer: str, credit: Identified) -> tuple[LedgerAccount, str, str] | None:
    """The account that is credited, and the payee's name and number; a beneficiary is paid through the clearing account.

    None for what is not the customer's, and for a payee that was removed.
    """
    if credit.kind is ReferenceKind.ACCOUNT:
        own = group.ledger.accounts.get(credit.id)
        return None if own is None or customer not in own.owners else (own, own.name, own.number)
    row = group.beneficiaries.get(credit.id)
    if row is None or row["removed_at_us"] is not None or not group.owns(customer, row["account"]):
        return None
    clearing = group.clearing[group.ledger.accounts[row["account"]].currency]
    return group.ledger.accounts[clearing], row["name"], row["identifier"]


def why_not(amount: Money, debit: LedgerAccount, credit: LedgerAccount) -> str | None:
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


def _why_not_then(group: Group, day: date | None) -> str | None:
    today = bank_day(group.now)
    if day is None or today <= day <= today + MOST_AHEAD:
        return None
    return "DT01" if day < today else "DT04"


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
        "key": told.key,
        "standing_order": None,
    }
