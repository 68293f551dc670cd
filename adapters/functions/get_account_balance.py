"""The balance of one account."""

from collections.abc import Mapping

from adapters.core import Balance, CoreBank, Identified
from adapters.function import Argument, Arguments, Asker, Choice, Effect, Field, Level, ReadFunction
from adapters.questions import Question
from adapters.shapes import ACCOUNT


def _asks(asker: Asker, arguments: Arguments) -> Question[Balance | None]:
    return Question.to(CoreBank.balance, arguments.must("account", Identified).id, arguments.must("type", str))


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    balance = await _asks(asker, arguments).ask(core)
    if balance is None:
        return None
    return {"type": balance.type, "amount": balance.amount, "as_of": balance.as_of}


FUNCTION = ReadFunction(
    name="get_account_balance",
    title="See a balance",
    summary="The balance of one of the customer's accounts.",
    effect=Effect.READ,
    level=Level.L1,
    resource="account",
    arguments=(
        ACCOUNT,
        Argument(
            name="type",
            type=Choice(("ITAV", "ITBD", "CLAV", "CLBD")),
            required=False,
            default="ITAV",
            description="ISO 20022 balance type: ITAV available now, ITBD booked now, CLAV and CLBD at the last close.",
        ),
    ),
    output=(
        Field(name="type", type="text", description="The ISO 20022 balance type."),
        Field(name="amount", type="money", description="The balance; negative when overdrawn.", data_class="balances"),
        Field(name="as_of", type="time", description="When the core said so."),
    ),
    data_classes=frozenset({"basic", "balances"}),
    read=_read,
    ahead=_asks,
)
