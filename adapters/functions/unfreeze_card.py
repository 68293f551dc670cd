"""Thaws a frozen card: harder than freezing it, on purpose."""

from adapters.core import Identified, ReferenceKind, UnfreezeCard
from adapters.function import Arguments, Effect, EffectFunction, Field, Level
from adapters.shapes import naming


def _order(arguments: Arguments) -> UnfreezeCard:
    return UnfreezeCard(arguments.must("card", Identified))


FUNCTION = EffectFunction(
    name="unfreeze_card",
    title="Unfreeze a card",
    summary="Unfreeze a frozen card, so that it can be used as before it was frozen. The customer confirms it.",
    effect=Effect.WRITE,
    level=Level.L3,
    resource="card",
    arguments=(naming("card", ReferenceKind.CARD, description="The frozen card, as a reference from list_cards."),),
    output=(
        Field(name="card", type=ReferenceKind.CARD, description="The card."),
        Field(name="status", type="text", description="active: it can be used again. ordered: it was not in use before either."),
        Field(name="last4", type="text", data_class="cards", description="Last four digits of its number."),
    ),
    data_classes=frozenset({"basic", "cards"}),
    order=_order,
)
