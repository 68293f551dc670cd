"""Whether an account is in the name that the customer means to pay (Confirmation of Payee, Verification of Payee).

It tells who has which account, so it has a narrow rate of its own; and the name goes to the payee's bank, so it is a sink.
"""

from collections.abc import Mapping

from adapters.core import CoreBank, Identified, ReferenceKind
from adapters.function import (
    AccountIdentifier,
    Argument,
    Arguments,
    Asker,
    Effect,
    Field,
    Kind,
    Label,
    Level,
    ReadFunction,
    Text,
)


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    check = await core.check_payee(asker.customer, arguments.must("name", str), arguments.must("identifier", str))
    return {
        "payee_check": Identified(ReferenceKind.PAYEE_CHECK, check.id),
        "outcome": check.outcome,
        "actual_name": check.actual_name if check.outcome == "close_match" else None,
        "expires_at": check.expires_at,
    }


FUNCTION = ReadFunction(
    name="verify_payee",
    title="Check a payee's name",
    summary="Check whether an account is in the name of the person or company to be paid, before a payee is added.",
    effect=Effect.READ,
    level=Level.L2,
    egress=True,
    calls_per_hour=10,
    arguments=(
        Argument(
            name="name",
            type=Text(140, least=2),
            kind=Kind.PAYEE,
            description="The payee's full name or company name, as the customer gave it.",
        ),
        Argument(
            name="identifier",
            type=AccountIdentifier(),
            kind=Kind.PAYEE,
            description="The payee's IBAN without spaces, or sort code and account number as 14 digits, as the customer gave it.",
        ),
    ),
    output=(
        Field(name="payee_check", type=ReferenceKind.PAYEE_CHECK, description="This check, for adding exactly this payee."),
        Field(
            name="outcome",
            type="text",
            description="match, close_match, no_match, or not_possible: the account cannot be checked, which says nothing of it.",
        ),
        Field(
            name="actual_name",
            type="text",
            label=Label.THIRD_PARTY,
            data_class="payees",
            nullable=True,
            description="Of a close match: in whose name the account is. Null otherwise.",
        ),
        Field(name="expires_at", type="time", description="Until when the check holds."),
    ),
    data_classes=frozenset({"basic", "payees"}),
    read=_read,
)
