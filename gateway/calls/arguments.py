"""What a model wrote becomes frozen, canonical arguments, or is refused. Nothing is repaired and nothing is guessed.

Pure but for the resolver of references that is handed in.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from stdnum import iban
from stdnum.exceptions import ValidationError

from adapters.core import MAX_MINOR, Identified, Money, ReferenceKind
from adapters.function import (
    AccountIdentifier,
    Amount,
    Argument,
    Arguments,
    ArgumentType,
    BankingFunction,
    BareAmount,
    Choice,
    Count,
    Day,
    Flag,
    Form,
    Number,
    Program,
    Reference,
    ReferenceList,
    Text,
    Unfit,
    Value,
)
from gateway.domain.characters import INVISIBLE_CLASS
from gateway.domain.errors import Code, Refusal
from gateway.domain.linear_regex import is_whole
from gateway.domain.strict_json import MAX_ARGUMENT_BYTES, Json, JsonError, Parsed, loads

Resolver = Callable[[str, Sequence[ReferenceKind]], Identified | None]

# Beside what nobody sees: C0, C1, separators of lines, noncharacters, private use
_FORBIDDEN = re.compile(
    f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef\ufffc-\uffff\ue000-\uf8ff\U000f0000-\U0010ffff{INVISIBLE_CLASS}]"
)
_SORT_CODE_AND_NUMBER = re.compile(r"[0-9]{14}", re.ASCII)
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_DIGITS_MOST = 24
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def parse(function: BankingFunction, raw: str | Mapping[str, Parsed], resolve: Resolver) -> Arguments:
    """The canonical arguments of a call of `function`. Refusal INVALID_ARGUMENT with the argument's name and what it must be."""
    given = _object(raw)
    declared = {argument.name: argument for argument in function.arguments}
    if any(name not in declared for name in given):
        raise _refused("unknown_argument", None, "an argument that this function does not declare")
    values: dict[str, Value] = {}
    for argument in sorted(function.arguments, key=_waits):
        if argument.name in given:
            value = given[argument.name]
            bare = isinstance(argument.type, BareAmount)
            values[argument.name] = _bare_amount(argument, value, values) if bare else _value(argument, value, resolve)
        elif argument.required:
            raise _refused("missing_argument", argument.name, "is missing")
        elif argument.default is not None:
            values[argument.name] = argument.default
    arguments = Arguments(values)
    try:
        arguments.amount()
    except ValueError:
        raise _refused("invalid_amount", None, "amounts that are more together than any amount may be") from None
    return arguments


def canonical(arguments: Mapping[str, Value]) -> dict[str, Json]:
    """Arguments as JSON with identifiers in place of references: what the trail commits to and idempotency compares."""
    return {name: _plain(value) for name, value in arguments.items()}


def stored(arguments: Mapping[str, Value]) -> dict[str, Json]:
    """Arguments as JSON from which `restored` makes the same ones again: what a proposal keeps until it is confirmed."""
    return {name: _stored(value) for name, value in arguments.items()}


def restored(function: BankingFunction, kept: Mapping[str, Json]) -> Arguments:
    """The arguments that `stored` kept. ValueError when they are not this function's."""
    declared = {argument.name: argument for argument in function.arguments}
    if not set(kept) <= set(declared):
        raise ValueError("arguments of another function")
    return Arguments({name: _restored(declared[name].type, value) for name, value in kept.items()})


def canonical_bytes(function: str, arguments: Mapping[str, Value]) -> bytes:
    """RFC 8785 bytes of a function's name and its canonical arguments."""
    body = {"arguments": canonical(arguments), "function": function}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _object(raw: str | Mapping[str, Parsed]) -> Mapping[str, Parsed]:
    if not isinstance(raw, str):
        return raw
    try:
        value = loads(raw.encode(), max_bytes=MAX_ARGUMENT_BYTES)
    except UnicodeEncodeError:
        raise _refused("invalid_json", None, "the arguments are not JSON by RFC 8259") from None
    except JsonError as error:
        raise _refused(error.fault.value, None, f"the arguments are not taken: {error}") from None
    if not isinstance(value, dict):
        raise _refused("wrong_type", None, "the arguments must be a JSON object")
    return value


