"""Forgets a payee. It stops nothing that is ordered: while something is, the bank declines."""

from adapters.core import Identified, ReferenceKind, RemoveBeneficiary
from adapters.function import Argument, Arguments, Effect, EffectFunction, Field, Kind, Label, Level, Mask, Reference


def _order(arguments: Arguments) -> RemoveBeneficiary:
    return RemoveBeneficiary(arguments.must("beneficiary", Identified))


FUNCTION = EffectFunction(
    name="remove_beneficiary",
    title="Remove a payee",
    summary="Remove a saved payee for whom nothing is ordered: standing orders and scheduled payments are cancelled first.",
    effect=Effect.WRITE,
    level=Level.L3,
    resource="beneficiary",
    arguments=(
        Argument(
            name="beneficiary",
            type=Reference((ReferenceKind.BENEFICIARY,)),
            kind=Kind.PAYEE,
            description="The payee, as a reference from list_beneficiaries.",
        ),
    ),
    output=(
        Field(name="beneficiary", type=ReferenceKind.BENEFICIARY, data_class="payees", description="The payee."),
        Field(name="status", type="text", description="removed: nothing can be paid to it until it is added anew."),
        Field(name="name", type="text", label=Label.OWN, data_class="payees", description="The name under which it was saved."),
        Field(
            name="identifier",
            type="text",
            mask=Mask.LAST4,
            data_class="payees",
            description="Last digits of the payee's account.",
        ),
    ),
    data_classes=frozenset({"basic", "payees"}),
    order=_order,
)
