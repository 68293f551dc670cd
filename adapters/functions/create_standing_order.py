"""Orders a payment that recurs. Nothing is paid by the call itself; each payment is made on its day, if it can be then."""

from datetime import date

from adapters.core import CreateStandingOrder, Frequency, Identified, Money, ReferenceKind
from adapters.function import (
    Amount,
    Argument,
    Arguments,
    Choice,
    Day,
    Effect,
    EffectFunction,
    Field,
    Kind,
    Level,
    Reference,
)
from adapters.shapes import FPS_REFERENCE, STANDING_ORDER, naming


def _order(arguments: Arguments) -> CreateStandingOrder:
    return CreateStandingOrder(
        debit=arguments.must("from", Identified),
        credit=arguments.must("beneficiary", Identified),
        amount=arguments.must("amount", Money),
        frequency=Frequency(arguments.must("frequency", str)),
        first_on=arguments.must("first_on", date),
        last_on=arguments.may("last_on", date),
        reference=arguments.must("reference", str),
    )


FUNCTION = EffectFunction(
    name="create_standing_order",
    title="Set up a standing order",
    summary="Order a payment to a saved payee that recurs until it is cancelled or its last day is over. The customer confirms it.",
    effect=Effect.WRITE,
    level=Level.L3,
    resource="from",
    arguments=(
        naming("from", ReferenceKind.ACCOUNT, description="The account to pay from, as a reference from list_accounts."),
        Argument(
            name="beneficiary",
            type=Reference((ReferenceKind.BENEFICIARY,)),
            kind=Kind.PAYEE,
            description="The payee, as a reference from list_beneficiaries.",
        ),
        Argument(
            name="amount",
            type=Amount(),
            kind=Kind.AMOUNT,
            description="How much each time, in the currency of the account to pay from.",
        ),
        Argument(
            name="frequency", type=Choice(tuple(item.value for item in Frequency)), kind=Kind.FREQUENCY, description="How often."
        ),
        Argument(
            name="first_on",
            type=Day(),
            kind=Kind.DAY,
            description="Day of the first payment; one that is no working day moves to the next that is.",
        ),
        Argument(
            name="last_on",
            type=Day(),
            kind=Kind.DAY,
            required=False,
            description="No payment after this day; left out: until it is cancelled.",
        ),
        Argument(
            name="reference",
            type=FPS_REFERENCE,
            kind=Kind.FREE_TEXT,
            required=False,
            default="",
            description="Free text for the receiver, as the customer worded it; at most 18 characters.",
        ),
    ),
    output=(
        *STANDING_ORDER,
        Field(name="next_on", type="day", data_class="payees", description="The working day of the first payment."),
        Field(name="initiated_through_assistant", type="flag", description="Always true: each payment says so."),
    ),
    data_classes=frozenset({"basic", "payees"}),
    order=_order,
)
