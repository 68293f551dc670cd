"""What a core may be told to do: the objects that an order names, and one frozen type per effect. Pure.

`adapters.core` hands all of them on: whoever speaks the port imports them from there.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from adapters.money import Money


class ReferenceKind(StrEnum):
    """What an identifier names; the value is the prefix of the reference that a model sees instead of it."""

    ACCOUNT = "acc"
    BENEFICIARY = "ben"
    CARD = "card"
    DIRECT_DEBIT = "ddi"
    DOCUMENT = "doc"
    PAYEE_CHECK = "chk"
    PAYMENT = "pay"
    QUOTE = "quo"
    STANDING_ORDER = "ord"
    TRANSACTION = "txn"


@dataclass(frozen=True, slots=True)
class Identified:
    """An identifier of the core, with its kind. Never leaves towards a model: `gateway.calls.references` stands in for it."""

    kind: ReferenceKind
    id: str

    @property
    def key(self) -> str:
        """What an argument that names it comes to, wherever it is compared with what the customer owns, pays or ordered."""
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money from an account to another account or a beneficiary of the same customer.

    `execute_on` None, or the bank's own day today, is at once. A later one that is none for payments moves to the next that is; the answer
    says to which. Declined("DT01") for a day that is over, Declined("DT04") for one that is further away than the core plans.
    """

    debit: Identified
    credit: Identified
    amount: Money
    reference: str
    execute_on: date | None = None


@dataclass(frozen=True, slots=True)
class FreezeCard:
    """Freeze a card at once; one that is frozen already stays so, and that is Done too. Declined for a closed one."""

    card: Identified


@dataclass(frozen=True, slots=True)
class CloseCard:
    """Close a card for good and at once, and send a replacement to the address that the core has on file; `reason` is lost or stolen.

    Done again for a card that is closed already, with the replacement that was ordered then; Declined for one that has expired.
    Nothing opens a closed card.
    """

    card: Identified
    reason: str


@dataclass(frozen=True, slots=True)
class CancelScheduledPayment:
    """Cancel a payment whose day has not come.

    Declined("PTNA") for one that is paid or on its way, since an instant payment is irreversible, and Declined("AG01") for one that was
    cancelled or rejected before.
    """

    payment: Identified


@dataclass(frozen=True, slots=True)
class ReportFraud:
    """`payment` is a payment or a transaction, or None where only the text says what happened."""

    payment: Identified | None
    text: str


@dataclass(frozen=True, slots=True)
class RequestHuman:
    """Ask for a person at the bank, about `topic` (free text of the model or the customer)."""

    topic: str


@dataclass(frozen=True, slots=True)
class UnfreezeCard:
    """Give a frozen card back the status that it had before; one that is not frozen stays as it is, and that is Done too. Declined for
    one that is closed or has expired."""

    card: Identified


@dataclass(frozen=True, slots=True)
class AddBeneficiary:
    """Save a payee for an account, under the customer's own `name`.

    `identifier` is the payee's account (see `adapters.function.AccountIdentifier`). `payee_check` names a check of exactly this name and
    identifier that the same customer asked for: Declined("BE01") for a check of anything else, Declined("DT01") for one that has expired.
    What the check found does not bind the core. Declined("AM05") for a payee that is saved already.
    """

    account: Identified
    name: str
    identifier: str
    payee_check: Identified


@dataclass(frozen=True, slots=True)
class RemoveBeneficiary:
    """Forget a saved payee. Declined("AG01") while something is ordered for it: that is cancelled first, by the customer's word."""

    beneficiary: Identified


class Frequency(StrEnum):
    """How often a standing order pays. Months are counted from the first day, so that the 31st is each month's last day at most."""

    WEEKLY = "weekly"
    FORTNIGHTLY = "fortnightly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


@dataclass(frozen=True, slots=True)
class CreateStandingOrder:
    """Pay a beneficiary again and again, from `first_on` to `last_on`, both inclusive; `last_on` None is open-ended.

    Days are the bank's own. A day that is none for payments moves to the next that is, and the days after it stay where they were. Funds
    and freezes are checked on each day again; what does not pass is rejected, and the order goes on. Declined("DT01") for a first day that
    is over or a last one before it, Declined("TM01") for today after the bank's cut-off.
    """

    debit: Identified
    credit: Identified
    amount: Money
    frequency: Frequency
    first_on: date
    last_on: date | None
    reference: str


@dataclass(frozen=True, slots=True)
class AmendStandingOrder:
    """Change what is given of a standing order that is active, from its next payment on; None leaves it as it is.

    Another frequency counts from the next payment. Declined("AG01") when nothing would change, Declined("DT01") for a last day before the
    next payment.
    """

    standing_order: Identified
    amount: Money | None = None
    frequency: Frequency | None = None
    credit: Identified | None = None
    last_on: date | None = None


@dataclass(frozen=True, slots=True)
class CancelStandingOrder:
    """End a standing order: nothing is paid by it any more. Declined("AG01") for one that is not active."""

    standing_order: Identified


@dataclass(frozen=True, slots=True)
class CancelDirectDebit:
    """Cancel a creditor's mandate: nothing is collected under it any more. Declined("AG01") for one that is cancelled already."""

    direct_debit: Identified


@dataclass(frozen=True, slots=True)
class RaiseDispute:
    """Contest a debit that was booked. `reason_code` says why; `narrative` goes to the other side's bank.

    Declined("AG01") for a credit, Declined("AM05") while a dispute of it is open.
    """

    transaction: Identified
    reason_code: str
    narrative: str


@dataclass(frozen=True, slots=True)
class CallUpstream:
    """Call a declared function at its upstream. `arguments` is RFC 8785 JSON of its canonical arguments, as text.

    A core that serves no declared functions declines it.
    """

    function: str
    arguments: str


Order = (
    Transfer
    | FreezeCard
    | UnfreezeCard
    | CloseCard
    | AddBeneficiary
    | RemoveBeneficiary
    | CreateStandingOrder
    | AmendStandingOrder
    | CancelStandingOrder
    | CancelScheduledPayment
    | CancelDirectDebit
    | RaiseDispute
    | ReportFraud
    | RequestHuman
    | CallUpstream
)
