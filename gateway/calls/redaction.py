"""What may leave towards a model: the fields that a function declares, with references for identifiers and a fence around other
people's text. Pure; the references come from the callback that is handed in.

Nothing is passed on because it looks harmless. A field that is not declared, or whose value is not what was declared, is dropped.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from adapters.core import Identified, Money, ReferenceKind
from adapters.function import Field, Label, Mask, OwnText
from gateway.calls.detection import DetectedKind, masked
from gateway.domain.characters import INVISIBLE
from gateway.domain.strict_json import Json

MAX_BANK_CHARS = 500
MAX_FOREIGN_CHARS = 280
"""Longest text of third parties and documents: two lines of a statement (ISO 20022 remittance information is 140 a line)."""
MAX_DOCUMENT_CHARS = 16_000
"""Longest text of a document: some pages. What identifies accounts in it is not masked, or no bill could be paid."""
MAX_ITEMS = 500
"""Most members of a list; what is beyond is dropped."""
MAX_NAMED = 32
"""Most paths that `dropped` and `found` name."""

FENCE = "untrusted_text"
"""The only place where a model meets text that the bank did not write."""


@dataclass(frozen=True, slots=True)
class RedactedValue:
    """What leaves, and what was done to it.

    `app`: whole values of masked fields, for the back end of the app alone; they are no part of `value`. `labels`: where the texts in
    `value` come from; `dropped`: paths of what the core sent and was not declared so; `withheld`: paths of
    declared fields whose data class is not allowed; `found`: `path: [kind]` of what was masked inside texts.
    """

    value: dict[str, Json]
    app: dict[str, Json]
    labels: frozenset[Label]
    dropped: tuple[str, ...]
    withheld: tuple[str, ...]
    found: tuple[str, ...]
    documents: tuple[str, ...] = ()
    """The texts of documents in `value`."""


def redact(
    output_fields: tuple[Field, ...],
    raw: Mapping[str, object],
    *,
    reference: Callable[[Identified], str],
    allowed: frozenset[str],
) -> RedactedValue:
    """`raw` as a model may see it. `allowed` are the data classes that the policies reveal; a field of another one is left out."""
    pass_ = _Pass(reference, allowed)
    value = pass_.fields(output_fields, raw, "", Label.BANK)
    return RedactedValue(
        value,
        pass_.app,
        frozenset(pass_.labels),
        tuple(sorted(pass_.dropped)[:MAX_NAMED]),
        tuple(sorted(pass_.withheld)[:MAX_NAMED]),
        tuple(sorted(pass_.found)[:MAX_NAMED]),
        tuple(pass_.documents),
    )


def cleaned(text: str, most: int) -> str:
    """At most `most` visible characters in one line: NFKC, digits in ASCII, no control, format, bidirectional or invisible ones."""
    is_cut = len(text) > _RAW_FACTOR * most
    if is_cut:
        text = text[: _RAW_FACTOR * most]
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFKC", text)
        text = "".join([_visible(letter) for letter in text if letter not in INVISIBLE])
        text = unicodedata.normalize("NFKC", text)
    text = _SPACES.sub(" ", text).strip()[:most]
    # Invisible characters can push half a number to where the raw text is cut, and half a number is not found any more.
    return text.rstrip("0123456789 .-") if is_cut and len(text) < most else text


def _shown(text: str, most: int) -> tuple[str, frozenset[DetectedKind]]:
    """A text with what identifies someone masked, then cut: in that order, since half a card number is not found any more."""
    text = cleaned(text, most + _LONGEST_FINDING)
    shown, kinds = masked(text, most)
    return (shown if len(text) <= most else shown.rstrip() + "…"), kinds


def _lines(text: str) -> str:
    """A text of a document's length, with its lines."""
    lines = "\n".join(cleaned(line, MAX_DOCUMENT_CHARS) for line in text[: _RAW_FACTOR * MAX_DOCUMENT_CHARS].splitlines())
    return lines.strip()[:MAX_DOCUMENT_CHARS]


_RAW_FACTOR = 4
_LONGEST_FINDING = 128
_SPACES = re.compile(" {2,}")


def _visible(letter: str) -> str:
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    if letter.isprintable():
        return letter
    return " " if letter.isspace() else ""


