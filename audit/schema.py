"""The closed schema of a leaf: `validate` accepts exactly the canonical bytes of a well-formed record. Pure.

An unknown field, kind or shape is refused, so that nothing can hide in a leaf. The format is versioned by `v`.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache

from audit.leaf import LEAF_MOST, VERSION, EndState, LeafInvalid, RecordKind, canonical

Check = Callable[[object], bool]

INTEGER_BOUND = 2**53


def validate(leaf: bytes) -> dict[str, object]:
    """The leaf as an object. LeafInvalid unless it is canonical (RFC 8785), at most 65,535 bytes, and keeps the closed schema."""
    found = parse(leaf)
    check_fields(found)
    check_canonical(found, leaf)
    return found


def parse(leaf: bytes) -> dict[str, object]:
    """The object that a leaf holds, whatever is in it. LeafInvalid for what is no JSON object, or too long."""
    if len(leaf) > LEAF_MOST:
        raise LeafInvalid("the leaf is too long")
    try:
        found = json.loads(leaf)
    except (ValueError, RecursionError) as error:
        raise LeafInvalid("not JSON") from error
    if type(found) is not dict:
        raise LeafInvalid("not an object")
    return found


def check_canonical(found: Mapping[str, object], leaf: bytes) -> None:
    """LeafInvalid unless `leaf` is the canonical form of what it holds."""
    if canonical(found) != leaf:
        raise LeafInvalid("not in canonical form")


def check_fields(found: Mapping[str, object]) -> None:
    """LeafInvalid unless the object keeps the closed schema; the text names the field."""
    check_shapes(found)
    check_needed(found)
    check_state(found)


def check_shapes(found: Mapping[str, object]) -> None:
    """LeafInvalid for a field that the schema does not have, or of another shape."""
    for name, value in found.items():
        check = _FIELDS.get(name)
        if check is None:
            raise LeafInvalid("a field that the schema does not have")
        if not check(value):
            raise LeafInvalid(f"{name}: malformed")


def check_needed(found: Mapping[str, object]) -> None:
    """LeafInvalid where something is absent that every record needs, or this kind, or that goes with another field."""
    for name in _ALWAYS:
        if name not in found:
            raise LeafInvalid(f"{name}: absent")
    for name in _NEEDED.get(str(found["kind"]), ()):
        if name not in found:
            raise LeafInvalid(f"{name}: absent")
    for name, other in _PAIRS:
        if (name in found) != (other in found):
            raise LeafInvalid(f"{name}: goes with {other}")


def check_state(found: Mapping[str, object]) -> None:
    """LeafInvalid for an end state that is not one of the kind."""
    state = found.get("end_state")
    if state is not None and state not in _ENDS.get(str(found["kind"]), ()):
        raise LeafInvalid("end_state: not one of this kind")


def _matches(pattern: str) -> Check:
    match = re.compile(pattern, re.ASCII).fullmatch
    return lambda value: type(value) is str and match(value) is not None


def _repeating(pattern: str) -> Check:
    """As `_matches`, for texts that come again and again: names, hashes of schemas and bundles."""
    match = re.compile(pattern, re.ASCII).fullmatch

    @lru_cache(maxsize=4096)
    def known(value: str) -> bool:
        return match(value) is not None

    return lambda value: type(value) is str and known(value)


def _text(most: int) -> Check:
    return lambda value: type(value) is str and 0 < len(value) <= most


def _one_of(*values: str) -> Check:
    allowed = frozenset(values)
    return lambda value: type(value) is str and value in allowed


_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", re.ASCII).fullmatch


def _moment(value: object) -> bool:
    """A moment that there is: no 31st of April, no 24 o'clock."""
    if type(value) is not str or _RFC3339(value) is None or value[11:13] > "23":
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _integer(least: int) -> Check:
    return lambda value: type(value) is int and least <= value < INTEGER_BOUND


def _plain(value: object) -> bool:
    if type(value) is int:
        return -INTEGER_BOUND < value < INTEGER_BOUND
    return value is None or type(value) is bool or type(value) is str or _texts(value)


def _texts(value: object) -> bool:
    # A tuple before it is rendered, a list after it was read.
    return isinstance(value, (list, tuple)) and all(type(item) is str for item in value)


