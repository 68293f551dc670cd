"""Closes a card for good and orders a new one. Where it is sent is on the bank's file: never an argument, never an answer."""

from adapters.core import CloseCard, Identified, ReferenceKind
from adapters.function import Argument, Arguments, Choice, Effect, EffectFunction, Field, Level
from adapters.shapes import naming


def _order(arguments: Arguments) -> CloseCard:
    return CloseCard(arguments.must("card", Identified), arguments.must("reason", str))


FUNCTION = EffectFunction(
    name="report_card_lost_or_stolen",
    title="Report a card lost or stolen",
    summary="Close a lost or stolen card for good and order a new one. It cannot be undone: freeze_card is for a card that may turn up.",
    effect=Effect.IRREVERSIBLE,
    level=Level.L2,
    resource="card",
    arguments=(
        naming("card", ReferenceKind.CARD, description="The card, as a reference from list_cards."),
        Argument(name="reason", type=Choice(("lost", "stolen")), harmless=True, description="What happened to it."),
    ),
    output=(
        Field(name="card", type=ReferenceKind.CARD, description="The card."),
        Field(name="status", type="text", description="closed."),
        Field(
            name="replacement",
            type=ReferenceKind.CARD,
            data_class="cards",
            description="The new card, which is sent to the address on the bank's file.",
        ),
    ),
    data_classes=frozenset({"basic", "cards"}),
    order=_order,
)
