"""What a rule looks at: which actions it can concern, and which members of the context it reads. Static, and never too little."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields

from cedarpy import pst

from policies.cedar import Policy

Path = tuple[str, ...]

_CAN_FAIL = frozenset({"add", "sub", "mul", "neg", "offset", "duration_since", "to_date", "get_tag"})
_CONSTRUCTORS = frozenset({"datetime", "duration", "decimal", "ip"})


def concerns(policy: Policy, action: str, groups: Mapping[str, Iterable[str]]) -> bool:
    """Whether the policy's scope can match this action. A policy whose scope does not is neither satisfied nor in error."""
    members = {action, *groups.get(action, ())}
    match policy.action:
        case pst.ActionEq(entity):
            return entity.id == action
        case pst.ActionIn(entities):
            return any(entity.id in members for entity in entities)
    return True


def context_paths(policy: Policy) -> frozenset[Path] | None:
    """Every path below the context that the conditions read, at most two members deep; None if they read anything else of the
    request than these and whether the resource is a certain one.
    """
    found: set[Path] = set()
    for clause in policy.clauses:
        paths = list(_paths(clause.expr))
        if None in paths:
            return None
        found.update(path for path in paths if path is not None)
    return frozenset(found)


def _paths(expr: pst.Expr) -> Iterator[Path | None]:
    match expr:
        case pst.GetAttr(pst.GetAttr(pst.Var("context"), outer), inner):
            yield (outer, inner)
        case pst.GetAttr(pst.Var("context"), attr):
            yield (attr,)
        case pst.HasAttr(pst.Var("context"), attrs):
            yield attrs[:2]
        case pst.HasAttr(pst.GetAttr(pst.Var("context"), outer), attrs):
            yield (outer, attrs[0])
        case pst.BinaryOp("eq" | "not_eq", pst.Var("resource"), pst.EntityLit()):
            return
        case pst.Var("action"):
            return
        case pst.Var():
            yield None
        case _:
            for part in parts(expr):
                yield from _paths(part)


def context_members(policy: Policy) -> frozenset[str] | None:
    """The members of the context that the conditions read or ask for; None if they take the context as a whole."""
    found: set[str] = set()
    waiting: list[pst.Expr] = [clause.expr for clause in policy.clauses]
    while waiting:
        expr = waiting.pop()
        match expr:
            case pst.GetAttr(pst.Var("context"), member) | pst.HasAttr(pst.Var("context"), (member, *_)):
                found.add(member)
            case pst.Var("context"):
                return None
            case _:
                waiting.extend(parts(expr))
    return frozenset(found)


def parts(expr: pst.Expr) -> Iterator[pst.Expr]:
    """The expressions that an expression is made of directly."""
    for field in fields(expr):
        value = getattr(expr, field.name)
        for part in value if isinstance(value, tuple) else value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(part, pst.Expr):
                yield part


def can_fail(expr: pst.Expr) -> bool:
    """Whether evaluating it could be an error: arithmetic overflows, text may be no time, an entity may be missing."""
    match expr:
        case pst.BinaryOp(op) | pst.UnaryOp(op) if op in _CAN_FAIL or op in _CONSTRUCTORS:
            return True
        case pst.GetAttr() if not _always_there(expr):
            return True
    return any(can_fail(part) for part in parts(expr))


def _always_there(expr: pst.GetAttr) -> bool:
    """`context.a` and `context.a.b`, which the schema vouches for; not `args`, whose members may be entities."""
    match expr:
        case pst.GetAttr(pst.Var("context")):
            return True
        case pst.GetAttr(pst.GetAttr(pst.Var("context"), attr)):
            return attr != "args"
    return False