def _value(argument: Argument, value: Parsed, resolve: Resolver) -> Value:
    name = argument.name
    match argument.type:
        case Reference(kinds):
            return _reference(name, value, kinds, resolve)
        case ReferenceList(kinds, most):
            if not isinstance(value, list) or not 1 <= len(value) <= most:
                raise _refused("wrong_type", name, f"must be a list of 1 to {most} references")
            resolved = tuple(_reference(name, member, kinds, resolve) for member in value)
            if len(set(resolved)) != len(resolved):
                raise _refused("repeated_reference", name, "holds a reference twice")
            return resolved
        case Amount():
            return _money(name, value)
        case Day():
            return _day(name, value)
        case Flag():
            if not isinstance(value, bool):
                raise _refused("wrong_type", name, "must be true or false")
            return value
        case Text() as text:
            return _text(name, value, text)
        case Program(most):
            return _program(name, value, most)
        case AccountIdentifier():
            return _account_identifier(name, value)
        case Choice(values):
            if not isinstance(value, str) or value not in values:
                raise _refused("not_a_choice", name, "must be one of " + ", ".join(values))
            return value
        case Count(least, most):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise _refused("wrong_type", name, f"must be an integer from {least} to {most}")
            return value
        case Number() as number:
            return _number(name, value, number)
        case BareAmount():
            raise TypeError("an amount needs its currency")


def _waits(argument: Argument) -> bool:
    """Whether the value needs another argument's: its currency."""
    return isinstance(argument.type, BareAmount)


def unresolved(name: str) -> Refusal:
    """The one answer for a reference of someone else, of elsewhere, of yesterday, and for one that never was."""
    return _refused("unresolved_reference", name, "is no reference of this conversation; list the objects again")


def unfit(refused: Unfit) -> Refusal:
    """An argument that a read did not take."""
    return _refused("unfit_argument", refused.argument, refused.must)


def _reference(name: str, value: Parsed, kinds: Sequence[ReferenceKind], resolve: Resolver) -> Identified:
    if not isinstance(value, str):
        raise _refused("wrong_type", name, "must be a reference, as a string")
    identified = resolve(value, kinds)
    if identified is None:
        raise unresolved(name)
    return identified


def _money(name: str, value: Parsed) -> Money:
    if not isinstance(value, dict) or set(value) != {"value", "currency"}:
        raise _refused("wrong_type", name, 'must be {"value": "12.50", "currency": "GBP"}')
    number, currency = value["value"], value["currency"]
    if not isinstance(number, str) or not isinstance(currency, str):
        raise _refused("wrong_type", name, "needs its value and its currency as strings")
    try:
        return Money.parse(number, currency)
    except ValueError:
        raise _refused(
            "invalid_amount", name, "must be positive, in an ISO 4217 currency and with no more digits than it has"
        ) from None


def _bare_amount(argument: Argument, value: Parsed, values: Mapping[str, Value]) -> Money:
    name, declared = argument.name, argument.type
    if not isinstance(declared, BareAmount):
        raise TypeError("not an amount")
    currency = declared.currency if declared.currency_argument is None else values.get(declared.currency_argument)
    if not isinstance(currency, str):
        raise _refused("missing_argument", declared.currency_argument, "is missing: an amount has a currency")
    try:
        match declared.form, value:
            case Form.TEXT, str():
                return Money.parse(value, currency)
            case Form.MINOR, int() if not isinstance(value, bool) and 0 < value <= MAX_MINOR:
                return Money(value, currency)
            case Form.NUMBER, int() | Decimal() if not isinstance(value, bool):
                return Money.of(Decimal(value), currency)
            case Form.TEXT, _:
                raise _refused("wrong_type", name, 'must be a decimal as a string, such as "12.50"')
    except ValueError:
        raise _refused("invalid_amount", name, f"must be positive, and with no more digits than {currency} has") from None
    raise _refused("wrong_type", name, "must be a positive JSON number")


