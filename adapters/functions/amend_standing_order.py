"""Changes a standing order from its next payment on. The answer says what it was and what it is."""

from datetime import date

from adapters.core import AmendStandingOrder, Frequency, Identified, Money, ReferenceKind
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
    Label,
    Level,
    Reference,
)
from adapters.shapes import STANDING_ORDER, naming


def _order(arguments: Arguments) -> AmendStandingOrder:
    frequency = arguments.may("frequency", str)
    return AmendStandingOrder(
        standing_order=arguments.must("standing_order", Identified),
        amount=arguments.may("amount", Money),
        frequency=None if frequency is None else Frequency(frequency),
        credit=arguments.may("beneficiary", Identified),
        last_on=arguments.may("last_on", date),
    )


FUNCTION = EffectFunction(
    name="amend_standing_order",
    title="Change a standing order",
    summary="Change what is given of a standing order, from its next payment on; what is left out stays. The customer confirms it.",
    effect=Effect.WRITE,
    level=Level.L3,
    resource="standing_order",
    arguments=(
        naming("standing_order", ReferenceKind.STANDING_ORDER, description="The order, as a reference from list_standing_orders."),
        Argument(
            name="amount",
            type=Amount(),
            kind=Kind.AMOUNT,
            required=False,
            description="How much each time, in the order's currency.",
        ),
        Argument(
            name="frequency",
            type=Choice(tuple(item.value for item in Frequency)),
            kind=Kind.FREQUENCY,
            required=False,
            description="How often, counted from the next payment.",
        ),
        Argument(
            name="beneficiary",
            type=Reference((ReferenceKind.BENEFICIARY,)),
            kind=Kind.PAYEE,
            required=False,
            description="Another payee, as a reference from list_beneficiaries.",
        ),
        Argument(name="last_on", type=Day(), kind=Kind.DAY, required=False, description="No payment after this day."),
    ),
    output=(
        *STANDING_ORDER,
        Field(name="next_on", type="day", data_class="payees", description="The working day of the next payment."),
        Field(
            name="beneficiary_name_before",
            type="text",
            label=Label.OWN,
            data_class="payees",
            description="Whom it paid until now.",
        ),
        Field(name="amount_before", type="money", data_class="payees", description="What it paid until now."),
        Field(name="frequency_before", type="text", data_class="payees", description="How often it paid until now."),
        Field(name="last_on_before", type="day", data_class="payees", nullable=True, description="Its last day until now."),
    ),
    data_classes=frozenset({"basic", "payees"}),
    order=_order,
)
