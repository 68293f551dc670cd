"""A record in plain words: what happened, how it ended and what it keeps sealed. Pure; the texts are the catalogue's."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.leaf import EndState, RecordKind
from audit.opening import StoredRecord
from gateway.domain.errors import Code
from gateway.domain.reasons import reason_of
from gateway.doors.operations.audit.words import said, said_of
from gateway.doors.pages.confirm_view import visible

_GOOD, _BAD, _WAITS, _PLAIN = "good", "bad", "waits", "plain"

_TONES = {
    EndState.EXECUTED: _GOOD,
    EndState.REJECTED_BY_CORE: _BAD,
    EndState.NOT_ATTEMPTED: _BAD,
    EndState.OUTCOME_UNKNOWN: _WAITS,
}


@dataclass(frozen=True, slots=True)
class ShownValue:
    """One value of a record: in clear, masked, or sealed (`text` is then its commitment)."""

    path: str
    text: str
    form: str


@dataclass(frozen=True, slots=True)
class RecordView:
    """`words` say what happened; `tone` how it went; `rules` are those that decided, by their ids. `exact`: the leaf's bytes as text."""

    index: int
    time: str
    kind: str
    words: str
    tone: str
    function: str
    outcome: str
    customer: str
    call: str
    agent: str
    decision: str
    rules: Sequence[str]
    bundle: str
    values: Sequence[ShownValue]
    pretty: str
    exact: str
    leaf_hash: str

    @property
    def is_sealed(self) -> bool:
        return any(value.form == "sealed" for value in self.values)


def record_view(record: StoredRecord) -> RecordView:
    """What is shown of a record as it stands."""
    fields: Mapping[str, Any] = record.fields
    policy = fields.get("policy") or {}
    words, tone = _told(fields)
    return RecordView(
        index=record.index,
        time=str(fields["time"]),
        kind=str(fields["kind"]),
        words=words,
        tone=tone,
        function=(fields.get("function") or {}).get("name", ""),
        outcome=said_of(f"outcome.{fields.get('end_state')}", ""),
        customer=fields.get("customer", ""),
        call=fields.get("call", ""),
        agent=visible((fields.get("actor") or {}).get("agent", "")),
        decision=said_of(f"decision.{policy.get('decision')}", ""),
        rules=tuple(policy.get("policies", ())),
        bundle=policy.get("bundle", ""),
        values=tuple(_values(fields)),
        pretty=visible(json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False)),
        exact=visible(record.leaf.decode()),
        leaf_hash=record.leaf_hash.hex(),
    )


def _told(fields: Mapping[str, Any]) -> tuple[str, str]:
    kind, facts = fields["kind"], fields.get("facts") or {}
    function = (fields.get("function") or {}).get("name") or said("nothing.function")
    if kind == RecordKind.DENY:
        return _refused(function, facts)
    if kind in (RecordKind.OUTCOME, RecordKind.UNKNOWN, RecordKind.RECONCILED):
        state = EndState(fields["end_state"])
        return said(f"did.{kind}.{state}", function=function), _TONES[state]
    if kind == RecordKind.READ:
        return said("did.read.repeat" if "parent" in fields else "did.read", function=function), _GOOD
    if kind == RecordKind.CONFIRMATION:
        word = str(facts.get("word"))
        return said_of(f"did.confirmation.{word}", said("did.confirmation", word=word)), _BAD if word == "declined" else _GOOD
    if kind == RecordKind.ADMIN:
        return _administered(facts), _PLAIN
    who = visible(str((fields.get("actor") or {}).get("agent", said("nobody"))))
    hold = visible(str(facts.get("hold", "")))
    return said(f"did.{kind}", function=function, who=who, hold=hold), _PLAIN


def _refused(function: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    if "confirmation" in facts:
        return said("did.held", function=function), _WAITS
    code, cause = str(facts.get("code")), facts.get("reason")
    why = reason_of(Code(code), cause).meaning if code in tuple(Code) else said("did.fault", reason=visible(str(cause)))
    return said("did.deny", function=function, why=why), _BAD


def _administered(facts: Mapping[str, Any]) -> str:
    """By the word of the record, or by what it is of."""
    of = next((name for name in ("passkey", "file", "assistant", "standing_mandate") if name in facts), "")
    word = str(facts.get(of) if of == "passkey" else facts.get("word", ""))
    duty = str(facts.get("duty", ""))
    return said("did.admin", what=said_of(f"of.{of or duty or 'gateway'}", of or duty), word=said_of(f"word.{word}", word))


def _values(fields: Mapping[str, Any]) -> Iterator[ShownValue]:
    """Every field that is committed, masked or public, by its path; then facts and grounding."""
    for group in ("arguments", "result"):
        for name, value in (fields.get(group) or {}).items():
            ((form, shown),) = value.items()
            yield ShownValue(f"{group}.{name}", spelt(shown), "sealed" if form == "commitment" else form)
    for name in ("instruction", "core_key"):
        if name in fields:
            yield ShownValue(name, fields[name]["commitment"], "sealed")
    for name, value in ((fields.get("sealed") or {}).get("fields") or {}).items():
        yield ShownValue(f"sealed.{name}", value["commitment"], "sealed")
    for group in ("facts", "grounding"):
        for name, value in (fields.get(group) or {}).items():
            yield ShownValue(f"{group}.{name}", spelt(value), "public")


def spelt(value: object) -> str:
    """A value as text, with every character that deceives the eye spelt out."""
    return visible(value) if isinstance(value, str) else visible(json.dumps(value, ensure_ascii=False))
