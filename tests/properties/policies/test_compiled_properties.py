"""Compiled rules decide as Cedar does, or say that Cedar has to: of random rules and requests, and of the bundle's own."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from policies import cedar
from policies import schema_checks as shape
from policies.cedar import Entities, PolicySet
from policies.compiled import Compiled, Rules
from policies.compiled_expressions import Unsupported, Unsure
from policies.engine import Engine
from policies.model import Request
from policies.reading import accept
from tests.samples import bank
from tests.samples.expressions import CONDITION, RULE, SOUND, requests
from tests.support.options import long_or

_SCHEMA, _DEFAULT = accept(bank.bundle())
_CONTEXTS = shape.contexts(str(_SCHEMA.handle))
_BY_CEDAR = Engine(bank.bundle(), compiled=False)

Said = tuple[bool | None, tuple[str, ...]]


def by_cedar(policies: list[cedar.Policy], request: Request) -> Said | None:
    """Whether it is allowed and by which policies; None if anything is an error."""
    try:
        entities = Entities(json.dumps(list(request.entities)), _SCHEMA)
        question = cedar.question(request.principal, request.action, request.resource, json.dumps(request.context))
    except ValueError:
        return None
    (answer,) = cedar.ask([question], PolicySet(policies), entities, _SCHEMA)
    return None if answer.errors or answer.allowed is None else (answer.allowed, tuple(sorted(answer.policies)))


def by_python(policies: list[cedar.Policy], request: Request) -> Said | None:
    """The same; None if Cedar has to be asked."""
    try:
        context = _CONTEXTS[request.action]
        if not context.takes(request.context):
            return None
        tally = Compiled(Rules(policies), Rules([]), context, _CONTEXTS["touch"]).tallies(request, [])
        said = tally(request.context["assurance"]["level"])  # type: ignore[index, call-overload, arg-type]
    except (Unsupported, Unsure):
        return None
    return said.permitted, said.policies


@settings(max_examples=long_or(8_000, 1_000, 20_000), deadline=None)
@given(condition=CONDITION, request=st.sampled_from(SOUND))
def test_every_operator_says_what_it_says_in_cedar(condition: str, request: Request) -> None:
    policies = list(cedar.parse(f"permit (principal, action, resource) when {{ {condition} }};"))
    said = by_python(policies, request)
    if said is not None:
        assert said == by_cedar(policies, request)


@settings(max_examples=long_or(5_000, 150, 12_000), deadline=None)
@given(texts=st.lists(RULE, min_size=1, max_size=3), asked=st.lists(requests(), min_size=4, max_size=4))
def test_random_rules_decide_as_cedar_does(texts: list[str], asked: list[Request]) -> None:
    policies = [cedar.renamed(policy, f"p{number}") for number, text in enumerate(texts) for policy in cedar.parse(text)]
    for request in asked:
        said = by_python(policies, request)
        if said is not None:
            assert said == by_cedar(policies, request)


@settings(max_examples=long_or(5_000, 400, 12_000), deadline=None)
@given(request=requests(), level=st.integers(0, 4))
def test_the_bundles_rules_decide_as_cedar_does(request: Request, level: int) -> None:
    if "assurance" in request.context and request.context["assurance"] == {"level": 1}:
        request = replace(request, context={**request.context, "assurance": {"level": level}})
    decision, wanted = bank.engine().decide(request), _BY_CEDAR.decide(request)
    assert decision == wanted
    assert bank.engine().decide(request) == wanted
