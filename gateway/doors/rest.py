"""REST, `/v1`: function calls in the shapes of the OpenAI APIs, conversations, the customer's words, and the status of calls.

Bodies are read raw and parsed strictly. A refused call is an output in a 200; only a request that cannot be taken as a whole gets
another status, and is recorded if its customer is known.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.function import BankingFunction, Level
from gateway.calls.catalogue import definitions
from gateway.calls.gather import no_such_conversation
from gateway.calls.hearing import heard
from gateway.calls.output import output_text, result_item
from gateway.calls.pipeline import CallPipeline
from gateway.calls.rates import AtOnce, Quotas, Rates, RequestRates
from gateway.calls.record import Records
from gateway.calls.telemetry import parse_traceparent
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.domain.ports import Book
from gateway.domain.principal import (
    SCOPE_CALLS,
    SCOPE_THREADS,
    SCOPE_WORDS,
    Identity,
    NotAuthenticated,
    Principal,
    require_own,
    require_scope,
)
from gateway.domain.request import CallRequest, NativeCall, Trace, new_call_id
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus
from gateway.domain.tools import ToolFunction
from gateway.doors import schemas
from gateway.doors.access_log import entry_of
from gateway.doors.bodies import QUOTA, body_as, json_answer
from gateway.doors.credentials import CredentialReader
from gateway.doors.faults import fault_response, guarded, in_turn, too_often
from gateway.doors.schemas import body_of
from gateway.doors.shapes import SHAPES, AgentsCallItem, ResponsesCallItem, ToolCallItem
from gateway.doors.validation import shown, text_of, validated
from gateway.doors.wire import Challenges, call_result, rate_headers, step_up_headers
from gateway.oversight.first_sight import FirstSight

Handler = Callable[["Door", Request, Principal], Coroutine[object, object, Response]]

MAX_WAIT_S = 30
Wait = Annotated[int, Query(ge=0, le=MAX_WAIT_S)]
_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What the door needs."""

    pipeline: CallPipeline
    identity: Identity
    presenting: CredentialReader
    challenges: Challenges
    metadata: bytes | None
    book: Book
    records: Records
    functions: tuple[BankingFunction, ...]
    clock: Callable[[], datetime]
    calls_per_request: int
    rates: Rates
    requests: RequestRates
    quotas: Quotas
    waits: AtOnce
    """Requests of a customer that stay open: waits for an outcome, streams of runs."""
    became: Callable[[str, str], Awaitable[Recorded | None]]
    """(customer, call id): what became of a call; None: no such call of this customer."""
    first_sight: FirstSight | None = None
    """Grants a mandate by template to who is seen for the first time; None: there are no templates."""

    async def offered(self, customer: str) -> tuple[BankingFunction, ...]:
        """The functions that this customer's assistant may be offered: granted, or open to all. Unavailable."""
        granted = await self.book.granted(customer)
        return tuple(
            function
            for function in self.functions
            if not isinstance(function, ToolFunction)
            and (function.name in granted or function.emergency or function.level is Level.L0)
        )

    async def answer(self, request: Request, handler: Handler, *scopes: str, protects: bool = False) -> Response:
        """Authenticate, then handle, with a token of any of these scopes, within the rates of the customer and of the client. Who sent a
        proof is told the nonce of the next one (RFC 9449 section 8.2). `protects`: what a customer may need in an emergency.
        """
        presented = self.presenting.of(request.scope)
        authenticated = self.identity.authenticate(presented, self.clock())
        response = await self.answer_as(request, authenticated, handler, *scopes, protects=protects)
        if presented.proofs and (nonce := self.identity.nonce(self.clock())) is not None:
            response.headers["dpop-nonce"] = nonce
        return response

    async def answer_as(
        self, request: Request, authenticated: Awaitable[Principal], handler: Handler, *scopes: str, protects: bool = False
    ) -> Response:
        """A fault becomes its error body, and is recorded when the customer is known and the rates are kept. What the rates left is in the
        headers."""
        admission = None

        async def answering() -> Response:
            nonlocal admission
            principal = None
            try:
                principal = await authenticated
                entry_of(request.scope).customer = principal.customer
                admission = self.requests.admit(principal.customer, principal.client, self.clock(), protects=protects)
                await in_turn(admission)
                require_scope(principal, *scopes)
                if self.first_sight is not None:
                    await self.first_sight.meet(principal)
                if not protects:
                    request.scope[QUOTA] = partial(self.quotas.spend, principal.customer, self.clock())
                return await handler(self, request, principal)
            except RequestFault as fault:
                if isinstance(fault, NotAuthenticated) and fault.fault in (Fault.MISSING_TOKEN, Fault.INVALID_TOKEN) and scopes:
                    fault.scope = scopes[0]  # a client that is told none asks its issuer for all that the metadata lists
                return await self._faulted(request, principal, fault)

        response = await guarded(request, answering())
        if admission is not None:
            response.raw_headers += rate_headers(admission)
        return response

    async def _faulted(self, request: Request, principal: Principal | None, fault: RequestFault) -> Response:
        if principal is None:
            self.records.counters.unauthenticated += 1
            return fault_response(fault, challenges=self.challenges)
        at = self.clock()
        if fault.fault is Fault.RATE_LIMITED or not self.rates.take(principal.customer, at):
            self.records.counters.rate_limited += 1  # only counted, or junk could fill the trail
            return fault_response(fault, challenges=self.challenges)
        ids = {"call_id": new_call_id(at, secrets.token_bytes(8)), "span_id": secrets.token_hex(8)}
        try:
            await self.records.fault(principal, _trace(request), fault.recorded, at=at, **ids)
        except Unavailable:
            message = "the audit trail does not answer; nothing happened, try again"
            return fault_response(RequestFault(Fault.AUDIT_UNAVAILABLE, message))
        return fault_response(fault, challenges=self.challenges)


