"""Payments that recur by the customer's order."""

from collections.abc import Mapping, Sequence

from adapters.core import CoreBank, Identified, ReferenceKind, StandingOrder
from adapters.function import Arguments, Asker, Effect, Field, Label, Level, ReadFunction
from adapters.questions import Question
from adapters.shapes import ACCOUNT


def _asks(asker: Asker, arguments: Arguments) -> Question[Sequence[StandingOrder]]:
    return Question.to(CoreBank.standing_orders, arguments.must("account", Identified).id)


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    orders = await _asks(asker, arguments).ask(core)
    return {
        "standing_orders": [
            {
                "standing_order": Identified(ReferenceKind.STANDING_ORDER, it.id),
                "beneficiary_name": it.beneficiary_name,
                "amount": it.amount,
                "frequency": it.frequency,
                "next_on": it.next_on,
                "last_on": it.last_on,
                "reference": it.reference,
                "status": it.status,
            }
            for it in orders
        ]
    }


FUNCTION = ReadFunction(
    name="list_standing_orders",
    title="See your standing orders",
    summary="Standing orders of one of the customer's accounts.",
    effect=Effect.READ,
    level=Level.L1,
    resource="account",
    arguments=(ACCOUNT,),
    output=(
        Field(
            name="standing_orders",
            many=True,
            data_class="payees",
            description="One entry per order, the next one first.",
            type=(
                Field(name="standing_order", type=ReferenceKind.STANDING_ORDER, description="The order's reference."),
                Field(name="beneficiary_name", type="text", description="The customer's name for the payee."),
                Field(name="amount", type="money", description="Amount of each payment."),
                Field(name="frequency", type="text", description="weekly, fortnightly, monthly, quarterly or yearly."),
                Field(name="next_on", type="day", description="Day of the next payment."),
                Field(name="last_on", type="day", nullable=True, description="Day of the last payment; null if open-ended."),
                Field(name="reference", type="text", label=Label.THIRD_PARTY, description="Free text of the order."),
                Field(name="status", type="text", description="active, suspended, cancelled or ended."),
            ),
        ),
    ),
    data_classes=frozenset({"basic", "payees"}),
    read=_read,
    ahead=_asks,
)
