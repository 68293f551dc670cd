"""Leaves by template: what the records of one shape have in common is checked and rendered once, the rest is put in. Pure.

A template comes from the general way, `leaf_fields` and `check_fields`, so it holds nothing that these would not give. What is put in
later is checked here, and no less strictly: whatever is not plainly in order goes the general way, which refuses it or takes it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import orjson

from audit.encoding import b64url
from audit.leaf import (
    LEAF_MOST,
    Committed,
    Disclosed,
    Frame,
    LeafInvalid,
    Public,
    Record,
    RecordKind,
    Rendered,
    canonical,
    leaf_fields,
    render,
    rfc3339,
)
from audit.schema import INTEGER_BOUND, check_fields

TEMPLATES_MOST = 1024
"""About 3 KB each. Who calls names agents and models, so there may be more; then all are forgotten."""

_FREQUENT = frozenset({RecordKind.READ, RecordKind.INTENT, RecordKind.OUTCOME})
"""The others are rare, or their facts are new each time."""

_HASH_BYTES = 32
_SEQUENCES = 2
"""Bytes of the two sequences, 1 each, which `render` counts."""

# Printable ASCII that JSON does not escape: call, conversation and customer; then the trace's two ids
_IDS = re.compile(r"(?:[!#-\[\]-~]{1,255}\n){3}[0-9a-f]{32}\n[0-9a-f]{16}", re.ASCII).fullmatch

_Shape: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Template:
    """The leaf in the form of `%`, open at the two sequences."""

    parts: tuple[str, ...]

    def filled(self, values: Mapping[str, object]) -> Rendered:
        parts = tuple([(part % values).encode() for part in self.parts])
        if sum(map(len, parts)) + _SEQUENCES + 40 > LEAF_MOST:
            raise LeafInvalid("the leaf is too long")
        return Rendered(parts)


class Templates:
    """What is known of the shapes of records. Bounded; forgetting costs time, never changes a leaf."""

    def __init__(self) -> None:
        self._known: dict[_Shape, _Template] = {}

    def render(self, record: Record, disclosed: Disclosed, frame: Frame) -> Rendered:
        """What `render(leaf_fields(...))` gives, checked by the schema. LeafInvalid."""
        values, shape = _values(record, disclosed, frame), _shape(record, disclosed, frame)
        if values is None or shape is None:
            return _generally(record, disclosed, frame)
        template = self._known.get(shape)
        if template is not None:
            return template.filled(values)
        rendered = _generally(record, disclosed, frame)
        if len(self._known) >= TEMPLATES_MOST:
            self._known.clear()
        self._known[shape] = _template(record, disclosed, frame)
        return rendered


def _generally(record: Record, disclosed: Disclosed, frame: Frame) -> Rendered:
    fields = leaf_fields(record, disclosed, frame)
    # The bytes are the canonical form of these very fields, so this is `validate` without parsing what was just rendered.
    check_fields(fields)
    return render(fields)


def _values(record: Record, disclosed: Disclosed, frame: Frame) -> dict[str, object] | None:
    """What is put in, checked, by the names of the holes. None: not a record for templates, or something to look at more closely."""
    ids = (record.call_id, record.conversation, frame.customer, record.trace_id, record.span_id)
    if record.kind not in _FREQUENT or None in ids or frame.sealed_digest is None:
        return None
    if record.parent is not None or record.sca is not None or record.approver is not None:
        return None
    call, conversation, customer, trace, span = ids
    if _IDS("\n".join(cast("tuple[str, ...]", ids))) is None:
        return None
    values: dict[str, object] = {
        **disclosed.commitments,
        "time": rfc3339(record.time),
        "call": call,
        "conversation": conversation,
        "customer": customer,
        "trace": trace,
        "span": span,
        "digest": frame.sealed_digest,
    }
    if record.timings:
        each = record.timings.values()
        if set(map(type, each)) != {int} or min(each) < 0 or max(each) >= INTEGER_BOUND:
            return None
        values["timings"] = canonical(record.timings).decode()
    if (intent := record.intent) is not None:
        if type(intent.index) is not int or not 0 <= intent.index < INTEGER_BOUND or len(intent.leaf_hash) != _HASH_BYTES:
            return None
        values["index"], values["leaf"] = intent.index, b64url(intent.leaf_hash)
    return values


def _shape(record: Record, disclosed: Disclosed, frame: Frame) -> _Shape | None:
    """All that a leaf depends on beside `_values`. The types of the facts too: 1 and True are equal to Python. None: no shape that
    comes again."""
    facts, clear = record.facts, []
    for section, fields in (("arguments", record.arguments), ("result", record.result)):
        for name, value in fields.items():
            if type(value) is not Committed:
                if type(value) is not Public or type(value.value) is not str:
                    return None
                clear.append((section, name, value.value))
    return (
        frame.log,
        frame.writer,
        record.kind,
        record.retention,
        record.redaction,
        record.end_state,
        record.agent,
        record.model,
        record.on_behalf_of,
        record.function,
        record.policy,
        record.intent is None,
        tuple(disclosed.commitments),
        tuple(record.timings),
        tuple(record.grounding.items()),
        tuple(facts.items()),
        tuple(map(type, facts.values())),
        tuple(clear),
    )


def _template(record: Record, disclosed: Disclosed, frame: Frame) -> _Template:
    """The same leaf with holes, of a record that was found in order. No text of a leaf holds a NUL, so that nothing passes for a hole."""
    open_record = replace(
        record, call_id=_hole("call"), conversation=_hole("conversation"), trace_id=_hole("trace"), span_id=_hole("span")
    )
    open_disclosed = Disclosed({}, {path: _hole(path) for path in disclosed.commitments})
    fields = leaf_fields(open_record, open_disclosed, replace(frame, customer=_hole("customer"), sealed_digest=_hole("digest")))
    fields |= {"time": _hole("time"), "conversation_seq": _SEQUENCE, "customer_seq": _SEQUENCE}
    if record.timings:
        fields["timings"] = orjson.Fragment("\0timings\0")
    if record.intent is not None:
        fields["intent"] = {"index": orjson.Fragment("\0index\0"), "leaf": _hole("leaf")}
    texts = canonical(fields).decode().split("\0")
    for number, text in enumerate(texts):
        texts[number] = f"%({text})s" if number % 2 else text.replace("%", "%%")
    return _Template(tuple("".join(texts).split(f"%({_OPEN})s")))


def _hole(name: str) -> str:
    """Where a text is put in; it stands where a leaf has one."""
    return cast("str", orjson.Fragment(f'"\0{name}\0"'))


_OPEN = "sequence"
_SEQUENCE = orjson.Fragment(f"\0{_OPEN}\0")
