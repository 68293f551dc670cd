"""What auditors search a record by, from its leaf alone: terms, and what it says about how its call stands. Pure.

The names are those of the query language (`audit.question_language`).
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from audit.leaf import EndState, RecordKind

Term = tuple[str, str]
"""A name and a value, such as `function` and `initiate_transfer`."""

LOOKS = (RecordKind.AUDIT_QUERY, RecordKind.AUDIT_REVEAL, RecordKind.AUDIT_EXPORT)
"""Records of questions to the trail."""

VALUE_MOST = 255
"""Characters of a value that is a term: longer ones are texts, not names."""

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class CallOutcome(StrEnum):
    """How a call stands, by its records so far. A call that was held and later paid is `executed`, and not `held` any more."""

    ANSWERED = "answered"
    """It read, and the answer was given."""
    REPEATED = "repeated"
    """It was asked for again under the same ids: nothing happened, the first answer was told."""
    HELD = "held"
    """It waits for the customer, or was never confirmed."""
    CONFIRMED = "confirmed"
    """The customer confirmed it; nothing was sent yet."""
    DECLINED = "declined"
    """The customer declined it, or who had to approve."""
    REFUSED = "refused"
    BEGUN = "begun"
    """A tool began; it has not ended."""
    SENT = "sent"
    """The core may have been told; no end is on record."""
    EXECUTED = "executed"
    REJECTED = "rejected"
    """The core declined it."""
    NOT_ATTEMPTED = "not_attempted"
    UNKNOWN = "unknown"
    """Nobody knows yet whether it happened."""


_OF_END: Mapping[str, CallOutcome] = {
    EndState.EXECUTED: CallOutcome.EXECUTED,
    EndState.REJECTED_BY_CORE: CallOutcome.REJECTED,
    EndState.NOT_ATTEMPTED: CallOutcome.NOT_ATTEMPTED,
    EndState.OUTCOME_UNKNOWN: CallOutcome.UNKNOWN,
}
_OF_WORD: Mapping[str, CallOutcome] = {
    "confirmed": CallOutcome.CONFIRMED,
    "approved": CallOutcome.CONFIRMED,
    "declined": CallOutcome.DECLINED,
}


def terms_of(leaf: Mapping[str, object]) -> set[Term]:
    """By what a parsed leaf is found, besides its time, customer, call and conversation, which have indexes of their own."""
    function, policy, trace, approver = (part(leaf, name) for name in ("function", "policy", "trace", "approver"))
    facts, actor, grounding = part(leaf, "facts"), part(leaf, "actor"), part(leaf, "grounding")
    is_look = leaf.get("kind") in LOOKS
    agent = actor.get("agent")
    single: list[tuple[str, object]] = [
        ("kind", leaf.get("kind")),
        ("trace", trace.get("id")),
        ("function", function.get("name")),
        ("decision", policy.get("decision")),
        ("bundle", policy.get("bundle")),
        ("end_state", leaf.get("end_state")),
        ("approver", approver.get("id")),
        ("approver", facts.get("by") if facts.get("word") == "approved" else None),
        ("about", about_of(leaf)),
        *(("shown", customer) for customer in _shown(leaf)),
        ("agent", None if is_look else agent),
        ("agent", facts.get("assistant")),
        ("by", agent if is_look else facts.get("by")),
        ("case", facts.get("case")),
        ("word", facts.get("word")),
        ("switch", facts.get("kill_switch")),
        ("confirmation", facts.get("confirmation", grounding.get("confirmation"))),
        *(("reason", value) for value in (policy.get("reason"), facts.get("reason"), facts.get("code")) if _is_code(value)),
    ]
    policies = policy.get("policies")
    single += [("policy", item) for item in policies] if isinstance(policies, Sequence) and not isinstance(policies, str) else []
    return {(name, value) for name, value in single if isinstance(value, str) and 0 < len(value) <= VALUE_MOST}


def about_of(leaf: Mapping[str, object]) -> object:
    """Of a look, whom it was about, as its facts say: `about`, or the customer who was asked for; None for any other record."""
    facts = part(leaf, "facts")
    return facts.get("about", facts.get("by_customer")) if leaf.get("kind") in LOOKS else None


def _shown(leaf: Mapping[str, object]) -> Sequence[object]:
    """Whose records a look showed that named nobody."""
    shown = part(leaf, "facts").get("shown")
    return shown if leaf.get("kind") in LOOKS and isinstance(shown, list) else ()


def outcome_of(leaf: Mapping[str, object]) -> CallOutcome | None:
    """What this record says about how its call stands, or those that its confirmation is about. None: nothing."""
    kind, facts = leaf.get("kind"), part(leaf, "facts")
    if kind == RecordKind.CONFIRMATION:
        return _OF_WORD.get(str(facts.get("word")))
    if "call" not in leaf:
        return None
    if kind == RecordKind.DENY:
        return CallOutcome.HELD if "confirmation" in facts else CallOutcome.REFUSED
    if kind == RecordKind.READ:
        return CallOutcome.REPEATED if "parent" in leaf else CallOutcome.ANSWERED
    if kind == RecordKind.ADMIN and facts.get("word") == "begins":
        return CallOutcome.BEGUN
    if kind == RecordKind.INTENT:
        return CallOutcome.SENT
    return _OF_END.get(str(leaf.get("end_state")))


def part(leaf: Mapping[str, object], name: str) -> Mapping[str, object]:
    """An object of a leaf; an empty one where there is none."""
    value = leaf.get(name)
    return value if isinstance(value, dict) else {}


def _is_code(value: object) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None
