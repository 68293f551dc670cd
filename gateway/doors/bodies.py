"""Bodies of requests, read raw, bounded and strict, and held against a model; and JSON answers."""

import codecs
from collections.abc import Mapping
from typing import TypeVar

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.strict_json import MAX_BODY_BYTES, MAX_DEPTH, JsonError, Parsed, binary, loads
from gateway.doors.validation import expected_fields, validated

QUOTA = "tellergate.quota"
"""In a request's scope: what is told how many bytes are about to be stored, and raises RequestFault for what is too much."""

UNKEPT = {"cache-control": "no-store"}

_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_Model = TypeVar("_Model", bound=BaseModel)


def json_answer(value: object, headers: Mapping[str, str] | None = None) -> Response:
    """What a customer's data may be in: kept by nobody on the way (RFC 9111 section 5.2.2.5)."""
    return Response(orjson.dumps(value), media_type="application/json", headers={**UNKEPT, **(headers or {})})


async def body(request: Request) -> Parsed:
    """The JSON of a request's body, bounded and strict. RequestFault, also for an empty one."""
    content = await _content(request, MAX_BODY_BYTES)
    if not content:
        raise _empty("a JSON value")
    return _parsed(content, MAX_BODY_BYTES, MAX_DEPTH)


async def body_as(
    model: type[_Model],
    request: Request,
    *,
    max_bytes: int = MAX_BODY_BYTES,
    max_depth: int = MAX_DEPTH,
    fractions: bool = False,
) -> _Model:
    """The body as this model; one that is not there is `{}` to a model without required fields. RequestFault.

    `fractions`: numbers with a fraction are taken, as binary ones. Never where a body holds money.
    """
    content = await _content(request, max_bytes)
    if not content:
        if any(field.is_required() for field in model.model_fields.values()):
            raise _empty(expected_fields(model))
        content = b"{}"
    value = _parsed(content, max_bytes, max_depth)
    held: _Model = validated(model, binary(value) if fractions else value)
    return held


def _empty(expected: str) -> RequestFault:
    return RequestFault(Fault.INVALID_JSON, f"the body is empty: expected {expected}")


async def _content(request: Request, max_bytes: int) -> bytes:
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        message = "content-encoding: send the body as it is: a compressed one is as large as its sender likes"
        raise RequestFault(Fault.UNSUPPORTED, message, param="content-encoding")
    size, parts = 0, []
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise RequestFault(Fault.TOO_LARGE, f"the body has more than {max_bytes} bytes")
        parts.append(part)
    if (spend := request.scope.get(QUOTA)) is not None:
        spend(size)
    return b"".join(parts)


def _parsed(content: bytes, max_bytes: int, max_depth: int) -> Parsed:
    if content.startswith(_BYTE_ORDER_MARKS):
        raise RequestFault(
            Fault.INVALID_JSON, "the body begins with a byte order mark: send UTF-8 without one (RFC 8259 section 8.1)"
        )
    try:
        return loads(content, max_bytes=max_bytes, max_depth=max_depth)
    except JsonError as error:
        raise RequestFault(error.fault, f"the body is not accepted: {error}") from None
