"""What this protocol's clients are told of a request that is not answered: JSON-RPC errors (JSON-RPC 2.0 section 5.1), with the gateway's
own code under `data`.

The package answers what it cannot read with its validator's texts, which repeat what was sent, and takes the last of two members of one
name: nothing comes to it unread.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Request, Response
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR
from pydantic import ValidationError

from gateway.domain.errors import MESSAGES, Code, Fault, RequestFault, Unavailable
from gateway.domain.strict_json import Parsed, binary
from gateway.doors.bodies import body
from gateway.doors.faults import defect
from gateway.doors.validation import fault_of

REFUSED = -32000
"""A request that was understood and may not be made, or not now: of the range that JSON-RPC leaves to servers."""

ID_MOST = 256
"""Characters of a request's id, which its answer repeats."""

_CODES: Mapping[Fault, int] = {
    Fault.INVALID_JSON: PARSE_ERROR,
    Fault.DUPLICATE_KEY: PARSE_ERROR,
    Fault.TOO_DEEP: PARSE_ERROR,
    Fault.TOO_LARGE: INVALID_REQUEST,
    Fault.INVALID_REQUEST: INVALID_REQUEST,
    Fault.UNSUPPORTED: INVALID_REQUEST,
    Fault.UNAVAILABLE: INTERNAL_ERROR,
    Fault.AUDIT_UNAVAILABLE: INTERNAL_ERROR,
    Fault.BROKEN: INTERNAL_ERROR,
}


async def message_of(request: Request) -> bytes:
    """The one message of a body, strictly read and written anew, so that whoever reads it next reads the same. RequestFault."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _wrong("content-type: must be application/json", "content-type")
    message = await body(request)
    _check(message)
    return orjson.dumps(binary(message))


def _check(message: Parsed) -> None:
    """A request, a notification, or an answer, which is noted and no more."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise _wrong('the body: must be one JSON-RPC message, an object with "jsonrpc": "2.0"; several in a list are not taken')
    id_ = message.get("id")
    if "id" in message and (isinstance(id_, bool) or not isinstance(id_, int | str) or len(str(id_)) > ID_MOST):
        raise _wrong(f"id: must be a whole number, or a string of at most {ID_MOST} characters; a notification has none", "id")
    if "method" not in message:
        answer = [name for name in ("result", "error") if isinstance(message.get(name), dict)]
        if len(answer) != 1 or id_ is None:
            raise _wrong("method: is required", "method")
        return
    if not isinstance(message["method"], str):
        raise _wrong("method: must be a string", "method")
    if not isinstance(message.get("params", {}), dict):
        raise _wrong("params: must be an object", "params")


def as_json_rpc(refused: Response) -> Response:
    """A fault of the whole request, in the form that this protocol's clients parse; its status and headers stay. Without an id: it is
    refused as a whole, and a client knows what it asked by this."""
    said = orjson.loads(refused.body)["error"]
    code = _CODES.get(Fault(said["code"]), REFUSED)
    error = {"code": code, "message": said["message"], "data": _data(said["code"], said["param"])}
    content = orjson.dumps({"jsonrpc": "2.0", "id": None, "error": error})
    headers = {name: value for name, value in refused.headers.items() if name != "content-length"}
    return Response(content, status_code=refused.status_code, headers=headers)


async def told(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Around each method of the protocol: what fails is told in our words and logged by our rules. The package's own say nothing of what
    was wrong, and log what was sent."""
    try:
        return await call_next(ctx)
    except MCPError:
        raise
    except ValidationError as error:
        params = ctx.params
        fault = fault_of(error, {}) if params is None else fault_of(error, params, inside="params")
    except RequestFault as refused:
        fault = refused
    except Unavailable:
        fault = RequestFault(Fault.UNAVAILABLE, MESSAGES[Code.TEMPORARILY_UNAVAILABLE])
    except Exception as error:  # noqa: BLE001  # a door's outermost line: the package answers, and logs, what passes it
        request: Any = ctx.request
        fault = defect(request, error)
    wrong = INVALID_PARAMS if fault.fault is Fault.INVALID_REQUEST else _CODES.get(fault.fault, REFUSED)
    raise MCPError(code=wrong, message=fault.message, data=_data(fault.fault.value, fault.param))


def _data(code: str, param: str | None) -> dict[str, str | None]:
    return {"code": code, "param": param}


def _wrong(message: str, param: str | None = None) -> RequestFault:
    return RequestFault(Fault.INVALID_REQUEST, message, param=param)
