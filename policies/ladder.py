"""The ladder: what more assurance would make of a deny.

Rules read `context.assurance.level`. A request that is denied as it stands is asked at the top rung; only if that permits, the
rungs between are climbed, and the first that permits is the challenge. Sound only for rules that are monotone in assurance, which
`policies.monotone` demands before a bundle is accepted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from policies.model import Assurance, Decision, PolicyEffect, Reason

TOP = Assurance.APPROVED

_PRECEDENCE: Mapping[Reason, int] = {reason: place for place, reason in enumerate(Reason)}
_ASKED_BY_RUNG: Mapping[Assurance, Reason] = {Assurance.CONFIRMED: Reason.CONFIRMATION, Assurance.APPROVED: Reason.APPROVAL}


@dataclass(frozen=True, slots=True)
class Tally:
    """What the rules say at one rung: `policies` are the permits if permitted, else the forbids. Errors outweigh both."""

    permitted: bool
    policies: tuple[str, ...]
    errors: tuple[str, ...] = ()


Ask = Callable[[Sequence[Assurance]], Sequence[Tally]]


def judge(present: Assurance, ask: Ask, reasons: Mapping[str, Reason]) -> Decision:
    """The decision of a request with this assurance. `ask` answers for several rungs at once, in their order."""
    (now,) = ask((present,))
    if now.errors or now.permitted or present is TOP:
        return final(now, reasons)
    (top,) = ask((TOP,))
    if top.errors or not top.permitted:
        return _deny(top, reasons)
    between = [rung for rung in Assurance if present < rung < TOP]
    for rung, tally in zip(between, ask(between) if between else (), strict=True):
        if tally.errors:
            return error(tally.errors)
        if tally.permitted:
            return _challenge(rung, now, reasons)
    return _challenge(TOP, now, reasons)


def error(errors: tuple[str, ...]) -> Decision:
    """What becomes of anything but an error-free answer."""
    return Decision(PolicyEffect.DENY, Reason.ERROR, errors=errors)


def final(tally: Tally, reasons: Mapping[str, Reason]) -> Decision:
    """The decision where more assurance is not asked for: permit or deny."""
    if tally.permitted and not tally.errors:
        return Decision(PolicyEffect.PERMIT, _foremost(tally, reasons, Reason.NO_RULE), tally.policies)
    return _deny(tally, reasons)


def _deny(tally: Tally, reasons: Mapping[str, Reason]) -> Decision:
    if tally.errors:
        return error(tally.errors)
    return Decision(PolicyEffect.DENY, _foremost(tally, reasons, Reason.NO_RULE), tally.policies)


def _challenge(rung: Assurance, now: Tally, reasons: Mapping[str, Reason]) -> Decision:
    fallback = _ASKED_BY_RUNG.get(rung, Reason.LEVEL)
    return Decision(PolicyEffect.CHALLENGE, _foremost(now, reasons, fallback), now.policies, rung)


def _foremost(tally: Tally, reasons: Mapping[str, Reason], fallback: Reason) -> Reason:
    if len(tally.policies) == 1:
        return reasons[tally.policies[0]]
    return min((reasons[policy] for policy in tally.policies), key=_PRECEDENCE.__getitem__, default=fallback)