def answers(model: type[BaseModel]) -> dict[int | str, dict[str, object]]:
    """What OpenAPI says of an operation's answers: this model, or a fault of the whole request."""
    faults: dict[int | str, dict[str, object]] = {
        status: {"model": schemas.ErrorBody, "description": "The request was not taken"}
        for status in (400, 401, 403, 404, 413, 429, 503)
    }
    return {200: {"model": model, "description": "Answered"}, **faults}


def mount(app: FastAPI, door: Door) -> None:
    """Put this door's routes into the application."""

    @app.post("/v1/function-calls", responses=answers(schemas.FunctionCallsAnswer), openapi_extra=body_of(schemas.FunctionCalls))
    async def execute_function_calls(request: Request) -> Response:
        """Execute the function calls of one turn.

        Each call is checked, executed, redacted and recorded. A refused call is an output too: the answer is 200.
        """
        return await door.answer(request, _function_calls, SCOPE_CALLS, protects=True)

    @app.post("/v1/conversations", responses=answers(schemas.ConversationAnswer), openapi_extra=body_of(schemas.NewConversation))
    async def create_conversation(request: Request) -> Response:
        """Create a conversation.

        The references that functions give out are valid within one conversation.
        """
        return await door.answer(request, _open_conversation, SCOPE_CALLS, SCOPE_THREADS)

    @app.post(
        "/v1/conversations/{conversation_id}/messages",
        responses=answers(schemas.MessagesAnswer),
        openapi_extra=body_of(schemas.CustomerMessages),
    )
    async def add_customer_messages(request: Request, conversation_id: schemas.ConversationId) -> Response:
        """Add what the customer wrote.

        Payments are checked against these words. Needs the customer's own token with the scope `customer_words`, without an agent.
        """
        return await door.answer(request, _hear, SCOPE_WORDS)

    @app.get("/v1/functions", responses=answers(schemas.FunctionDefinitions))
    async def list_functions(request: Request, shape: Literal["assistants", "responses", "chat", "agents", "mcp"]) -> Response:
        """List the functions that the assistant may be offered.

        What this customer granted, as tool definitions for one API.
        """
        return await door.answer(request, partial(_functions, shape=shape), SCOPE_CALLS)

    @app.get("/v1/calls/{call_id}", responses=answers(schemas.CallDetails))
    async def get_call(request: Request, call_id: schemas.CallId, wait_s: Wait = 0) -> Response:
        """Read what became of a call.

        Waits up to `wait_s` seconds (30 at most) for a call whose outcome is not known yet.
        """
        return await door.answer(request, partial(_call_status, wait_s=wait_s), SCOPE_CALLS)

    if door.metadata is not None:

        @app.get("/.well-known/oauth-protected-resource", include_in_schema=False)
        async def metadata() -> Response:
            """Where tokens for this gateway come from (RFC 9728)."""
            return Response(door.metadata, media_type="application/json")

    answer_errors(app)


def answer_errors(app: FastAPI) -> None:
    """Give what no route answers, or no handler caught, the one error form."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(Exception, _broken)


def in_front(app: ASGIApp, door: Door) -> ASGIApp:
    """The application with the hot route before it: routing and middleware cost a call 60 us, and it needs none of them.

    The path operation of the same path stays for OpenAPI. `Door.answer` bounds the body and catches what FastAPI would.
    """

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/v1/function-calls" and scope["method"] == "POST":
            scope["route"] = _HOT_ROUTE
            response = await door.answer(Request(scope, receive), _function_calls, SCOPE_CALLS, protects=True)
            await response(scope, receive, send)
        elif scope["type"] == "http" and holds_nul(scope):
            await nul_refused(scope, receive, send)
        else:
            await app(scope, receive, send)

    return front


def holds_nul(scope: Scope) -> bool:
    """Whether the address of a request holds a NUL. PostgreSQL takes none: refused before any route would have to."""
    return "\0" in scope["path"] or b"%00" in scope["query_string"]


async def nul_refused(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer to such a request."""
    response = fault_response(RequestFault(Fault.INVALID_REQUEST, "the address must not hold a NUL (%00)"))
    await response(scope, receive, send)


