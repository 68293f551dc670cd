"""The rules that records must keep, each by itself and beside those before it: the bank's own check of them. Pure.

The auditor's verifier (`audit.verify`) has the same rules in code of its own; the table in `audit/README.md` is compared with both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from audit.checkpoint import NoteInvalid
from audit.encoding import b64url
from audit.leaf import EndState, LeafInvalid, RecordKind
from audit.lineage import Lineage
from audit.rotation import read_rotation
from audit.schema import check_canonical, check_needed, check_shapes, check_state, parse

BACK_MOST = timedelta(minutes=15)
"""A record's time is the moment at which its call came in, and calls wait: for the core, the customer's bank, the log."""

AHEAD_MOST = timedelta(seconds=60)

OPEN_MOST = timedelta(minutes=15)

RULES: Mapping[str, str] = {
    "form": "a record is canonical JSON (RFC 8785) of at most 65,535 bytes",
    "fields": "a record has known fields, kinds, decisions and end states only, nested ones too, each of its shape",
    "needed": "a record has what every record needs, and its kind: an end its call and intent, an intent its instruction",
    "log": "a record is of the log of its range; the first of a successor says which log it follows, and from where",
    "state": "an end state is one of its kind",
    "sealed": "what is committed is sealed, and nothing is sealed without a commitment",
    "backwards": "no record is more than 15 minutes older than one before it",
    "ahead": "no record is more than 60 seconds younger than the checkpoint over it",
    "customer": "the records of a customer count from 1 without a gap",
    "conversation": "the records of a conversation count from 1 without a gap",
    "activated": "what decided was activated by an earlier record",
    "rotated": "a rotation of a signing key is signed by the key before it and by the new one",
    "end": "an end names, by index and hash, an earlier intent that is open; only `reconciled` follows `unknown`",
    "call": "an end is of the call of its intent",
    "open": "no intent is without an end for more than 15 minutes",
}

_ENDS = (RecordKind.OUTCOME, RecordKind.UNKNOWN, RecordKind.RECONCILED)

Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that a record breaks."""

    rule: str
    index: int


@dataclass(slots=True)
class _Open:
    """An intent without a final end state."""

    leaf: str
    time: datetime
    call: object
    unknown: bool = False


@dataclass(slots=True)
class RecordRules:
    """Every rule over a whole log, whose records come in order. Remembers sequences and open intents, not records."""

    lineage: Lineage
    until: datetime
    """The checkpoint's time, or now for a log in place."""
    breaches: list[Breach] = field(default_factory=list)
    _last: dict[tuple[str, object], int] = field(default_factory=dict)
    _latest: datetime | None = None
    _activated: set[object] = field(default_factory=set)
    _open: dict[int, _Open] = field(default_factory=dict)

    def take(self, index: int, leaf: bytes, hashed: bytes) -> Fields | None:
        """Look at one record; None for one that cannot be read. `hashed` is its leaf hash."""
        found = self.alone(index, leaf)
        if found is None:
            return None
        time = self._timed(index, found)
        self._counted(index, found)
        self._decided(index, found)
        if found["kind"] == RecordKind.KEY_ROTATE:
            self._rotated(index, found)
        if found["kind"] == RecordKind.INTENT:
            self._open[index] = _Open(b64url(hashed), time, found["call"])
        elif found["kind"] in _ENDS:
            self._ended(index, found)
        return found

    def close(self) -> None:
        """After the last record: what was left open too long."""
        for index, intent in self._open.items():
            if not intent.unknown and self.until - intent.time > OPEN_MOST:
                self._breach("open", index)

    def alone(self, index: int, leaf: bytes) -> Fields | None:
        """What one record must keep by itself; None for one that cannot be read."""
        rule = "form"
        try:
            found = parse(leaf)
            rule = "fields"
            check_shapes(found)
            rule = "form"
            check_canonical(found, leaf)
            rule = "needed"
            check_needed(found)
        except LeafInvalid:
            self._breach(rule, index)
            return None
        if not self.lineage.keeps(index, found):
            self._breach("log", index)
        try:
            check_state(found)
        except LeafInvalid:
            self._breach("state", index)
        if _commits(found) != ("sealed" in found):
            self._breach("sealed", index)
        return found

    def _breach(self, rule: str, index: int) -> None:
        self.breaches.append(Breach(rule, index))

    def _timed(self, index: int, found: Fields) -> datetime:
        time = datetime.fromisoformat(str(found["time"]))
        if self._latest is not None and time < self._latest - BACK_MOST:
            self._breach("backwards", index)
        if time > self.until + AHEAD_MOST:
            self._breach("ahead", index)
        self._latest = time if self._latest is None else max(time, self._latest)
        return time

    def _counted(self, index: int, found: Fields) -> None:
        for name in ("customer", "conversation"):
            number = found.get(f"{name}_seq")
            if isinstance(number, int):
                if number != self._last.get((name, found[name]), 0) + 1:
                    self._breach(name, index)
                self._last[name, found[name]] = number

    def _decided(self, index: int, found: Fields) -> None:
        facts, policy = found.get("facts"), found.get("policy")
        if found["kind"] == RecordKind.POLICY_ACTIVATE and isinstance(facts, dict):
            self._activated.add(facts.get("bundle"))
        if isinstance(policy, dict) and policy["bundle"] not in self._activated:
            self._breach("activated", index)

    def _rotated(self, index: int, found: Fields) -> None:
        facts = found["facts"]
        if isinstance(facts, dict) and "statement" in facts:
            try:
                read_rotation(str(facts["statement"]), *self.lineage.origins)
            except NoteInvalid:
                self._breach("rotated", index)

    def _ended(self, index: int, found: Fields) -> None:
        named = found["intent"]
        at, leaf = (named["index"], named["leaf"]) if isinstance(named, dict) else (-1, "")
        intent = self._open.get(at)
        if intent is None:
            self._breach("end", index)
            return
        if intent.leaf != leaf or intent.unknown != (found["kind"] == RecordKind.RECONCILED):
            self._breach("end", index)
        if intent.call != found["call"]:
            self._breach("call", index)
        if found["end_state"] == EndState.OUTCOME_UNKNOWN:
            intent.unknown = True
        else:
            del self._open[at]


def _commits(found: Fields) -> bool:
    if "instruction" in found or "core_key" in found or "approver" in found:
        return True
    sealed, sca = found.get("sealed"), found.get("sca")
    if (isinstance(sealed, dict) and sealed["fields"]) or (isinstance(sca, dict) and "evidence" in sca):
        return True
    shown = (found.get("arguments"), found.get("result"))
    return any("commitment" in value for part in shown if isinstance(part, dict) for value in part.values())
