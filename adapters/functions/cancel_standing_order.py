"""Ends a standing order, and says what will not be paid: a missed rent is the customer's to know before and after."""

from adapters.core import CancelStandingOrder, Identified, ReferenceKind
from adapters.function import Arguments, Effect, EffectFunction, Field, Level
from adapters.shapes import STANDING_ORDER, naming


def _order(arguments: Arguments) -> CancelStandingOrder:
    return CancelStandingOrder(arguments.must("standing_order", Identified))


FUNCTION = EffectFunction(
    name="cancel_standing_order",
    title="Cancel a standing order",
    summary="Cancel a standing order: nothing more is paid by it. What it paid before stays paid.",
    effect=Effect.WRITE,
    level=Level.L3,
    resource="standing_order",
    arguments=(
        naming("standing_order", ReferenceKind.STANDING_ORDER, description="The order, as a reference from list_standing_orders."),
    ),
    output=(
        *STANDING_ORDER,
        Field(name="unpaid_on", type="day", data_class="payees", description="The day of the payment that will not be made."),
    ),
    data_classes=frozenset({"basic", "payees"}),
    order=_order,
)
