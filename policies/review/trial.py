"""Whether a bundle keeps its cases, and whether the cases know the bundle."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from policies.bundle import Bundle
from policies.engine import Engine
from policies.model import Decision
from policies.review.agreement import disagreement
from policies.review.cases import Case, Expected
from policies.source import SourceLine


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case and what came of it. `complaints` are empty when the case holds."""

    name: str
    place: SourceLine
    complaints: tuple[str, ...]
    decision: Decision

    @property
    def good(self) -> bool:
        return not self.complaints


@dataclass(frozen=True, slots=True)
class TrialReport:
    """`undecided`: policies that decided no case. `untried`: functions that no case calls."""

    bundle: str
    results: tuple[CaseResult, ...]
    undecided: tuple[str, ...]
    untried: tuple[str, ...]

    @property
    def good(self) -> bool:
        return all(result.good for result in self.results) and not self.undecided and not self.untried


def trial(bundle: Bundle, cases: Sequence[Case]) -> TrialReport:
    """Every case decided by this bundle, by Cedar and by the compiled rules, which must agree. BundleRefused if it cannot decide."""
    engine, compiled = Engine(bundle, compiled=False), Engine(bundle)
    results = tuple(
        _agreed(case_result(engine, case), disagreement(compiled, engine, case.request, n)) for n, case in enumerate(cases)
    )
    decided = {policy for result in results for policy in result.decision.policies}
    called = {case.request.action for case in cases}
    return TrialReport(
        bundle.hash,
        results,
        tuple(policy for policy in engine.policies if policy not in decided),
        tuple(sorted({function.name for function in bundle.functions} - called)),
    )


def case_result(engine: Engine, case: Case) -> CaseResult:
    """One case decided by this engine."""
    decision = engine.decide(case.request) if case.data_class is None else engine.disclose(case.request, case.data_class)
    return CaseResult(case.name, case.place, tuple(_complaints(decision, case.expected)), decision)


def _agreed(result: CaseResult, disagreement: str | None) -> CaseResult:
    return result if disagreement is None else replace(result, complaints=(*result.complaints, disagreement))


def _complaints(decision: Decision, expected: Expected) -> list[str]:
    found = []
    pairs = (("effect", decision.effect, expected.effect), ("rung", decision.rung, expected.rung))
    for name, is_, wanted in (*pairs, ("reason", decision.reason, expected.reason)):
        if is_ != wanted:
            found.append(f"{name} is {is_}, not {wanted}")
    if expected.policies is not None and decision.policies != expected.policies:
        found.append(f"decided by {_listed(decision.policies)}, not by {_listed(expected.policies)}")
    found.extend(f"error: {error}" for error in decision.errors if decision.reason != expected.reason)
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
