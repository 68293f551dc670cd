"""What became of one payment."""

from collections.abc import Mapping

from adapters.core import CoreBank, Identified, Payment, ReferenceKind
from adapters.function import Arguments, Asker, Effect, Field, Label, Level, ReadFunction
from adapters.questions import Question
from adapters.shapes import naming
from adapters.statuses import PAYMENT_CODES, PaymentStatus


def _asks(asker: Asker, arguments: Arguments) -> Question[Payment | None]:
    return Question.to(CoreBank.payment, arguments.must("payment", Identified).id)


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    found = await _asks(asker, arguments).ask(core)
    if found is None:
        return None
    return {
        "account": Identified(ReferenceKind.ACCOUNT, found.account),
        "status": found.status,
        "iso_status": PAYMENT_CODES[PaymentStatus(found.status)],
        "amount": found.amount,
        "counterparty_name": found.counterparty_name,
        "reference": found.reference,
        "created_at": found.created_at,
        "execute_on": found.execute_on,
        "initiated_through_assistant": found.initiated_through_assistant,
    }


FUNCTION = ReadFunction(
    name="get_payment_status",
    title="See how a payment stands",
    summary="The status of one payment.",
    effect=Effect.READ,
    level=Level.L1,
    resource="payment",
    arguments=(
        naming("payment", ReferenceKind.PAYMENT, description="The payment, as a reference from initiate_transfer or a listing."),
    ),
    output=(
        Field(name="account", type=ReferenceKind.ACCOUNT, description="The account it leaves."),
        Field(
            name="status",
            type="text",
            description="ACSC settled, PDNG pending, SCHD scheduled, RJCT rejected, CANC cancelled.",
        ),
        Field(name="iso_status", type="text", description="The same as a code of ISO 20022 and Open Banking."),
        Field(name="amount", type="money", description="The amount.", data_class="transactions"),
        Field(
            name="counterparty_name", type="text", label=Label.THIRD_PARTY, data_class="transactions", description="Who is paid."
        ),
        Field(name="reference", type="text", label=Label.THIRD_PARTY, data_class="transactions", description="Its free text."),
        Field(name="created_at", type="time", description="When it was made."),
        Field(name="execute_on", type="day", nullable=True, description="The day it is scheduled for; null if at once."),
        Field(name="initiated_through_assistant", type="flag", description="Whether an assistant asked for it."),
    ),
    data_classes=frozenset({"basic", "transactions"}),
    read=_read,
    ahead=_asks,
)
