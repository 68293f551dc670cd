"""Contests a payment that was booked. The narrative goes to the other side's bank, so it is a sink and waits for the customer's word."""

from adapters.core import Identified, RaiseDispute, ReferenceKind
from adapters.function import Argument, Arguments, Choice, Effect, EffectFunction, Field, Kind, Level, Text
from adapters.shapes import naming

REASONS = (
    "not_authorised",
    "not_received",
    "not_as_described",
    "paid_twice",
    "wrong_amount",
    "cancelled_before",
    "refund_missing",
    "deceived",
)


def _order(arguments: Arguments) -> RaiseDispute:
    return RaiseDispute(
        transaction=arguments.must("transaction", Identified),
        reason_code=arguments.must("reason_code", str),
        narrative=arguments.must("narrative", str),
    )


FUNCTION = EffectFunction(
    name="raise_dispute",
    title="Dispute a payment",
    summary="Dispute a payment that was taken from one of the customer's accounts. The customer confirms what is told to the other bank.",
    effect=Effect.WRITE,
    level=Level.L3,
    egress=True,
    resource="transaction",
    arguments=(
        naming("transaction", ReferenceKind.TRANSACTION, description="The payment, as a reference from list_transactions."),
        Argument(
            name="reason_code",
            type=Choice(REASONS),
            harmless=True,
            description="What is wrong. deceived: the customer was tricked into paying. cancelled_before: it should have stopped.",
        ),
        Argument(
            name="narrative",
            type=Text(500, least=10),
            kind=Kind.FREE_TEXT,
            description="What happened, in the customer's own words, without account numbers; it goes to the other bank.",
        ),
    ),
    output=(
        Field(name="case", type="text", description="The number of the case."),
        Field(name="status", type="text", description="open: people at the bank look at it. Nothing is paid back by it yet."),
        Field(name="transaction", type=ReferenceKind.TRANSACTION, data_class="transactions", description="What is disputed."),
        Field(name="amount", type="money", data_class="transactions", description="The disputed amount."),
        Field(name="reason_code", type="text", description="The reason."),
    ),
    data_classes=frozenset({"basic", "transactions"}),
    order=_order,
)
