"""Request ids and the access log: one line of JSON for each request, on the logger `tellergate.access`, once its answer has ended.

What a line holds is closed: never a path with ids, a query, a header, a body, a token or a customer's name. A stream is one request. Logged
after the answer was sent, so nobody waits for it.
"""

import asyncio
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audit.log import LogUnavailable

_LOG = logging.getLogger("tellergate.access")

_KEY = "tellergate.request"
_HEADER = b"x-request-id"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_QUIET = frozenset({"/livez", "/readyz"})
"""Asked every second by whoever watches: logged as `debug`, unless they fail."""

UNMATCHED = "unmatched"
"""The route of a request for no route of ours: its path is the client's word, and not logged."""

_NAMES_MOST = 10_000
_KNOWN_S = 60.0
_UNKNOWN_S = 1.0
"""So long a pseudonym is kept: an erased customer's is gone after a minute. One that was not found is looked for again after a second."""

_LOOKUP_S = 0.5


@dataclass(slots=True)
class RequestEntry:
    """What is known of a request while it is served. `customer`: whose token it came with, None before that is known."""

    id: str
    customer: str | None = None


def entry_of(scope: Mapping[str, Any]) -> RequestEntry:
    """The entry of the request that is served; an empty one where no access log is in front."""
    entry = scope.get(_KEY)
    return entry if isinstance(entry, RequestEntry) else RequestEntry("")


class Pseudonyms:
    """The trail's pseudonyms of the customers who were here lately. `lookup` may raise LogUnavailable."""

    def __init__(self, lookup: Callable[[str], Awaitable[str | None]], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lookup = lookup
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[str | None, float]] = OrderedDict()

    def known(self, customer: str) -> str | None:
        """Without a lookup; None also when it is not known."""
        pseudonym, until = self._known.get(customer, (None, 0.0))
        return pseudonym if self._monotonic() < until else None

    async def of(self, customer: str) -> str | None:
        """None for a customer without a record, and while nobody can tell. Never raises, and ends soon."""
        pseudonym, until = self._known.get(customer, (None, 0.0))
        if self._monotonic() < until:
            return pseudonym
        pseudonym = None
        with suppress(LogUnavailable, TimeoutError):
            async with asyncio.timeout(_LOOKUP_S):
                pseudonym = await self._lookup(customer)
        self._known[customer] = (pseudonym, self._monotonic() + (_KNOWN_S if pseudonym else _UNKNOWN_S))
        self._known.move_to_end(customer)
        if len(self._known) > _NAMES_MOST:
            self._known.popitem(last=False)
        return pseudonym


def logged(app: ASGIApp, pseudonyms: Pseudonyms) -> ASGIApp:
    """The application, each of whose answers carries `x-request-id` and is logged."""

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        started = time.perf_counter()
        request = _Served(RequestEntry(_request_id(scope)), send)
        scope[_KEY] = request.entry
        try:
            await app(scope, receive, request.send)
            if request.entry.customer is not None and _LOG.isEnabledFor(logging.INFO):
                await pseudonyms.of(request.entry.customer)
        finally:  # also for a client that hung up, and for what failed
            request.log(scope, started, pseudonyms)

    return front


class _Served:
    """One answer on its way: what was sent of it."""

    __slots__ = ("_header", "_send", "entry", "is_whole", "status")

    def __init__(self, entry: RequestEntry, send: Send) -> None:
        self.entry = entry
        self.status = 500  # what the server answers when nothing was
        self.is_whole = False
        self._send = send
        self._header = (_HEADER, entry.id.encode())

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), self._header]
        elif message["type"] == "http.response.body":
            self.is_whole = not message.get("more_body", False)
        await self._send(message)

    def log(self, scope: Scope, started: float, pseudonyms: Pseudonyms) -> None:
        route = _route(scope)
        level = logging.WARNING if self.status >= 500 else logging.DEBUG if route in _QUIET else logging.INFO
        if not _LOG.isEnabledFor(level):
            return
        customer = self.entry.customer
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": logging.getLevelName(level).lower(),
            "method": scope["method"] if scope["method"] in _METHODS else "OTHER",
            "route": route,
            "status": self.status,
            "duration_ms": round((time.perf_counter() - started) * 1000, 3),
            "request_id": self.entry.id,
            "customer": None if customer is None else pseudonyms.known(customer),
            **({} if self.is_whole else {"complete": False}),
        }
        _LOG.log(level, "%s", orjson.dumps(line).decode())


def _route(scope: Scope) -> str:
    """The template of the route that answered."""
    matched = getattr(scope.get("route"), "path", None)
    if matched is not None:
        return str(matched)
    return _DOCUMENT if scope["path"] == _DOCUMENT else UNMATCHED  # FastAPI's own route of it says nothing of itself


_DOCUMENT = "/openapi.json"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _request_id(scope: Scope) -> str:
    """The client's own, if it is one short plain word; else a new one."""
    given = [value for name, value in scope["headers"] if name == _HEADER]
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return str(given[0].decode("ascii"))
    return f"req_{secrets.token_hex(12)}"
