"""What a customer reads on their own pages: records of the trail and standing mandates, in plain words. Pure.

What others wrote (the name of an assistant, an auditor's purpose, a payee's name) is shown as they wrote it, with every character that
deceives the eye spelt out.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from adapters.answers import KnownPayee
from adapters.core import Account, Money
from gateway.confirmations.intent import number_of, readable
from gateway.confirmations.standing_mandates import key_of
from gateway.domain.mandate import StandingMandate
from gateway.domain.proposal import Proposal
from gateway.domain.strict_json import Json
from gateway.doors.pages.confirm_view import NO_ACCOUNT, ValueRow, view, visible

WORDS: Mapping[str, tuple[str, str]] = {
    "add_beneficiary": ("Asked to save a payee", "A payee was saved"),
    "amend_standing_order": ("Asked to change a standing order", "A standing order was changed"),
    "cancel_direct_debit": ("Asked to cancel a direct debit", "A direct debit was cancelled"),
    "cancel_scheduled_payment": ("Asked to cancel a scheduled payment", "A scheduled payment was cancelled"),
    "cancel_standing_order": ("Asked to cancel a standing order", "A standing order was cancelled"),
    "confirm_funds": ("Asked whether an account could pay an amount", "Asked whether an account could pay an amount"),
    "create_standing_order": ("Asked to set up a standing order", "A standing order was set up"),
    "freeze_card": ("Asked to freeze a card", "A card was frozen"),
    "get_account_balance": ("Asked for a balance", "Looked at a balance"),
    "get_account_identifiers": ("Asked for an account number", "Looked at an account number"),
    "get_fx_quote": ("Asked for an exchange rate", "Looked at an exchange rate"),
    "get_limits": ("Asked for your limits", "Looked at your limits"),
    "get_payment_status": ("Asked how a payment stands", "Looked at how a payment stands"),
    "get_product_terms": ("Asked for terms of the bank", "Looked at terms of the bank"),
    "get_spending_summary": ("Asked for a summary of your spending", "Looked at a summary of your spending"),
    "get_statement": ("Asked for a statement", "Looked at a statement"),
    "get_transaction": ("Asked for a transaction", "Looked at a transaction"),
    "initiate_transfer": ("Asked to pay", "Paid"),
    "list_accounts": ("Asked for your accounts", "Looked at your accounts"),
    "list_beneficiaries": ("Asked for your payees", "Looked at your payees"),
    "list_cards": ("Asked for your cards", "Looked at your cards"),
    "list_direct_debits": ("Asked for your direct debits", "Looked at your direct debits"),
    "list_scheduled_payments": ("Asked for your scheduled payments", "Looked at your scheduled payments"),
    "list_standing_orders": ("Asked for your standing orders", "Looked at your standing orders"),
    "list_transactions": ("Asked for your transactions", "Looked at your transactions"),
    "raise_dispute": ("Asked to dispute a payment", "A payment was disputed"),
    "remove_beneficiary": ("Asked to remove a payee", "A payee was removed"),
    "report_card_lost_or_stolen": ("Asked to report a card lost or stolen", "A card was reported lost or stolen"),
    "report_suspected_fraud": ("Asked to report fraud", "Fraud was reported to the bank"),
    "request_human": ("Asked for a person at the bank", "A person at the bank was asked to take over"),
    "unfreeze_card": ("Asked to unfreeze a card", "A card was unfrozen"),
    "verify_payee": ("Asked to check a payee's name", "A payee's name was checked"),
}
"""Of each function: what was asked, and what was done. A function that is not here is told by its name."""

REFUSED: Mapping[str, str] = {
    "denied": "this is not allowed",
    "invalid_argument": "it was not asked for properly",
    "step_up_required": "you had to sign in again first",
    "approval_required": "a second person had to approve it",
    "confirmation_required": "you had to confirm it first",
    "limit_exceeded": "over a limit",
    "insufficient_funds": "the account did not hold enough",
    "payee_mismatch": "the payee's name and account do not belong together",
    "business_rejected": "the bank's core system rejected it",
    "duplicate_suspected": "the same was paid a short while before",
    "rate_limited": "too many calls at once",
    "request_fault": "it could not be read",
}
"""Why something was refused, by its code."""

_SPOKEN: Mapping[tuple[str, str], str] = {
    ("word", "confirmed"): "You confirmed what you were asked",
    ("word", "approved"): "A second person approved what you confirmed",
    ("word", "declined"): "What you were asked was declined",
    ("word", "revoked"): "You revoked a standing mandate",
    ("passkey", "enrolled"): "A passkey of yours was enrolled",
    ("passkey", "revoked"): "A passkey of yours was revoked",
}
_ENDS = ("outcome", "unknown", "reconciled")


@dataclass(frozen=True, slots=True)
class ActivityLine:
    """One line: `words`, then how it ended (`mark`, in the colour of `tone`). `link`: the confirmation that still waits."""

    at: str
    when: str
    words: str
    mark: str
    tone: str
    assistant: str
    call_id: str
    link: str


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """What waits for the customer's word."""

    id: str
    words: str
    until: str