@dataclass(frozen=True, slots=True)
class HotRoute:
    """What the access log reads of a route that is answered before routing."""

    path: str


_HOT_ROUTE = HotRoute("/v1/function-calls")


async def _function_calls(door: Door, request: Request, principal: Principal) -> Response:
    head = await _function_calls_head(request)
    if len(head.calls) > door.calls_per_request:
        raise RequestFault(Fault.TOO_MANY_CALLS, f"calls: must have at most {door.calls_per_request} items", param="calls")
    shape = SHAPES[head.shape]
    call_request = CallRequest(
        shape=head.shape,
        conversation_id=head.conversation_id,
        turn_id=head.turn_id,
        model=head.model,
        calls=tuple(_native(shape.item, item, number) for number, item in enumerate(head.calls)),
        trace=_trace(request),
    )
    answered = await door.pipeline.take(principal, call_request)
    return json_answer(
        {
            "outputs": [shape.output(call, head.turn_id) for call in answered],
            "results": [{**call_result(call, door.challenges), "app": call.app} for call in answered],
        },
        step_up_headers(answered, principal.scheme, door.challenges),
    )


async def _function_calls_head(request: Request) -> schemas.FunctionCallsHead:
    try:
        return await body_as(schemas.FunctionCallsHead, request)
    except RequestFault as fault:
        if fault.param == "shape":
            raise RequestFault(Fault.UNKNOWN_SHAPE, "shape: must be one of " + ", ".join(SHAPES), param="shape") from None
        raise


async def _open_conversation(door: Door, request: Request, principal: Principal) -> Response:
    await body_as(schemas.NewConversation, request)
    now = door.clock()
    return json_answer(conversation_object(await door.book.open_conversation(principal.customer, now), now))


def conversation_object(id_: str, created: datetime) -> dict[str, object]:
    return {"id": id_, "object": "conversation", "created_at": int(created.timestamp()), "metadata": {}}


async def _hear(door: Door, request: Request, principal: Principal) -> Response:
    require_own(principal, "the customer's messages need the customer's own token, without an agent")
    written = await body_as(schemas.CustomerMessages, request)
    messages = await heard(principal.customer, [(message.text, message.origin) for message in written.messages])
    count = await door.book.store_messages(principal.customer, request.path_params["conversation_id"], messages, door.clock())
    if count is None:
        raise no_such_conversation()
    return json_answer({"count": count})


async def _functions(door: Door, _request: Request, principal: Principal, *, shape: str) -> Response:
    return json_answer({"data": definitions(await door.offered(principal.customer), shape)})


async def _call_status(door: Door, request: Request, principal: Principal, *, wait_s: int) -> Response:
    call_id = request.path_params["call_id"]
    with door.waits.one(principal.customer) if wait_s else nullcontext(True) as has_room:
        if not has_room:
            raise too_often(wait_s)
        recorded = await _became(door, principal.customer, call_id, door.clock() + timedelta(seconds=wait_s))
    item = result_item(recorded)
    del item["native_id"]
    output = output_text(recorded) if recorded.output is not None or recorded.code is not None else None
    return json_answer({**item, "output": output})


async def _became(door: Door, customer: str, call_id: str, until: datetime) -> Recorded:
    """What became of the call, once it is known or the time is over."""
    while True:
        recorded = await door.became(customer, call_id)
        if recorded is None:
            raise RequestFault(Fault.NOT_FOUND, "no such call", param="call_id")
        if recorded.status != CallStatus.IN_DOUBT or door.clock() >= until:
            return recorded
        await asyncio.sleep(_POLL_S)


def _native(item: type[BaseModel], value: dict[str, object], number: int) -> NativeCall:
    call: ToolCallItem | ResponsesCallItem | AgentsCallItem = validated(item, value, inside=f"calls[{number}]")
    return call.native()


def _trace(request: Request) -> Trace:
    return parse_traceparent(request.headers.get("traceparent")) or Trace(secrets.token_hex(16))


async def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    headers = dict(getattr(error, "headers", None) or {})
    fault, message = {
        404: (Fault.NOT_FOUND, "no such path"),
        405: (Fault.METHOD_NOT_ALLOWED, "this path takes another method"),
    }.get(status, (Fault.INVALID_REQUEST, "the request is not valid"))
    return fault_response(RequestFault(fault, message), headers)


async def _not_valid(_request: Request, error: Exception) -> Response:
    """Of a path or a query: their parameters are flat, and their names ours."""
    first: Mapping[str, Any] = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": ("",), "type": ""}
    name = shown(str(first["loc"][:2][-1]))
    text = text_of(first["type"], first.get("ctx", {}))
    return fault_response(RequestFault(Fault.INVALID_REQUEST, f"{name}: {text}", param=name))


async def _broken(_request: Request, _error: Exception) -> Response:
    return fault_response(
        RequestFault(Fault.BROKEN, "an internal error of the gateway; GET /v1/calls/{call_id} tells what became of a call")
    )
