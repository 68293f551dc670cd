"""The wire form of the values of a port, derived from their annotations: strict in both directions. Pure: no I/O, no clock.

A type of the port that has no form here is a TypeError when its codec is made, at import. In words: an object is exactly the fields of
its dataclass; a member of a union says which with `is`; money is `{"value": "12.50", "currency": "GBP"}`, never a number; an integer is
within 53 bits (RFC 7493); a day is `2026-03-17`, a moment `2026-03-17T12:00:00.000000Z`; bytes are base64. What may hold any scalar
(`object`: the fields of an effect's output) carries its type where JSON has none: `{"money": ...}`, `{"identified": ...}`,
`{"day": ...}`, `{"time": ...}`.
"""

import base64
import binascii
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import jiter
import orjson

from adapters.core import Identified, Money, exponent

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

MAX_INTEGER = 2**53 - 1

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
_AMOUNT = re.compile(r"-?(?:0|[1-9]\d{0,15})(?:\.\d{1,6})?", re.ASCII)


class WireError(ValueError):
    """Not in the wire form, or without one. The message names fields and types of the port, and holds no value."""


@dataclass(frozen=True, slots=True)
class Codec:
    """Both directions of one type. Each raises WireError."""

    encode: Callable[[Any], Json]
    decode: Callable[[Json], Any]


def dumps(value: Json) -> bytes:
    """Bytes of a value that an encoder gave. WireError for text that is not Unicode."""
    try:
        return orjson.dumps(value)
    except TypeError:
        raise WireError("text holds a lone surrogate") from None


def loads(body: bytes) -> Json:
    """Strict JSON: one value, no duplicate keys, no NaN, no lone surrogates. The caller has bounded the size."""
    try:
        value: Json = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError:  # jiter's own message quotes the input
        raise WireError("not strict JSON") from None
    return value


@cache
def codec(of: Any) -> Codec:
    """The codec of an annotation. TypeError for one that has no wire form."""
    if of in _SCALARS:
        return _SCALARS[of]
    if isinstance(of, type) and issubclass(of, StrEnum):
        return Codec(_typed(of, lambda value: value.value), _choice({member.value: member for member in of}))
    if isinstance(of, type) and is_dataclass(of):
        return _record(of)
    origin, arguments = get_origin(of), get_args(of)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is Literal:
        return Codec(_text, _choice({argument: argument for argument in arguments}))
    if origin is Sequence or (origin is tuple and arguments[1:] == (...,)):
        return _sequence(codec(arguments[0]))
    if origin is frozenset:
        return _set(codec(arguments[0]))
    if origin is Mapping and arguments[0] is str:
        return _mapping(codec(arguments[1]))
    raise TypeError(f"{of} has no wire form")


def _typed(of: type, encode: Callable[[Any], Json]) -> Callable[[Any], Json]:
    """Encode exactly this type: no subclass, since a moment is a day and a boolean an integer to Python."""

    def checked(value: object) -> Json:
        if type(value) is not of:
            raise WireError(f"not {of.__name__}")
        return encode(value)

    return checked


def _text(value: Json) -> str:
    if type(value) is not str:
        raise WireError("not text")
    return value


def _truth(value: Json) -> bool:
    if type(value) is not bool:
        raise WireError("not true or false")
    return value


def _integer(value: Json) -> int:
    if type(value) is not int or not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise WireError("not an integer within 53 bits")
    return value


def _nothing(value: Json) -> None:
    if value is not None:
        raise WireError("not null")


def _day(value: Json) -> date:
    if _DAY.fullmatch(_text(value)) is None:
        raise WireError("not a day")
    try:
        return date.fromisoformat(_text(value))
    except ValueError:
        raise WireError("not a day") from None


def _time(value: Json) -> datetime:
    if _TIME.fullmatch(_text(value)) is None:
        raise WireError("not a moment in UTC with microseconds")
    try:
        return datetime.fromisoformat(_text(value))
    except ValueError:
        raise WireError("not a moment in UTC with microseconds") from None


def _time_text(value: datetime) -> str:
    if value.tzinfo is None:
        raise WireError("a moment without its zone")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _bytes(value: Json) -> bytes:
    try:
        content = base64.b64decode(_text(value), validate=True)
    except (binascii.Error, ValueError):
        raise WireError("not base64") from None
    if base64.b64encode(content).decode() != value:
        raise WireError("not base64 in its one spelling")
    return content


def _money(value: Json) -> Money:
    if type(value) is not dict or value.keys() != {"value", "currency"}:
        raise WireError("not an amount of money")
    text, currency = _text(value["value"]), _text(value["currency"])
    if _AMOUNT.fullmatch(text) is None:
        raise WireError("an amount is a decimal string")
    try:
        whole, _, fraction = text.partition(".")
        if len(fraction) != exponent(currency):
            raise WireError("an amount has its currency's fraction digits")
        amount = Money(int(whole + fraction), currency)
    except ValueError:
        raise WireError("not an amount of a currency of ISO 4217") from None
    if amount.value != text:  # minus nothing
        raise WireError("an amount has one spelling")
    return amount


def _choice(choices: Mapping[str, Any]) -> Callable[[Json], Any]:
    def decode(value: Json) -> Any:
        if type(value) is not str or value not in choices:
            raise WireError("not one of its choices")
        return choices[value]

    return decode


