"""The cases of the default rules, read once, and the order in which a changed rule is soonest found out."""

from collections import Counter
from functools import cache

from policies.engine import Engine
from policies.review.cases import Case, parse
from policies.review.trial import case_result, trial
from tests.samples import bank

FILES = {path.name: path.read_text() for path in sorted((bank.POLICIES / "cases").glob("*.yaml"))}


@cache
def cases() -> tuple[Case, ...]:
    return parse(FILES, bank.bundle())


@cache
def _decided_by() -> dict[str, set[str]]:
    """Names of the cases that each policy decides as it stands."""
    decided: dict[str, set[str]] = {}
    for result in trial(bank.bundle(), cases()).results:
        for policy in result.decision.policies:
            decided.setdefault(policy, set()).add(result.name)
    return decided


_FOUND_OUT: dict[str, Counter[str]] = {}
"""Of each policy, how many of its changes each case has found out."""


def all_hold(engine: Engine, changed: str) -> bool:
    """Whether every case holds by this engine, in which a policy is changed or left out. The first to be asked are those that found out
    other changes of it, then those that it decides as it stands.
    """
    own, found = _decided_by().get(changed, set()), _FOUND_OUT.setdefault(changed, Counter())
    for case in sorted(cases(), key=lambda case: (-found[case.name], case.name not in own)):
        if not case_result(engine, case).good:
            found[case.name] += 1
            return False
    return True
