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
    AddBeneficiary,
    AmendStandingOrder,
    CallUpstream,
    CancelDirectDebit,
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
from adapters.cores.sandbox.items import Answer, Burn, DueResult, ExecuteDue, Item, Keep, Kept, Post, Return, Submit, Void
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
        case ExecuteDue():
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
            return cases.open_case(group, told, "human", None, order.topic)
        case CallUpstream():
            return Declined("AG01")


def _execute_due(group: Group) -> DueResult:
    """Everything that was planned for today or before. Funds and freezes are checked again on the day."""
    settled = [transfers.execute(group, row) for row in group.due_payments()]
    settled += [recurring.execute(group, row) for row in group.due_turns()]
    return DueResult(sum(settled), len(settled) - sum(settled))
