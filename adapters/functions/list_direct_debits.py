"""Who may collect from an account. A creditor's name and reference are the creditor's own text."""

from collections.abc import Mapping, Sequence

from adapters.core import CoreBank, DirectDebit, Identified, ReferenceKind
from adapters.function import Arguments, Asker, Effect, Field, Label, Level, ReadFunction
from adapters.questions import Question
from adapters.shapes import ACCOUNT


def _asks(asker: Asker, arguments: Arguments) -> Question[Sequence[DirectDebit]]:
    return Question.to(CoreBank.direct_debits, arguments.must("account", Identified).id)


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    return {
        "direct_debits": [
            {
                "direct_debit": Identified(ReferenceKind.DIRECT_DEBIT, it.id),
                "creditor_name": it.creditor_name,
                "reference": it.reference,
                "status": it.status,
                "last_amount": it.last_amount,
                "last_on": it.last_on,
                "next_on": it.next_on,
            }
            for it in await _asks(asker, arguments).ask(core)
        ]
    }


FUNCTION = ReadFunction(
    name="list_direct_debits",
    title="See your direct debits",
    summary="The direct debit mandates on one account: who may collect, and what was collected last.",
    effect=Effect.READ,
    level=Level.L1,
    resource="account",
    arguments=(ACCOUNT,),
    output=(
        Field(
            name="direct_debits",
            many=True,
            data_class="payees",
            description="One entry per mandate, by creditor.",
            type=(
                Field(name="direct_debit", type=ReferenceKind.DIRECT_DEBIT, description="The mandate's reference."),
                Field(name="creditor_name", type="text", label=Label.THIRD_PARTY, description="Who collects, by their own word."),
                Field(name="reference", type="text", label=Label.THIRD_PARTY, description="The creditor's reference."),
                Field(name="status", type="text", description="active, suspended or cancelled."),
                Field(name="last_amount", type="money", nullable=True, description="What was collected last; null if nothing yet."),
                Field(name="last_on", type="day", nullable=True, description="When that was."),
                Field(name="next_on", type="day", nullable=True, description="When the next collection is due; null if none is."),
            ),
        ),
    ),
    data_classes=frozenset({"basic", "payees"}),
    read=_read,
    ahead=_asks,
)
