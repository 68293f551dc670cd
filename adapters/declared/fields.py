"""The answer of a declared function: its fields, where they stand in the upstream's JSON, and whose words they are. Pure."""

import re
from collections.abc import Sequence

from adapters.core import ReferenceKind
from adapters.declared.declarations import DeclaredAnswer, DeclaredField, Written, WrittenBy
from adapters.declared.schema import CURRENCY, NAME, NAME_MUST, WIRE_NAME, WIRE_NAME_MUST, check_currency
from adapters.declared.section import Section
from adapters.function import Field, Label, Mask

FIELDS_MOST = 64
DEPTH_MOST = 3
_SCALARS = ("fields", "reference", "decimal", "money", "time", "day", "flag", "count", "text")
_CLASS = re.compile(r"[a-z][a-z0-9_]{0,31}")
_VALUE = re.compile(r"[^\n]{1,64}")
_KINDS = {kind.name.lower(): kind for kind in ReferenceKind}


def read_answer(given: Section, *, is_effect: bool) -> DeclaredAnswer:
    """`output` of a function, with `answer_at` and `answer_is`."""
    fields = _fields(given, "output", is_effect=is_effect, depth=1)
    at = given.maybe("answer_at", WIRE_NAME, WIRE_NAME_MUST)
    line = given.line_of("answer_is")
    wrap = given.maybe("answer_is", NAME, NAME_MUST)
    if wrap is not None and [field.field.name for field in fields] != [wrap]:
        given.wrong("answer_is", "must name the one field of the output that the whole answer is", line=line)
    return DeclaredAnswer(fields=fields, at=at, wrap=wrap)


def _fields(given: Section, name: str, *, is_effect: bool, depth: int) -> tuple[DeclaredField, ...]:
    if depth > DEPTH_MOST:
        given.wrong(name, f"is nested deeper than {DEPTH_MOST}")
        given.take(name, required=False)
        return ()
    read = [_field(member, inside, is_effect=is_effect, depth=depth) for member, inside in given.members(name, NAME, NAME_MUST)]
    if len(read) > FIELDS_MOST:
        given.wrong(name, f"has more than {FIELDS_MOST} fields")
    return tuple(read)


def _field(name: str, given: Section, *, is_effect: bool, depth: int) -> DeclaredField:
    scalar = given.one_of("type", _SCALARS)
    label, written_by = _label(given, scalar)
    source = given.text("from", WIRE_NAME, WIRE_NAME_MUST, default=name)
    mask = Mask(given.one_of("mask", [str(item) for item in Mask])) if given.has("mask") else None
    app_class = given.maybe("app_class", _CLASS, "must be a data class: small letters, digits and underscores")
    written, currency, currency_field = _money(given) if scalar == "money" else (Written.NUMBER, None, None)
    members: Sequence[DeclaredField] = ()
    type_: str | ReferenceKind = {"decimal": "text", "fields": "text"}.get(scalar, scalar)
    if scalar == "fields":
        members = _fields(given, "fields", is_effect=is_effect, depth=depth + 1)
    if scalar == "reference":
        type_ = _KINDS[given.one_of("to", list(_KINDS))]
    many = given.flag("many", default=False)
    if mask is not None and scalar != "text":
        given.wrong("mask", "only text is masked")
        mask = None
    if app_class is not None and (mask is None or many or depth > 1 or is_effect):
        given.wrong("app_class", "only a single masked text in the first rank of a read is told whole to the app")
        app_class = None
    field = Field(
        name=name,
        type=tuple(member.field for member in members) if members else type_,
        description=given.text("description", default=name.replace("_", " ")),
        label=label,
        mask=mask,
        data_class=given.text("data_class", _CLASS, "must be a data class: small letters, digits and underscores", default="basic"),
        app_class=app_class,
        many=many,
        nullable=given.flag("nullable", default=False),
    )
    given.end()
    return DeclaredField(
        field=field,
        source=source,
        scalar=scalar,
        written=written,
        currency=currency,
        currency_field=currency_field,
        written_by=written_by,
        members=tuple(members),
    )


def _label(given: Section, scalar: str) -> tuple[Label, WrittenBy | None]:
    """A label; or, of a text, `by`: the field of its record that says who wrote it, and `own`: its values where the customer did."""
    if not given.is_mapping("label"):
        return Label(given.one_of("label", [str(item) for item in Label])), None
    asked = given.section("label")
    if asked is None:
        return Label.THIRD_PARTY, None
    if scalar != "text":
        asked.wrong("", "only a text has a label by its record")
    by = asked.text("by", WIRE_NAME, WIRE_NAME_MUST)
    own = asked.texts("own", _VALUE, "a text of 1 to 64 characters")
    asked.end()
    return Label.THIRD_PARTY, WrittenBy(field=by, own=frozenset(own))


def _money(given: Section) -> tuple[Written, str | None, str | None]:
    written = given.one_of("written", tuple(Written), default=Written.NUMBER)
    currency = given.maybe("currency", CURRENCY, "must be a currency of ISO 4217")
    beside = given.maybe("currency_from", WIRE_NAME, WIRE_NAME_MUST)
    if currency is not None:
        check_currency(given, "currency", currency)
    if sum((currency is not None, beside is not None, written is Written.OBJECT)) != 1:
        given.wrong("currency", "money has one currency: `currency`, `currency_from`, or it is an object", code="missing")
    return written, currency, beside
