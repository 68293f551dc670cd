"""Who gains what: two bundles asked the same questions, from cases or from recorded traffic."""

from collections.abc import Mapping
from dataclasses import dataclass

from policies.bundle import Bundle
from policies.engine import Engine
from policies.model import Assurance, Decision, PolicyEffect, Request
from policies.reading import accept


@dataclass(frozen=True, slots=True)
class Change:
    """One question that the bundles decide differently. `gains`: what was refused or asked for is now easier to have."""

    name: str
    before: Decision
    after: Decision
    gains: bool


@dataclass(frozen=True, slots=True)
class DifferenceReport:
    """`good` means that nobody gains. `policies` that were added, removed or changed in what they say to Cedar, by their @id."""

    before: str
    after: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def good(self) -> bool:
        return not any(change.gains for change in self.changes)


def difference(before: Bundle, after: Bundle, asked: Mapping[str, Request]) -> DifferenceReport:
    """What would change if `after` took the place of `before`. BundleRefused if one of them is not fit to decide."""
    old, new = ({rule.id: rule.policy for rule in accept(bundle)[1]} for bundle in (before, after))
    engines = Engine(before, compiled=False), Engine(after, compiled=False)
    changes = []
    for name, request in asked.items():
        was, becomes = (engine.decide(request) for engine in engines)
        if was != becomes:
            changes.append(Change(name, was, becomes, _distance(becomes) < _distance(was)))
    return DifferenceReport(
        before.hash,
        after.hash,
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
        tuple(changes),
    )


def _distance(decision: Decision) -> int:
    """How far a decision is from a permit: the rung that it takes, beyond every rung for a deny."""
    if decision.effect is PolicyEffect.PERMIT:
        return 0
    return len(Assurance) if decision.rung is None else decision.rung