def _record(of: type) -> Codec:
    hints = get_type_hints(of)
    members = [(member.name, codec(hints[member.name])) for member in fields(of)]
    names = {name for name, _ in members}

    def encode(value: Any) -> Json:
        if type(value) is not of:
            raise WireError(f"not {of.__name__}")
        encoded: dict[str, Json] = {}
        for name, item in members:
            try:
                encoded[name] = item.encode(getattr(value, name))
            except WireError as error:
                raise WireError(f"{name}: {error}") from None
        return encoded

    def decode(value: Json) -> Any:
        if type(value) is not dict or value.keys() != names:
            raise WireError(f"not exactly the fields of {of.__name__}")
        given = {}
        for name, item in members:
            try:
                given[name] = item.decode(value[name])
            except WireError as error:
                raise WireError(f"{name}: {error}") from None
        try:
            return of(**given)
        except ValueError:
            raise WireError(f"not a {of.__name__}") from None

    return Codec(encode, decode)


def _union(of: Sequence[Any]) -> Codec:
    others = [item for item in of if item is not types.NoneType]
    if len(others) == 1:
        inner, is_optional = codec(others[0]), True
    else:
        inner, is_optional = _tagged_union(others), len(others) < len(of)
    if not is_optional:
        return inner
    return Codec(
        lambda value: None if value is None else inner.encode(value), lambda value: None if value is None else inner.decode(value)
    )


def _tagged_union(of: Sequence[Any]) -> Codec:
    if not all(isinstance(item, type) and is_dataclass(item) and item is not Money for item in of):
        raise TypeError("a union is one of dataclasses, which say who they are")
    if any(member.name == "is" for item in of for member in fields(item)):
        raise TypeError("`is` says which member of the union it is")
    by_type = {item: (item.__name__, _record(item)) for item in of}
    by_name = dict(by_type.values())

    def encode(value: Any) -> Json:
        if type(value) not in by_type:
            raise WireError(f"not one of {', '.join(by_name)}")
        name, record = by_type[type(value)]
        encoded = record.encode(value)
        return {"is": name, **encoded} if isinstance(encoded, dict) else encoded

    def decode(value: Json) -> Any:
        name = value.get("is") if type(value) is dict else None
        if type(value) is not dict or type(name) is not str or name not in by_name:
            raise WireError(f"not one of {', '.join(by_name)}")
        return by_name[name].decode({item: value[item] for item in value if item != "is"})

    return Codec(encode, decode)


def _sequence(inner: Codec) -> Codec:
    def encode(values: Any) -> Json:
        if not isinstance(values, list | tuple):
            raise WireError("not a sequence")
        return [inner.encode(item) for item in values]

    def decode(value: Json) -> Any:
        if type(value) is not list:
            raise WireError("not a list")
        return tuple([inner.decode(item) for item in value])

    return Codec(encode, decode)


def _set(inner: Codec) -> Codec:
    def encode(values: Any) -> Json:
        if not isinstance(values, frozenset):
            raise WireError("not a set")
        return sorted((inner.encode(item) for item in values), key=dumps)

    def decode(value: Json) -> Any:
        if type(value) is not list:
            raise WireError("not a list")
        members = frozenset(inner.decode(item) for item in value)
        if len(members) != len(value):
            raise WireError("a member twice")
        return members

    return Codec(encode, decode)


def _mapping(inner: Codec) -> Codec:
    def encode(value: Any) -> Json:
        if not isinstance(value, Mapping):
            raise WireError("not a mapping")
        return {_text(name): inner.encode(item) for name, item in value.items()}

    def decode(value: Json) -> Any:
        if type(value) is not dict:
            raise WireError("not an object")
        return {name: inner.decode(item) for name, item in value.items()}

    return Codec(encode, decode)


def _any_scalar() -> Codec:
    """`object`: plain where JSON has the type, one tagged member where it has not."""
    tags: dict[type, tuple[str, Codec]] = {
        Identified: ("identified", codec(Identified)),
        Money: ("money", _SCALARS[Money]),
        datetime: ("time", _SCALARS[datetime]),
        date: ("day", _SCALARS[date]),
    }
    by_tag = dict(tags.values())

    def encode(value: object) -> Json:
        if type(value) in tags:
            tag, inner = tags[type(value)]
            return {tag: inner.encode(value)}
        if type(value) is int:
            return _integer(value)
        if value is None or type(value) in (bool, str):
            return value  # type: ignore[return-value]  # one of the three types that JSON has
        raise WireError(f"an output cannot hold {type(value).__name__}")

    def decode(value: Json) -> object:
        if type(value) is dict:
            if len(value) != 1 or not value.keys() <= by_tag.keys():
                raise WireError("not one value with its type")
            ((tag, inner),) = value.items()
            return by_tag[tag].decode(inner)
        if type(value) is int:
            return _integer(value)
        if value is None or type(value) in (bool, str):
            return value
        raise WireError("not a value that an output holds")

    return Codec(encode, decode)


_SCALARS: dict[Any, Codec] = {
    str: Codec(_text, _text),
    bool: Codec(_truth, _truth),
    int: Codec(_integer, _integer),
    types.NoneType: Codec(_nothing, _nothing),
    date: Codec(_typed(date, lambda value: value.isoformat()), _day),
    datetime: Codec(_typed(datetime, _time_text), _time),
    bytes: Codec(_typed(bytes, lambda value: base64.b64encode(value).decode()), _bytes),
    Money: Codec(_typed(Money, lambda value: {"value": value.value, "currency": value.currency}), _money),
}
_SCALARS[object] = _any_scalar()
