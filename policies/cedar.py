"""The one place that speaks to cedarpy. What goes in is text or bytes, what comes out is typed; nothing here decides."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import cedarpy
from cedarpy import pst

from policies.model import Uid

Policy: TypeAlias = pst.Template
Ask: TypeAlias = dict[str, object]


_WRAPPED_PATH = re.compile(r"(?<![A-Za-z0-9_])\(([a-z][A-Za-z0-9_.]*|[0-9]+)\)")


@dataclass(frozen=True, slots=True)
class CedarAnswer:
    """What Cedar says to one request: allowed, the ids of the policies that decided, and errors.

    `allowed` is None when Cedar gave no decision at all. A caller that looks at `allowed` must look at `errors` too: Cedar skips
    a policy that errors and decides by the rest.
    """

    allowed: bool | None
    policies: tuple[str, ...]
    errors: tuple[str, ...]


class CedarRefused(ValueError):
    """Cedar cannot parse what it was given. The text is Cedar's own and may quote the input."""


class Schema:
    """A parsed schema. CedarRefused if it is none."""

    __slots__ = ("handle",)

    def __init__(self, text: str) -> None:
        try:
            self.handle = cedarpy.Schema.from_str(text)
        except ValueError as error:
            raise CedarRefused(str(error)) from error


class PolicySet:
    """A parsed set of policies, each under its @id."""

    __slots__ = ("handle",)

    def __init__(self, policies: Sequence[Policy]) -> None:
        nodes = pst.PolicySet(templates={}, static_policies={policy.id: policy for policy in policies}, template_links=())
        try:
            self.handle = cedarpy.PolicySet.from_pst(nodes)
        except ValueError as error:
            raise CedarRefused(str(error)) from error


class Entities:
    """A parsed and schema-checked slice of entities. CedarRefused if it does not fit."""

    __slots__ = ("handle",)

    def __init__(self, text: str, schema: Schema) -> None:
        try:
            self.handle = cedarpy.Entities.from_json_str(text, schema.handle)
        except ValueError as error:
            raise CedarRefused(str(error)) from error

    def with_added(self, text: str, schema: Schema) -> "Entities":
        """These and others, checked together. CedarRefused if one of them is here already and differs."""
        added = Entities.__new__(Entities)
        try:
            added.handle = self.handle.with_added_json_str(text, schema.handle)
        except ValueError as error:
            raise CedarRefused(str(error)) from error
        return added


def parse(text: str) -> tuple[Policy, ...]:
    """The policies of a rule file, in the order of the text. CedarRefused if it does not parse or holds a template."""
    try:
        nodes = cedarpy.PolicySet.from_str(text).to_pst()
    except ValueError as error:
        raise CedarRefused(str(error)) from error
    if nodes.templates:
        raise CedarRefused("templates have no place in a bundle")
    positions = sorted(nodes.static_policies, key=lambda policy_id: int(policy_id.removeprefix("policy")))
    return tuple(nodes.static_policies[position] for position in positions)


def renamed(policy: Policy, policy_id: str) -> Policy:
    """The same policy under another id."""
    return replace(policy, id=policy_id)


def actions(schema: Schema) -> dict[str, set[str]]:
    """Every action of the schema, with the groups that it is in, also indirectly."""
    parents = {}
    for entity in json.loads(str(Entities("[]", schema).handle)):
        if entity["uid"]["type"] == "Action":
            parents[entity["uid"]["id"]] = {parent["id"] for parent in entity["parents"]}
    return {action: _ancestors(action, parents) for action in parents}


def _ancestors(action: str, parents: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [action]
    while waiting:
        new = parents.get(waiting.pop(), set()) - found
        found |= new
        waiting.extend(new)
    return found


def validate(text: str, schema: Schema) -> tuple[str, ...]:
    """Strict validation: a message for each fault; empty when the policies fit the schema."""
    result = cedarpy.validate_policies(text, schema.handle)
    faults = tuple(error.error for error in result.errors)
    return faults if faults or result.validation_passed else ("validation failed",)


def question(principal: Uid, action: str, resource: Uid, context: str) -> Ask:
    """One request as cedarpy takes it. Structured identifiers: no identifier can break out of a quotation."""
    return {
        "principal": {"type": principal.type, "id": principal.id},
        "action": {"type": "Action", "id": action},
        "resource": {"type": resource.type, "id": resource.id},
        "context": context,
    }


def ask(questions: list[Ask], rules: PolicySet, entities: Entities, schema: Schema) -> list[CedarAnswer]:
    """Each question's answer, in order. Malformed questions are answered with errors, never raised."""
    try:
        results = cedarpy.is_authorized_batch(questions, rules.handle, entities.handle, schema.handle)
    except ValueError as error:
        return [CedarAnswer(None, (), (str(error),))] * len(questions)
    return [_answer(result) for result in results]


def _answer(result: cedarpy.AuthzResult) -> CedarAnswer:
    decision = result.decision
    allowed = None if decision is cedarpy.Decision.NoDecision else decision is cedarpy.Decision.Allow
    return CedarAnswer(allowed, tuple(result.diagnostics.reasons), tuple(map(str, result.diagnostics.errors)))


def conditions(policy: Policy) -> Iterator[pst.Expr]:
    """The conditions that must all hold for the policy to apply, one by one, in the order in which they are evaluated."""
    for clause in policy.clauses:
        yield from _conjuncts(clause.expr, negated=isinstance(clause, pst.Unless))


def _conjuncts(expr: pst.Expr, *, negated: bool) -> Iterator[pst.Expr]:
    match expr:
        case pst.BinaryOp(op, left, right) if op == ("or" if negated else "and"):
            yield from _conjuncts(left, negated=negated)
            yield from _conjuncts(right, negated=negated)
        case pst.UnaryOp("not", arg):
            yield from _conjuncts(arg, negated=not negated)
        case _:
            yield pst.UnaryOp("not", expr) if negated else expr


def conditioned(policy: Policy, wanted: Sequence[pst.Expr]) -> Policy:
    """The policy with these conditions in place of its own."""
    return replace(policy, clauses=tuple(pst.When(expr) for expr in wanted))


def text(expr: pst.Expr) -> str:
    """A condition in Cedar's syntax, on one line."""
    scope = pst.ScopeAny()
    policy = Policy("", "permit", principal=scope, action=scope, resource=scope, clauses=(pst.When(expr),), annotations={})
    shown = " ".join(str(PolicySet([policy]).handle).split())
    _, _, rest = shown.partition(" when { ")
    return _unwrapped(rest.removesuffix(";").strip().removesuffix("}").strip())


def _unwrapped(shown: str) -> str:
    """Cedar wraps every operand; parentheses around a mere path only get in the way of reading."""
    while (plainer := _WRAPPED_PATH.sub(r"\1", shown)) != shown:
        shown = plainer
    return shown
