"""Codes to the shapes of the wire: HTTP, OpenAI. The only place that knows them; every door uses it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from gateway.calls.output import result_item
from gateway.calls.rates import Admission
from gateway.domain.errors import Code, Fault, RequestFault
from gateway.domain.principal import BEARER, DPOP, SCOPES, NotAuthenticated
from gateway.domain.stages import Recorded
from gateway.domain.strict_json import Json

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
    Fault.INVALID_DPOP_PROOF: 401,
    Fault.USE_DPOP_NONCE: 401,
    Fault.INSUFFICIENT_SCOPE: 403,
    Fault.INSUFFICIENT_ROLE: 403,
    Fault.FRESH_SIGN_IN: 403,
    Fault.FOREIGN_REQUEST: 403,
    Fault.APPROVAL_EXPIRED: 409,
    Fault.APPROVAL_GIVEN: 409,
    Fault.APPROVAL_USED: 409,
    Fault.APPROVAL_WAITS: 409,
    Fault.NOT_APPROVED: 403,
    Fault.SAME_PERSON: 409,
    Fault.LEGAL_HOLD: 409,
    Fault.CALL_IN_DOUBT: 409,
    Fault.CUSTOMER_STOPPED: 409,
    Fault.ERASE_BY_COMMAND: 409,
    Fault.NOT_CONFIRMED: 422,
    Fault.CONFIRMATION_EXPIRED: 409,
    Fault.CONFIRMATION_DECLINED: 409,
    Fault.CONFIRMATION_USED: 409,
    Fault.CONFIRMATION_WAITS: 409,
    Fault.CONFIRMATION_CHANGED: 409,
    Fault.CHALLENGE_EXPIRED: 409,
    Fault.PASSKEY_KNOWN: 409,
    Fault.MANDATE_NOT_NEWER: 409,
    Fault.SAME_OFFICER: 409,
    Fault.KILL_SWITCH_LIFTED: 409,
    Fault.THREAD_HAS_ACTIVE_RUN: 400,
    Fault.RUN_NOT_CANCELLABLE: 400,
    Fault.OUTPUTS_NOT_EXPECTED: 400,
    Fault.FILE_REFUSED: 400,
    Fault.FILES_FULL: 400,
    Fault.UPLOAD_ENDED: 400,
    Fault.UNSUPPORTED: 400,
    Fault.NO_MODEL: 501,
    Fault.RUN_FAILED: 424,
    Fault.RATE_LIMITED: 429,
    Fault.UNAVAILABLE: 503,
    Fault.AUDIT_UNAVAILABLE: 503,
    Fault.BROKEN: 500,
}
"""HTTP status of a fault of a whole request (RFC 9110; 401 and 403 by RFC 6750 section 3.1)."""

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    424: "server_error",
    429: "rate_limit_error",
    500: "server_error",
    501: "server_error",
    503: "server_error",
}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenges:
    """What a client is told of how to authenticate. `dpop_algorithms` empty: proofs are not taken. `metadata`: URL by RFC 9728."""

    bearer: bool = True
    dpop_algorithms: tuple[str, ...] = ()
    acr_values: tuple[str, ...] = ()
    max_age_s: int = 300
    metadata: str = ""

    def header(self, used: str | None, parameters: Mapping[str, str | int]) -> str:
        """`WWW-Authenticate` with each scheme that is taken; the one that was used carries the parameters (RFC 9449 section 7.1)."""
        offered = [DPOP] * bool(self.dpop_algorithms) + [BEARER] * self.bearer
        carrier = used if used in offered else offered[0]
        parts = []
        for scheme in sorted(offered, key=lambda scheme: scheme != carrier):
            algorithms = {"algs": " ".join(self.dpop_algorithms)} if scheme == DPOP else {}
            where = {"resource_metadata": self.metadata} if self.metadata else {}
            own = {"realm": "tellergate", **(parameters if scheme == carrier else {}), **algorithms, **where}
            parts.append(f"{scheme} " + ", ".join(_parameter(name, value) for name, value in own.items()))
        return ", ".join(parts)


def _parameter(name: str, value: str | int) -> str:
    return f"{name}={value}" if isinstance(value, int) else f'{name}="{value}"'


def fault_headers(fault: RequestFault, challenges: Challenges) -> dict[str, str]:
    """`WWW-Authenticate` (RFC 6750 section 3, RFC 9449 section 7.1) and `Retry-After` where the status asks for them."""
    status = fault_status(fault)
    if status in (401, 403):
        used = fault.scheme if isinstance(fault, NotAuthenticated) else None
        parameters = {} if fault.fault is Fault.MISSING_TOKEN else {"error": fault.fault.value}
        if isinstance(fault, NotAuthenticated) and fault.scope is not None:
            parameters["scope"] = fault.scope
        return {"www-authenticate": challenges.header(used, parameters)}
    if status in (424, 501):
        return {
            "x-should-retry": "false"
        }  # the `openai` package repeats every other 5xx; what a run has done must not be done again
    if status in (429, 503):
        return {"retry-after": str(fault.retry_after_s)}
    return {}


def rate_headers(admission: Admission) -> list[tuple[bytes, bytes]]:
    """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4): what may be asked in a minute, and
    how many more now without waiting."""
    policy = f'"{admission.policy}";q={admission.per_minute};w=60'
    left = f'"{admission.policy}";r={admission.left};t={admission.full_after_s}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode())]


def step_up(answered: Recorded, challenges: Challenges) -> dict[str, Json] | None:
    """What a call that needs a stronger session asks of the next sign-in (RFC 9470); None for every other."""
    if answered.code is not Code.STEP_UP_REQUIRED:
        return None
    return {"acr_values": " ".join(challenges.acr_values), "max_age": challenges.max_age_s}


def step_up_headers(answered: Sequence[Recorded], scheme: str, challenges: Challenges) -> dict[str, str]:
    """The challenge of RFC 9470 section 3 on a 200 (RFC 9110 section 11.6.1 allows it there) when a call of the request needs it."""
    wanted = next((needed for call in answered if (needed := step_up(call, challenges)) is not None), None)
    if wanted is None:
        return {}
    error: dict[str, str | int] = {"error": "insufficient_user_authentication"}
    parameters = error | {name: value for name, value in wanted.items() if isinstance(value, str | int)}
    return {"www-authenticate": challenges.header(scheme, parameters)}


def protected_resource(resource: str, issuer: str, challenges: Challenges, *, certificates: bool) -> bytes:
    """The metadata of RFC 9728 section 2."""
    return orjson.dumps(
        {
            "resource": resource,
            "authorization_servers": [issuer],
            "scopes_supported": SCOPES,
            "bearer_methods_supported": ["header"],
            "tls_client_certificate_bound_access_tokens": certificates,
            "dpop_signing_alg_values_supported": challenges.dpop_algorithms,
            "dpop_bound_access_tokens_required": not challenges.bearer,
        }
    )


def call_result(answered: Recorded, challenges: Challenges) -> dict[str, Json]:
    """A result of `POST /v1/function-calls`: with the challenge, if a stronger session would help."""
    return {**result_item(answered), "challenge": step_up(answered, challenges)}
