"""What recurs: standing orders, which the customer gives and the bank carries out day by day, and the mandates of direct debits."""

from datetime import date

from adapters.core import (
    AmendStandingOrder,
    CancelDirectDebit,
    CancelStandingOrder,
    CreateStandingOrder,
    Declined,
    Done,
    Frequency,
    Identified,
    Instruction,
    Money,
    ReferenceKind,
)
from adapters.cores.sandbox.days import MOST_AHEAD, Schedule, bank_day, is_past_cut_off, working_day
from adapters.cores.sandbox.group import Group, Row
from adapters.cores.sandbox.ledger import LedgerAccount, Wording, name_for
from adapters.cores.sandbox.tables import micros
from adapters.cores.sandbox.transfers import move, payee_of, why_not


def create(group: Group, told: Instruction, order: CreateStandingOrder) -> Done | Declined:
    """A new standing order; its first payment is made on its day, and never by this."""
    debit = group.ledger.accounts.get(order.debit.id)
    if debit is None or told.customer not in debit.owners:
        return Declined("AC01")
    refused = _why_not(group, told.customer, order.credit, order.amount, debit) or _why_not_on(group, order)
    if refused is not None:
        return Declined(refused)
    schedule = Schedule(order.first_on, order.frequency, order.first_on.day)
    row = {
        "id": name_for("s", micros(group.now), told.key),
        "account": debit.id,
        "beneficiary": order.credit.id,
        "amount_minor": order.amount.minor,
        "currency": order.amount.currency,
        **_columns(schedule, 0),
        "last_on": order.last_on.isoformat() if order.last_on else None,
        "reference": order.reference,
        "status": "active",
        "through_assistant": 1,
    }
    group.add_standing_order(row)
    return Done({**_shown(group, row), "reference": order.reference, "initiated_through_assistant": True})


def amend(group: Group, told: Instruction, order: AmendStandingOrder) -> Done | Declined:
    """Change an order that is active, from its next payment on."""
    row = group.standing.get(order.standing_order.id)
    if row is None or not group.owns(told.customer, row["account"]):
        return Declined("NOOR")
    before = _shown(group, row)
    amount = order.amount or Money(row["amount_minor"], row["currency"])
    payee = order.credit or Identified(ReferenceKind.BENEFICIARY, row["beneficiary"])
    schedule, turn = _schedule(row), int(row["turn"])
    next_on = schedule.day(turn)
    last_on = order.last_on or _day(row["last_on"])
    refused = None if row["status"] == "active" else "AG01"
    refused = refused or _why_not(group, told.customer, payee, amount, group.ledger.accounts[row["account"]])
    if refused is None and last_on is not None and last_on < next_on:
        refused = "DT01"
    if refused is not None:
        return Declined(refused)
    changes: dict[str, str | int | None] = {
        "amount_minor": amount.minor,
        "beneficiary": payee.id,
        "last_on": last_on.isoformat() if last_on else None,
    }
    if order.frequency is not None and order.frequency.value != row["frequency"]:
        changes |= _columns(schedule.changed(turn, order.frequency), 0)
    if all(row[name] == value for name, value in changes.items()):
        return Declined("AG01")
    group.change_standing_order(row, **changes)
    return Done(
        {
            **_shown(group, row),
            **{f"{name}_before": before[name] for name in ("beneficiary_name", "amount", "frequency", "last_on")},
        }
    )


def cancel(group: Group, told: Instruction, order: CancelStandingOrder) -> Done | Declined:
    """End an order; the answer says what will not be paid, and when that would have been."""
    row = group.standing.get(order.standing_order.id)
    if row is None or not group.owns(told.customer, row["account"]):
        return Declined("NOOR")
    if row["status"] not in {"active", "suspended"}:
        return Declined("AG01")
    group.change_standing_order(row, status="cancelled")
    return Done({**_shown(group, row), "unpaid_on": _day(row["next_on"])})


