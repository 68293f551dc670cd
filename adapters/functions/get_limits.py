"""The customer's limits for payments through an assistant. They are the gateway's numbers, handed in with the asker."""

from collections.abc import Mapping

from adapters.core import CoreBank
from adapters.function import Arguments, Asker, Effect, Field, Level, ReadFunction


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    return {"limits": [{"window": it.window, "most": it.most, "left": it.left} for it in asker.allowances]}


FUNCTION = ReadFunction(
    name="get_limits",
    title="See your limits",
    summary="How much may be paid through the assistant, per currency: the limits and what is left of them.",
    effect=Effect.READ,
    level=Level.L1,
    tells_limits=True,
    output=(
        Field(
            name="limits",
            many=True,
            description="One entry per window and currency. None: nothing may be paid.",
            type=(
                Field(name="window", type="text", description="payment, day, week or month."),
                Field(name="most", type="money", description="The limit."),
                Field(name="left", type="money", description="What is left of it now."),
            ),
        ),
    ),
    read=_read,
)