def _number(name: str, value: Parsed, declared: Number) -> str:
    must = f"must be a number from {declared.least} to {declared.most} with at most {declared.decimals} decimals"
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        raise _refused("wrong_type", name, must)
    number = Decimal(value)
    if not number.is_finite() or number.adjusted() > _DIGITS_MOST or len(number.as_tuple().digits) > _DIGITS_MOST:
        raise _refused("wrong_type", name, must)
    text = format(number.normalize() + 0, "f")  # no trailing zeros, no negative zero: one form for one number
    if not declared.least <= number <= declared.most or len(text.partition(".")[2]) > declared.decimals:
        raise _refused("wrong_type", name, must)
    return text


def _day(name: str, value: Parsed) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise _refused("invalid_day", name, "must be a calendar day, YYYY-MM-DD")


def _text(name: str, value: Parsed, declared: Text) -> str:
    if not isinstance(value, str):
        raise _refused("wrong_type", name, "must be a string")
    text = unicodedata.normalize("NFC", value)
    if not declared.least <= len(text) <= declared.most:
        raise _refused("wrong_length", name, f"must have {declared.least} to {declared.most} characters")
    if _FORBIDDEN.search(text):
        raise _refused("forbidden_character", name, "holds a control, invisible or bidirectional character")
    if declared.alphabet is not None and not re.fullmatch(f"[{declared.alphabet}]*", text):
        raise _refused("forbidden_character", name, "holds a character that the payment scheme does not carry")
    if declared.pattern is not None and not is_whole(declared.pattern, text):
        raise _refused("wrong_form", name, "is not in the form that its description gives")
    return text


def _program(name: str, value: Parsed, most: int) -> str:
    if not isinstance(value, str):
        raise _refused("wrong_type", name, "must be a string")
    if not 1 <= len(value) <= most:
        raise _refused("wrong_length", name, f"must have 1 to {most} characters")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise _refused("forbidden_character", name, "holds what is no character")
    return value


def _account_identifier(name: str, value: Parsed) -> str:
    if isinstance(value, str) and _SORT_CODE_AND_NUMBER.fullmatch(value):
        return value
    if isinstance(value, str) and _IBAN.fullmatch(value):
        try:
            return str(iban.validate(value))
        except ValidationError:
            pass
    raise _refused("invalid_identifier", name, "must be an IBAN without spaces, or a sort code and account number as 14 digits")


def _plain(value: Value) -> Json:
    match value:
        case Identified():
            return value.id
        case tuple():
            return [member.id for member in value]
        case Money():
            return {"currency": value.currency, "value": value.value}
        case date():
            return value.isoformat()
        case _:
            return value


def _stored(value: Value) -> Json:
    match value:
        case Identified():
            return {"id": value.id, "kind": value.kind.value}
        case tuple():
            return [_stored(member) for member in value]
        case _:
            return _plain(value)


def _restored(declared: ArgumentType, value: Json) -> Value:
    match declared, value:
        case Reference(), {"kind": str(kind), "id": str(identifier)}:
            return Identified(ReferenceKind(kind), identifier)
        case ReferenceList(), list():
            members = [_restored(Reference(declared.kinds), member) for member in value]
            return tuple(member for member in members if isinstance(member, Identified))
        case _, {"value": str(number), "currency": str(currency)}:
            return Money.parse(number, currency)
        case Day(), str():
            return date.fromisoformat(value)
        case _, str() | int():
            return value
    raise ValueError("not as it was stored")


def _refused(reason: str, param: str | None, what: str) -> Refusal:
    message = f"{param} {what}." if param else f"{what[0].upper()}{what[1:]}."
    return Refusal(Code.INVALID_ARGUMENT, reason, message=message, param=param)
