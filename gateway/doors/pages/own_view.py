"""What a customer reads on their own pages: records of the trail and standing mandates, in plain words. Pure.

What others wrote (the name of an assistant, an auditor's purpose, a payee's name) is shown as they wrote it, with every character that
deceives the eye spelt out.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from adapters.answers import KnownPayee
from adapters.core import Account, Money
from adapters.function import BankingFunction, Effect
from gateway.confirmations.intent import number_of, readable
from gateway.domain.mandate import StandingMandate
from gateway.domain.proposal import Proposal
from gateway.domain.reasons import RefusalReason
from gateway.domain.strict_json import Json
from gateway.doors.pages import tool_view
from gateway.doors.pages.confirm_view import NO_ACCOUNT, CallView, ValueRow, view, visible
from gateway.doors.pages.own_words import FAULTS, NOT_READ, REASONS, REFUSED
from gateway.oversight.activity import REQUEST_FAULT
from gateway.oversight.tool_records import BEGINS

_SPOKEN: Mapping[tuple[str, str], str] = {
    ("word", "confirmed"): "You confirmed",
    ("word", "approved"): "A second person approved",
    ("word", "declined"): "This was declined",
    ("word", "revoked"): "You revoked a standing mandate",
    ("word", "mandate_granted"): "Your bank said what your assistant may do",
    ("word", "mandate_import"): "Your bank said what your assistant may do",
    ("word", "mandate_ended"): "Your bank ended what your assistant may do",
    ("passkey", "enrolled"): "A passkey of yours was enrolled",
    ("passkey", "revoked"): "A passkey of yours was revoked",
    ("file", "kept"): "A file of yours was kept",
    ("file", "read"): "A file of yours was handed to your app",
    ("file", "deleted"): "A file of yours was deleted",
    ("word", "searched"): "Your documents were searched by your app",
}
_OWN_CLIENT = "confirm-page"
"""Who acts on these pages: the customer alone."""

_ENDS = ("outcome", "unknown", "reconciled")


@dataclass(frozen=True, slots=True)
class ActivityLine:
    """`words`, then how it ended (`mark`, in the colour of `tone`). `link`: the confirmation that still waits; `files`: of a tool."""

    at: str
    when: str
    words: str
    mark: str
    tone: str
    assistant: str
    call_id: str
    link: str
    files: str = ""


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
class Names:
    """Of what a mandate holds by its key or id, as far as it is known at the moment."""

    payees: Mapping[str, KnownPayee] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    assistants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MandateView:
    """A standing mandate in words."""

    id: str
    title: str
    rows: tuple[ValueRow, ...]


@dataclass(frozen=True, slots=True)
class ActivityFacts:
    """What records say only by an id, in names. `waiting`: ids of what still waits; `proposals`: what was asked, by id; `payees`:
    payees and own accounts by their keys; `assistants` and `files`: names by id; `ended`: calls whose end another page tells."""

    functions: Mapping[str, BankingFunction]
    waiting: Set[str]
    proposals: Mapping[str, Proposal] = field(default_factory=dict)
    payees: Mapping[str, str] = field(default_factory=dict)
    assistants: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    ended: Set[str] = frozenset()

    def title(self, function: Json) -> str:
        """What a function is to the customer; of one that is not served any more, its name."""
        if not isinstance(function, str):
            return "Something"
        known = self.functions.get(function)
        words = visible(function).replace("_", " ")
        return words[:1].upper() + words[1:] if known is None else known.title


def entries(items: Iterable[Mapping[str, Json]], facts: ActivityFacts) -> Sequence[ActivityLine]:
    """The records in words, in their order. An order to the core is left out where the same page tells how it ended; that a tool began,
    where any does."""
    listed = list(items)
    ended = {answer["call_id"] for answer in listed if answer["what"] in _ENDS}
    told = {answer["call_id"] for answer in listed if answer["word"] != BEGINS} | facts.ended
    left_out = {("intent", call) for call in ended} | {(BEGINS, call) for call in told}
    return [_entry(answer, facts) for answer in listed if (answer["word"] or answer["what"], answer["call_id"]) not in left_out]


def _entry(item: Mapping[str, Json], facts: ActivityFacts) -> ActivityLine:
    words, mark, tone = _said(item, facts)
    confirmation = str(item["confirmation_id"] or "")
    waits = confirmation in facts.waiting and item["what"] == "deny"
    return ActivityLine(
        at=str(item["at"]),
        when=when(str(item["at"])),
        words=words,
        mark="waits for you" if waits else mark,
        tone="" if waits else tone,
        assistant=_assistant(item, facts),
        call_id=visible(str(item["call_id"] or "")),
        link=confirmation if waits else "",
        files=tool_view.files(item, facts.files),
    )


def _assistant(item: Mapping[str, Json], facts: ActivityFacts) -> str:
    agent = str(item["assistant"] or "")
    if not item["call_id"] or not agent:
        return ""
    return "your own pages" if agent == _OWN_CLIENT else visible(facts.assistants.get(agent, agent))


def _said(item: Mapping[str, Json], facts: ActivityFacts) -> tuple[str, str, str]:
    """Words, mark and tone of a record."""
    what, end = item["what"], item["end"]
    if item["word"] == BEGINS:
        return facts.title(item["function"]), tool_view.BEGUN, ""
    if what in ("confirmation", "admin"):
        return _spoken(item, facts), "", ""
    if item["code"] == REQUEST_FAULT:
        return _fault(str(item["reason"]))
    words = facts.title(item["function"]) + _moved(item, facts)
    if what == "deny":
        return words, *_denied(item)
    if isinstance(item["tool"], Mapping):
        return words, *tool_view.outcome(str(item["function"]), item["tool"])
    if what == "read":
        known = facts.functions.get(str(item["function"]))
        again = known is not None and known.effect is not Effect.READ
        return words, "asked again and told what came of it before" if again else "told to the assistant", ""
    if what == "intent":
        return words, "sent to the bank's core system", ""
    match end:
        case "executed":
            return words, "done" + _ground(item), "done"
        case "rejected_by_core":
            return words, "refused, " + REFUSED.get(str(item["code"] or ""), "the bank's core system rejected it"), "refused"
        case "not_attempted":
            return words, "not possible at that moment, nothing happened", ""
    return words, "it is not known yet whether this happened", "refused"


def _fault(reason: str) -> tuple[str, str, str]:
    """Of a request that was not taken as a whole. A fault may be told finer, after its name."""
    words, mark = next((said for fault, said in FAULTS.items() if reason == fault or reason.startswith(f"{fault}_")), NOT_READ)
    return words, mark, "refused" if mark.startswith("refused") else ""


def _denied(item: Mapping[str, Json]) -> tuple[str, str]:
    code, reason = str(item["code"] or ""), str(item["reason"] or "")
    if item["confirmation_id"]:
        return "you were asked to confirm it", ""
    if code == "temporarily_unavailable":
        return "not possible at that moment, nothing happened", ""
    if reason == RefusalReason.NOT_FOUND_NOW:
        return REASONS[RefusalReason.NOT_FOUND_NOW], ""
    why = "you had not said so" if item["not_said"] is True else REASONS.get(reason) or REFUSED.get(code, "it was not possible")
    return f"refused, {why}", "refused"


def _moved(item: Mapping[str, Json], facts: ActivityFacts) -> str:
    """How much went to whom: as it was sent to the core, or as the customer was asked."""
    amount, payee = item["amount"], item["payee"]
    if isinstance(amount, Mapping):
        whom = "" if payee is None else f" to {facts.payees.get(str(payee)) or _unnamed(str(payee))}"
        return f", {amount['value']} {amount['currency']}{whom}"
    proposal = facts.proposals.get(str(item["confirmation_id"]))
    asked = proposal.content.get("call_ids") if proposal is not None else None
    if proposal is None or not isinstance(asked, list) or item["call_id"] not in asked:
        return ""
    return _of_call(view(proposal.content).calls[asked.index(item["call_id"])])


def _unnamed(key: str) -> str:
    """A payee whom the bank does not name any more: the account number, where the key is one, never an id of the core."""
    return "a payee who is not saved any more" if ":" in key else visible(readable(key))


def _of_call(call: CallView) -> str:
    amount = f", {call.amount.value}" if call.amount else ""
    return amount + (f" to {call.payee.value}" if call.payee else "")


def _spoken(item: Mapping[str, Json], facts: ActivityFacts) -> str:
    named = next((name for name in ("passkey", "file") if item[name]), "word")
    said = _SPOKEN.get((named, str(item["passkey" if named == "passkey" else "word"])))
    if said is None:
        return "Something of yours was changed at the bank"
    if not item["confirmation_id"]:
        return said
    proposal = facts.proposals.get(str(item["confirmation_id"]))
    return said + (" what you were asked" if proposal is None else f": {_of_proposal(proposal)}")


def _ground(item: Mapping[str, Json]) -> str:
    """On which word of the customer it was done, where the record says so."""
    if item["standing_mandate"]:
        return " under your standing mandate"
    return " after your confirmation" if item["confirmation_id"] else ""


def waits(proposals: Iterable[Proposal], customer: str) -> Sequence[WaitingLine]:
    """What waits for this customer, in words. What another person confirmed is for this customer to approve."""
    return [
        WaitingLine(
            proposal.id,
            ("" if proposal.customer == customer else "To approve: ") + _of_proposal(proposal),
            when(proposal.expires.isoformat()),
        )
        for proposal in proposals
    ]


def _of_proposal(proposal: Proposal) -> str:
    """What was asked, with amount and payee."""
    if "mandate" in proposal.content:
        return "A standing mandate for your assistant"
    return "; ".join(call.title + _of_call(call) for call in view(proposal.content).calls)


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
        when=when(str(item["at"])),
        who=visible(str(item["who"] or "Somebody")),
        did="opened a sealed record of you" if item["what"] == "audit.reveal" else "looked",
        purpose=visible(str(item["purpose"] or "(none)")),
        case=visible(str(item["case"] or "(none)")),
    )


def bounds(mandate: StandingMandate, names: Names) -> MandateView:
    """A standing mandate in words."""
    payees = (
        ["everyone whom you have paid before"]
        if mandate.payees is None
        else [_payee(key, names.payees) for key in sorted(mandate.payees)]
    )
    agents = names.assistants
    rows = (
        ValueRow("To", "\n".join(payees)),
        ValueRow("From account", _account(mandate.account, names.accounts)),
        ValueRow("Each payment", f"at most {_amount(mandate.payment_minor, mandate.currency)}"),
        ValueRow(
            "In 24 hours", f"at most {_amount(mandate.day_minor, mandate.currency)}, in at most {_payments(mandate.day_count)}"
        ),
        ValueRow("From", when(mandate.starts.isoformat())),
        ValueRow("Until", when(mandate.ends.isoformat())),
        ValueRow(
            "Assistant",
            "whichever you use" if mandate.agent is None else visible(agents.get(mandate.agent, mandate.agent)),
        ),
    )
    return MandateView(mandate.id, f"Up to {_amount(mandate.payment_minor, mandate.currency)} a payment", rows)


def payee_names(payees: Mapping[str, KnownPayee], accounts: Iterable[Account]) -> Mapping[str, str]:
    """Payees and own accounts in words, by the keys under which they are paid."""
    own = {account.key: f"{visible(account.name)} ({number_of(account)})" for account in accounts}
    return own | {key: _payee(key, payees) for key in payees}


def account_options(accounts: Iterable[Account]) -> Sequence[AccountOption]:
    """Own accounts from which a mandate may pay: those that are open."""
    return [
        AccountOption(account.key, number_of(account), f"{visible(account.name)}, {number_of(account)}", account.currency)
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


def when(moment: str) -> str:
    """A moment of the trail in UTC, to the second's minute."""
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%d %B %Y, %H:%M").lstrip("0")
