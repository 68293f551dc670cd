"""The leaf: what a record is, and its canonical bytes. Pure: no I/O, no clock, no randomness (salts and times are passed in).

A leaf is the RFC 8785 form of one JSON object under a closed schema (`audit.schema`). The schema makes canonical form cheap: ASCII
keys, no floats, integers below 2**53 (see `canonical`).

What identifies or describes a customer is not in the leaf but committed: SHA-256 over an RFC 9901 disclosure,
`[salt, name, value]`. The disclosures of a record are sealed beside the tree, so that an erasure leaves every proof intact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

import orjson

from audit.disclosure import JSON, SALT_BYTES, commitment, disclosure
from audit.encoding import b64url

VERSION = 1

LEAF_MOST = 65_535
"""Bytes of a leaf: the entry bundles of C2SP tlog-tiles have 16-bit lengths."""

Plain: TypeAlias = "bool | int | str | tuple[str, ...] | None"
"""What a leaf shows in clear: no float, integers below 2**53."""


class RecordKind(StrEnum):
    """The closed set of kinds."""

    DENY = "deny"
    READ = "read"
    INTENT = "intent"
    OUTCOME = "outcome"
    UNKNOWN = "unknown"
    RECONCILED = "reconciled"
    CONFIRMATION = "confirmation"
    POLICY_ACTIVATE = "policy.activate"
    KEY_ROTATE = "key.rotate"
    KEY_DESTROY = "key.destroy"
    HOLD_PLACE = "hold.place"
    HOLD_RELEASE = "hold.release"
    AUDIT_QUERY = "audit.query"
    AUDIT_REVEAL = "audit.reveal"
    AUDIT_EXPORT = "audit.export"
    ADMIN = "admin"
    CENSUS = "census"
    LOG_START = "log.start"
    LOG_STOP = "log.stop"


class EndState(StrEnum):
    """How an intent ended. `outcome_unknown` is ended later by a `reconciled` record."""

    EXECUTED = "executed"
    REJECTED_BY_CORE = "rejected_by_core"
    NOT_ATTEMPTED = "not_attempted"
    OUTCOME_UNKNOWN = "outcome_unknown"


class LeafInvalid(Exception):
    """A record breaks the schema, or bytes are not a canonical leaf. The text names the field and holds no value."""


@dataclass(frozen=True, slots=True)
class Public:
    """Shown in the leaf as it is, for ever. Never what identifies a person."""

    value: Plain


@dataclass(frozen=True, slots=True)
class Committed:
    """Only a salted commitment is in the leaf; the value is sealed. A list is one commitment."""

    value: JSON


@dataclass(frozen=True, slots=True)
class Masked:
    """A masked form in clear, such as the last four characters; the whole value is nowhere."""

    text: str


FieldValue: TypeAlias = "Public | Committed | Masked"


@dataclass(frozen=True, slots=True)
class Function:
    """The banking function as declared. `schema_hash`: lower-case hex SHA-256 of its JSON Schema."""

    name: str
    version: int
    schema_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What was decided, by which rules. `bundle_hash`: lower-case hex SHA-256. `decision`: permit, challenge or deny."""

    bundle_hash: str
    bundle_version: str
    decision: str
    policies: tuple[str, ...]
    reason: str
    obligations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sca:
    """Strong customer authentication. `evidence` (the assertion) is committed; `exemption` is the article of the RTS."""

    level: str
    method: str
    confirmation: str | None = None
    evidence: JSON = None
    exemption: str | None = None


@dataclass(frozen=True, slots=True)
class Approver:
    """A second human, and what was shown to them (committed)."""

    id: str
    saw: JSON


