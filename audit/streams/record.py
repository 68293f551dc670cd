"""What of a leaf leaves for a security operations centre: the fields that are named here, and no others. Pure.

Arguments, results, commitments, masked forms and what is sealed never leave, nor does free text that people typed (purposes, cases, reasons
of kill switches). Pseudonyms of customers and conversations leave as a hash of this stream's own, unless it is set otherwise.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

from audit.leaf import EndState, RecordKind
from audit.terms import LOOKS, CallOutcome, outcome_of, part


class PseudonymForm(StrEnum):
    """How the random pseudonym of a customer, and the id of a conversation, leave."""

    HASHED = "hashed"
    """SHA-256 over log, stream and pseudonym: one customer's records can be counted, and two receivers cannot join theirs."""
    NONE = "none"
    PLAIN = "plain"


class StreamSeverity(IntEnum):
    """As OCSF numbers it."""

    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4


class StreamStatus(StrEnum):
    """As ECS names outcomes."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class StreamView(NamedTuple):
    """Of which log and stream, and how pseudonyms leave."""

    log: str
    stream: str
    pseudonyms: PseudonymForm = PseudonymForm.HASHED


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A record of the trail as it may leave. `shown`: allowed fields in the leaf's own spelling; `leaf_hash`: RFC 6962, 32 bytes; `time`:
    RFC 3339 with six digits, UTC."""

    log: str
    index: int
    leaf_hash: bytes
    kind: str
    time: str
    status: StreamStatus
    severity: StreamSeverity
    shown: Mapping[str, object]

    @property
    def is_look(self) -> bool:
        return self.kind in LOOKS

    def text(self, section: str, name: str = "") -> str:
        """A text of it; empty where there is none."""
        found = part(self.shown, section).get(name) if name else self.shown.get(section)
        return found if isinstance(found, str) else ""


def allowed(index: int, leaf_hash: bytes, leaf: Mapping[str, object], view: StreamView) -> StreamRecord:
    """The record as it may leave. `leaf`: parsed, of the closed schema."""
    shown: dict[str, object] = {}
    for name, kept in _ALLOWED.items():
        value = leaf.get(name)
        if kept is None:
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                shown[name] = value
        elif isinstance(value, dict) and (inner := {key: value[key] for key in kept if key in value}):
            shown[name] = inner
    if facts := _facts(leaf):
        shown["facts"] = facts
    if view.pseudonyms is not PseudonymForm.NONE:
        for name in ("customer", "conversation"):
            if isinstance(value := leaf.get(name), str):
                shown[name] = value if view.pseudonyms is PseudonymForm.PLAIN else _hashed(view, value)
    outcome = outcome_of(leaf)
    kind, time = str(leaf.get("kind")), str(leaf.get("time"))
    if outcome is not None:
        shown["outcome"] = outcome.value
    return StreamRecord(view.log, index, leaf_hash, kind, time, _status(kind, outcome), _severity(leaf, outcome), shown)


_ALLOWED: Mapping[str, tuple[str, ...] | None] = {
    "call": None,
    "parent": None,
    "end_state": None,
    "retention": None,
    "trace": ("id", "span"),
    "actor": ("agent", "model"),
    "approver": ("id",),
    "function": ("name", "version"),
    "policy": ("bundle", "version", "decision", "policies", "reason", "obligations"),
    "sca": ("level", "method", "confirmation", "exemption"),
    "intent": ("index",),
}

_FACTS = (
    *("word", "code", "confirmation", "level", "method", "standing_mandate", "mandate_sha256", "kill_switch", "scope", "by", "via"),
    *("duty", "approval", "record", "index", "version", "assistant", "vector_store", "file", "found", "count", "stream"),
)
"""Names of facts that leave: ids and codes. `purpose`, `case`, `about`, `shown`, `subject` and the like do not."""

_CODE = re.compile(r"[A-Za-z0-9_.:@/+=-]{1,128}")


def _facts(leaf: Mapping[str, object]) -> Mapping[str, object]:
    facts, kind = part(leaf, "facts"), leaf.get("kind")
    if kind == RecordKind.CENSUS:
        return {name: value for name, value in facts.items() if type(value) is int}
    names = (*_FACTS, "reason") if "call" in leaf else _FACTS  # elsewhere a reason is what somebody typed
    return {name: facts[name] for name in names if type(facts.get(name)) is int or _is_code(facts.get(name))}


def _is_code(value: object) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def _hashed(view: StreamView, pseudonym: str) -> str:
    return hashlib.sha256("\n".join((view.log, view.stream, pseudonym)).encode()).hexdigest()


_GOOD = frozenset(
    {CallOutcome.ANSWERED, CallOutcome.REPEATED, CallOutcome.CONFIRMED, CallOutcome.EXECUTED, CallOutcome.HELD, CallOutcome.BEGUN}
)
_BAD = frozenset({CallOutcome.REFUSED, CallOutcome.DECLINED, CallOutcome.REJECTED, CallOutcome.NOT_ATTEMPTED})


def _status(kind: str, outcome: CallOutcome | None) -> StreamStatus:
    if outcome is None:
        return StreamStatus.FAILURE if kind == RecordKind.DENY else StreamStatus.SUCCESS
    if outcome in _GOOD:
        return StreamStatus.SUCCESS
    return StreamStatus.FAILURE if outcome in _BAD else StreamStatus.UNKNOWN


_OF_KIND: Mapping[str, StreamSeverity] = {
    RecordKind.POLICY_ACTIVATE: StreamSeverity.MEDIUM,
    RecordKind.KEY_ROTATE: StreamSeverity.MEDIUM,
    RecordKind.KEY_DESTROY: StreamSeverity.HIGH,
    RecordKind.HOLD_PLACE: StreamSeverity.MEDIUM,
    RecordKind.HOLD_RELEASE: StreamSeverity.MEDIUM,
    RecordKind.AUDIT_REVEAL: StreamSeverity.MEDIUM,
    RecordKind.AUDIT_EXPORT: StreamSeverity.MEDIUM,
}
_OF_WORD: Mapping[str, StreamSeverity] = {
    "kill_engaged": StreamSeverity.HIGH,
    "kill_lift": StreamSeverity.MEDIUM,
    "databases_recovered": StreamSeverity.HIGH,
    "stream_skipped": StreamSeverity.HIGH,
    "refused": StreamSeverity.LOW,
}


def _severity(leaf: Mapping[str, object], outcome: CallOutcome | None) -> StreamSeverity:
    if leaf.get("end_state") == EndState.OUTCOME_UNKNOWN:
        return StreamSeverity.MEDIUM
    if outcome in _BAD:
        return StreamSeverity.LOW
    word = part(leaf, "facts").get("word")
    if leaf.get("kind") == RecordKind.ADMIN and isinstance(word, str):
        return _OF_WORD.get(word, StreamSeverity.INFORMATIONAL)
    return _OF_KIND.get(str(leaf.get("kind")), StreamSeverity.INFORMATIONAL)
