"""Whether an account could pay an amount: a yes or no, which tells less than a balance does."""

from collections.abc import Mapping

from adapters.core import CoreBank, Identified, Money
from adapters.function import Amount, Argument, Arguments, Asker, Effect, Field, Kind, Level, ReadFunction, Unfit
from adapters.shapes import ACCOUNT


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    account, amount = arguments.must("account", Identified), arguments.must("amount", Money)
    facts = await core.describe(account)
    if facts is None:
        return None
    if facts.currency != amount.currency:
        raise Unfit("amount", "must be in the currency of the account")
    available = await core.funds(account.id, amount)
    return None if available is None else {"available": available}


FUNCTION = ReadFunction(
    name="confirm_funds",
    title="Check that an account can pay an amount",
    summary="Whether an account could pay an amount now. Answers yes or no, nothing else; it holds nothing back for the payment.",
    effect=Effect.READ,
    level=Level.L1,
    resource="account",
    # Halving the amount again and again would tell a balance that a policy keeps back, in some thirty questions
    calls_per_hour=12,
    arguments=(
        ACCOUNT,
        Argument(name="amount", type=Amount(), kind=Kind.AMOUNT, description="How much, in the currency of the account."),
    ),
    output=(
        Field(name="available", type="flag", data_class="funds", description="Whether the funds, with any overdraft, suffice now."),
    ),
    data_classes=frozenset({"basic", "funds"}),
    read=_read,
)
