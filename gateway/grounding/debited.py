"""From which of the customer's own accounts a payment comes that does not say it (`meant.md`, "Accounts"). Pure."""

from collections.abc import Set

from adapters.answers import OWN_ACCOUNTS
from adapters.core import Identified, ReferenceKind
from adapters.function import lists_of, scheme_of
from adapters.identity import canonical
from gateway.domain.facts import Evidence
from gateway.domain.mandate import StandingMandate
from gateway.domain.stages import Call


def debited(call: Call, evidence: Evidence) -> str | None:
    """The own account that a call debits, as of `Acquaintance.own_accounts`; None where it names none."""
    function, arguments = call.function, call.arguments
    resource = arguments.get(function.resource) if function.resource else None
    if isinstance(resource, Identified):
        return resource.key if resource.kind is ReferenceKind.ACCOUNT else None
    for argument in function.arguments:
        value = arguments.get(argument.name)
        if isinstance(value, str) and OWN_ACCOUNTS in lists_of(function.effect, argument):
            key = canonical(scheme_of(argument.type), value)
            if key in evidence.acquaintance.own_accounts:
                return key
    return None


def is_default(call: Call, evidence: Evidence, payees: Set[str], mandate: StandingMandate) -> bool:
    """Whether the account that the call debits is where a payment comes from that says none: the one that the mandate names; else the
    only one that can pay in this currency; else the one from which this payee (`payees`: every key of theirs) was paid last."""
    key, amount = debited(call, evidence), call.arguments.amount()
    if key is None:
        return True
    if mandate.account is not None:
        chosen = next((account for account in evidence.accounts if account.key == mandate.account), None)
        return key == mandate.account or (chosen is not None and key in chosen.written)
    if any(key == account.key for account in evidence.accounts):
        able = {it.key for it in evidence.accounts if it.status == "open" and amount is not None and it.currency == amount.currency}
    else:
        able = set(evidence.acquaintance.own_accounts)  # an upstream's: of each it told one name, and nothing else
    return able == {key} or {payee.paid_from for payee in evidence.acquaintance.payees if payee.key in payees} - {None} == {key}
