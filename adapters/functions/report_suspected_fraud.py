"""Tells the bank's fraud desk. Never refused for rate."""

from adapters.core import Identified, ReferenceKind, ReportFraud
from adapters.function import Argument, Arguments, Effect, EffectFunction, Field, Kind, Level, Text
from adapters.shapes import naming


def _order(arguments: Arguments) -> ReportFraud:
    return ReportFraud(arguments.may("payment", Identified), arguments.must("text", str))


FUNCTION = EffectFunction(
    name="report_suspected_fraud",
    title="Report fraud to the bank",
    summary="Report a payment or anything else that looks like fraud to the bank's people.",
    effect=Effect.PROTECT,
    level=Level.L1,
    emergency=True,
    resource="payment",
    arguments=(
        naming(
            "payment",
            ReferenceKind.PAYMENT,
            ReferenceKind.TRANSACTION,
            description="The payment or transaction in question, if there is one.",
            required=False,
        ),
        Argument(
            name="text",
            type=Text(500),
            kind=Kind.FREE_TEXT,
            required=False,
            default="",
            description="What happened, in the customer's words.",
        ),
    ),
    output=(
        Field(name="case", type="text", description="Number of the case, for the customer."),
        Field(name="status", type="text", description="open."),
    ),
    order=_order,
)
