"""Bodies of requests, read raw and held against a model; and JSON answers. A fault names a field of ours, never a word of the client's."""

from collections.abc import Mapping
from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.strict_json import MAX_BODY_BYTES, MAX_DEPTH, Json, JsonError, Parsed, loads
from gateway.doors.shapes import SHAPES

_Model = TypeVar("_Model", bound=BaseModel)


def json_answer(value: object, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), media_type="application/json", headers=headers)


async def body(request: Request, *, max_bytes: int = MAX_BODY_BYTES, max_depth: int = MAX_DEPTH) -> Parsed:
    """The JSON of a request's body, bounded and strict. RequestFault."""
    size, parts = 0, []
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise RequestFault(Fault.TOO_LARGE, f"more than {max_bytes} bytes")
        parts.append(part)
    try:
        return loads(b"".join(parts), max_bytes=max_bytes, max_depth=max_depth)
    except JsonError as error:
        raise RequestFault(error.fault, f"the body is not taken: {error}") from None


def parsed(model: type[_Model], value: Parsed | Json) -> _Model:
    """The body as this model. RequestFault INVALID_REQUEST."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error, None) from None


def invalid(error: ValidationError, inside: str | None) -> RequestFault:
    """Names the first field that is wrong and what it must be. A field that is not declared is the client's word: not repeated."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    unknown = first["type"] == "extra_forbidden"
    path = [part for part in (first["loc"][:-1] if unknown else first["loc"]) if isinstance(part, str | int)]
    name = ".".join([*([inside] if inside else []), *(str(part) for part in path)]) or None
    if unknown:
        return RequestFault(Fault.INVALID_REQUEST, "a field that is not known here", param=name)
    if name == "shape":
        return RequestFault(Fault.UNKNOWN_SHAPE, "shape is one of " + ", ".join(SHAPES), param=name)
    return RequestFault(Fault.INVALID_REQUEST, f"{name or 'the body'}: {first['msg']}", param=name)
