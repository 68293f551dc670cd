"""What the lenses leave out changes nothing: folded rules answer alike, and what a shape takes, Cedar takes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policies import cedar
from policies import schema_checks as shape
from policies.cedar import Entities, PolicySet
from policies.engine import Engine
from policies.model import JSON, PolicyEffect, Request
from policies.partial_evaluation import folded
from policies.reading import accept
from tests.samples import bank
from tests.samples.rules import policies_of
from tests.support.options import examples

_SCHEMA, _DEFAULT = accept(bank.bundle())
_EVERYTHING = PolicySet([rule.policy for rule in _DEFAULT])
_CONTEXTS = shape.contexts(str(_SCHEMA.handle))

POLICY = policies_of(
    "context.function.emergency",
    "context.function.egress",
    'context.function.effect == "R"',
    'context.function.effect != "W"',
    "context.function.level < 2",
    "context.function.level >= 2",
    "context.assurance.level < context.function.level",
    'context.function.name == "get_account_balance"',
    "principal.mandate.functions.contains(context.function.name)",
    "principal has mandate",
    "principal.frozen",
    "context has money",
    "context.conversation.tainted",
    "9223372036854775807 + context.function.level > 0",
    "9223372036854775807 + context.assurance.level > 0",
    '[context.function.effect, "W"].contains("W")',
    "{level: context.function.level}.level == 1",
    '(if context.function.emergency then "a" else "b") == "a"',
    "context.function == context.function",
    "context has function",
    "true",
    "false",
)
FACTS = st.fixed_dictionaries(
    {
        "name": st.just("get_account_balance"),
        "effect": st.sampled_from(["R", "W"]),
        "level": st.integers(0, 3),
        "emergency": st.booleans(),
        "egress": st.booleans(),
    }
)


def answered(rules: PolicySet, request: Request) -> tuple[bool | None, list[str], bool]:
    entities = Entities(json.dumps(list(request.entities)), _SCHEMA)
    question = cedar.question(request.principal, request.action, request.resource, json.dumps(request.context))
    (answer,) = cedar.ask([question], rules, entities, _SCHEMA)
    return answer.allowed, sorted(answer.policies), bool(answer.errors)


@settings(max_examples=examples(600), deadline=None)
@given(
    texts=st.lists(POLICY, min_size=1, max_size=3),
    facts=FACTS,
    tainted=st.booleans(),
    granted=st.booleans(),
    level=st.integers(0, 4),
)
def test_folded_rules_answer_alike(texts: list[str], facts: dict[str, JSON], *, tainted: bool, granted: bool, level: int) -> None:
    policies = [cedar.renamed(policy, f"p{number}") for number, text in enumerate(texts) for policy in cedar.parse(text)]
    entities = (bank.customer(mandate=None if granted else {}), bank.account("current"))
    request = bank.balance(level, entities=entities, conversation={"tainted": tainted}, function=facts)
    assert answered(PolicySet(policies), request) == answered(PolicySet(list(folded(policies, facts))), request)


JUNK = st.sampled_from(
    [
        None, True, 0, 1, -1, 2**63 - 1, 2**63, 1.5, "", "x", "\ud800", [], ["x"], {}, {"x": 1},
        {"__entity": {"type": "Account", "id": "current"}},
        {"__entity": {"type": "Card", "id": "current"}},
        {"__entity": {"type": "Bank", "id": 3}},
        {"__entity": "Account"},
        {"__extn": {"fn": "datetime", "arg": "2026-06-01"}},
        {"__extn": {"fn": "datetime", "arg": "2026-06-01T25:00:00Z"}},
        {"__extn": {"fn": "datetime", "arg": "2026-06-01T12:00:00+01:00"}},
        {"__extn": {"fn": "ip", "arg": "127.0.0.1"}},
        {"type": "Account", "id": "current"},
        "2026-06-01",
    ]
)  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn, whole: Mapping[str, JSON]) -> dict[str, JSON]:
    """The context with one value somewhere in it replaced, removed or added."""
    context: dict[str, JSON] = json.loads(json.dumps(whole))
    record: dict[str, Any] = context
    while True:
        name = draw(st.sampled_from([*record, "surprise"]))
        inner = record.get(name)
        if not isinstance(inner, dict) or not inner or draw(st.booleans()):
            break
        record = inner
    if draw(st.booleans()):
        record[name] = draw(JUNK)
    else:
        record.pop(name, None)
    return context


REQUESTS = st.sampled_from(
    [bank.balance(), bank.balance(2, period={"oldest_days": 3}), bank.transfer(3), bank.transfer(2, own=True)]
)


@settings(max_examples=examples(1500), deadline=None)
@given(request=REQUESTS, data=st.data())
def test_a_spoiled_context_is_decided_as_plain_cedar_decides_it(request: Request, data: st.DataObject) -> None:
    context = data.draw(spoiled(request.context))
    one = replace(request, context=context)
    try:
        allowed, _, wrong = answered(_EVERYTHING, one)
    except ValueError:
        allowed, wrong = None, True
    decision = bank.engine().decide(one)
    permitted = allowed is True and not wrong
    if decision.effect is PolicyEffect.PERMIT:
        assert permitted
    elif permitted:
        # Only what the engine checks beyond Cedar: the rung, the function's facts, and the objects that the arguments name
        assert any(context.get(name) != request.context[name] for name in ("assurance", "function", "args"))
    if wrong:
        assert decision.errors


@settings(max_examples=examples(1500), deadline=None)
@given(name=st.sampled_from(["get_account_balance", "initiate_transfer"]), data=st.data())
def test_what_a_shape_takes_cedar_takes(name: str, data: st.DataObject) -> None:
    request = bank.balance() if name == "get_account_balance" else bank.transfer(3)
    context = data.draw(spoiled(request.context))
    check = shape.record(_CONTEXTS[name].members)
    if check(context):
        allowed, _, wrong = answered(_EVERYTHING, replace(request, context=context))
        assert allowed is not None or not wrong


def test_the_shapes_take_what_is_sound() -> None:
    assert shape.record(_CONTEXTS["get_account_balance"].members)(bank.balance().context)
    assert shape.record(_CONTEXTS["initiate_transfer"].members)(bank.transfer().context)
    assert isinstance(bank.engine(), Engine)
