"""More assurance never loses a permit: for every rule that the static check takes, and for the default rules as a whole."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from policies import cedar, monotone
from policies.cedar import Entities, PolicySet, Schema
from policies.model import PolicyEffect, Request
from tests.samples import bank
from tests.samples.rules import policies_of
from tests.support.options import examples

LEVELS = range(5)

POLICY = policies_of(
    "context.assurance.level < 1",
    "context.assurance.level <= 2",
    "context.assurance.level > 2",
    "context.assurance.level >= 3",
    "3 > context.assurance.level",
    "context.assurance.level < context.function.level",
    "context.assurance.level == 2",
    "context.assurance.level + 9223372036854775805 > 0",
    "context.conversation.tainted",
    "9223372036854775807 + context.function.level > 0",
    "9223372036854775807 + context.assurance.level > 0",
    "principal.frozen",
    "true",
    "false",
)


def taken(text: str) -> bool:
    (policy,) = cedar.parse(text)
    return monotone.fault(policy) is None


_SCHEMA = Schema(bank.bundle().schema)


def permits(rules: PolicySet, request: Request) -> list[bool]:
    """At each level, whether the rules permit without an error, by plain Cedar."""
    entities = Entities(json.dumps(list(request.entities)), _SCHEMA)
    questions = [
        cedar.question(
            request.principal, request.action, request.resource, json.dumps({**request.context, "assurance": {"level": level}})
        )
        for level in LEVELS
    ]
    return [answer.allowed is True and not answer.errors for answer in cedar.ask(questions, rules, entities, _SCHEMA)]


@settings(max_examples=examples(500), deadline=None)
@given(texts=st.lists(POLICY.filter(taken), min_size=1, max_size=3), tainted=st.booleans(), frozen=st.booleans())
def test_rules_that_are_taken_never_lose_a_permit(texts: list[str], tainted: bool, frozen: bool) -> None:
    policies = [cedar.renamed(policy, f"p{number}") for number, text in enumerate(texts) for policy in cedar.parse(text)]
    request = bank.balance(conversation={"tainted": tainted}, entities=(bank.customer(frozen=frozen), bank.account("current")))
    found = permits(PolicySet(policies), request)
    assert found == sorted(found)


MONEY = st.sampled_from([None, 0, 1, 50_000, 50_001, 10**15, 10**15 + 1])


@settings(max_examples=examples(150), deadline=None)
@given(
    own=st.booleans(),
    same_currency=st.booleans(),
    minor=MONEY,
    tainted=st.booleans(),
    frozen=st.booleans(),
    granted=st.booleans(),
    counted=st.booleans(),
)
def test_the_default_rules_only_ease_with_assurance(
    *, own: bool, same_currency: bool, minor: int | None, tainted: bool, frozen: bool, granted: bool, counted: bool
) -> None:
    request = bank.transfer(own=own, minor=minor or 1, conversation={"tainted": tainted})
    payee = {"own_account": own, "same_currency": same_currency, "known": False}
    context = {**request.context, "payee": payee}
    if minor is None:
        del context["money"]
    if not counted:
        del context["totals"]
    entities = (bank.customer(frozen=frozen, mandate=None if granted else {}), *request.entities[1:])
    contexts = [{**context, "assurance": {"level": level}} for level in LEVELS]
    decisions = [bank.engine().decide(replace(request, context=one, entities=entities)) for one in contexts]
    permitted = [decision.effect is PolicyEffect.PERMIT for decision in decisions]
    assert permitted == sorted(permitted)
    for level, decision in zip(LEVELS, decisions, strict=True):
        if decision.rung is None:
            assert decision.effect is PolicyEffect.PERMIT or not any(permitted)
        else:
            assert decision.rung > level
            assert permitted.index(True) == decision.rung


def test_the_property_notices_a_rule_that_loses() -> None:
    """The same oracle over a rule that the static check refuses."""
    (policy,) = cedar.parse("permit (principal, action, resource) when { context.assurance.level < 3 };")
    found = permits(PolicySet([cedar.renamed(policy, "p")]), bank.balance())
    assert found != sorted(found)
    assert monotone.fault(policy) is not None
