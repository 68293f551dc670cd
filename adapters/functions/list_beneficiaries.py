"""The payees that the customer saved for an account. Their names are the customer's own labels."""

from collections.abc import Mapping, Sequence

from adapters.core import Beneficiary, CoreBank, Identified, ReferenceKind
from adapters.function import Arguments, Asker, Effect, Field, Level, Mask, ReadFunction
from adapters.questions import Question
from adapters.shapes import ACCOUNT


def _asks(asker: Asker, arguments: Arguments) -> Question[Sequence[Beneficiary]]:
    return Question.to(CoreBank.beneficiaries, arguments.must("account", Identified).id)


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    saved = await _asks(asker, arguments).ask(core)
    return {
        "beneficiaries": [
            {
                "beneficiary": Identified(ReferenceKind.BENEFICIARY, it.id),
                "name": it.name,
                "identifier": it.identifier,
                "created_at": it.created_at,
                "last_paid_at": it.last_paid_at,
            }
            for it in saved
        ]
    }


FUNCTION = ReadFunction(
    name="list_beneficiaries",
    title="See your payees",
    summary="The payees saved for one of the customer's accounts.",
    effect=Effect.READ,
    level=Level.L2,
    resource="account",
    arguments=(ACCOUNT,),
    output=(
        Field(
            name="beneficiaries",
            many=True,
            data_class="payees",
            description="One entry per payee, by name.",
            type=(
                Field(name="beneficiary", type=ReferenceKind.BENEFICIARY, description="The payee's reference."),
                Field(name="name", type="text", description="The customer's name for the payee."),
                Field(
                    name="identifier",
                    type="text",
                    mask=Mask.LAST4,
                    data_class="identifiers",
                    description="Last digits of the payee's account.",
                ),
                Field(name="created_at", type="time", description="When the customer saved it."),
                Field(name="last_paid_at", type="time", nullable=True, description="When it was last paid; null if never."),
            ),
        ),
    ),
    data_classes=frozenset({"basic", "identifiers", "payees"}),
    read=_read,
    ahead=_asks,
)
