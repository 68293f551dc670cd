"""Cancels a creditor's mandate, and says which collection will not happen. What is owed to the creditor stays owed."""

from adapters.core import CancelDirectDebit, Identified, ReferenceKind
from adapters.function import Arguments, Effect, EffectFunction, Field, Label, Level
from adapters.shapes import naming


def _order(arguments: Arguments) -> CancelDirectDebit:
    return CancelDirectDebit(arguments.must("direct_debit", Identified))


FUNCTION = EffectFunction(
    name="cancel_direct_debit",
    title="Cancel a direct debit",
    summary="Cancel a direct debit: its creditor collects nothing more. What is owed to the creditor stays owed.",
    effect=Effect.WRITE,
    level=Level.L3,
    resource="direct_debit",
    arguments=(
        naming("direct_debit", ReferenceKind.DIRECT_DEBIT, description="The mandate, as a reference from list_direct_debits."),
    ),
    output=(
        Field(name="direct_debit", type=ReferenceKind.DIRECT_DEBIT, description="The mandate."),
        Field(name="status", type="text", description="cancelled."),
        Field(
            name="creditor_name",
            type="text",
            label=Label.THIRD_PARTY,
            data_class="payees",
            description="Who collects nothing more, by their own word.",
        ),
        Field(
            name="last_amount",
            type="money",
            data_class="payees",
            nullable=True,
            description="What was collected last; null: nothing.",
        ),
        Field(
            name="unpaid_on",
            type="day",
            data_class="payees",
            nullable=True,
            description="The announced collection that will not happen; null: none was announced.",
        ),
    ),
    data_classes=frozenset({"basic", "payees"}),
    order=_order,
)
