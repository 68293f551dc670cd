"""Arguments of a manifest: a closed subset of JSON Schema (2020-12) becomes the strict types of `adapters.function`. Pure.

string   with `enum`; with `format: date` or `format: iban`; or with `maxLength`, and `minLength` and `pattern` (RE2, of the whole text),
         and `format: card`, `phone` or `email` for identifiers that are compared by their standard and not byte for byte
integer  with `minimum` and `maximum`
number   of the kind amount with `exclusiveMinimum: 0` or nothing; any other with `minimum`, `maximum` (integers) and `decimals`
boolean
`default` where the argument is not required
"""

import re
from collections.abc import Callable, Mapping

from adapters.core import ReferenceKind, exponent
from adapters.declared.declarations import ArgumentPlace, Sent, Written
from adapters.declared.section import Section
from adapters.function import (
    AccountIdentifier,
    Argument,
    ArgumentType,
    BareAmount,
    Choice,
    Count,
    Day,
    Flag,
    Form,
    Kind,
    Number,
    Reference,
    Text,
)
from adapters.identity import Scheme

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
NAME_MUST = "a name has letters, digits and underscores, begins with a letter, and has 64 characters at most"
WIRE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
WIRE_NAME_MUST = "must be a name of letters, digits, `_`, `.` and `-`"
CURRENCY = re.compile(r"[A-Z]{3}")
MAX_INTEGER = 2**53 - 1
MAX_TEXT = 4000
DECIMALS_MOST = 6
_SCHEMES = (str(Scheme.CARD), str(Scheme.PHONE), str(Scheme.EMAIL))

NO_KIND = "none"
"""Says that a value is harmless, which must be said: nobody guesses it."""

_KINDS = (*(str(kind) for kind in Kind), NO_KIND)
LISTS_MUST = "one of the lists in `facts`: orders, own_accounts, or a name in `owned`"
_OF_STRINGS = (Kind.CREDENTIAL, Kind.PROFILE, Kind.FREE_TEXT, Kind.DOCUMENT)

Check = Callable[[str], bool]
"""Whether RE2 takes an expression; injected, since this package does not know how expressions are matched."""


def read_argument(name: str, given: Section, *, place: ArgumentPlace, takes_pattern: Check) -> Sent:
    """One argument. What is wrong with it is found; then it is of some harmless type."""
    before = given.findings.errors
    kind_name = given.one_of("kind", _KINDS)
    is_decided = given.findings.errors == before
    kind = None if kind_name == NO_KIND else Kind(kind_name)
    description = given.text("description")
    required = given.flag("required", default=True)
    wire_name = given.text("as", WIRE_NAME, WIRE_NAME_MUST, default=name)
    place = ArgumentPlace(given.one_of("in", [str(item) for item in ArgumentPlace], default=str(place)))
    written, default = Written.NUMBER, None
    lists = given.texts("among", NAME, LISTS_MUST) if kind is Kind.OBJECT and given.has("among") else ()
    declared: ArgumentType
    if given.has("reference"):
        declared = _reference(given)
        _fits(given, kind, declared)
    else:
        schema = given.section("schema", required=is_decided)
        if schema is None or not is_decided:  # what else is wrong shows once it has a type
            return Sent(argument=_harmless(name), place=place, name=wire_name, line=given.line)
        declared, written, default = _schema(given, schema, kind, takes_pattern)
    if default is not None and required:
        given.wrong("schema.default", "a default is of an argument that is not required")
    given.end()
    if lists and isinstance(declared, Reference):
        given.wrong("among", "a reference that the gateway issued is in no list of an upstream")
    argument = Argument(
        name=name,
        type=declared,
        kind=kind,
        description=description,
        required=required,
        default=default,
        harmless=kind is None,
        lists=lists,
    )
    return Sent(argument=argument, place=place, name=wire_name, written=written, line=given.line)


def _harmless(name: str) -> Argument:
    return Argument(name=name, type=Day(), description="")


def _reference(given: Section) -> Reference:
    kinds = {str(kind.name).lower(): kind for kind in ReferenceKind}
    names = given.texts("reference", re.compile("|".join(kinds)), "one of " + ", ".join(kinds))
    return Reference(tuple(kinds[name] for name in names) or (ReferenceKind.ACCOUNT,))


def _schema(
    given: Section, schema: Section, kind: Kind | None, takes_pattern: Check
) -> tuple[ArgumentType, Written, str | int | None]:
    type_ = schema.one_of("type", ("string", "integer", "number", "boolean"))
    if not schema.is_sound("type"):
        return Day(), Written.NUMBER, None
    if kind is Kind.AMOUNT:
        declared, written = _amount(given, schema, type_)
        schema.end()
        return declared, written, None
    read = _TYPES[type_]
    typed = read(schema, takes_pattern)
    _fits(given, kind, typed)
    default = _default(schema, typed)
    schema.end()
    return typed, Written.NUMBER, default


