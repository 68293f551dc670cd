"""In which form a rule for single customers is taken, and that a restriction without a rule denies."""

import pytest

from policies import cedar, restrictions
from policies.engine import Engine
from policies.model import JSON, PolicyEffect, Reason
from policies.reading import BundleFault, read
from tests.samples import bank

A, B = 'principal.restrictions.contains("a")', 'principal.restrictions.contains("b")'
HAS = "principal has restrictions"

GOOD = [
    ("forbid (principal, action, resource);", set()),
    ("permit (principal, action, resource) when { principal.frozen };", set()),
    (f"forbid (principal, action, resource) when {{ {HAS} && {A} }};", {"a"}),
    (f"forbid (principal, action, resource) when {{ {HAS} && ({A} || {B}) }};", {"a", "b"}),
    (f"forbid (principal, action, resource) when {{ {HAS} && {A} && !principal.frozen }};", {"a"}),
    (f"forbid (principal, action, resource) when {{ {HAS} }} when {{ {B} }} unless {{ principal.frozen }};", {"b"}),
    (f"forbid (principal, action, resource) when {{ {HAS} }};", set()),
]

PERMIT = "may only forbid"
FORM = "joined by && and || alone"

BAD = [
    (f"permit (principal, action, resource) when {{ {HAS} && {A} }};", PERMIT),
    (f"permit (principal, action, resource) unless {{ {HAS} && {A} }};", PERMIT),
    (f"permit (principal, action, resource) when {{ !({HAS}) }};", PERMIT),
    (f"forbid (principal, action, resource) unless {{ {HAS} && {A} }};", FORM),
    (f"forbid (principal, action, resource) when {{ {HAS} && !{A} }};", FORM),
    (f"forbid (principal, action, resource) when {{ !({HAS}) }};", FORM),
    (f"forbid (principal, action, resource) when {{ {HAS} && {A} == false }};", FORM),
    (f"forbid (principal, action, resource) when {{ {HAS} && (if {A} then false else true) }};", FORM),
    (f'forbid (principal, action, resource) when {{ {HAS} && principal.restrictions == ["a"] }};', FORM),
    (f"forbid (principal, action, resource) when {{ {HAS} && principal.restrictions.isEmpty() }};", FORM),
    (f'forbid (principal, action, resource) when {{ {HAS} && ["a"].containsAll(principal.restrictions) }};', FORM),
    (f"forbid (principal, action, resource) when {{ {HAS} && principal.restrictions.contains(context.channel) }};", FORM),
    ("forbid (principal, action, resource) when { {a: principal}.a has restrictions };", FORM),
]


@pytest.mark.parametrize(("text", "names"), GOOD)
def test_what_is_taken_names_its_restrictions(text: str, names: set[str]) -> None:
    (policy,) = cedar.parse(text)
    assert restrictions.fault(policy) is None
    assert restrictions.names(policy) == names


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_one_restriction_more_could_permit_is_refused(text: str, message: str) -> None:
    (policy,) = cedar.parse(text)
    assert message in (restrictions.fault(policy) or "")


def test_the_finding_points_to_the_line() -> None:
    rule = f'@id("x") @reason("restricted") @says("x")\npermit (principal, action, resource)\nwhen {{\n  {HAS} && {A}\n}};\n'
    (finding,) = read(bank.bundle(rule)).findings
    assert (finding.fault, finding.policy) == (BundleFault.RESTRICTION, "x")
    assert finding.place is not None
    assert finding.place.line == 4


def restricted(*names: str) -> dict[str, JSON]:
    return bank.customer(restrictions=names)


def test_a_restriction_that_no_rule_asks_for_denies_everything_but_the_emergency_door() -> None:
    engine = Engine(bank.bundle())
    request = bank.balance(entities=(restricted("reads_only"), bank.account("current")))
    assert engine.decide(request).effect is PolicyEffect.PERMIT
    misspelt = bank.balance(entities=(restricted("reads_only", "reads_onyl"), bank.account("current")))
    decision = engine.decide(misspelt)
    assert (decision.effect, decision.reason) == (PolicyEffect.DENY, Reason.ERROR)
    assert "reads_onyl" not in str(decision.errors)
