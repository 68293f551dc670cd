"""Cedar's expressions as Python closures, for what they say surely as Cedar does.

Cedar is the reference: where evaluating would be an error, and where a value has a form or a type that this does not know, it is
Unsure, and Cedar is asked; an expression of another kind is Unsupported. So there is no error to render, and no guess. What is
evaluated is the request's own JSON: an entity is `{"__entity": ...}`, a datetime `{"__extn": ...}`, a set a list, a record any other
dict; that each stands only where the schema has one, `policies.schema_checks` shows before.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from cedarpy import pst

from policies.cedar import Policy
from policies.model import JSON, Uid
from policies.schema_checks import EXACT, Slice, is_exact_time
from policies.static_analysis import parts

Value: TypeAlias = object
Code: TypeAlias = "Callable[[EvaluatedRequest], Value]"
Test: TypeAlias = "Callable[[EvaluatedRequest], bool]"
_LEVEL = pst.GetAttr(pst.GetAttr(pst.Var("context"), "assurance"), "level")
Members: TypeAlias = "Callable[[EvaluatedRequest], Mapping[str, JSON] | None]"


class Unsure(Exception):
    """Cedar has to be asked."""


class Unsupported(Exception):
    """A rule that is not compiled: Cedar decides whatever it can concern."""


class EvaluatedRequest:
    """What is asked about: one principal, resource and context, at a rung. `known` is what holds at every rung."""

    __slots__ = ("context", "entities", "known", "level", "principal", "principal_attributes", "resource", "resource_attributes")

    def __init__(self, principal: Uid, resource: Uid, context: Mapping[str, JSON], entities: Slice) -> None:
        self.principal, self.resource = _entity(principal.type, principal.id), _entity(resource.type, resource.id)
        self.principal_attributes = entities.get((principal.type, principal.id))
        self.resource_attributes = entities.get((resource.type, resource.id))
        self.context, self.entities = context, entities
        self.known: tuple[list[str], list[str]] | None = None
        self.level = 0


def _entity(kind: str, identifier: str) -> dict[str, dict[str, str]]:
    return {"__entity": {"type": kind, "id": identifier}}


def policy_test(policy: Policy) -> Test:
    """Whether the policy is satisfied: its scope, but for the action, and its conditions, in the order of Cedar. Unsupported."""
    tests = [*_scope(policy.principal, "principal"), *_scope(policy.resource, "resource")]
    for clause in policy.clauses:
        test = _test(clause.expr)
        tests.append(_negated(test) if isinstance(clause, pst.Unless) else test)
    return _every(tests)


def reads_level(expr: pst.Expr) -> bool:
    """Whether it depends on the rung."""
    return expr == _LEVEL or any(map(reads_level, parts(expr)))


def _scope(scope: pst.PrincipalOrResourceConstraint, name: pst.VarName) -> Iterable[Test]:
    """Entities have no parents where this decides: in is is. The scope's action is `static_analysis.concerns`' to look at."""
    if isinstance(scope, pst.ScopeIs | pst.ScopeIsIn):
        yield _test(pst.Is(pst.Var(name), scope.entity_type, None))
    if isinstance(scope, pst.ScopeEq | pst.ScopeIn | pst.ScopeIsIn):
        if isinstance(scope.entity, pst.Slot):
            raise Unsupported
        yield _test(pst.BinaryOp("in", pst.Var(name), pst.EntityLit(scope.entity)))


def _every(tests: Sequence[Test]) -> Test:
    """All, in their order, and no further than the first that is not met."""
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        one, other = tests
        return lambda question: one(question) and other(question)

    def every(question: EvaluatedRequest) -> bool:
        for test in tests:  # noqa: SIM110 as a loop it takes half the time
            if not test(question):
                return False
        return True

    return every


def _negated(test: Test) -> Test:
    return lambda question: not test(question)


def _test(expr: pst.Expr) -> Test:
    """Code whose value is a Bool; Unsure where it is none."""
    match expr:
        case pst.BoolLit(value):
            return lambda question: value
        case pst.UnaryOp("not", arg):
            return _negated(_test(arg))
        case pst.BinaryOp("and"):
            return _every(list(map(_test, _operands(expr, "and"))))
        case pst.BinaryOp("or", left, right):
            one, other = _test(left), _test(right)
            return lambda question: one(question) or other(question)
        case pst.BinaryOp("not_eq", left, right):
            return _negated(_test(pst.BinaryOp("eq", left, right)))
        case pst.BinaryOp(op, left, right) if op in _COMPARISONS:
            number = right.value if isinstance(right, pst.LongLit) else None
            return _compared(_COMPARISONS[op], _code(left), _code(right), number)
        case pst.BinaryOp(op, left, right) if op in _RELATIONS:
            return _related(_RELATIONS[op], _code(left), _code(right))
        case pst.UnaryOp("is_empty", arg):
            return _related(lambda members, _: not _set(members), _code(arg), _constant(None))
        case pst.HasAttr(pst.Var("context"), ("assurance", *_)):
            raise Unsupported
        case pst.HasAttr(base, attrs):
            return _having(_members(base), attrs)
        case pst.Is(base, entity_type, None):
            return _related(lambda value, kind: _uid(value)["type"] == kind, _code(base), _constant(str(entity_type)))
        case pst.Is(base, entity_type, ancestor) if ancestor is not None:
            return _every([_test(pst.Is(base, entity_type, None)), _test(pst.BinaryOp("in", base, ancestor))])
    return _checked(_code(expr))


def _operands(expr: pst.Expr, op: str) -> Iterable[pst.Expr]:
    if isinstance(expr, pst.BinaryOp) and expr.op == op:
        yield from _operands(expr.left, op)
        yield from _operands(expr.right, op)
    else:
        yield expr


def _checked(code: Code) -> Test:
    def checked(question: EvaluatedRequest) -> bool:
        value = code(question)
        if value is True or value is False:
            return value
        raise Unsure

    return checked


def _code(expr: pst.Expr) -> Code:
    match expr:
        case pst.Var("principal" | "resource" as name):
            return operator.attrgetter(name)
        case pst.LongLit(value) | pst.StringLit(value):
            return _constant(value)
        case pst.EntityLit(uid):
            return _constant(_entity(str(uid.type), uid.id))
        case pst.UnaryOp("datetime", pst.StringLit(text)) if is_exact_time(text):
            return _constant({"__extn": {"fn": "datetime", "arg": text}})
        case pst.GetAttr() if expr == _LEVEL:
            return operator.attrgetter("level")
        case pst.GetAttr(pst.Var("context"), "assurance"):
            raise Unsupported  # of the assurance only the level has a rung's value
        case pst.GetAttr(base, attr):
            return _got(base, attr)
        case pst.Set(elements):
            codes = list(map(_code, elements))
            return lambda question: [code(question) for code in codes]
        case pst.IfThenElse(cond, then_expr, else_expr):
            test, one, other = _test(cond), _code(then_expr), _code(else_expr)
            return lambda question: one(question) if test(question) else other(question)
        case pst.BinaryOp(op, left, right) if op in _ARITHMETIC:
            return _computed(_ARITHMETIC[op], _code(left), _code(right))
        case pst.UnaryOp("neg", arg):
            return _computed(operator.sub, _code(pst.LongLit(0)), _code(arg))
        case pst.BinaryOp(op) | pst.UnaryOp(op) if op in _BOOLEAN:
            return _test(expr)
        case pst.BoolLit() | pst.HasAttr() | pst.Is():
            return _test(expr)
    raise Unsupported


def _constant(value: Value) -> Code:
    return lambda question: value


def _members(base: pst.Expr) -> Members:
    """The members of a record, the attributes of an entity; None for one that is not there."""
    match base:
        case pst.Var("context" as name):
            return operator.attrgetter(name)
        case pst.Var("principal" | "resource" as name):
            return operator.attrgetter(f"{name}_attributes")
    code = _code(base)
    return lambda question: _members_of(code(question), question.entities)


def _members_of(value: Value, entities: Slice) -> Mapping[str, JSON] | None:
    if type(value) is not dict or "__extn" in value:
        raise Unsure
    uid = value.get("__entity")
    return value if uid is None else entities.get((uid["type"], uid["id"]))


def _got(base: pst.Expr, attr: str) -> Code:
    if attr.startswith("__"):
        raise Unsupported  # words of Cedar's JSON
    if isinstance(base, pst.GetAttr) and isinstance(base.base, pst.Var) and not base.attr.startswith("__"):
        return _got_within(_members(base.base), base.attr, attr)
    members = _members(base)

    def got(question: EvaluatedRequest) -> Value:
        try:
            return members(question)[attr]  # type: ignore[index]
        except (KeyError, TypeError):
            raise Unsure from None

    return got


def _got_within(members: Members, outer: str, attr: str) -> Code:
    """Two steps at once, which most are."""

    def got(question: EvaluatedRequest) -> Value:
        try:
            return members(question)[outer][attr]  # type: ignore[call-overload, index]
        except (KeyError, TypeError):
            pass
        try:  # an entity has no such key of its own
            return _members_of(members(question)[outer], question.entities)[attr]  # type: ignore[index]
        except (KeyError, TypeError):
            raise Unsure from None

    return got


def _having(members: Members, attrs: Sequence[str]) -> Test:
    first, rest = attrs[0], attrs[1:]
    if not rest:
        return lambda question: (found := members(question)) is not None and first in found

    def has(question: EvaluatedRequest) -> bool:
        found = members(question)
        if found is None or first not in found:
            return False
        value: Value = found[first]
        for attr in rest:
            found = _members_of(value, question.entities)
            if found is None or attr not in found:
                return False
            value = found[attr]
        return True

    return has


def _compared(compare: Callable[[Any, Any], bool], left: Code, right: Code, number: int | None) -> Test:
    def compared(question: EvaluatedRequest) -> bool:
        one, other = left(question), right(question)
        if type(one) is int and type(other) is int:
            return compare(one, other)
        return compare(_instant(one), _instant(other))

    def compared_with_number(question: EvaluatedRequest) -> bool:
        one = left(question)
        if type(one) is int:
            return compare(one, number)
        raise Unsure

    return compared if number is None else compared_with_number


def _related(relate: Callable[[Value, Value], bool], left: Code, right: Code) -> Test:
    return lambda question: relate(left(question), right(question))


def _computed(compute: Callable[[int, int], int], left: Code, right: Code) -> Code:
    def computed(question: EvaluatedRequest) -> int:
        one, other = left(question), right(question)
        if type(one) is int and type(other) is int and -(2**63) <= (value := compute(one, other)) < 2**63:
            return value
        raise Unsure

    return computed


def _instant(value: Value) -> str:
    """A datetime as text that is ordered as the times are: in one form alone."""
    inner = value.get("__extn") if type(value) is dict else None
    if inner is None or len(inner["arg"]) != EXACT:
        raise Unsure
    return inner["arg"]  # type: ignore[no-any-return]


def _uid(value: Value) -> Mapping[str, str]:
    if type(value) is dict and "__entity" in value:
        return value["__entity"]  # type: ignore[no-any-return]
    raise Unsure


def _set(value: Value) -> list[Value]:
    if type(value) is list:
        return value
    raise Unsure


_SCALARS = (str, int, bool)


def _equal(one: Value, other: Value) -> bool:
    """As Cedar has it: a Bool is no Long. Unsure of sets and records."""
    if type(one) in _SCALARS and type(other) in _SCALARS:
        return type(one) is type(other) and one == other
    if type(one) is dict and "__entity" in one:
        return _uid(one) == _uid(other)
    return _instant(one) == _instant(other)


def _contains(members: Value, value: Value) -> bool:
    if type(value) is str or (type(value) is dict and "__entity" in value):
        return value in _set(members)  # nothing else is equal to it for Python either
    return any(_equal(member, value) for member in _set(members))


def _within(value: Value, ancestors: Value) -> bool:
    """An entity without parents is in itself alone. Actions have groups."""
    uid = _uid(value)
    if uid["type"] == "Action":
        raise Unsure
    return uid in [*map(_uid, ancestors if type(ancestors) is list else (ancestors,))]


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "less": operator.lt,
    "less_eq": operator.le,
    "greater": operator.gt,
    "greater_eq": operator.ge,
}
_ARITHMETIC: Mapping[str, Callable[[int, int], int]] = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
_RELATIONS: Mapping[str, Callable[[Value, Value], bool]] = {
    "eq": _equal,
    "in": _within,
    "contains": _contains,
    "contains_all": lambda members, wanted: all(_contains(members, value) for value in _set(wanted)),
    "contains_any": lambda members, wanted: any(_contains(members, value) for value in _set(wanted)),
}
_BOOLEAN = frozenset({"not", "and", "or", "not_eq", "is_empty", *_COMPARISONS, *_RELATIONS})
