"""`Upstream`: one HTTP server behind declared functions. Owns its connections, deadlines, the repeats of questions, and the breaker.

The host is the manifest's. No redirects, no cookies, no proxies of the environment, no compression. The customer and the key go in
headers that the manifest names, the gateway's own credential in Authorization.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from ssl import SSLContext
from types import SimpleNamespace

import aiohttp
from yarl import URL

from adapters.alarms import CoreAlarm
from adapters.core import CoreUnavailable
from adapters.cores.remote.breaker import Breaker, State
from adapters.declared.conversion import NotAnAnswer, parsed
from adapters.declared.declarations import UpstreamAddress
from adapters.declared.requests import UpstreamRequest
from adapters.tls import nobody

MAX_ANSWER_BYTES = 1024 * 1024
_TRIES = 2
_CONNECTIONS = 64
_BEARER = re.compile(r"[!-~]{1,4096}", re.ASCII)
_IN_A_HEADER = re.compile(r"[!-~]{1,256}", re.ASCII)

_LOG = logging.getLogger("tellergate.upstream")


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer: its status and body."""

    status: int
    body: bytes

    def json(self) -> object:
        """NotAnAnswer when it is no strict JSON."""
        return parsed(self.body)


class NotSent(Exception):
    """It is certain that no byte of the request went."""


class AnswerLost(Exception):
    """A byte may have gone, and no whole answer came."""


class _AnotherTry(aiohttp.ClientError):
    """The HTTP client was about to send a request a second time by itself."""


class Upstream:
    """The server of one manifest. Made without a loop; used on one. Close it with `close`."""

    def __init__(self, address: UpstreamAddress, *, credential: str | None = None, tls: SSLContext | None = None) -> None:
        """`credential` is a bearer token. ValueError for one that no header holds, or that is missing though the manifest needs it."""
        if (credential is None) == address.needs_credential:
            raise ValueError("a credential is given if and only if the manifest says that the upstream needs one")
        if credential is not None and _BEARER.fullmatch(credential) is None:
            raise ValueError("not a bearer token")
        self.address = address
        self._credential = credential
        self._tls = tls
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        """For questions, and for instructions: these have a fresh connection each, since an idle one may be closed under them, and then
        nobody knows whether they arrived."""
        self._breaker = Breaker(moved=_tell)

    def start(self) -> None:
        """Begin, on the running loop, what is to be watched of the upstream: of plain HTTP, nothing."""

    @property
    def breaker(self) -> State:
        """For telemetry."""
        return self._breaker.state

    async def close(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def ask(self, request: UpstreamRequest, customer: str, *, timeout_ms: int | None = None) -> Response:
        """Ask something that has no effect; a GET is repeated once within its time. CoreUnavailable."""
        deadline = self._now() + (timeout_ms or self.address.question_ms) / 1000
        why = "left_alone"
        for _ in range(_TRIES if request.method == "GET" else 1):
            ticket = self._breaker.question(self._now())
            if ticket is None:
                break
            answered: bool | None = None
            try:
                response = await self._exchange(request, customer, None, deadline)
                answered = response.status < 500
            except (NotSent, AnswerLost) as error:
                answered, why = False, str(error)
            else:
                if answered:
                    return response
                why = f"status_{response.status}"
            finally:
                self._breaker.ended(ticket, self._now(), answered=answered)
            if self._now() >= deadline:
                break
        raise CoreUnavailable(why)

    async def send(self, request: UpstreamRequest, customer: str, key: str, *, within_s: float) -> Response:
        """Send an instruction once. NotSent, or Lost. Whatever the answer says is for the caller to understand."""
        ticket = self._breaker.instruction()
        if ticket is None:
            raise NotSent("left_alone")
        answered: bool | None = None
        try:
            if self.address.idempotency_header is None or _IN_A_HEADER.fullmatch(key) is None:
                raise NotSent("not_a_key")
            response = await self._exchange(request, customer, key, self._now() + within_s)
            answered = response.status < 500
            return response
        except (NotSent, AnswerLost):
            answered = False
            raise
        except CoreUnavailable as unavailable:
            raise NotSent(str(unavailable)) from None
        finally:
            self._breaker.ended(ticket, self._now(), answered=answered)

    def _headers(self, customer: str) -> dict[str, str]:
        if _IN_A_HEADER.fullmatch(customer) is None:
            raise CoreUnavailable("a customer that no header holds")
        return {self.address.customer_header: customer}

    async def _exchange(self, request: UpstreamRequest, customer: str, key: str | None, deadline: float) -> Response:
        """Once, with the key of an instruction. NotSent while no connection was had, Lost for whatever is no whole answer after that."""
        noted = SimpleNamespace(connected=False)
        headers = self._headers(customer)
        if key is not None and self.address.idempotency_header is not None:
            headers[self.address.idempotency_header] = key
        session = self._session(is_fresh=key is not None)
        typed = {} if request.body is None else {"Content-Type": "application/json"}
        try:
            async with (
                asyncio.timeout_at(deadline),
                session.request(
                    request.method,
                    URL(self.address.url + request.target, encoded=True),
                    data=request.body,
                    headers={**headers, **typed},
                    allow_redirects=False,
                    trace_request_ctx=noted,
                ) as response,
            ):
                return Response(response.status, await _whole(response))
        except (
            aiohttp.ClientError,
            OSError,
            TimeoutError,
            NotAnAnswer,
        ) as error:  # OSError: sockets raise others than TimeoutError
            raise (AnswerLost if noted.connected else NotSent)(type(error).__name__) from None

    def _session(self, *, is_fresh: bool) -> aiohttp.ClientSession:
        if is_fresh not in self._sessions:
            headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tellergate"}
            if self._credential is not None:
                headers["Authorization"] = f"Bearer {self._credential}"
            self._sessions[is_fresh] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=self._tls or nobody(), force_close=is_fresh),
                headers=headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.address.connect_ms / 1000),
                trace_configs=[_noting_what_was_sent()],
            )
        return self._sessions[is_fresh]

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            response.close()
            raise NotAnAnswer("a larger answer than any")
        parts.append(part)
    return b"".join(parts)


def _noting_what_was_sent() -> aiohttp.TraceConfig:
    """From the moment that a request has its connection, a byte of it may go. A second connection would be a repeat that nobody asked
    for: the client repeats PUT and DELETE by itself when a connection is closed under them."""

    async def connected(_session: aiohttp.ClientSession, noted: SimpleNamespace, _parameters: object) -> None:
        if noted.trace_request_ctx.connected:
            raise _AnotherTry
        noted.trace_request_ctx.connected = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    return tracing


def _tell(state: State, failures: int) -> None:
    _LOG.log(*CoreAlarm.UPSTREAM_BREAKER.line(state=state.value, failures=failures))


def unusable(name: str, why: NotAnAnswer) -> CoreUnavailable:
    """An answer that is not as declared, of a function or of the facts, with an alarm for the operator."""
    _LOG.log(*CoreAlarm.UPSTREAM_ANSWER.line(function=name, cause=str(why)))
    return CoreUnavailable("an answer that is not as declared")
