"""Canonical arguments become one request: values in encoded segments, encoded query values or a JSON body, and nowhere else. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias
from urllib.parse import quote

from adapters.core import Identified, Money
from adapters.declared.declarations import ArgumentPlace, Declared, Listing, Sent, StatusQuestion, Written
from adapters.declared.paths import filled
from adapters.function import Number

TOOL = "TOOL"
"""Stands for a method where the request is a call of a tool: the target is its name, the body its arguments."""

Canonical: TypeAlias = "bool | int | str | Mapping[str, str] | list[str] | None"


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What goes to the upstream. `target` is an encoded path and query, to be put behind the base URL as it is."""

    method: str
    target: str
    body: bytes | None = None


def canonical_text(arguments: Mapping[str, object]) -> str:
    """RFC 8785 JSON of canonical arguments, as the trail commits to them: identifiers, `{"currency", "value"}`, ISO days."""
    plain = {name: _plain(value) for name, value in arguments.items()}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: object) -> Canonical:
    match value:
        case Identified():
            return value.id
        case tuple():
            return [str(_plain(item)) for item in value]
        case Money():
            return {"currency": value.currency, "value": value.value}
        case date():
            return value.isoformat()
        case bool() | int() | str():
            return value
    raise TypeError(f"no canonical form for {type(value).__name__}")


def request_of(function: Declared, arguments: str, customer: str) -> UpstreamRequest:
    """The request of a call with these canonical arguments. NotASegment for a value that no path may hold.

    ValueError for arguments that are not of this function: a defect, or a manifest that changed in between.
    """
    given: dict[str, Canonical] = json.loads(arguments)
    if not given.keys() <= {item.argument.name for item in function.sent}:
        raise ValueError("not the arguments of this function")
    at = {place: [item for item in function.sent if item.place is place and item.argument.name in given] for place in ArgumentPlace}
    path = filled(function.path, {"customer": customer} | {it.argument.name: _text(it, given) for it in at[ArgumentPlace.PATH]})
    query = "&".join(f"{quote(it.name, safe='')}={quote(_text(it, given), safe='')}" for it in at[ArgumentPlace.QUERY])
    body = None
    if at[ArgumentPlace.BODY] or function.method in ("POST", "PUT", "PATCH", TOOL):
        members = (f"{json.dumps(it.name)}:{_json(it, given)}" for it in at[ArgumentPlace.BODY])
        body = ("{" + ",".join(members) + "}").encode()
    return UpstreamRequest(function.method, f"{path}?{query}" if query else path, body)


def question(path: str, values: Mapping[str, str]) -> UpstreamRequest:
    """A GET of this path with these values in its segments. NotASegment."""
    return UpstreamRequest("GET", filled(path, values))


def facts_question(asked: Listing, customer: str) -> UpstreamRequest:
    """What the gateway itself asks about this customer. NotASegment."""
    return UpstreamRequest(TOOL, asked.tool.name, b"{}") if asked.tool else question(asked.path, {"customer": customer})


def status_question(asked: StatusQuestion, key: str, customer: str) -> UpstreamRequest:
    """What became of this key? NotASegment."""
    if asked.tool:
        return UpstreamRequest(TOOL, asked.tool.name, json.dumps({asked.key_as: key}).encode())
    return question(asked.path, {"key": key, "customer": customer})


def _text(sent: Sent, given: Mapping[str, Canonical]) -> str:
    value = given[sent.argument.name]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return _amount(sent, value)
    if not isinstance(value, str | int):
        raise ValueError("not a value that is sent")
    return str(value)


def _json(sent: Sent, given: Mapping[str, Canonical]) -> str:
    value = given[sent.argument.name]
    if isinstance(sent.argument.type, Number):
        return str(value)  # written digit by digit
    if not isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    amount = _amount(sent, value)
    return json.dumps(amount) if sent.written is Written.TEXT else amount  # a number is written digit by digit


def _amount(sent: Sent, value: Mapping[str, str]) -> str:
    if sent.written is Written.MINOR:
        return str(Money.parse(value["value"], value["currency"]).minor)
    return value["value"]
