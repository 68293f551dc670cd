"""The rules of one function: what its declaration says is put into them as constants, and what then cannot hold falls away.

Every step keeps the answer, errors included: a part is dropped only where Cedar would not evaluate it, or where it cannot fail.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from cedarpy import pst

from policies.cedar import Policy
from policies.model import JSON
from policies.static_analysis import can_fail

Node = TypeVar("Node")

_FUNCTION = pst.GetAttr(pst.Var("context"), "function")
_TRUE, _FALSE = pst.BoolLit(True), pst.BoolLit(False)
_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "less": operator.lt,
    "less_eq": operator.le,
    "greater": operator.gt,
    "greater_eq": operator.ge,
}


def folded(policies: Iterable[Policy], facts: Mapping[str, JSON]) -> Iterator[Policy]:
    """These policies for requests in which `context.function` is `facts`, without those that cannot hold for it."""
    for policy in policies:
        clauses = _clauses(policy, facts)
        if clauses is not None:
            yield replace(policy, clauses=clauses)


def _clauses(policy: Policy, facts: Mapping[str, JSON]) -> tuple[pst.Clause, ...] | None:
    """What is left of the conditions; None if one is never met and nothing before it could fail."""
    kept: list[pst.Clause] = []
    for clause in policy.clauses:
        expr = _folded(clause.expr, facts)
        met = isinstance(clause, pst.When)
        if expr == pst.BoolLit(met):
            continue
        kept.append(replace(clause, expr=expr))
        if expr == pst.BoolLit(not met):
            return tuple(kept) if any(can_fail(before.expr) for before in kept) else None
    return tuple(kept)


def _folded(node: Node, facts: Mapping[str, JSON]) -> Node:
    if isinstance(node, pst.GetAttr) and node.base == _FUNCTION and node.attr in facts:
        return _literal(facts[node.attr])  # type: ignore[return-value]
    if isinstance(node, tuple):
        return tuple(_folded(member, facts) for member in node)  # type: ignore[return-value]
    if isinstance(node, Mapping):
        return pst.FrozenMap({name: _folded(member, facts) for name, member in node.items()})  # type: ignore[return-value]
    if is_dataclass(node) and not isinstance(node, type):
        return _simpler(replace(node, **{field.name: _folded(getattr(node, field.name), facts) for field in fields(node)}))
    return node


def _literal(value: JSON) -> pst.Lit:
    match value:
        case bool():
            return pst.BoolLit(value)
        case int():
            return pst.LongLit(value)
        case str():
            return pst.StringLit(value)
    raise TypeError("a fact of a function is a scalar")


def _simpler(node: Node) -> Node:
    match node:
        case pst.UnaryOp("not", pst.BoolLit(value)):
            return pst.BoolLit(not value)  # type: ignore[return-value]
        case pst.BinaryOp(op, left, right):
            return _joined(op, left, right) or node  # type: ignore[return-value]
    return node


def _joined(op: str, left: pst.Expr, right: pst.Expr) -> pst.Expr | None:
    match op, left, right:
        case ("and", pst.BoolLit(True), _) | ("or", pst.BoolLit(False), _):
            return right
        case ("and", pst.BoolLit(False), _) | ("or", pst.BoolLit(True), _):
            return left
        case ("and", _, pst.BoolLit(False)) | ("or", _, pst.BoolLit(True)):
            return None if can_fail(left) else right
        case "eq" | "not_eq", pst.StringLit(one), pst.StringLit(other):
            return pst.BoolLit((one == other) == (op == "eq"))
        case _, pst.LongLit(number), pst.LongLit(than) if op in _COMPARISONS:
            return pst.BoolLit(_COMPARISONS[op](number, than))
    return None
