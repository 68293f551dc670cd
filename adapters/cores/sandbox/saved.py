"""The payees that a customer saves for an account."""

from adapters.core import AddBeneficiary, Declined, Done, Identified, Instruction, ReferenceKind, RemoveBeneficiary
from adapters.cores.sandbox.group import Group, Row
from adapters.cores.sandbox.ledger import name_for
from adapters.cores.sandbox.payees import account_key
from adapters.cores.sandbox.tables import micros, moment

_ORDERED = frozenset({"SCHD", "active", "suspended"})
"""Statuses of payments and standing orders that are still to be paid."""


def add(group: Group, told: Instruction, order: AddBeneficiary) -> Done | Declined:
    """Save a payee whose name and account were checked as they are. What the check found is told again, and does not bind."""
    its_account = group.ledger.accounts.get(order.account.id)
    if its_account is None or told.customer not in its_account.owners:
        return Declined("AC01")
    if its_account.status == "closed":
        return Declined("AC04")
    check = group.checks.get(order.payee_check.id)
    if check is None or (check["customer"], check["name"], check["identifier"]) != (told.customer, order.name, order.identifier):
        return Declined("BE01")
    if check["expires_at_us"] <= micros(group.now):
        return Declined("DT01")
    if _is_saved(group, order):
        return Declined("AM05")
    row: Row = {
        "id": name_for("b", micros(group.now), told.key),
        "account": order.account.id,
        "name": order.name,
        "identifier": order.identifier,
        "created_at_us": micros(group.now),
        "removed_at_us": None,
    }
    group.add_beneficiary(row)
    return Done(
        {
            "beneficiary": Identified(ReferenceKind.BENEFICIARY, row["id"]),
            "account": order.account,
            "name": order.name,
            "identifier": order.identifier,
            "checked": check["outcome"],
            "saved_at": moment(micros(group.now)),
        }
    )


def remove(group: Group, told: Instruction, order: RemoveBeneficiary) -> Done | Declined:
    """Forget a payee for whom nothing is ordered: an order would go on paying someone whom no list shows any more."""
    row = group.beneficiaries.get(order.beneficiary.id)
    if row is None or row["removed_at_us"] is not None or not group.owns(told.customer, row["account"]):
        return Declined("NOOR")
    ordered = (it for rows in (group.payments, group.standing) for it in rows.values() if it["beneficiary"] == row["id"])
    if any(it["status"] in _ORDERED for it in ordered):
        return Declined("AG01")
    group.remove_beneficiary(row)
    return Done(
        {
            "beneficiary": order.beneficiary,
            "status": "removed",
            "name": row["name"],
            "identifier": row["identifier"],
        }
    )


def _is_saved(group: Group, order: AddBeneficiary) -> bool:
    """Whether this account has this payee already: the same account elsewhere under the same name."""
    wanted = order.account.id, order.name, account_key(order.identifier)
    return any(
        row["removed_at_us"] is None and (row["account"], row["name"], account_key(row["identifier"])) == wanted
        for row in group.beneficiaries.values()
    )
