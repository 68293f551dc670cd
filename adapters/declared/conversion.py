"""The upstream's JSON becomes the plain values that a function declares; what is not declared is left behind. Pure.

Numbers come as integers and exact decimals, never as binary fractions.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import jiter

from adapters.core import MAX_MINOR, Identified, Money
from adapters.declared.declarations import DeclaredAnswer, DeclaredField, Written
from adapters.function import OwnText

MAX_INTEGER = 2**53 - 1
MAX_ITEMS = 2_000
MAX_TEXT = 1_000_000

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,18})?", re.ASCII)


class NotAnAnswer(ValueError):
    """Not what was declared. The message names a declared field, and holds no value."""


def parsed(body: bytes) -> object:
    """One JSON value, no duplicate keys. NotAnAnswer."""
    try:
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="decimal")
    except ValueError:
        raise NotAnAnswer("not strict JSON") from None


def output_of(answer: DeclaredAnswer, value: object, *, is_lenient: bool) -> dict[str, object]:
    """The declared fields of an answer.

    A field that is missing or of another type is a NotAnAnswer; `is_lenient`: it is left out, for an effect that did happen, whatever
    is wrong with the words about it.
    """
    if answer.at is not None:
        value = value.get(answer.at) if isinstance(value, Mapping) else None
    if answer.wrap is not None:
        value = {answer.fields[0].source: value}
    if not isinstance(value, Mapping):
        if is_lenient:
            return {}
        raise NotAnAnswer("not an object")
    return _fields(answer.fields, value, is_lenient)


def _fields(declared: tuple[DeclaredField, ...], given: Mapping[str, object], is_lenient: bool) -> dict[str, object]:
    out: dict[str, object] = {}
    for shown in declared:
        name = shown.field.name
        try:
            value = given.get(shown.source)
            if value is None:
                if not shown.field.nullable:
                    raise NotAnAnswer(name)
                out[name] = None
            elif shown.field.many:
                if not isinstance(value, list) or len(value) > MAX_ITEMS:
                    raise NotAnAnswer(name)
                out[name] = tuple(_one(shown, item, given, is_lenient) for item in value)
            else:
                out[name] = _one(shown, value, given, is_lenient)
        except NotAnAnswer:
            if not is_lenient:
                raise
    return out


def _one(shown: DeclaredField, value: object, beside: Mapping[str, object], is_lenient: bool) -> object:
    name = shown.field.name
    match shown.scalar, value:
        case "fields", dict():
            return _fields(shown.members, value, is_lenient)
        case "text", str() if len(value) <= MAX_TEXT:
            by = shown.written_by
            writer = None if by is None else beside.get(by.field)
            said = str(writer).lower() if isinstance(writer, bool) else writer
            return OwnText(value) if by is not None and isinstance(said, str) and said in by.own else value
        case "reference", str() | int() if not isinstance(value, bool) and not isinstance(shown.field.type, str | tuple):
            return Identified(shown.field.type, str(value))
        case "count", int() if not isinstance(value, bool) and abs(value) <= MAX_INTEGER:
            return value
        case "flag", bool():
            return value
        case "day", str():
            return day(value, name)
        case "time", str():
            return moment(value, name)
        case "decimal", _:
            return _decimal(value, name)
        case "money", _:
            currency = shown.currency if shown.currency_field is None else beside.get(shown.currency_field)
            return money(value, shown.written, currency, name)
    raise NotAnAnswer(name)


def day(value: str, name: str) -> date:
    """A calendar day. NotAnAnswer."""
    try:
        if _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise NotAnAnswer(name)


def moment(value: str, name: str) -> datetime:
    """A moment of RFC 3339, in UTC. NotAnAnswer."""
    if _TIME.fullmatch(value):
        whole, _, rest = value.upper().partition(".")
        fraction = re.match(r"\d+", rest)
        text = whole if fraction is None else f"{whole}.{fraction[0][:6].ljust(6, '0')}{rest[fraction.end() :]}"
        try:
            return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise NotAnAnswer(name)


def money(value: object, written: Written, currency: object, name: str) -> Money:
    """An exact amount, of either sign. NotAnAnswer rather than rounding."""
    if written is Written.OBJECT:
        given: Mapping[str, object] = value if isinstance(value, Mapping) else {}
        value, currency = given.get("value"), given.get("currency")
    try:
        match written, value, currency:
            case Written.MINOR, int(), str() if not isinstance(value, bool) and abs(value) <= MAX_MINOR:
                return Money(value, currency)
            case Written.NUMBER, int() | Decimal(), str() if not isinstance(value, bool):
                return Money.of(Decimal(value), currency, signed=True)
            case Written.TEXT | Written.OBJECT, str(), str() if _DECIMAL.fullmatch(value):
                return Money.of(Decimal(value), currency, signed=True)
    except ValueError:
        pass
    raise NotAnAnswer(name)


def _decimal(value: object, name: str) -> str:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        if number.is_finite() and abs(number.adjusted()) < 20 and len(number.as_tuple().digits) <= 36:
            return format(number, "f")
    raise NotAnAnswer(name)
