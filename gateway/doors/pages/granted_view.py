"""What the bank lets a customer's assistant do, in the customer's words: a granted mandate on their own page. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from adapters.core import Account, Money
from adapters.function import BankingFunction, Effect
from gateway.confirmations.intent import number_of
from gateway.domain.mandate import Limits, Mandate
from gateway.doors.pages.confirm_view import ValueRow, visible
from gateway.doors.pages.own_view import MandateView, when

_STATES = {"to_come": "not yet", "in_force": "yes", "ended": "no, it has ended"}


def granted(mandate: Mandate, functions: Mapping[str, BankingFunction], accounts: Iterable[Account], at: datetime) -> MandateView:
    """A mandate in words; accounts that the core does not tell at the moment are counted."""
    names = {account.id: f"{visible(account.name)}, {number_of(account)}" for account in accounts}
    known = [names[account] for account in mandate.accounts if account in names]
    others = len(mandate.accounts) - len(known)
    if others:
        known.append(f"{others} more" if known else f"{others} of yours")
    rows = [
        ValueRow("In force", _STATES[mandate.state(at)]),
        ValueRow("Look at", _titles(mandate, functions, changing=False)),
        ValueRow("Do, when you say so", _titles(mandate, functions, changing=True)),
        ValueRow("With the accounts", "\n".join(known)),
        *(ValueRow(f"Payments in {currency}", _limits(of, currency)) for currency, of in sorted(mandate.limits.items())),
        ValueRow("From", when(mandate.starts.isoformat())),
        ValueRow("Until", when(mandate.ends.isoformat())),
    ]
    if mandate.restrictions:
        rows.insert(3, ValueRow("Restricted to", "\n".join(visible(name.replace("_", " ")) for name in mandate.restrictions)))
    return MandateView("granted", "What your bank lets your assistant do", tuple(rows))


def _titles(mandate: Mandate, functions: Mapping[str, BankingFunction], *, changing: bool) -> str:
    found = [functions[name] for name in mandate.functions if name in functions]
    titles = [function.title for function in found if (function.effect is not Effect.READ) is changing]
    return "\n".join(sorted(titles)) or "nothing"


def _limits(limits: Limits, currency: str) -> str:
    if limits.day_count == 0 or limits.payment_minor == 0:
        return "none"
    payment, day, week, month = (
        Money(minor, currency).value for minor in (limits.payment_minor, limits.day_minor, limits.week_minor, limits.month_minor)
    )
    times = "one payment" if limits.day_count == 1 else f"{limits.day_count} payments"
    bounds = (f"{payment} each", f"{times} a day", f"{day} in a day", f"{week} in 7 days", f"{month} in 30 days")
    return "\n".join(f"at most {bound}" for bound in bounds)
