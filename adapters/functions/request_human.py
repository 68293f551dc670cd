"""Asks for a human, which is always possible."""

from adapters.core import RequestHuman
from adapters.function import Argument, Arguments, Effect, EffectFunction, Field, Kind, Level, Text


def _order(arguments: Arguments) -> RequestHuman:
    return RequestHuman(arguments.must("topic", str))


FUNCTION = EffectFunction(
    name="request_human",
    title="Ask for a person at the bank",
    summary="Ask for a person at the bank to take over. Always available.",
    effect=Effect.PROTECT,
    level=Level.L0,
    emergency=True,
    arguments=(
        Argument(
            name="topic",
            type=Text(200),
            kind=Kind.FREE_TEXT,
            required=False,
            default="",
            description="What the customer needs help with.",
        ),
    ),
    output=(
        Field(name="case", type="text", description="Number of the request, for the customer."),
        Field(name="status", type="text", description="open."),
    ),
    order=_order,
)
