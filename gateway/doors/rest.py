"""REST, `/v1`: function calls in the shapes of the OpenAI APIs, conversations, the customer's words, and the status of calls.

Bodies are read raw and parsed strictly. A refused call is an output in a 200; only a request that cannot be taken as a whole gets
another status.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ValidationError

from gateway.call import Way
from gateway.catalogue import definitions
from gateway.doors.schemas import Calls, Heard, NewConversation, Words, openapi_of
from gateway.doors.shapes import SHAPES
from gateway.errors import Fault, RequestFault, Unavailable
from gateway.identity import SCOPE_WORDS, Principal, require_scope
from gateway.later import Later
from gateway.ports import Book
from gateway.record import Records
from gateway.stages import Asked, Recorded, Trace
from gateway.strict_json import MAX_BODY_BYTES, Json, JsonError, loads
from gateway.telemetry import parse_traceparent
from gateway.wire import fault_body, fault_headers, result_item

_Model = TypeVar("_Model", bound=BaseModel)

MAX_WAIT_S = 30
_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What the door needs."""

    way: Way
    later: Later
    book: Book
    records: Records
    clock: Callable[[], datetime]
    calls_per_request: int
    authenticate: Callable[[str | None], Principal]


def router(rest: Rest) -> APIRouter:
    """The routes of this door."""
    routes = APIRouter(prefix="/v1")
    door = _Door(rest)
    routes.add_api_route("/function-calls", door.calls, methods=["POST"], openapi_extra=openapi_of("calls"))
    return routes
