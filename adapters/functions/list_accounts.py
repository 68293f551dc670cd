"""The customer's accounts: where every conversation starts, since references come from here."""

from collections.abc import Mapping

from adapters.core import CoreBank, Identified, ReferenceKind
from adapters.function import Arguments, Asker, Effect, Field, Level, Mask, ReadFunction


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    return {
        "accounts": [
            {
                "account": Identified(ReferenceKind.ACCOUNT, account.id),
                "name": account.name,
                "product": account.product,
                "currency": account.currency,
                "status": account.status,
                "number": account.number,
                "joint": len(account.owners) > 1,
            }
            for account in await core.accounts(asker.customer)
        ]
    }


FUNCTION = ReadFunction(
    name="list_accounts",
    title="See your accounts",
    summary="The customer's accounts, with the references that the other functions take.",
    effect=Effect.READ,
    level=Level.L1,
    output=(
        Field(
            name="accounts",
            many=True,
            description="One entry per account, closed ones too.",
            type=(
                Field(name="account", type=ReferenceKind.ACCOUNT, description="The account's reference."),
                Field(name="name", type="text", description="The customer's name for the account."),
                Field(name="product", type="text", description="Kind of account: current, savings, joint ..."),
                Field(name="currency", type="text", description="ISO 4217 code."),
                Field(name="status", type="text", description="open, frozen or closed."),
                Field(name="number", type="text", description="Its last digits.", mask=Mask.LAST4, data_class="identifiers"),
                Field(name="joint", type="flag", description="Whether someone else owns it too."),
            ),
        ),
    ),
    data_classes=frozenset({"basic", "identifiers"}),
    read=_read,
)