def execute(group: Group, row: Row) -> bool:
    """Make the payment of a turn that is due; whether it settled. The order goes on in either case.

    One turn in each run: what was missed is made up for run by run, oldest first.
    """
    payee = group.beneficiaries[row["beneficiary"]]
    debit = group.ledger.accounts[row["account"]]
    credit = group.ledger.accounts[group.clearing[debit.currency]]
    payment: Row = {
        "id": name_for("p", micros(group.now), row["id"], str(row["turn"])),
        "account": debit.id,
        "credit": credit.id,
        "beneficiary": payee["id"],
        "amount_minor": row["amount_minor"],
        "currency": row["currency"],
        "counterparty_name": payee["name"],
        "reference": row["reference"],
        "created_at_us": micros(group.now),
        "execute_on": row["next_on"],
        "through_assistant": row["through_assistant"],
        "key": None,
        "standing_order": row["id"],
    }
    wording = Wording(row["reference"], "standing_order", debit.name, debit.number, payee["name"], payee["identifier"])
    refused = why_not(Money(row["amount_minor"], row["currency"]), debit, credit) or move(group, payment, wording)
    payment["status"] = "ACSC" if refused is None else "RJCT"
    payment["settled_at_us"] = micros(group.now) if refused is None else None
    group.add_payment(payment)
    schedule, turn = _schedule(row), int(row["turn"]) + 1
    last_on = _day(row["last_on"])
    if last_on is not None and schedule.day(turn) > last_on:
        group.change_standing_order(row, status="ended")
    else:
        group.change_standing_order(row, **_columns(schedule, turn))
    return refused is None


def cancel_direct_debit(group: Group, told: Instruction, order: CancelDirectDebit) -> Done | Declined:
    """Cancel a mandate; the answer says which collection will not happen."""
    row = group.debits.get(order.direct_debit.id)
    if row is None or not group.owns(told.customer, row["account"]):
        return Declined("NOOR")
    if row["status"] == "cancelled":
        return Declined("AG01")
    unpaid_on = row["next_on"]
    group.cancel_direct_debit(row)
    return Done(
        {
            "direct_debit": order.direct_debit,
            "status": "cancelled",
            "creditor_name": row["creditor_name"],
            "last_amount": None if row["last_minor"] is None else Money(row["last_minor"], row["currency"]),
            "unpaid_on": _day(unpaid_on),
        }
    )


def _why_not(group: Group, customer: str, payee: Identified, amount: Money, debit: LedgerAccount) -> str | None:
    """The reason against paying this payee again and again."""
    found = payee_of(group, customer, payee) if payee.kind is ReferenceKind.BENEFICIARY else None
    if found is None:
        return "AC03"
    if amount.minor <= 0:
        return "AM02"
    return why_not(amount, debit, found[0])


def _why_not_on(group: Group, order: CreateStandingOrder) -> str | None:
    """The reason against these days."""
    today = bank_day(group.now)
    if order.first_on < today or (order.last_on is not None and order.last_on < order.first_on):
        return "DT01"
    if order.first_on > today + MOST_AHEAD:
        return "DT04"
    return "TM01" if working_day(order.first_on) == today and is_past_cut_off(group.now) else None


def _shown(group: Group, row: Row) -> dict[str, object]:
    return {
        "standing_order": Identified(ReferenceKind.STANDING_ORDER, row["id"]),
        "status": row["status"],
        "beneficiary_name": group.beneficiaries[row["beneficiary"]]["name"],
        "amount": Money(row["amount_minor"], row["currency"]),
        "frequency": row["frequency"],
        "next_on": _day(row["next_on"]),
        "last_on": _day(row["last_on"]),
    }


def _schedule(row: Row) -> Schedule:
    return Schedule(date.fromisoformat(row["first_on"]), Frequency(row["frequency"]), row["month_day"])


def _columns(schedule: Schedule, turn: int) -> dict[str, str | int]:
    return {
        "frequency": schedule.frequency.value,
        "first_on": schedule.first_on.isoformat(),
        "month_day": schedule.month_day,
        "turn": turn,
        "next_on": working_day(schedule.day(turn)).isoformat(),
    }


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
