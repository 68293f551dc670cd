"""Which rows a group of orders names, so that each table is read with one statement. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.core import (
    AddBeneficiary,
    AmendStandingOrder,
    CallUpstream,
    CancelDirectDebit,
    CancelScheduledPayment,
    CancelStandingOrder,
    CloseCard,
    CreateStandingOrder,
    FreezeCard,
    Identified,
    Order,
    RaiseDispute,
    ReferenceKind,
    RemoveBeneficiary,
    ReportFraud,
    RequestHuman,
    Transfer,
    UnfreezeCard,
)


@dataclass(slots=True)
class Named:
    """Identifiers by the table that they are read from."""

    of: dict[ReferenceKind, set[str]] = field(default_factory=lambda: {kind: set() for kind in ReferenceKind})
    closing: set[str] = field(default_factory=set)
    """Cards that are to be closed: their replacements are read too."""
    saving: set[str] = field(default_factory=set)
    """Accounts that a payee is saved for: their other payees are read too."""
    removing: set[str] = field(default_factory=set)
    """Payees that are to be removed: what is ordered for them is read too."""
    disputed: set[str] = field(default_factory=set)
    """Transactions that are contested: their open disputes are read too."""

    def add(self, *named: Identified | None) -> None:
        """Read what these name; None names nothing."""
        for argument in named:
            if argument is not None:
                self.of[argument.kind].add(argument.id)


def named_by(orders: Iterable[Order]) -> Named:
    """Everything that these orders name."""
    named = Named()
    for order in orders:
        _add(named, order)
    return named


def _add(named: Named, order: Order) -> None:
    match order:
        case Transfer(debit, credit) | CreateStandingOrder(debit, credit):
            named.add(debit, credit)
        case FreezeCard(card) | UnfreezeCard(card):
            named.add(card)
        case CloseCard(card):
            named.add(card)
            named.closing.add(card.id)
        case AddBeneficiary(account, _, _, check):
            named.add(account, check)
            named.saving.add(account.id)
        case RemoveBeneficiary(payee):
            named.add(payee)
            named.removing.add(payee.id)
        case AmendStandingOrder(standing, _, _, credit):
            named.add(standing, credit)
        case CancelStandingOrder(named_) | CancelScheduledPayment(named_) | CancelDirectDebit(named_):
            named.add(named_)
        case RaiseDispute(transaction):
            named.add(transaction)
            named.disputed.add(transaction.id)
        case ReportFraud(about):
            named.add(about)
        case RequestHuman() | CallUpstream():
            pass
