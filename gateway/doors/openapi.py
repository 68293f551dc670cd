"""The published OpenAPI document: what FastAPI knows of the routes, with bodies that are read raw, tags, examples, headers and errors."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from gateway.domain.errors import MESSAGES, Code, Fault
from gateway.domain.reasons import RefusalReason
from gateway.doors import schemas
from gateway.doors.assistants_api import schemas as assistant_schemas
from gateway.doors.assistants_api import vector_schemas
from gateway.doors.chat_api import schemas as chat_schemas
from gateway.doors.examples import EXAMPLES, error_example
from gateway.doors.responses_api import schemas as responses_schemas
from gateway.doors.wire import STATUS

DESCRIPTION = """\
A secure function-calling gateway for banks. A model's function calls are checked, executed, redacted and recorded here.

Every answer has the header `x-request-id`: the request's own, if it had a plain one of at most 64 characters. Errors have one form,
`{"error": {"message", "type", "param", "code"}}`; `code` is stable. 401 and 403 carry `WWW-Authenticate` with what is missing (RFC 6750,
RFC 9449), 429 and 503 `Retry-After`. `RateLimit` says how many more requests this customer may ask without waiting.
"""

_TAGS = {
    "/v1/function-calls": "Function calls",
    "/v1/functions": "Function calls",
    "/v1/calls": "Function calls",
    "/v1/conversations": "Conversations",
    "/v1/assistants": "Assistants",
    "/v1/threads/{thread_id}/runs": "Runs",
    "/v1/threads/runs": "Runs",
    "/v1/threads/{thread_id}/messages": "Messages",
    "/v1/threads": "Threads",
    "/v1/chat": "Chat",
    "/v1/models": "Chat",
    "/v1/responses": "Responses",
    "/v1/files": "Files",
    "/v1/uploads": "Files",
    "/v1/vector_stores": "Vector stores",
    "/v1/confirmations": "Confirmations",
    "/v1/passkeys": "Passkeys",
    "/v1/mandates": "Standing mandates",
    "/v1/customers": "Mandates",
    "/v1/activity": "Activity",
    "/v1/kill-switches": "Kill switches",
    "/livez": "Health",
    "/readyz": "Health",
    "/version": "Health",
}
"""By the beginning of a path; the longer one before the shorter."""

_TAG_TEXTS = {
    "Function calls": "What a model asked for, in the shape of its API, and what became of it.",
    "Conversations": "In which references are valid, and where the customer's own words are kept.",
    "Assistants": "The Assistants API: a model with instructions and functions, made by the bank's back end.",
    "Threads": "The Assistants API: a customer's threads.",
    "Messages": "The Assistants API: the messages of a thread.",
    "Runs": "The Assistants API: an assistant's runs over a thread, and their steps.",
    "Chat": "Chat Completions, for clients that keep their own history.",
    "Responses": "The Responses API: a response is a stretch of a run, whose thread the gateway keeps.",
    "Files": "The Assistants API: documents, each looked at and sealed when it comes.",
    "Vector stores": "The Assistants API: files that are searched together, by words.",
    "Mandates": "What the bank lets a customer's assistants do.",
    "Confirmations": "What waits for the customer's confirmation.",
    "Passkeys": "With which the customer confirms; enrolled by the bank's identity system.",
    "Standing mandates": "Bounds within which an assistant pays without asking.",
    "Activity": "What was done for the customer, and who looked.",
    "Kill switches": "For the bank's back end: stop assistants within a second. People let them go on, on the operations listener.",
    "Health": "For load balancers and operators; without a token.",
}

_STATUS_TEXTS = {
    400: "The request is not valid; `code` and `param` say what is wrong.",
    401: "No token, or one that is not valid here. `WWW-Authenticate` says how to authenticate.",
    403: "The token does not permit this. `WWW-Authenticate` names the scope that is missing.",
    404: "There is no such object, or it is another customer's.",
    409: "The state of the object does not allow this; nothing changed.",
    413: "The body is too large.",
    424: "The run ended without an answer. What it has done stays done: asking again may do it again.",
    422: "The customer's confirmation could not be verified; nothing changed.",
    429: "Too many requests; `Retry-After` says when to ask again.",
    501: "No model is configured, so nothing can be run. Asking again does not help.",
    503: "A part that this needs does not answer; nothing happened. `Retry-After` says when to ask again.",
}
_STATUS_HEADERS = {
    401: {
        "WWW-Authenticate": "How to authenticate: the schemes that are accepted, and why this token was not (RFC 6750, RFC 9449)."
    },
    403: {"WWW-Authenticate": "The scope that is needed (RFC 6750 section 3.1)."},
    429: {"Retry-After": "Seconds until the next try."},
    424: {"x-should-retry": "`false`: clients of the `openai` package do not repeat the request."},
    501: {"x-should-retry": "`false`: clients of the `openai` package do not repeat the request."},
    503: {"Retry-After": "Seconds until the next try."},
}
_REQUEST_ID = {"x-request-id": "The id of this request, as the access log has it."}
_RATES = {
    "RateLimit-Policy": "What one customer may ask in a minute (draft-ietf-httpapi-ratelimit-headers-10); wherever the customer is known.",
    "RateLimit": "`r`: how many more may be asked now without waiting; `t`: seconds until as many as ever may be.",
}

_BODIES: tuple[type[BaseModel], ...] = (
    schemas.FunctionCalls,
    schemas.NewConversation,
    schemas.CustomerMessages,
    schemas.ConfirmationDecision,
    schemas.NewPasskey,
    schemas.NewMandate,
    schemas.CustomerMandate,
    schemas.NewKillSwitch,
    *assistant_schemas.BODIES,
    *vector_schemas.BODIES,
    *chat_schemas.BODIES,
    *responses_schemas.BODIES,
)


def publish(app: FastAPI) -> None:
    """Have the app publish this document. Its operation ids are the names of the route functions."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAG_TEXTS.items()],
    )
    _add_schemas(made.setdefault("components", {}))
    for path, operations in made["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    made["security"] = [{"bearer": []}, {"dpop": []}]
    return made


def _add_schemas(components: dict[str, Any]) -> None:
    known = components.setdefault("schemas", {})
    for model in _BODIES:
        schema = model.model_json_schema(ref_template=schemas.REF)
        known.update(schema.pop("$defs", {}))
        known[model.__name__] = schema
    for enum, text in ((RefusalReason, _reasons()), (Code, _codes()), (Fault, _faults())):
        if enum.__name__ in known:
            known[enum.__name__]["description"] = text
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "at+jwt"},
        "dpop": {"type": "http", "scheme": "dpop", "description": "An access token with a proof of possession (RFC 9449)"},
    }


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Tag, summary out of the docstring's first line, examples, headers, and what each status means."""
    name = operation["operationId"]
    operation["tags"] = [_TAGS[next(prefix for prefix in sorted(_TAGS, key=len, reverse=True) if path.startswith(prefix))]]
    summary, _, further = operation.get("description", "").partition("\n")
    operation["summary"], operation["description"] = summary.strip().rstrip("."), re.sub(r"\s*\n\s*", " ", further).strip()
    example = EXAMPLES[name]
    if "requestBody" in operation:
        for kind in operation["requestBody"]["content"].values():
            kind["example"] = example.request
    for status, response in operation["responses"].items():
        number = int(status)
        for content in response.get("content", {}).values():
            content["example"] = example.answer if number == 200 else example.answers.get(number) or error_example(number)
        if number != 200 and number in _STATUS_TEXTS and path.startswith("/v1/"):
            response["description"] = _STATUS_TEXTS[number]
        headers = _REQUEST_ID | (_RATES if path.startswith("/v1/") else {}) | _STATUS_HEADERS.get(number, {})
        response["headers"] = {header: {"description": text, "schema": {"type": "string"}} for header, text in headers.items()}


def _reasons() -> str:
    return "Why a call was not done, for the back end alone:\n\n" + "\n".join(
        f"- `{reason.value}`: {reason.meaning}" for reason in RefusalReason
    )


def _codes() -> str:
    return "What the model may learn of a call that was not done:\n\n" + "\n".join(
        f"- `{code.value}`: {MESSAGES[code]}" for code in Code
    )


def _faults() -> str:
    return "What is wrong with a whole request, with its HTTP status:\n\n" + "\n".join(
        f"- `{fault.value}`: {STATUS[fault]}" for fault in Fault
    )
