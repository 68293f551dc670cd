"""What people at the bank must look at: fraud, disputes, requests for a human."""

from adapters.core import Declined, Done, Identified, Instruction, Money, RaiseDispute, ReportFraud
from adapters.cores.sandbox.group import Group
from adapters.cores.sandbox.ledger import name_for
from adapters.cores.sandbox.tables import micros


def report(group: Group, told: Instruction, order: ReportFraud) -> Done | Declined:
    """A report of fraud, about a payment or a transaction of the customer's, or about neither."""
    about = order.payment
    if about is not None:
        row = group.payments.get(about.id) or group.entries.get(about.id)
        if row is None or not group.owns(told.customer, row["account"]):
            return Declined("NOOR")
    return open_case(group, told, "fraud", about, order.text)


def dispute(group: Group, told: Instruction, order: RaiseDispute) -> Done | Declined:
    """Contest a debit; once at a time."""
    row = group.entries.get(order.transaction.id)
    if row is None or not group.owns(told.customer, row["account"]):
        return Declined("NOOR")
    if row["amount_minor"] > 0:
        return Declined("AG01")
    if order.transaction.id in group.disputed:
        return Declined("AM05")
    opened = open_case(group, told, "dispute", order.transaction, order.narrative, reason=order.reason_code)
    amount = Money(-row["amount_minor"], row["currency"])
    return Done({**opened.output, "transaction": order.transaction, "amount": amount, "reason_code": order.reason_code})


def open_case(
    group: Group, told: Instruction, kind: str, about: Identified | None, words: str, *, reason: str | None = None
) -> Done:
    """A case with a number of its own."""
    number = name_for("c", micros(group.now), told.key)
    group.open_case(
        {
            "number": number,
            "kind": kind,
            "customer": told.customer,
            "about_kind": about.kind.value if about else None,
            "about": about.id if about else None,
            "reason": reason,
            "words": words,
            "opened_at_us": micros(group.now),
        }
    )
    return Done({"case": number, "status": "open"})