@dataclass(frozen=True, slots=True)
class AccessLine:
    """Somebody asked the trail about this customer."""

    at: str
    when: str
    who: str
    did: str
    purpose: str
    case: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class AccountOption:
    """An own account that a mandate may name: by its key, by its number in the form, and in words."""

    key: str
    number: str
    words: str
    currency: str


@dataclass(frozen=True, slots=True)
class MandateView:
    """A standing mandate in words."""

    id: str
    title: str
    rows: tuple[ValueRow, ...]


def entries(items: Iterable[Mapping[str, Json]], waiting: Set[str], effects: Set[str]) -> Sequence[ActivityLine]:
    """The records in words, in their order. An order to the core is left out where the same page tells how it ended.

    `waiting`: ids of what still waits. `effects`: functions that change something.
    """
    listed = list(items)
    ended = {answer["call_id"] for answer in listed if answer["what"] in _ENDS}
    return [
        _entry(answer, waiting, effects) for answer in listed if not (answer["what"] == "intent" and answer["call_id"] in ended)
    ]


def _entry(item: Mapping[str, Json], waiting: Set[str], effects: Set[str]) -> ActivityLine:
    words, mark, tone = _said(item, effects)
    confirmation = str(item["confirmation_id"] or "")
    waits = confirmation in waiting and item["what"] == "deny"
    return ActivityLine(
        at=str(item["at"]),
        when=_when(str(item["at"])),
        words=words,
        mark="waits for you" if waits else mark,
        tone="" if waits else tone,
        assistant=visible(str(item["assistant"])) if item["call_id"] and item["assistant"] else "",
        call_id=visible(str(item["call_id"] or "")),
        link=confirmation if waits else "",
    )


def _said(item: Mapping[str, Json], effects: Set[str]) -> tuple[str, str, str]:
    """Words, mark and tone of a record."""
    what, end, code = item["what"], item["end"], str(item["code"] or "")
    requested, done = _words(item["function"])
    if what in ("confirmation", "admin"):
        return _spoken(item), "", ""
    if what == "deny":
        if item["confirmation_id"]:
            return requested, "you were asked to confirm it", ""
        if code == "temporarily_unavailable":
            return requested, "not possible at that moment, nothing happened", ""
        return (
            requested,
            "refused, " + ("you had not said so" if item["not_said"] is True else REFUSED.get(code, visible(code))),
            "refused",
        )
    if what == "read":
        again = item["function"] in effects
        return (requested, "asked again and told what came of it before", "") if again else (done, "", "")
    if what == "intent":
        return requested, "sent to the bank's core system", ""
    match end:
        case "executed":
            return done + _ground(item), "done", "done"
        case "rejected_by_core":
            return requested, "refused, " + REFUSED.get(code, "the bank's core system rejected it"), "refused"
        case "not_attempted":
            return requested, "not possible at that moment, nothing happened", ""
    return requested, "it is not known yet whether this happened", "refused"


def _spoken(item: Mapping[str, Json]) -> str:
    named = "passkey" if item["passkey"] else "word"
    return _SPOKEN.get((named, str(item[named])), "Something of yours was changed at the bank")


def _ground(item: Mapping[str, Json]) -> str:
    """On which word of the customer it was done, where the record says so."""
    if item["standing_mandate"]:
        return " under your standing mandate"
    return " after your confirmation" if item["confirmation_id"] else ""


