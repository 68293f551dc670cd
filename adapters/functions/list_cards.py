"""The customer's cards. Of a card number only the last four digits exist here."""

from collections.abc import Mapping

from adapters.core import CoreBank, Identified, ReferenceKind
from adapters.function import Arguments, Asker, Effect, Field, Level, ReadFunction


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    return {
        "cards": [
            {
                "card": Identified(ReferenceKind.CARD, card.id),
                "account": Identified(ReferenceKind.ACCOUNT, card.account),
                "last4": card.last4[-4:],
                "scheme": card.scheme,
                "status": card.status,
            }
            for card in await core.cards(asker.customer)
        ]
    }


FUNCTION = ReadFunction(
    name="list_cards",
    title="See your cards",
    summary="The customer's cards, by their last four digits.",
    effect=Effect.READ,
    level=Level.L1,
    output=(
        Field(
            name="cards",
            many=True,
            data_class="cards",
            description="One entry per card that the customer holds.",
            type=(
                Field(name="card", type=ReferenceKind.CARD, description="The card's reference."),
                Field(name="account", type=ReferenceKind.ACCOUNT, description="The account that it draws on."),
                Field(name="last4", type="text", description="Last four digits of its number."),
                Field(name="scheme", type="text", description="Visa, Mastercard ..."),
                Field(name="status", type="text", description="active, frozen, expired, closed, or ordered: not yet in use."),
            ),
        ),
    ),
    data_classes=frozenset({"basic", "cards"}),
    read=_read,
)
