"""Freezes a card: easy on purpose, and harder to undo."""

from adapters.core import FreezeCard, Identified, ReferenceKind
from adapters.function import Arguments, Effect, EffectFunction, Field, Level
from adapters.shapes import naming


def _order(arguments: Arguments) -> FreezeCard:
    return FreezeCard(arguments.must("card", Identified))


FUNCTION = EffectFunction(
    name="freeze_card",
    title="Freeze a card",
    summary="Freeze a card at once. It stays frozen until the customer unfreezes it themselves.",
    effect=Effect.PROTECT,
    level=Level.L1,
    emergency=True,
    resource="card",
    arguments=(naming("card", ReferenceKind.CARD, description="The card, as a reference from list_cards."),),
    output=(
        Field(name="card", type=ReferenceKind.CARD, description="The card."),
        Field(name="status", type="text", description="frozen."),
    ),
    order=_order,
)
