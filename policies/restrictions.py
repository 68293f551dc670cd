"""Restrictions: rules for single customers, which may only forbid.

A customer's signed mandate may name restrictions; a rule that is for them alone asks `principal.restrictions.contains("NAME")`. The static
check here holds that more restrictions never permit more: only a forbid may ask, only in this form, and never under `!`, `unless`, or a
condition of `if`. What a mandate names and no rule of the bundle asks is a request that nobody can judge, and is denied.
"""

from collections.abc import Iterator

from cedarpy import pst

from policies.cedar import Policy
from policies.static_analysis import parts

ATTRIBUTE = "restrictions"

_THEIRS = pst.GetAttr(pst.Var("principal"), ATTRIBUTE)


def names(policy: Policy) -> frozenset[str]:
    """The restrictions that a policy asks for."""
    return frozenset(name for clause in policy.clauses for name in _names(clause.expr))


def fault(policy: Policy) -> str | None:
    """What is wrong with this policy in this regard, in plain words; None if nothing."""
    for clause in policy.clauses:
        if not _mentions(clause.expr):
            continue
        if policy.effect != "forbid":
            return "a permit must not depend on a customer's restrictions: they may only forbid"
        if isinstance(clause, pst.Unless) or not _only_forbids(clause.expr):
            return f'restrictions are asked in `when` as principal.{ATTRIBUTE}.contains("NAME"), joined by && and || alone'
    return None


def _only_forbids(expr: pst.Expr) -> bool:
    """Whether one restriction more can only make it true."""
    match expr:
        case pst.BinaryOp("and" | "or", left, right):
            return _only_forbids(left) and _only_forbids(right)
        case pst.HasAttr(pst.Var("principal"), (attr,)) if attr == ATTRIBUTE:
            return True
        case pst.BinaryOp("contains", left, pst.StringLit()) if left == _THEIRS:
            return True
    return not _mentions(expr)


def _mentions(expr: pst.Expr) -> bool:
    """Whether any part could read them: whatever attribute is called so, of whatever it is."""
    match expr:
        case pst.GetAttr(_, attr) if attr == ATTRIBUTE:
            return True
        case pst.HasAttr(_, attrs) if ATTRIBUTE in attrs:
            return True
    return any(_mentions(part) for part in parts(expr))


def _names(expr: pst.Expr) -> Iterator[str]:
    match expr:
        case pst.BinaryOp("contains", left, pst.StringLit(value)) if left == _THEIRS:
            yield value
    for part in parts(expr):
        yield from _names(part)
