"""Payments that wait for their day: what cancel_scheduled_payment can still stop."""

from collections.abc import Mapping, Sequence

from adapters.core import CoreBank, Identified, Payment, ReferenceKind
from adapters.function import Arguments, Asker, Effect, Field, Label, Level, ReadFunction
from adapters.questions import Question
from adapters.shapes import ACCOUNT


def _asks(asker: Asker, arguments: Arguments) -> Question[Sequence[Payment]]:
    return Question.to(CoreBank.scheduled_payments, arguments.must("account", Identified).id)


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    return {
        "scheduled_payments": [
            {
                "payment": Identified(ReferenceKind.PAYMENT, it.id),
                "amount": it.amount,
                "execute_on": it.execute_on,
                "counterparty_name": it.counterparty_name,
                "reference": it.reference,
            }
            for it in await _asks(asker, arguments).ask(core)
        ]
    }


FUNCTION = ReadFunction(
    name="list_scheduled_payments",
    title="See your scheduled payments",
    summary="Payments of one account that are scheduled for a later day.",
    effect=Effect.READ,
    level=Level.L1,
    resource="account",
    arguments=(ACCOUNT,),
    output=(
        Field(
            name="scheduled_payments",
            many=True,
            data_class="payees",
            description="One entry per payment, the next one first.",
            type=(
                Field(name="payment", type=ReferenceKind.PAYMENT, description="The payment's reference."),
                Field(name="amount", type="money", description="The amount."),
                Field(name="execute_on", type="day", description="The day it is scheduled for."),
                Field(name="counterparty_name", type="text", label=Label.THIRD_PARTY, description="Who is paid."),
                Field(name="reference", type="text", label=Label.THIRD_PARTY, description="Its free text."),
            ),
        ),
    ),
    data_classes=frozenset({"basic", "payees"}),
    read=_read,
    ahead=_asks,
)