@dataclass(frozen=True, slots=True)
class IntentRef:
    """The intent that an outcome ends."""

    index: int
    leaf_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What happened, before it is a leaf. Times are aware UTC datetimes, timings microseconds, by step.

    `customer` is the bank's id: the leaf holds a random pseudonym instead. `sealed` are further disclosures, kept whole for replay;
    the exact decision request belongs here as `decision_request`, and its commitment is the salted hash of the decision's input.
    `instruction` are the canonical bytes that the core will be told, and that the permit of an intent covers.
    `facts` are further public facts of kinds that are not calls (purpose and case id of a query, counters of a census).
    """

    kind: RecordKind
    time: datetime
    retention: str = "P7Y"
    call_id: str | None = None
    parent: str | None = None
    conversation: str | None = None
    customer: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    agent: str | None = None
    model: str | None = None
    on_behalf_of: str | None = None
    approver: Approver | None = None
    function: Function | None = None
    policy: Policy | None = None
    sca: Sca | None = None
    arguments: Mapping[str, FieldValue] = field(default_factory=dict)
    result: Mapping[str, FieldValue] = field(default_factory=dict)
    sealed: Mapping[str, JSON] = field(default_factory=dict)
    grounding: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Plain] = field(default_factory=dict)
    timings: Mapping[str, int] = field(default_factory=dict)
    redaction: str | None = None
    instruction: bytes | None = None
    core_key: str | None = None
    intent: IntentRef | None = None
    end_state: EndState | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """What the log adds to a record: its origin, the writer, the customer's pseudonym, and the digest of the sealed disclosures."""

    log: str
    writer: str
    customer: str | None
    sealed_digest: str | None


@dataclass(frozen=True, slots=True)
class Disclosed:
    """The disclosures of a record: path to disclosure, and path to commitment. Paths look like `arguments.account`."""

    disclosures: Mapping[str, str]
    commitments: Mapping[str, str]

    def payload(self) -> bytes:
        """What is sealed: one line per disclosure, path and disclosure with a space between."""
        return "\n".join([f"{path} {text}" for path, text in self.disclosures.items()]).encode()


@dataclass(frozen=True, slots=True)
class Rendered:
    """Canonical bytes of a leaf, open at the two sequence integers, which only the committer knows."""

    parts: tuple[bytes, ...]

    def splice(self, customer_seq: int | None, conversation_seq: int | None) -> bytes:
        """The leaf. Sequences must be given exactly where the record has a customer or a conversation."""
        numbers = [b"%d" % item for item in (conversation_seq, customer_seq) if item is not None]
        parts = [self.parts[0]]
        for number, part in zip(numbers, self.parts[1:], strict=True):
            parts += (number, part)
        return b"".join(parts)


def secrets_of(record: Record) -> list[tuple[str, str, JSON]]:
    """(section, name, value) of everything that is committed, in a fixed order. One salt is needed for each. LeafInvalid."""
    found: list[tuple[str, str, JSON]] = [("arguments", k, v.value) for k, v in record.arguments.items() if type(v) is Committed]
    found += [("result", k, v.value) for k, v in record.result.items() if type(v) is Committed]
    found += [("sealed", name, value) for name, value in record.sealed.items()]
    if record.instruction is not None:
        found.append(("", "instruction", _text(record.instruction)))
    if record.core_key is not None:
        found.append(("", "core_key", record.core_key))
    if record.sca is not None and record.sca.evidence is not None:
        found.append(("sca", "evidence", record.sca.evidence))
    if record.approver is not None:
        found.append(("approver", "saw", record.approver.saw))
    return found


def disclose(secrets: Sequence[tuple[str, str, JSON]], salts: bytes) -> Disclosed:
    """Make the disclosures, with 16 random bytes of `salts` for each. LeafInvalid for what is not JSON; ValueError: wrong salts."""
    if len(salts) != SALT_BYTES * len(secrets):
        raise ValueError("16 bytes of salt for each disclosure")
    disclosures, commitments = {}, {}
    for number, (section, name, value) in enumerate(secrets):
        path = f"{section}.{name}" if section else name
        try:
            text = disclosure(salts[number * SALT_BYTES : (number + 1) * SALT_BYTES], name, value)
        except ValueError as error:
            raise LeafInvalid(f"{name}: not a JSON value") from error
        disclosures[path] = text
        commitments[path] = commitment(text)
    return Disclosed(disclosures, commitments)


def render(fields: Mapping[str, object]) -> Rendered:
    """The canonical bytes of `leaf_fields`, open at the sequences. LeafInvalid when they are too long or not encodable."""
    leaf = canonical(fields)
    if len(leaf) + 40 > LEAF_MOST:
        raise LeafInvalid("the leaf is too long")
    marks = [mark for name, mark in (("conversation", _CONVERSATION), ("customer", _CUSTOMER)) if name in fields]
    parts: list[bytes] = []
    start = 0
    for mark in marks:
        # The first occurrence is the key itself: no earlier part of the object has an integer under such a key, and inside a
        # string its quotes would be escaped.
        at = leaf.index(mark, start) + len(mark) - 1
        parts.append(leaf[start:at])
        start = at + 1
    parts.append(leaf[start:])
    return Rendered(tuple(parts))