def last4(text: str) -> str:
    """The last four letters or digits of an identifier; of one so short that they would tell most of it, nothing."""
    plain = "".join([letter for letter in text if letter.isascii() and letter.isalnum()])
    return "****" + (plain[-4:] if len(plain) >= 8 else "")


class _FieldMismatch(Exception):
    """The core's value is not what the field declares."""


@dataclass(slots=True)
class _Pass:
    """One redaction: what it may use, and what it notes on the way."""

    reference: Callable[[Identified], str]
    allowed: frozenset[str]
    app: dict[str, Json] = field(default_factory=dict)
    labels: set[Label] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)
    documents: list[str] = field(default_factory=list)

    def fields(self, declared: tuple[Field, ...], raw: Mapping[str, object], path: str, within: Label) -> dict[str, Json]:
        """The declared ones of `raw`. What stands within a field of other people's is theirs too."""
        out: dict[str, Json] = {}
        for member in declared:
            name = path + member.name
            if member.name not in raw:
                continue
            if member.data_class not in self.allowed:
                self.withheld.add(name)
                continue
            try:
                theirs = member if within is Label.BANK or member.label is not Label.BANK else replace(member, label=within)
                out[member.name] = self._field(theirs, raw[member.name], name)
            except _FieldMismatch:
                self.dropped.add(name)
        if len(raw) > len(out):
            names = {member.name for member in declared}
            self.dropped.update(_shown(path + str(name), 80)[0] for name in raw if name not in names)
        return out

    def _field(self, member: Field, value: object, name: str) -> Json:
        if value is None:
            if not member.nullable:
                raise _FieldMismatch
            return None
        if not member.many:
            return self._one(member, value, name)
        if not isinstance(value, list | tuple):
            raise _FieldMismatch
        if len(value) > MAX_ITEMS:
            self.dropped.add(f"{name}[{MAX_ITEMS}:]")
        return [self._one(member, it, name) for it in value[:MAX_ITEMS]]

    def _one(self, member: Field, value: object, name: str) -> Json:
        kind = member.type
        if isinstance(kind, tuple):
            if not isinstance(value, Mapping):
                raise _FieldMismatch
            return self.fields(kind, value, f"{name}.", member.label)
        if isinstance(kind, ReferenceKind):
            if not isinstance(value, Identified) or value.kind is not kind:
                raise _FieldMismatch
            return self.reference(value)
        if kind == "text":
            return self._text(member, value, name)
        return _scalar(kind, value)

    def _text(self, member: Field, value: object, name: str) -> Json:
        if not isinstance(value, str):
            raise _FieldMismatch
        if member.mask is Mask.LAST4:
            if member.app_class is not None and member.app_class in self.allowed:
                self.app[name] = cleaned(value, MAX_BANK_CHARS)
            return last4(value)
        is_own = member.label is Label.THIRD_PARTY and isinstance(value, OwnText)  # by its record, within a field of others' text
        if member.label is Label.OWN or is_own:  # the customer's own words about themselves: told as the declaration says, whole
            return cleaned(value, MAX_BANK_CHARS)
        if member.label is Label.DOCUMENT:
            text = _lines(value)
            self.labels.add(member.label)
            self.documents.append(text)
            return {FENCE: text}
        if member.label is Label.COMPUTED:
            text, kinds = masked(_lines(value), MAX_DOCUMENT_CHARS)
            self.found.update(f"{name}: {it.value}" for it in kinds)
            return {FENCE: text}
        is_banks = member.label is Label.BANK
        text, kinds = _shown(value, MAX_BANK_CHARS if is_banks else MAX_FOREIGN_CHARS)
        self.found.update(f"{name}: {it.value}" for it in kinds)
        if is_banks:
            return text
        if text:
            self.labels.add(member.label)
        return {FENCE: text}


def _scalar(kind: str, value: object) -> Json:
    match kind, value:
        case "money", Money():
            return {"value": value.value, "currency": value.currency}
        case "time", datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case "day", date() if not isinstance(value, datetime):
            return value.isoformat()
        case "flag", bool():
            return value
        case "count", int() if not isinstance(value, bool):
            return value
    raise _FieldMismatch
