"""What may leave, and when the answer may be remembered."""

from dataclasses import replace

import pytest

from policies import cedar
from policies.disclosure import Disclosure
from policies.engine import Engine
from policies.model import PolicyEffect, Reason
from tests.samples import bank

HEAD = '@id("{}") @reason("disclosed") @says("x") '
ALL = HEAD.format("all") + 'permit (principal, action == Action::"reveal", resource);\n'


def keep_back(condition: str) -> str:
    return HEAD.format("kept") + f'forbid (principal, action == Action::"reveal", resource) when {{ {condition} }};\n'


def remembered(rules: str) -> bool:
    (policy,) = cedar.parse(rules)
    return Disclosure([policy]).key(bank.balance().context) is not None


def test_the_default_rules_tell_what_is_declared() -> None:
    assert bank.engine().reveal(bank.balance(), ("basic", "balances")) == {"basic", "balances"}
    assert bank.engine().reveal(bank.balance(0), ("basic", "balances")) == {"basic"}
    assert bank.engine().reveal(bank.balance(), ()) == frozenset()


def test_the_reason_is_told() -> None:
    decision = bank.engine().disclose(bank.balance(0), "balances")
    assert (decision.effect, decision.reason, decision.policies) == (
        PolicyEffect.DENY,
        Reason.LEVEL,
        ("disclosure.unauthenticated",),
    )


def test_an_unknown_data_class_stays_back() -> None:
    assert bank.engine().reveal(bank.balance(), ("basic", "secrets")) == {"basic"}
    assert bank.engine().disclose(bank.balance(), "secrets").reason is Reason.ERROR


def test_without_a_rule_nothing_leaves() -> None:
    engine = Engine(bank.bundle('@id("a") @reason("mandated") @says("x") permit (principal, action in Action::"call", resource);'))
    assert engine.reveal(bank.balance(), ("basic",)) == frozenset()


def test_a_rule_that_errors_keeps_everything_back() -> None:
    rules = ALL + keep_back("context.conversation has calls && 9223372036854775807 + context.conversation.calls > 0")
    assert Engine(bank.bundle(rules)).reveal(bank.balance(), ("basic", "balances")) == frozenset()


def test_the_default_rules_are_remembered() -> None:
    engine = bank.engine()
    assert engine._disclosure.key(bank.balance().context) is not None
    assert engine._disclosure.key(bank.balance(1).context) != engine._disclosure.key(bank.balance(0).context)


@pytest.mark.parametrize(
    "condition",
    [
        "context.assurance.level < 1",
        'context.channel == "branch" || context.conversation.tainted',
        'resource == DataClass::"balances"',
        "context has money",
        'context.agent.id == "x"',
    ],
)
def test_what_reads_scalars_of_the_context_is_remembered(condition: str) -> None:
    assert remembered(keep_back(condition))


@pytest.mark.parametrize(
    "condition",
    [
        "principal.frozen",
        "principal has mandate",
        'principal == Customer::"anna"',
        'context.now < datetime("2026-07-01")',
        'context.agent == {id: "x"}',
        "context == context",
        'resource in [DataClass::"balances"]',
        "context has assurance",
    ],
)
def test_what_reads_anything_else_is_asked_each_time(condition: str) -> None:
    assert not remembered(keep_back(condition))


@pytest.mark.parametrize(
    "scope",
    [
        'principal == Customer::"anna", action, resource',
        "principal is Customer, action, resource",
        "principal, action, resource is DataClass",
    ],
)
def test_a_scope_that_looks_at_more_is_asked_each_time(scope: str) -> None:
    (policy,) = cedar.parse(f"permit ({scope});")
    assert Disclosure([policy]).key(bank.balance().context) is None


def test_one_customers_answer_is_never_anothers() -> None:
    engine = Engine(bank.bundle(ALL + keep_back("principal.frozen")))
    frozen = bank.balance(entities=(bank.customer(frozen=True), bank.account("current")))
    assert engine.reveal(bank.balance(), ("basic",)) == {"basic"}
    assert engine.reveal(frozen, ("basic",)) == frozenset()
    assert engine.reveal(bank.balance(), ("basic",)) == {"basic"}


def test_one_requests_error_is_not_remembered_for_others() -> None:
    engine = Engine(bank.bundle(ALL))
    assert engine.reveal(bank.balance(entities=(bank.account("current"),)), ("basic",)) == frozenset()
    assert engine.reveal(bank.balance(), ("basic",)) == {"basic"}


def test_true_is_not_one() -> None:
    request = bank.balance()
    one = replace(request, context={**request.context, "conversation": {"tainted": 1}})
    (policy,) = cedar.parse(keep_back("context.conversation.tainted"))
    disclosure = Disclosure([policy])
    assert disclosure.key(one.context) != disclosure.key({**one.context, "conversation": {"tainted": True}})


def test_remembering_is_bounded() -> None:
    (policy,) = cedar.parse(keep_back('context.channel == "x"'))
    disclosure = Disclosure([policy])
    for number in range(5000):
        key = disclosure.key({"channel": str(number)})
        assert key is not None
        disclosure.known(key)["basic"] = True
    assert len(disclosure._known) <= 1024


def test_what_every_rule_reads_is_in_the_key() -> None:
    rules = ALL + keep_back("context.assurance.level < 2") + keep_back('context.channel == "x"').replace("kept", "other")
    engine = Engine(bank.bundle(rules + keep_back("context.conversation.tainted").replace("kept", "third")))
    for level in (1, 2):
        for channel in ("x", "y"):
            for tainted in (True, False):
                request = bank.balance(level, channel=channel, conversation={"tainted": tainted})
                told = level == 2 and channel == "y" and not tainted
                assert engine.reveal(request, ("basic",)) == (frozenset({"basic"}) if told else frozenset())
