"""The pure seam to the policies: Facts and grounding become a Request, its Decision becomes a Decided or a refusal.

A function whose resource is a list of objects is asked once for each, and the hardest answer counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from adapters.core import Identified, Money, ObjectFacts, ReferenceKind
from adapters.function import Arguments, Kind, Level
from adapters.function import Effect as FunctionEffect
from gateway.calls.cedar_schema import ENTITY_TYPES, cedar_arguments
from gateway.calls.gather import identified_in
from gateway.domain.errors import Code, Refusal
from gateway.domain.facts import CustomerFacts, Facts
from gateway.domain.limits import Totals
from gateway.domain.mandate import Mandate
from gateway.domain.policies import BundleName, PoliciesInForce
from gateway.domain.stages import BatchRemainder, Call, Decided, Grounded, Held, Outcome
from gateway.domain.tools import ToolFunction
from policies.model import JSON, Assurance, Decision, PolicyEffect, Reason, Request, Uid

BANK = Uid("Bank", "bank")

_CHALLENGES: Mapping[Assurance, Code] = {
    Assurance.STRONG: Code.STEP_UP_REQUIRED,
    Assurance.CONFIRMED: Code.CONFIRMATION_REQUIRED,
    Assurance.APPROVED: Code.APPROVAL_REQUIRED,
}
_HARDNESS = {PolicyEffect.PERMIT: 0, PolicyEffect.CHALLENGE: 1, PolicyEffect.DENY: 2}


class PolicyRefusal(Refusal):
    """What the policies do not permit as it stands; carries what they were asked and what they said, for the record."""

    def __init__(
        self, code: Code, grounded: Grounded, requests: tuple[Request, ...], decision: Decision, bundle: BundleName
    ) -> None:
        super().__init__(code, decision.reason.value)
        self.grounded = grounded
        self.requests = requests
        self.decision = decision
        self.bundle = bundle


@dataclass(slots=True)
class Decider:
    """Decides each call by the policies that are in force when its turn comes.

    Concurrency: `policies` is exchanged on the event loop, by one assignment, and read once for each decision.
    """

    policies: PoliciesInForce

    def decide(self, grounded: Grounded) -> Decided:
        """Permitted, or PolicyRefusal."""
        policies = self.policies
        requests = tuple(_requests(grounded))
        decisions = [policies.engine.decide(request) for request in requests]
        # One denial among several objects denies all: a call is done whole or not at all.
        decision = max(decisions, key=lambda one: (_HARDNESS[one.effect], one.rung or 0))
        if decision.effect is not PolicyEffect.PERMIT:
            raise PolicyRefusal(_code(decision), grounded, requests, decision, policies.bundle)
        if grounded.outcome is Outcome.ASK and grounded.call.facts.level < Level.L3:
            # whatever the policies permit: a value whose source only the customer can judge is never acted on unasked
            raise PolicyRefusal(Code.CONFIRMATION_REQUIRED, grounded, requests, decision, policies.bundle)
        return Decided(grounded, requests, decision, policies)

    def revealed(self, decided: Decided) -> frozenset[str]:
        """The data classes of the function's allow-list that the policies let out to this customer's assistant: those that decided it."""
        return decided.policies.engine.reveal(decided.requests[0], decided.call.function.data_classes)


def bundle_of(held: Held) -> BundleName:
    """The bundle by which a call that waits for the customer was decided."""
    refusal, reached = held.refused.refusal, held.refused.reached
    if isinstance(refusal, PolicyRefusal):
        return refusal.bundle
    if isinstance(reached, Decided):
        return reached.policies.bundle
    raise TypeError("what waits for the customer was decided, or was refused by policies")


def _code(decision: Decision) -> Code:
    if decision.rung is not None:
        return _CHALLENGES.get(decision.rung, Code.DENIED)
    return Code.LIMIT_EXCEEDED if decision.reason is Reason.LIMIT else Code.DENIED


def _requests(grounded: Grounded) -> Iterator[Request]:
    call = grounded.call
    principal = Uid("Customer", call.customer)
    customer = _customer(call.customer, call.facts.customer)
    objects = [_object(facts) for facts in call.facts.objects.values()]
    owners = sorted({owner for facts in call.facts.objects.values() for owner in facts.owners} - {call.customer})
    others: list[Mapping[str, JSON]] = [_customer(owner, CustomerFacts(None, False)) for owner in owners]
    entities = (customer, *objects, *others)
    for resource in _resources(call):
        uid = BANK if resource is None else _uid(resource.identified)
        yield Request(principal, call.function.name, uid, _context(grounded, resource), entities)


def _resources(call: Call) -> Iterator[ObjectFacts | None]:
    name = call.function.resource
    named = identified_in(call.arguments[name]) if name is not None and name in call.arguments else ()
    for identified in named:
        yield call.facts.objects[identified]
    if not named:
        yield None


def _context(grounded: Grounded, resource: ObjectFacts | None) -> Mapping[str, JSON]:
    call = grounded.call
    function, facts, principal = call.function, call.facts, call.received.principal
    context: dict[str, JSON] = {
        "assurance": {"level": facts.level.value},
        "function": {
            "name": function.name,
            "effect": function.effect.value,
            "level": function.level.value,
            "emergency": function.emergency,
            "egress": function.egress,
        },
        "now": _time(facts.as_of),
        "channel": principal.channel,
        "agent": {"id": principal.acting},
        "conversation": {"tainted": facts.conversation.tainted},
        "grounding": {**grounded.sources, "outcome": grounded.outcome.value},
        "args": {**cedar_arguments(function, _without_credentials(call)), **_facts_of_tool(call)},
    }
    if resource is not None:
        context["object"] = {"kind": ENTITY_TYPES[resource.identified.kind], "status": resource.status}
    money = call.arguments.amount()
    if money is not None:
        context["money"] = {"minor": money.minor, "currency": money.currency}
        context["totals"] = _totals(facts, money, call.received.rest)
        context["standing"] = {"covers": grounded.covered is not None}
    payee = _payee(grounded, resource)
    if payee is not None:
        context["payee"] = payee
    oldest = _oldest_days(call)
    if oldest is not None:
        context["period"] = {"oldest_days": oldest}
    return context


def _facts_of_tool(call: Call) -> dict[str, JSON]:
    """What a tool of ours may use in this call."""
    function, context = call.function, call.received.request.tools
    if not isinstance(function, ToolFunction) or context is None:
        return {}
    return {name: list(told(context)) for name, told in function.facts.items()}


def _without_credentials(call: Call) -> Arguments:
    """What is recorded with the decision holds no credential, not even sealed."""
    secret = {argument.name for argument in call.function.arguments if argument.kind is Kind.CREDENTIAL}
    return (
        Arguments({name: "" if name in secret else value for name, value in call.arguments.items()}) if secret else call.arguments
    )


def _totals(facts: Facts, money: Money, rest: BatchRemainder) -> JSON:
    mandate = facts.customer.mandate
    after = (facts.totals or Totals()).including(money.minor)
    minor, count = rest.minor.get(money.currency, 0), rest.count.get(money.currency, 0)
    after = Totals(after.day_minor + minor, after.week_minor + minor, after.month_minor + minor, after.day_count + count)
    limits: dict[str, JSON] = dict.fromkeys(
        ("payment_limit_minor", "day_limit_minor", "week_limit_minor", "month_limit_minor", "day_count_limit"), 0
    )
    if mandate is not None:
        granted = mandate.limits_in(money.currency)
        limits = {
            "payment_limit_minor": granted.payment_minor,
            "day_limit_minor": granted.day_minor,
            "week_limit_minor": granted.week_minor,
            "month_limit_minor": granted.month_minor,
            "day_count_limit": granted.day_count,
        }
    return {
        "day_minor": after.day_minor,
        "week_minor": after.week_minor,
        "month_minor": after.month_minor,
        "day_count": after.day_count,
        **limits,
    }


def _payee(grounded: Grounded, resource: ObjectFacts | None) -> JSON:
    call = grounded.call
    identified = call.payee
    if identified is None:
        if call.payee_key is None:
            return None
        source = grounded.sources.get("payee")
        return {"own_account": source == "own", "same_currency": source == "own", "known": source == "known"}
    payee = call.facts.objects[identified]
    own = resource is not None and payee.identified.kind is ReferenceKind.ACCOUNT and payee.owners == resource.owners
    described: dict[str, JSON] = {
        "own_account": own,
        "same_currency": resource is not None and payee.currency == resource.currency,
        "known": payee.first_settled_at is not None,
    }
    if payee.first_settled_at is not None:
        hours = (call.facts.as_of - payee.first_settled_at).total_seconds() // 3600
        described["first_settled_hours"] = max(0, int(hours))
    return described


def _oldest_days(call: Call) -> int | None:
    if call.function.effect is not FunctionEffect.READ:
        return None
    today = call.facts.as_of.date()
    days = [(today - value).days for value in call.arguments.values() if isinstance(value, date)]
    return max(0, *days) if days else None


def _customer(customer: str, facts: CustomerFacts) -> Mapping[str, JSON]:
    attributes: dict[str, JSON] = {"frozen": facts.frozen}
    if facts.mandate is not None:
        attributes["mandate"] = _granted(facts.mandate)
        if facts.mandate.restrictions:
            attributes["restrictions"] = list(facts.mandate.restrictions)
    return {"uid": {"type": "Customer", "id": customer}, "attrs": attributes, "parents": []}


@lru_cache(maxsize=10_000)
def _granted(mandate: Mandate) -> JSON:
    return {
        "functions": list(mandate.functions),
        "accounts": [_entity("Account", account) for account in mandate.accounts],
        "starts": _time(mandate.starts),
        "ends": _time(mandate.ends),
        "version": mandate.version,
    }


def _object(facts: ObjectFacts) -> Mapping[str, JSON]:
    attributes: dict[str, JSON] = {
        "owners": [_entity("Customer", owner) for owner in sorted(facts.owners)],
        "status": facts.status,
    }
    if facts.identified.kind is ReferenceKind.ACCOUNT:
        attributes["currency"] = facts.currency
    elif facts.account is not None:
        attributes["account"] = _entity("Account", facts.account)
    uid = _uid(facts.identified)
    return {"uid": {"type": uid.type, "id": uid.id}, "attrs": attributes, "parents": []}


def _uid(identified: Identified) -> Uid:
    return Uid(ENTITY_TYPES[identified.kind], identified.id)


def _entity(kind: str, identifier: str) -> JSON:
    return {"__entity": {"type": kind, "id": identifier}}


def _time(at: datetime) -> JSON:
    # Cedar takes exactly three digits of a second
    return {"__extn": {"fn": "datetime", "arg": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"}}
