"""The cases hold each condition of each rule, not only each rule: a rule that is changed a little turns a case red.

What survives is listed, and why nothing is lost by it. The short form decides every mutant without specialising it first.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from cedarpy import pst

from policies import cedar
from policies.bundle import Bundle, RuleFile
from policies.cedar import Policy
from policies.engine import Engine
from policies.reading import BundleRefused, accept, without
from tests.samples import bank
from tests.samples.cases import all_hold
from tests.support.options import OPTIONS

SURVIVORS = {
    "conversation.tainted": 1,  # of `egress` beside a move between own accounts, which no function of the catalogue has: test_engine
    "emergency.door": 1,  # of `emergency`, which every protective function has: held by test_engine
    "levels.confirmation": 1,  # of what else a card's closing is not, which no function of the catalogue tries: held by test_engine
    "mandate.granted": 2,  # of the validity, which mandate.expired holds again
    "ownership.touch": 1,  # of the ownership, which ownership.not_owner holds again
    "protection.closed": 1,  # of `emergency`, which no function on an account has
}

pytestmark = pytest.mark.long
_BUNDLE = bank.bundle()
_RULES = {rule.id: rule for rule in accept(_BUNDLE)[1]}
_OTHER = {"less": "less_eq", "less_eq": "less", "greater": "greater_eq", "greater_eq": "greater"}
_OTHER |= {"and": "or", "or": "and", "eq": "not_eq", "not_eq": "eq"}


def changed(expr: pst.Expr) -> Iterator[pst.Expr]:
    """The expression with one thing in it changed: an operator, an operand left out, a number off by one."""
    match expr:
        case pst.BinaryOp(op, left, right) if op in _OTHER:
            yield replace(expr, op=_OTHER[op])  # type: ignore[arg-type]
            if op in {"and", "or"}:
                yield from (left, right)
        case pst.LongLit(value):
            yield from (pst.LongLit(value + 1), pst.LongLit(value - 1))
        case pst.UnaryOp("not", arg):
            yield arg
    for field in fields(expr):
        inner = getattr(expr, field.name)
        if isinstance(inner, pst.Expr):
            for other in changed(inner):
                members: dict[str, Any] = {field.name: other}
                yield replace(expr, **members)


def mutants(policy: Policy) -> Iterator[Policy]:
    for at, clause in enumerate(policy.clauses):
        before, after = policy.clauses[:at], policy.clauses[at + 1 :]
        yield replace(policy, clauses=(*before, *after))
        yield from (replace(policy, clauses=(*before, replace(clause, expr=expr), *after)) for expr in changed(clause.expr))
    if isinstance(policy.action, pst.ActionIn) and len(policy.action.entities) > 1:
        for left_out in policy.action.entities:
            kept = tuple(entity for entity in policy.action.entities if entity != left_out)
            yield replace(policy, action=pst.ActionIn(kept))


def survives(policy: Policy, rest: Bundle) -> bool:
    """Whether every case holds with this policy beside the others."""
    text = str(cedar.PolicySet([policy]).handle)
    try:
        engine = Engine(replace(rest, rules=(*rest.rules, RuleFile("mutant.cedar", text))))
    except BundleRefused:
        return False
    return all_hold(engine, policy.id)


@pytest.mark.parametrize("policy", sorted(_RULES))
def test_a_rule_that_is_changed_a_little_turns_a_case_red(policy: str) -> None:
    rest = without(_BUNDLE, policy)
    with bank.specialised_when_asked(narrow=OPTIONS.is_long):
        surviving = [mutant for mutant in mutants(_RULES[policy].policy) if survives(mutant, rest)]
    assert len(surviving) == SURVIVORS.get(policy, 0), [str(cedar.PolicySet([mutant]).handle) for mutant in surviving]
