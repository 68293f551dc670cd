"""One restriction more never permits more: for every rule that the static check takes, and for the default rules as a whole."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from policies import cedar, restrictions
from policies.cedar import Entities, PolicySet, Schema
from policies.engine import Engine
from policies.model import PolicyEffect, Request
from tests.samples import bank
from tests.samples.rules import policies_of
from tests.support.options import examples

NAMES = ("a", "b", "c")
POLICY = policies_of(
    *(f'(principal has restrictions && principal.restrictions.contains("{name}"))' for name in NAMES),
    "principal has restrictions",
    '(principal has restrictions && principal.restrictions == ["a"])',
    '(principal has restrictions && principal.restrictions.containsAny(["a", "b"]))',
    "context.conversation.tainted",
    "9223372036854775807 + context.function.level > 0",
    "principal.frozen",
    "true",
    "false",
)
_SCHEMA = Schema(bank.bundle().schema)


def taken(text: str) -> bool:
    (policy,) = cedar.parse(text)
    return restrictions.fault(policy) is None


def with_restrictions(names: frozenset[str], *, frozen: bool = False) -> Request:
    return bank.balance(entities=(bank.customer(frozen=frozen, restrictions=sorted(names)), bank.account("current")))


def permits(rules: PolicySet, request: Request) -> bool:
    entities = Entities(json.dumps(list(request.entities)), _SCHEMA)
    question = cedar.question(request.principal, request.action, request.resource, json.dumps(request.context))
    (answer,) = cedar.ask([question], rules, entities, _SCHEMA)
    return answer.allowed is True and not answer.errors


SETS = st.frozensets(st.sampled_from(NAMES))


@settings(max_examples=examples(500), deadline=None)
@given(texts=st.lists(POLICY.filter(taken), min_size=1, max_size=3), fewer=SETS, more=SETS, frozen=st.booleans())
def test_rules_that_are_taken_only_forbid(texts: list[str], fewer: frozenset[str], more: frozenset[str], *, frozen: bool) -> None:
    anyone = '@id("anyone") permit (principal, action, resource);'
    policies = [cedar.renamed(item, f"p{number}") for number, text in enumerate([anyone, *texts]) for item in cedar.parse(text)]
    rules = PolicySet(policies)
    assert permits(rules, with_restrictions(fewer, frozen=frozen)) >= permits(rules, with_restrictions(fewer | more, frozen=frozen))


_ENGINE = Engine(bank.bundle())


@given(fewer=st.frozensets(st.sampled_from(sorted(_ENGINE.restrictions))), more=st.frozensets(st.text(max_size=8), max_size=2))
@settings(max_examples=examples(60), deadline=None)
def test_the_default_rules_only_forbid(fewer: frozenset[str], more: frozenset[str]) -> None:
    some, several = (_ENGINE.decide(with_restrictions(names)) for names in (fewer, fewer | more))
    assert (some.effect is PolicyEffect.PERMIT) >= (several.effect is PolicyEffect.PERMIT)
