"""Moves money: between the customer's accounts, or to a payee whom the customer saved."""

from datetime import date

from adapters.core import Identified, Money, ReferenceKind, Transfer
from adapters.function import Amount, Argument, Arguments, Day, Effect, EffectFunction, Field, Kind, Level, Reference
from adapters.shapes import FPS_REFERENCE, naming


def _order(arguments: Arguments) -> Transfer:
    return Transfer(
        debit=arguments.must("from", Identified),
        credit=arguments.must("to", Identified),
        amount=arguments.must("amount", Money),
        reference=arguments.must("reference", str),
        execute_on=arguments.may("execute_on", date),
    )


FUNCTION = EffectFunction(
    name="initiate_transfer",
    title="Make a payment",
    summary="Pay from one of the customer's accounts to another, or to a saved payee. It cannot be undone once done.",
    effect=Effect.IRREVERSIBLE,
    # The least of all its cases: a payment under a standing mandate that the customer signed needs no more than the session. The
    # policies ask for L2 between own accounts and for L3 otherwise.
    level=Level.L1,
    resource="from",
    arguments=(
        naming("from", ReferenceKind.ACCOUNT, description="The account to pay from, as a reference from list_accounts."),
        Argument(
            name="to",
            type=Reference((ReferenceKind.ACCOUNT, ReferenceKind.BENEFICIARY)),
            kind=Kind.PAYEE,
            description="An own account, or a payee from list_beneficiaries.",
        ),
        Argument(
            name="amount", type=Amount(), kind=Kind.AMOUNT, description="How much, in the currency of the account to pay from."
        ),
        Argument(
            name="reference",
            type=FPS_REFERENCE,
            kind=Kind.FREE_TEXT,
            required=False,
            default="",
            description="Free text for the receiver, as the customer worded it; at most 18 characters.",
        ),
        Argument(
            name="execute_on",
            type=Day(),
            kind=Kind.DAY,
            required=False,
            description="A later day; no working day moves to the next that is. Left out: at once.",
        ),
    ),
    output=(
        Field(name="payment", type=ReferenceKind.PAYMENT, description="The payment's reference."),
        Field(name="status", type="text", description="ACSC settled, SCHD scheduled."),
        Field(name="amount", type="money", description="The amount."),
        Field(name="execute_on", type="day", nullable=True, description="The working day it is scheduled for; null if at once."),
        Field(name="initiated_through_assistant", type="flag", description="Always true: the receipt says so."),
    ),
    order=_order,
)
