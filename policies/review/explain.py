"""One request in plain words: which rules decided, what it would take, and which rules were near."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from policies import cedar
from policies.bundle import Bundle
from policies.cedar import CedarRefused, Entities, Policy, Schema
from policies.engine import Engine, as_json
from policies.model import Assurance, Decision, PolicyEffect, Request
from policies.reading import Rule, accept
from policies.review import values
from policies.review.check import ListedPolicy, listed
from policies.static_analysis import concerns


@dataclass(frozen=True, slots=True)
class Near:
    """A rule that would have spoken, had this one condition held. `values` are those of the paths that the condition compares."""

    policy: str
    effect: str
    says: str
    condition: str
    values: Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`needed` is None unless the request is challenged."""

    bundle: str
    decision: Decision
    summary: str
    decided: tuple[ListedPolicy, ...]
    needed: str | None
    near: tuple[Near, ...]


_NEEDED: Mapping[Assurance, str] = {
    Assurance.SESSION: "The customer signs in.",
    Assurance.STRONG: "The customer opens a strong session: two factors, not long ago.",
    Assurance.CONFIRMED: "The customer confirms exactly this.",
    Assurance.APPROVED: "The customer confirms exactly this, and a second person approves it.",
}


def explain(bundle: Bundle, request: Request) -> Explanation:
    """Why this bundle decides this request as it does. BundleRefused if the bundle is not fit to decide."""
    schema, rules = accept(bundle)
    decision = Engine(bundle, compiled=False).decide(request)
    by_id = {rule.id: rule for rule in rules}
    decided = tuple(listed(by_id[policy]) for policy in decision.policies)
    needed = None if decision.rung is None else _NEEDED[decision.rung]
    near = () if decision.errors else tuple(_near(request, schema, _others(rules, decision)))
    return Explanation(bundle.hash, decision, _summary(decision, decided, needed), decided, needed, near)


def _summary(decision: Decision, decided: tuple[ListedPolicy, ...], needed: str | None) -> str:
    because = " ".join(said.says for said in decided)
    if decision.errors:
        return "Denied, since the rules could not be applied: " + "; ".join(decision.errors)
    if decision.effect is PolicyEffect.PERMIT:
        return f"Permitted. {because}"
    if decision.effect is PolicyEffect.CHALLENGE:
        return f"Not as it stands. {because} It takes: {needed}"
    return f"Denied, whatever the assurance. {because or 'No rule permits it.'}"


def _others(rules: tuple[Rule, ...], decision: Decision) -> list[Rule]:
    """The rules that did not decide, without the permits where one permit more would say nothing."""
    permitted = decision.effect is PolicyEffect.PERMIT
    others = (rule for rule in rules if rule.id not in decision.policies)
    return [rule for rule in others if not (permitted and rule.policy.effect == "permit")]


def _near(request: Request, schema: Schema, rules: list[Rule]) -> Iterator[Near]:
    """Rules that do not hold, but do without one of their conditions; of forbids, only those that a number or a time kept away."""
    groups = cedar.actions(schema)
    scene = _Scene(request, schema)
    for rule in rules:
        if not concerns(rule.policy, request.action, groups):
            continue
        conditions = tuple(cedar.conditions(rule.policy))
        if scene.holds(cedar.conditioned(rule.policy, conditions)):
            continue
        for at, condition in enumerate(conditions):
            if rule.policy.effect == "forbid" and not values.close(condition, request):
                continue
            if scene.holds(cedar.conditioned(rule.policy, (*conditions[:at], *conditions[at + 1 :]))):
                yield Near(rule.id, rule.policy.effect, rule.says, cedar.text(condition), values.of(condition, request))


class _Scene:
    """A request to try single policies on."""

    def __init__(self, request: Request, schema: Schema) -> None:
        self._schema = schema
        self._entities = Entities(as_json(list(request.entities)), schema)
        self._question = cedar.question(request.principal, request.action, request.resource, as_json(dict(request.context)))

    def holds(self, policy: Policy) -> bool:
        """Whether the policy applies to the request without an error."""
        try:
            rules = cedar.PolicySet([policy])
        except CedarRefused:
            return False
        (answer,) = cedar.ask([self._question], rules, self._entities, self._schema)
        return bool(answer.policies) and not answer.errors
