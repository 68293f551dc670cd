"""Cancels a payment that has not happened yet. What has happened cannot be cancelled here."""

from adapters.core import CancelScheduledPayment, Identified, ReferenceKind
from adapters.function import Arguments, Effect, EffectFunction, Field, Label, Level
from adapters.shapes import naming


def _order(arguments: Arguments) -> CancelScheduledPayment:
    return CancelScheduledPayment(arguments.must("payment", Identified))


FUNCTION = EffectFunction(
    name="cancel_scheduled_payment",
    title="Cancel a scheduled payment",
    summary="Cancel a payment that is scheduled for a later day. One that is paid cannot be cancelled.",
    effect=Effect.WRITE,
    level=Level.L3,
    resource="payment",
    arguments=(naming("payment", ReferenceKind.PAYMENT, description="The scheduled payment."),),
    output=(
        Field(name="payment", type=ReferenceKind.PAYMENT, description="The payment."),
        Field(name="status", type="text", description="CANC: cancelled."),
        Field(name="amount", type="money", description="What will not be paid.", data_class="transactions"),
        Field(
            name="counterparty_name", type="text", label=Label.THIRD_PARTY, data_class="payees", description="Who will not be paid."
        ),
        Field(name="execute_on", type="day", data_class="transactions", description="The day on which it would have been paid."),
    ),
    data_classes=frozenset({"basic", "payees", "transactions"}),
    order=_order,
)