def leaf_fields(record: Record, disclosed: Disclosed, frame: Frame) -> dict[str, object]:
    """The leaf as an object, with both sequences 1."""
    made = disclosed.commitments
    found: dict[str, object] = {
        "v": VERSION,
        "log": frame.log,
        "writer": frame.writer,
        "kind": record.kind.value,
        "time": rfc3339(record.time),
        "retention": record.retention,
    }
    for name in ("parent", "redaction"):
        if (value := getattr(record, name)) is not None:
            found[name] = value
    if record.call_id is not None:
        found["call"] = record.call_id
    if record.conversation is not None:
        found["conversation"] = record.conversation
        found["conversation_seq"] = 1
    if frame.customer is not None:
        found["customer"] = frame.customer
        found["customer_seq"] = 1
    if record.trace_id is not None and record.span_id is not None:
        found["trace"] = {"id": record.trace_id, "span": record.span_id}
    for name in ("grounding", "timings", "facts"):
        if value := getattr(record, name):
            found[name] = dict(value)
    for name, values in (("arguments", record.arguments), ("result", record.result)):
        if values:
            found[name] = {key: _shown(value, made.get(f"{name}.{key}")) for key, value in values.items()}
    if frame.sealed_digest is not None:
        found["sealed"] = {
            "digest": frame.sealed_digest,
            "fields": {key: {"commitment": made[f"sealed.{key}"]} for key in record.sealed},
        }
    _add_call(found, record)
    _add_evidence(found, record, made)
    return found


def _add_call(found: dict[str, object], record: Record) -> None:
    actor = {"agent": record.agent, "model": record.model, "on_behalf_of": record.on_behalf_of}
    if present := {key: value for key, value in actor.items() if value is not None}:
        found["actor"] = present
    if (function := record.function) is not None:
        found["function"] = {"name": function.name, "version": function.version, "schema": function.schema_hash}
    if (policy := record.policy) is not None:
        found["policy"] = {
            "bundle": policy.bundle_hash,
            "version": policy.bundle_version,
            "decision": policy.decision,
            "policies": policy.policies,
            "reason": policy.reason,
            "obligations": policy.obligations,
        }
    if record.intent is not None:
        found["intent"] = {"index": record.intent.index, "leaf": b64url(record.intent.leaf_hash)}
    if record.end_state is not None:
        found["end_state"] = record.end_state.value


def _add_evidence(found: dict[str, object], record: Record, made: Mapping[str, str]) -> None:
    for name in ("instruction", "core_key"):
        if name in made:
            found[name] = {"commitment": made[name]}
    if (sca := record.sca) is not None:
        shown: dict[str, object] = {"level": sca.level, "method": sca.method}
        if sca.confirmation is not None:
            shown["confirmation"] = sca.confirmation
        if sca.exemption is not None:
            shown["exemption"] = sca.exemption
        if "sca.evidence" in made:
            shown["evidence"] = {"commitment": made["sca.evidence"]}
        found["sca"] = shown
    if record.approver is not None:
        found["approver"] = {"id": record.approver.id, "saw": {"commitment": made["approver.saw"]}}


def canonical(fields: Mapping[str, object]) -> bytes:
    """RFC 8785 bytes of an object that keeps the schema's rules: ASCII keys, no floats, integers below 2**53.

    Under these rules orjson's sorted, compact form is RFC 8785, as is `json.dumps(sort_keys, separators, ensure_ascii=False)`; it
    takes 1 us instead of 10. LeafInvalid for a lone surrogate or what is not JSON.
    """
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise LeafInvalid("a lone surrogate, or not a JSON value") from error


def rfc3339(time: datetime) -> str:
    """UTC with six digits of a second, such as 2026-11-24T10:20:41.123456Z. ValueError for another zone or none."""
    if time.utcoffset() != _UTC:
        raise ValueError("times are aware and in UTC")
    return time.isoformat(timespec="microseconds")[:26] + "Z"


def _text(instruction: bytes) -> str:
    try:
        return instruction.decode()
    except UnicodeDecodeError as error:
        raise LeafInvalid("instruction: not UTF-8") from error


def _shown(value: FieldValue, made: str | None) -> dict[str, object]:
    if type(value) is Public:
        return {"public": value.value}
    if type(value) is Masked:
        return {"masked": value.text}
    return {"commitment": made}


_UTC = timedelta()
_CONVERSATION = b'"conversation_seq":1'
_CUSTOMER = b'"customer_seq":1'