def _words(function: Json) -> tuple[str, str]:
    if not isinstance(function, str):
        return "Asked for something", "Something was done"
    name = visible(function).replace("_", " ")
    return WORDS.get(function) or (f"Asked for: {name}", f"Done: {name}")


def waits(proposals: Iterable[Proposal], customer: str) -> Sequence[WaitingLine]:
    """What waits for this customer, in words."""
    return [
        WaitingLine(proposal.id, _of_proposal(proposal, customer), _when(proposal.expires.isoformat())) for proposal in proposals
    ]


def _of_proposal(proposal: Proposal, customer: str) -> str:
    """What was asked, with amount and payee. What another person confirmed is for this customer to approve."""
    content = proposal.content
    named = content.get("calls")
    functions = [argument.get("function") for argument in named if isinstance(argument, dict)] if isinstance(named, list) else []
    parts = []
    for function, call in zip(functions, view(content).calls, strict=False):
        of = " ".join(([call.amount.value] if call.amount else []) + ([f"to {call.payee.value}"] if call.payee else []))
        parts.append(_words(function)[0] + (f": {of}" if of else ""))
    words = "; ".join(parts) or "A standing mandate for your assistant"
    return words if proposal.customer == customer else f"To approve: {words}"


def looks(items: Iterable[Mapping[str, Json]]) -> Sequence[AccessLine]:
    """Who looked, in their own words. The same look again and again is one line, with how often, and the time of the first in the list."""
    lines: list[AccessLine] = []
    for item in items:
        look = _look(item)
        if lines and replace(lines[-1], at=look.at, when=look.when, times=1) == look:
            lines[-1] = replace(lines[-1], times=lines[-1].times + 1)
        else:
            lines.append(look)
    return lines


def _look(item: Mapping[str, Json]) -> AccessLine:
    return AccessLine(
        at=str(item["at"]),
        when=_when(str(item["at"])),
        who=visible(str(item["who"] or "Somebody")),
        did="opened a sealed record of you" if item["what"] == "audit.reveal" else "looked",
        purpose=visible(str(item["purpose"] or "(none)")),
        case=visible(str(item["case"] or "(none)")),
    )


def bounds(mandate: StandingMandate, names: Mapping[str, KnownPayee], accounts: Mapping[str, str]) -> MandateView:
    """A standing mandate in words; `names` and `accounts`: payees and own accounts by their keys, as far as they are known now."""
    payees = (
        ["everyone whom you have paid before"] if mandate.payees is None else [_payee(key, names) for key in sorted(mandate.payees)]
    )
    rows = (
        ValueRow("To", "\n".join(payees)),
        ValueRow("From account", _account(mandate.account, accounts)),
        ValueRow("Each payment", f"at most {_amount(mandate.payment_minor, mandate.currency)}"),
        ValueRow(
            "In 24 hours", f"at most {_amount(mandate.day_minor, mandate.currency)}, in at most {_payments(mandate.day_count)}"
        ),
        ValueRow("From", _when(mandate.starts.isoformat())),
        ValueRow("Until", _when(mandate.ends.isoformat())),
        ValueRow("Assistant", "whichever you use" if mandate.agent is None else visible(mandate.agent)),
    )
    return MandateView(mandate.id, f"Up to {_amount(mandate.payment_minor, mandate.currency)} a payment", rows)


def account_options(accounts: Iterable[Account]) -> Sequence[AccountOption]:
    """Own accounts from which a mandate may pay: those that are open."""
    return [
        AccountOption(key_of(account), number_of(account), f"{visible(account.name)}, {number_of(account)}", account.currency)
        for account in accounts
        if account.status == "open"
    ]


def _account(key: str | None, accounts: Mapping[str, str]) -> str:
    if key is None:
        return NO_ACCOUNT
    return accounts.get(key, "an account of yours that is not open, or not known at the moment")


def _payee(key: str, names: Mapping[str, KnownPayee]) -> str:
    known = names.get(key)
    return visible(key) if known is None else visible(f"{known.name} {readable(known.identifier)}".strip() or key)


def _payments(count: int) -> str:
    return "one payment" if count == 1 else f"{count} payments"


def _amount(minor: int, currency: str) -> str:
    money = Money(minor, currency)
    return f"{money.value} {money.currency}"


def _when(moment: str) -> str:
    """A moment of the trail in UTC, to the second's minute."""
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%d %B %Y, %H:%M").lstrip("0")
