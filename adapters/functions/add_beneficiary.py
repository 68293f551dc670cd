"""Saves a payee. The name and the account are data for the customer to confirm, and exactly what was checked before.

A payee that was just saved is not known by it: what may be paid to it at first is the policies' word (cooling-off).
"""

from adapters.core import AddBeneficiary, Identified, ReferenceKind
from adapters.function import (
    AccountIdentifier,
    Argument,
    Arguments,
    Effect,
    EffectFunction,
    Field,
    Kind,
    Label,
    Level,
    Mask,
    Text,
)
from adapters.shapes import ACCOUNT, naming


def _order(arguments: Arguments) -> AddBeneficiary:
    return AddBeneficiary(
        account=arguments.must("account", Identified),
        name=arguments.must("name", str),
        identifier=arguments.must("identifier", str),
        payee_check=arguments.must("payee_check", Identified),
    )


FUNCTION = EffectFunction(
    name="add_beneficiary",
    title="Save a payee",
    summary="Save a payee for one of the customer's accounts, after verify_payee. The customer confirms it; it pays nothing.",
    effect=Effect.WRITE,
    level=Level.L3,
    resource="account",
    arguments=(
        ACCOUNT,
        Argument(
            name="name",
            type=Text(140, least=2),
            kind=Kind.PAYEE,
            description="The payee's full name or company name, exactly as it was given to verify_payee.",
        ),
        Argument(
            name="identifier",
            type=AccountIdentifier(),
            kind=Kind.PAYEE,
            description="The payee's IBAN without spaces, or sort code and account number as 14 digits, as given to verify_payee.",
        ),
        naming(
            "payee_check",
            ReferenceKind.PAYEE_CHECK,
            description="The check from verify_payee, of exactly this name and identifier, that has not expired.",
        ),
    ),
    output=(
        Field(name="beneficiary", type=ReferenceKind.BENEFICIARY, data_class="payees", description="The payee's reference."),
        Field(name="account", type=ReferenceKind.ACCOUNT, description="The account that it is saved for."),
        Field(name="name", type="text", label=Label.OWN, data_class="payees", description="The payee's name, as it was saved."),
        Field(
            name="identifier",
            type="text",
            mask=Mask.LAST4,
            data_class="payees",
            description="Last digits of the payee's account.",
        ),
        Field(name="checked", type="text", data_class="payees", description="What the check found: see verify_payee."),
        Field(name="saved_at", type="time", description="When it was saved: payments to a new payee may be limited for some days."),
    ),
    data_classes=frozenset({"basic", "payees"}),
    order=_order,
)