def _object(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    known = {**required, **(optional or {})}
    needed = required.keys()

    def check(value: object) -> bool:
        if type(value) is not dict:
            return False
        for name, item in value.items():
            wanted = known.get(name)
            if wanted is None or not wanted(item):
                return False
        return needed <= value.keys()

    return check


def _map(name: Check, each: Check) -> Check:
    def check(value: object) -> bool:
        return type(value) is dict and all(name(key) and each(member) for key, member in value.items())

    return check


def _field(value: object) -> bool:
    if type(value) is not dict or len(value) != 1:
        return False
    ((form, shown),) = value.items()
    if form == "commitment":
        return _DIGEST(shown)
    if form == "masked":
        return type(shown) is str
    return form == "public" and _plain(shown)


_DIGEST = _matches(r"[A-Za-z0-9_-]{43}")
_HEX32 = _repeating(r"[0-9a-f]{64}")
_NAME = _repeating(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_ID = _matches(r"[!-~]{1,255}")
_LABEL = _text(255)
_COMMITTED = _object({"commitment": _DIGEST})

_FIELDS: Mapping[str, Check] = {
    "v": lambda value: type(value) is int and value == VERSION,
    "log": _ID,
    "writer": _ID,
    "kind": _one_of(*RecordKind),
    "time": _moment,
    "retention": _repeating(r"P(?!$)([1-9][0-9]{0,3}Y)?([1-9][0-9]{0,3}M)?([1-9][0-9]{0,4}D)?"),
    "call": _ID,
    "parent": _ID,
    "conversation": _ID,
    "conversation_seq": _integer(1),
    "customer": _ID,
    "customer_seq": _integer(1),
    "trace": _object({"id": _matches(r"[0-9a-f]{32}"), "span": _matches(r"[0-9a-f]{16}")}),
    "actor": _object({}, {"agent": _LABEL, "model": _LABEL, "on_behalf_of": _LABEL}),
    "approver": _object({"id": _LABEL, "saw": _COMMITTED}),
    "function": _object({"name": _NAME, "version": _integer(1), "schema": _HEX32}),
    "policy": _object(
        {
            "bundle": _HEX32,
            "version": _LABEL,
            "decision": _one_of("permit", "challenge", "deny"),
            "policies": _texts,
            "reason": _LABEL,
            "obligations": _texts,
        }
    ),
    "sca": _object({"level": _LABEL, "method": _LABEL}, {"confirmation": _ID, "exemption": _LABEL, "evidence": _COMMITTED}),
    "arguments": _map(_NAME, _field),
    "result": _map(_NAME, _field),
    "sealed": _object({"digest": _DIGEST, "fields": _map(_NAME, _COMMITTED)}),
    "grounding": _map(_NAME, _LABEL),
    "facts": _map(_NAME, _plain),
    "timings": _map(_NAME, _integer(0)),
    "redaction": _LABEL,
    "instruction": _COMMITTED,
    "core_key": _COMMITTED,
    "intent": _object({"index": _integer(0), "leaf": _DIGEST}),
    "end_state": _one_of(*EndState),
}

_ALWAYS = ("v", "log", "writer", "kind", "time", "retention")
_CALL = ("call", "customer", "function")
_ENDING = ("call", "intent", "end_state")
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "deny": ("call", "customer"),
    "read": _CALL,
    "intent": (*_CALL, "instruction"),
    "outcome": _ENDING,
    "unknown": _ENDING,
    "reconciled": _ENDING,
    "policy.activate": ("facts",),
    "key.rotate": ("facts",),
    "audit.query": ("actor", "facts"),
    "audit.reveal": ("actor", "facts"),
    "audit.export": ("actor", "facts"),
    "census": ("facts",),
}
_PAIRS = (("conversation", "conversation_seq"), ("customer", "customer_seq"))
_FINAL = frozenset({EndState.EXECUTED.value, EndState.REJECTED_BY_CORE.value, EndState.NOT_ATTEMPTED.value})
_ENDS: Mapping[str, frozenset[str]] = {
    "outcome": _FINAL,
    "unknown": frozenset({EndState.OUTCOME_UNKNOWN.value}),
    "reconciled": _FINAL,
}
