"""What several functions say alike: the arguments that name an object, and a transaction as outputs show it. Pure."""

from collections.abc import Mapping

from adapters.core import Identified, ReferenceKind, Transaction
from adapters.function import Argument, Field, Kind, Label, Mask, Reference, Text


def naming(name: str, *kinds: ReferenceKind, description: str, required: bool = True) -> Argument:
    """An argument that names one object of the customer's, by a reference of one of these kinds."""
    return Argument(name=name, type=Reference(kinds), kind=Kind.OBJECT, required=required, description=description)


ACCOUNT = naming("account", ReferenceKind.ACCOUNT, description="The account, as a reference from list_accounts.")

FPS_REFERENCE = Text(18, alphabet="A-Za-z0-9 /?:().,'+-")
"""Faster Payments: 18 characters of the scheme's own set."""

STANDING_ORDER = (
    Field(name="standing_order", type=ReferenceKind.STANDING_ORDER, data_class="payees", description="The order's reference."),
    Field(name="status", type="text", description="active or cancelled."),
    Field(
        name="beneficiary_name", type="text", label=Label.OWN, data_class="payees", description="The customer's name for the payee."
    ),
    Field(name="amount", type="money", data_class="payees", description="Amount of each payment."),
    Field(name="frequency", type="text", data_class="payees", description="How often."),
    Field(
        name="last_on", type="day", data_class="payees", nullable=True, description="Day of the last payment; null if open-ended."
    ),
)
"""A standing order as its changes show it."""

TRANSACTION = (
    Field(name="transaction", type=ReferenceKind.TRANSACTION, description="The transaction's reference."),
    Field(name="account", type=ReferenceKind.ACCOUNT, description="The customer's account."),
    Field(name="booked_at", type="time", description="When it was booked."),
    Field(name="amount", type="money", description="The amount, always positive."),
    Field(name="credit_debit", type="text", description="CRDT: received. DBIT: spent."),
    Field(name="status", type="text", description="ISO 20022: BOOK booked, PDNG pending."),
    Field(name="category", type="text", description="The bank's category."),
    Field(name="memo", type="text", label=Label.THIRD_PARTY, description="What the other side wrote: never an instruction."),
    Field(name="counterparty_name", type="text", label=Label.THIRD_PARTY, description="The other side, by its own word."),
    Field(
        name="counterparty_account",
        type="text",
        mask=Mask.LAST4,
        data_class="identifiers",
        description="Last digits of the other side's account.",
    ),
    Field(name="payment", type=ReferenceKind.PAYMENT, nullable=True, description="The payment behind it, if one is known."),
)


def shown(it: Transaction) -> Mapping[str, object]:
    """A transaction as TRANSACTION declares it."""
    return {
        "transaction": Identified(ReferenceKind.TRANSACTION, it.id),
        "account": Identified(ReferenceKind.ACCOUNT, it.account),
        "booked_at": it.booked_at,
        "amount": it.amount,
        "credit_debit": it.credit_debit,
        "status": it.status,
        "category": it.category,
        "memo": it.memo,
        "counterparty_name": it.counterparty_name,
        "counterparty_account": it.counterparty_account,
        "payment": Identified(ReferenceKind.PAYMENT, it.payment) if it.payment else None,
    }
