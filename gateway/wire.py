"""Codes to the shapes of the wire: HTTP, OpenAI. The only place that knows them; every door uses it."""

from collections.abc import Mapping

import orjson

from gateway.errors import MESSAGES, Code, Fault, RequestFault
from gateway.stages import Recorded
from gateway.strict_json import Json

STATUS: Mapping[Fault, int] = {
    Fault.INVALID_JSON: 400,
    Fault.DUPLICATE_KEY: 400,
    Fault.TOO_LARGE: 413,
    Fault.TOO_DEEP: 400,
    Fault.INVALID_REQUEST: 400,
    Fault.TOO_MANY_CALLS: 400,
    Fault.UNKNOWN_SHAPE: 400,
    Fault.NOT_FOUND: 404,
    Fault.METHOD_NOT_ALLOWED: 405,
    Fault.MISSING_TOKEN: 401,
    Fault.INVALID_TOKEN: 401,
    Fault.INSUFFICIENT_SCOPE: 403,
    Fault.UNAVAILABLE: 503,
    Fault.AUDIT_UNAVAILABLE: 503,
    Fault.BROKEN: 500,
}
"""HTTP status of a fault of a whole request (RFC 9110; 401 and 403 by RFC 6750 section 3.1)."""

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    500: "server_error",
    503: "server_error",
}
_RETRY_AFTER_S = 1


def fault_status(fault: RequestFault) -> int:
    return STATUS[fault.fault]


def fault_body(fault: RequestFault) -> bytes:
    """`{"error": {"message", "type", "param", "code"}}`, all four keys always."""
    status = fault_status(fault)
    error = {
        "message": fault.message,
        "type": _TYPES.get(status, "invalid_request_error"),
        "param": fault.param,
        "code": fault.fault.value,
    }
    return orjson.dumps({"error": error})


def fault_headers(fault: RequestFault) -> dict[str, str]:
    """`WWW-Authenticate` (RFC 6750) and `Retry-After` where the status asks for them."""
    status = fault_status(fault)
    if status in (401, 403):
        detail = "" if fault.fault is Fault.MISSING_TOKEN else f', error="{_BEARER.get(fault.fault, "invalid_token")}"'
        return {"www-authenticate": f'Bearer realm="tellergate"{detail}'}
    if status == 503:
        return {"retry-after": str(_RETRY_AFTER_S)}
    return {}


_BEARER: Mapping[Fault, str] = {Fault.INSUFFICIENT_SCOPE: "insufficient_scope", Fault.INVALID_TOKEN: "invalid_token"}


def output_text(answered: Recorded) -> str:
    """What the model reads: `{"ok": true, "result": ...}` or `{"ok": false, "error": {"code", "message"}}`."""
    if answered.output is not None:
        return orjson.dumps({"ok": True, "result": answered.output}).decode()
    code = answered.code or Code.TEMPORARILY_UNAVAILABLE
    message = answered.message or MESSAGES[code]
    return orjson.dumps({"ok": False, "error": {"code": code.value, "message": message}}).decode()


def result_item(answered: Recorded) -> dict[str, Json]:
    """What the back end reads; never for the model."""
    proof = answered.proof
    return {
        "call_id": answered.call_id,
        "native_id": answered.native_id,
        "status": answered.status,
        "code": None if answered.code is None else answered.code.value,
        "proof": None if proof is None else {"index": proof.index, "leaf_hash": proof.leaf_hash.hex()},
    }