def _amount(given: Section, schema: Section, type_: str) -> tuple[ArgumentType, Written]:
    currency = given.maybe("currency", CURRENCY, "must be a currency of ISO 4217")
    source = given.maybe("currency_from", NAME, "must name the argument that holds the currency")
    if (currency is None) == (source is None):
        given.wrong("currency", "an amount has `currency` or `currency_from`, one of the two", code="missing")
    if currency is not None:
        check_currency(given, "currency", currency)
    unit = given.one_of("unit", ("major", "minor"), default="major")
    if unit == "minor" and type_ != "integer":
        given.wrong("unit", "minor units are of the type integer")
    if unit == "major" and type_ == "integer":
        given.wrong("unit", "an integer amount says `unit: minor`, or is a number")
    if type_ == "boolean":
        schema.wrong("type", "an amount is a number, a string or an integer")
    if type_ == "number" and schema.has("exclusiveMinimum"):
        schema.integer("exclusiveMinimum", 0, 0)
    for name in ("minLength", "maxLength", "minimum", "maximum"):
        if schema.has(name):
            schema.wrong(
                name, "an amount has no such bound: the mandate's limits hold it", code="unknown_field", line=schema.line_of(name)
            )
            schema.take(name, required=False)
    form, written = {
        "string": (Form.TEXT, Written.TEXT),
        "integer": (Form.MINOR, Written.MINOR),
    }.get(type_, (Form.NUMBER, Written.NUMBER))
    return BareAmount(form, currency, source), written


def check_currency(given: Section, name: str, currency: str) -> None:
    """Find a currency that ISO 4217 does not have."""
    try:
        exponent(currency)
    except ValueError:
        given.wrong(name, "must be a currency of ISO 4217 with a minor unit")


def _string(schema: Section, takes_pattern: Check) -> ArgumentType:
    scheme = Scheme.OPAQUE
    if schema.has("enum"):
        return Choice(schema.texts("enum", re.compile(r"[ -~]{1,128}"), "a text of 1 to 128 characters of ASCII") or ("none",))
    if schema.has("format"):
        form = schema.one_of("format", ("date", "iban", *_SCHEMES))
        if form not in _SCHEMES:
            return Day() if form == "date" else AccountIdentifier()
        scheme = Scheme(form)
    most = schema.integer("maxLength", 1, MAX_TEXT)
    least = schema.integer("minLength", 0, most, default=0)
    pattern = schema.maybe("pattern", re.compile(r"[^\n]{1,500}"), "must be a regular expression of 1 to 500 characters")
    if pattern is not None and not takes_pattern(pattern):
        schema.wrong("pattern", "must be a regular expression of RE2 (no look-around, no back reference)")
        pattern = None
    return Text(most=most, least=least, pattern=pattern, scheme=scheme)


def _integer(schema: Section, _takes_pattern: Check) -> ArgumentType:
    least = schema.integer("minimum", -MAX_INTEGER, MAX_INTEGER)
    return Count(least, schema.integer("maximum", least, MAX_INTEGER))


def _number(schema: Section, _takes_pattern: Check) -> ArgumentType:
    least = schema.integer("minimum", -MAX_INTEGER, MAX_INTEGER)
    return Number(least, schema.integer("maximum", least, MAX_INTEGER), schema.integer("decimals", 1, DECIMALS_MOST))


def _boolean(_schema: Section, _takes_pattern: Check) -> ArgumentType:
    return Flag()


_TYPES: Mapping[str, Callable[[Section, Check], ArgumentType]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}


def _fits(given: Section, kind: Kind | None, declared: ArgumentType) -> None:
    """Find a kind that a value of this type cannot have."""
    if kind in _OF_STRINGS and not isinstance(declared, Text | Choice):
        given.wrong("kind", f"{kind} is of the type string")
    if kind is Kind.PAYEE and not isinstance(declared, Text | AccountIdentifier | Reference):
        given.wrong("kind", "a payee is a string or a reference")
    if kind is Kind.OBJECT and not isinstance(declared, Text | Choice | Count | Reference | AccountIdentifier):
        given.wrong("kind", "an object is named by a string, an integer or a reference")
    if kind is Kind.DAY and not isinstance(declared, Day):
        given.wrong("kind", "a day is a string with `format: date`")
    if kind is Kind.FREQUENCY and not isinstance(declared, Text | Choice):
        given.wrong("kind", "a frequency is a string, best an enum")
    if kind is None and isinstance(declared, AccountIdentifier):
        given.wrong("kind", "an account number is a payee or an object")
    if kind is Kind.AMOUNT and isinstance(declared, Reference):
        given.wrong("kind", "an amount is no reference")


def _default(schema: Section, declared: ArgumentType) -> str | int | None:
    node = schema.take("default", required=False)
    if node is None:
        return None
    value = node.value
    good = False
    match declared:
        case Choice(values):
            good = isinstance(value, str) and value in values
        case Count(least, most):
            good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        case Flag():
            good = isinstance(value, bool)
        case Text(most, least):
            good = isinstance(value, str) and least <= len(value) <= most
    if not good or not isinstance(value, str | int):
        schema.wrong("default", "must be a value that the argument itself takes", line=node.line)
        return None
    return value
