"""Exchanges with an MCP server by the official package, revision 2026-07-28 or 2025-11-25: each in a session of its own, for one customer.

What the package would do and a bank must not, the transport below it refuses: redirects, cookies, compression, a second `tools/call` in one
exchange, a channel on which the server asks us something, answers larger than any. No proxy of the environment is used.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from ssl import SSLContext
from typing import TypeVar

import anyio
import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation

from adapters.tls import nobody

MODERN, LEGACY = "2026-07-28", "2025-11-25"
REVISIONS = (MODERN, LEGACY)
MAX_EXCHANGE_BYTES = 4 * 1024 * 1024
"""Of all answers of one exchange, with the pages of a list."""

_CONNECTIONS = 64
_GOODBYE_S = 1.0
_US = Implementation(name="tellergate", version="1")
_T = TypeVar("_T")

FAILURES = (
    MCPError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, TimeoutError, ValueError, RuntimeError,
    anyio.BrokenResourceError, anyio.ClosedResourceError, ExceptionGroup,
)  # fmt: skip
"""How an exchange ends that has no whole answer; the package wraps what happened beside it into a group."""

for _name in ("mcp.client", "client", "mcp.shared", "httpx2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # they write what a server sent, which may be a customer's


@dataclass(slots=True)
class ExchangeNote:
    """What went over the wire. `called`: a byte of a `tools/call` may have gone. `status`: of the last answer that was no 2xx."""

    called: bool = False
    status: int | None = None
    left_bytes: int = MAX_EXCHANGE_BYTES

    def cause(self, error: BaseException) -> str:
        """For the log: a status or the name of an error, and nothing that the server said."""
        return type(error).__name__ if self.status is None else f"status_{self.status}"


class McpServer:
    """Owns the connections to one endpoint. Made without a loop; used on one."""

    def __init__(self, url: str, credential: str | None, tls: SSLContext | None, *, connect_ms: int) -> None:
        self._url = url
        self._connect_ms = connect_ms
        self._tls = tls or nobody()
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "tellergate"}
        if credential is not None:
            self._headers["Authorization"] = f"Bearer {credential}"
        self._shared: httpx2.AsyncHTTPTransport | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._shared is not None:
            await self._shared.aclose()
            self._shared = None

    async def exchange(
        self,
        work: Callable[[Client], Awaitable[_T]],
        noted: ExchangeNote,
        *,
        headers: Mapping[str, str],
        revision: str | None,
        deadline: float,
        is_fresh: bool,
    ) -> _T:
        """What `work` gets of one session in the revision, None to find out which. One of FAILURES; CancelledError for who is cancelled,
        whatever else fails at that moment. `is_fresh`: over a new connection, as an instruction goes. What was had before the session could
        be closed is the answer all the same."""
        had: list[_T] = []
        guarded = _Guarded(self._transport(is_fresh=is_fresh), noted, owns=is_fresh)
        mode = {None: "auto", LEGACY: "legacy"}.get(revision, revision) or "auto"
        try:
            async with (
                asyncio.timeout_at(deadline),
                httpx2.AsyncClient(
                    transport=guarded,
                    headers={**self._headers, **headers},
                    timeout=httpx2.Timeout(None, connect=self._connect_ms / 1000),
                    trust_env=False,
                ) as http,
                Client(streamable_http_client(self._url, http_client=http), mode=mode, cache=None, client_info=_US) as client,
            ):
                if client.protocol_version not in REVISIONS:
                    raise RuntimeError("a revision that is not spoken here")
                had.append(await work(client))
        except FAILURES:
            if _is_cancelled():
                raise asyncio.CancelledError from None
            if not had:
                raise
        return had[0]

    def _transport(self, *, is_fresh: bool) -> httpx2.AsyncHTTPTransport:
        if not is_fresh and self._shared is not None:
            return self._shared
        limits = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=0 if is_fresh else 16, keepalive_expiry=15)
        made = httpx2.AsyncHTTPTransport(verify=self._tls, trust_env=False, limits=limits)
        if not is_fresh:
            self._shared = made
        return made


class _Guarded(httpx2.AsyncBaseTransport):
    def __init__(self, inner: httpx2.AsyncHTTPTransport, noted: ExchangeNote, *, owns: bool) -> None:
        self._inner = inner
        self._noted = noted
        self._owns = owns

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(405, request=request)  # a server that has something to ask has nobody to ask
        noted = self._noted
        if await _is_call(request):
            if noted.called:
                raise httpx2.RemoteProtocolError("it would be sent a second time")
            request.extensions = {**request.extensions, "trace": self._trace}
        if request.method == "DELETE":
            async with asyncio.timeout(_GOODBYE_S):
                return await self._answered(request)
        return await self._answered(request)

    async def _answered(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if not 200 <= response.status_code < 300:
            self._noted.status = response.status_code
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if 300 <= response.status_code < 400 or encoding != "identity":
            await response.aclose()
            raise httpx2.RemoteProtocolError("a redirect, or an encoding that was not asked for")
        kept = [(name, value) for name, value in response.headers.raw if name.lower() != b"set-cookie"]
        return httpx2.Response(response.status_code, headers=kept, stream=_Bounded(response, self._noted))

    async def _trace(self, event: str, _of: object) -> None:
        if event.endswith("send_request_headers.started"):
            self._noted.called = True

    async def aclose(self) -> None:
        if self._owns:
            await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.Response, noted: ExchangeNote) -> None:
        self._inner = inner
        self._noted = noted

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner.aiter_raw():
            self._noted.left_bytes -= len(part)
            if self._noted.left_bytes < 0:
                raise httpx2.ReadError("a larger answer than any")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_cancelled() -> bool:
    """Where a cancellation meets a failure in one of its groups, the package raises the failure alone."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _is_call(request: httpx2.Request) -> bool:
    if request.method != "POST":
        return False
    message = json.loads(await request.aread())
    return isinstance(message, dict) and message.get("method") == "tools/call"
