"""A price for an exchange of currencies, which the core keeps until it expires."""

from collections.abc import Mapping

from adapters.core import CoreBank, Identified, Money, ReferenceKind
from adapters.function import Amount, Argument, Arguments, Asker, Choice, Effect, Field, Kind, Level, ReadFunction, Text, Unfit

_CURRENCY = Text(3, least=3, pattern="[A-Z]{3}")


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    sell, buy = arguments.must("from", str), arguments.must("to", str)
    amount = arguments.must("amount", Money)
    if sell == buy:
        raise Unfit("to", "must be another currency than from")
    if amount.currency != (sell if arguments.must("side", str) == "sell" else buy):
        raise Unfit("amount", "must be in the currency of its side: from when selling, to when buying")
    quote = await core.fx_quote(asker.customer, sell, buy, amount)
    if quote is None:
        raise Unfit("amount", "must be in a pair of currencies, and of a size, that the bank quotes")
    return {
        "quote": Identified(ReferenceKind.QUOTE, quote.id),
        "sell": quote.sell,
        "buy": quote.buy,
        "rate": quote.rate,
        "fee": quote.fee,
        "expires_at": quote.expires_at,
    }


FUNCTION = ReadFunction(
    name="get_fx_quote",
    title="See an exchange rate",
    summary="A quote for exchanging one currency into another: rate, both amounts, fee and expiry. It exchanges nothing.",
    effect=Effect.READ,
    level=Level.L1,
    arguments=(
        Argument(name="from", type=_CURRENCY, description="ISO 4217 code of the currency that is sold."),
        Argument(name="to", type=_CURRENCY, description="ISO 4217 code of the currency that is bought."),
        Argument(name="amount", type=Amount(), kind=Kind.AMOUNT, description="How much to sell, or how much to buy: see side."),
        Argument(
            name="side",
            type=Choice(("sell", "buy")),
            description="sell: amount is in from and is given away. buy: amount is in to and is received.",
        ),
    ),
    output=(
        Field(name="quote", type=ReferenceKind.QUOTE, description="The quote's reference."),
        Field(name="sell", type="money", description="What is given away, without the fee."),
        Field(name="buy", type="money", description="What is received."),
        Field(name="rate", type="text", description="Exact: units of the currency bought for one unit of the currency sold."),
        Field(name="fee", type="money", description="The bank's fee, on top of what is given away."),
        Field(name="expires_at", type="time", description="Until when the bank keeps to it."),
    ),
    read=_read,
)
