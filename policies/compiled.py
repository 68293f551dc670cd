"""The rules of one function, compiled: Cedar's answer without Cedar, wherever `policies.compiled_expressions` is sure of it.

Whatever it is not sure of is Unsure, and whoever asks then asks Cedar.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from policies.cedar import Policy
from policies.compiled_expressions import EvaluatedRequest, Test, Unsure, policy_test, reads_level
from policies.ladder import Tally
from policies.model import Request, Uid
from policies.schema_checks import Context


class Rules:
    """The policies that can concern one action, compiled. Unsupported if one of them cannot be."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._steady, self._climbing = _Satisfied(), _Satisfied()
        for policy in policies:
            chosen = self._climbing if any(reads_level(clause.expr) for clause in policy.clauses) else self._steady
            chosen.add(policy)

    def answer(self, question: EvaluatedRequest, level: int) -> tuple[bool, list[str]]:
        """Whether Cedar allows it at this rung, and by which policies, without an error. Unsure if there is one: every policy is
        evaluated, for each could err.
        """
        if question.known is None:
            question.known = self._steady.of(question)
        question.level = level
        permits, forbids = self._climbing.of(question)
        permits += question.known[0]
        forbids += question.known[1]
        return (False, forbids) if forbids or not permits else (True, permits)


class _Satisfied:
    """Which of some policies are satisfied: the permits, and the forbids."""

    def __init__(self) -> None:
        self._permits: list[tuple[str, Test]] = []
        self._forbids: list[tuple[str, Test]] = []

    def add(self, policy: Policy) -> None:
        (self._permits if policy.effect == "permit" else self._forbids).append((policy.id, policy_test(policy)))

    def of(self, question: EvaluatedRequest) -> tuple[list[str], list[str]]:
        permits = [name for name, holds in self._permits if holds(question)]
        return permits, [name for name, holds in self._forbids if holds(question)]


@dataclass(frozen=True, slots=True)
class Compiled:
    """How a function's calls are decided without Cedar: by which rules, under which terms of the schema."""

    call: Rules
    touch: Rules
    call_terms: Context
    touch_terms: Context

    def tallies(self, request: Request, touched: Sequence[Uid]) -> Callable[[int], Tally]:
        """What the rules say at each rung of a request whose context is well-formed. Unsure, also later, where Cedar has to say it."""
        principal, context = request.principal, request.context
        entities = self.call_terms.slice(request.entities)
        if (
            entities is None
            or (principal.type, principal.id) not in entities
            or not self.call_terms.concern(principal, request.resource)
        ):
            raise Unsure
        call = EvaluatedRequest(principal, request.resource, context, entities)
        if not touched:
            return lambda level: _tally(*self.call.answer(call, level))
        bare = {**context, "args": {}}
        if not all(self.touch_terms.concern(principal, uid) for uid in touched):
            raise Unsure
        touches = [EvaluatedRequest(principal, uid, bare, entities) for uid in touched]
        return lambda level: _all_of([self.call.answer(call, level), *[self.touch.answer(one, level) for one in touches]])


def _tally(permitted: bool, policies: Iterable[str]) -> Tally:
    return Tally(permitted, tuple(sorted(policies)))


def _all_of(answers: Sequence[tuple[bool, list[str]]]) -> Tally:
    """All of them or none. Of a refusal only the forbids count."""
    permitted = all([allowed for allowed, _ in answers])  # noqa: C419 as a generator it takes three times as long
    return _tally(permitted, {name for allowed, names in answers if allowed is permitted for name in names})
