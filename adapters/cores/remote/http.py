"""HTTP/1.1 to one server: `POST` with bounds, on `httptools` (the llhttp parser) and the loop's own transports. One request at a time on
each connection; one on which anything came unasked, or whose answer was given up, is closed. No redirects, cookies, proxies, compression or
repeats: what is sent is sent once. An answer ends by its length or its chunks, never by the connection's end, which could be a cut."""

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from ssl import SSLContext
from typing import cast
from urllib.parse import urlsplit

import httptools

from adapters.cores.remote.bounds import ClientBounds

MAX_HEAD_BYTES = 16 * 1024  # of headers, with trailers
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)


class ExchangeFailed(Exception):
    """No whole answer. `sent`: a byte may have gone. `is_final`: another try fails alike. `is_stale`: an idle connection was closed."""

    def __init__(self, why: str, *, sent: bool, is_final: bool = False, is_stale: bool = False) -> None:
        super().__init__(why)
        self.why, self.sent, self.is_final, self.is_stale = why, sent, is_final, is_stale


class HttpPool:
    """The connections to the server of one base URL. For one event loop; close it with `close`."""

    def __init__(self, url: str, headers: Mapping[str, str], *, tls: SSLContext | None, bounds: ClientBounds, most: int) -> None:
        """`headers` go with every request; `tls`: whom https trusts; `most`: bytes of a body. ValueError for what no header can hold."""
        address = urlsplit(url)
        is_tls = address.scheme == "https"
        self._place = (address.hostname or "", address.port or (443 if is_tls else 80), (tls or True) if is_tls else None)
        self._start = "POST " + address.path.rstrip("/")
        self._head = f" HTTP/1.1\r\n{_lines({'Host': address.netloc.rpartition('@')[2], **headers})}"
        if not re.fullmatch(r"[\x21-\x7e]*", address.path, re.ASCII):
            raise ValueError("no request line holds it")
        self._bounds, self._most = bounds, most
        self._slots = asyncio.Semaphore(bounds.connections)
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()

    def close(self) -> None:
        """Close every connection; who waits for an answer gets none."""
        for connection in list(self._open):
            connection.lose("closed")

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str], deadline: float, silence_s: float
    ) -> tuple[int, bytes]:
        """Status and body of the answer. ExchangeFailed after `deadline` (the loop's clock), or without a byte for `silence_s` seconds."""
        request = f"{self._start}{path}{self._head}{_lines(headers)}Content-Length: {len(body)}\r\n\r\n".encode() + body
        await self._slot(deadline)
        try:
            connection = self._kept() or await self._connected(deadline)
            try:
                return await connection.exchange(request, deadline, silence_s)
            finally:
                if connection.is_usable:
                    self._idle.append(connection)
                else:
                    connection.lose("given_up")
        finally:
            self._slots.release()

    async def _slot(self, deadline: float) -> None:
        """Wait until one more request may be on its way; first come, first served."""
        try:
            async with asyncio.timeout_at(deadline) if self._slots.locked() else nullcontext():
                await self._slots.acquire()
        except TimeoutError:
            raise ExchangeFailed("no_connection", sent=False) from None

    def _kept(self) -> "_Connection | None":
        """The connection that was used last, unless it was closed or idle for too long."""
        while self._idle and self._idle[0].heard_at < asyncio.get_running_loop().time() - self._bounds.idle_s:
            self._idle.popleft().lose("idle")
        kept = (self._idle.pop() for _ in range(len(self._idle)))
        return next((connection for connection in kept if connection.is_usable), None)

    async def _connected(self, deadline: float) -> "_Connection":
        loop, (host, port, tls) = asyncio.get_running_loop(), self._place
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + self._bounds.connect_s)):
                return (await loop.create_connection(partial(_Connection, self._most, self._open), host, port, ssl=tls))[1]
        except (OSError, TimeoutError) as error:
            raise ExchangeFailed(type(error).__name__, sent=False) from None


def _lines(headers: Mapping[str, str]) -> str:
    if any(_VALUE.fullmatch(value) is None for value in headers.values()):
        raise ValueError("no header holds it")
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


class _Connection(asyncio.Protocol):
    """One connection, and the answer that is awaited on it."""

    def __init__(self, most: int, every: "set[_Connection]") -> None:
        self._most, self._every = most, every
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[None] | None = None
        self._was_used = False
        self.heard_at = self._loop.time()

    @property
    def is_usable(self) -> bool:
        """Whether another request may go: it is open, and the answer before was whole and the last thing that came."""
        return self._answer is None and self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes, deadline: float, silence_s: float) -> tuple[int, bytes]:
        """Send these bytes; status and body of what comes back. ExchangeFailed. After it, and when cancelled, it is not usable."""
        if self._transport is None:
            raise ExchangeFailed("closed", sent=False)
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._status = self._body_size = self._head_size = self._before_body = 0
        self._is_whole = self._is_last = False
        self._deadline, self._silence_s, self.heard_at = deadline, silence_s, self._loop.time()
        self._answer = self._loop.create_future()
        self._timer = self._loop.call_at(min(deadline, self.heard_at + silence_s), self._look_at_the_clock)
        self._transport.write(request)
        try:
            await self._answer
        finally:
            self._timer.cancel()
        self._answer, self._was_used = None, True
        return self._status, b"".join(self._parts)

    def lose(self, why: str) -> None:
        """Close it at once. Whoever waits for an answer is told `why`."""
        if self._answer is not None and not self._answer.done():
            is_stale = why == "closed" and self._was_used and not self._before_body
            self._answer.set_exception(ExchangeFailed(why, sent=True, is_stale=is_stale))
        if self._transport is not None:
            self._transport.abort()

    def _look_at_the_clock(self) -> None:
        now, until = self._loop.time(), min(self._deadline, self.heard_at + self._silence_s)
        if now < until:
            self._timer = self._loop.call_at(until, self._look_at_the_clock)
        else:
            self.lose("too_late" if now >= self._deadline else "silence")

    # What the loop calls, and then what the parser does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._every.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self.lose("closed")
        self._transport = None
        self._every.discard(self)

    def data_received(self, part: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.lose("unasked")  # else it would be taken for the answer to the next request
            return
        self.heard_at = self._loop.time()
        self._before_body += 0 if self._status else len(part)
        try:
            self._parser.feed_data(part)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_last = True  # what is whole by now is an answer all the same: it repeats a number that nobody guesses
            if not self._is_whole:
                self.lose("not_http")
        if max(self._head_size, 0 if self._status else self._before_body) > MAX_HEAD_BYTES or self._body_size > self._most:
            self.lose("too_large")
        elif self._is_whole:
            self._answer.set_result(None)
            if self._is_last and self._transport is not None:
                self._transport.abort()

    def on_message_begin(self) -> None:
        self._is_last |= self._is_whole

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + len(": \r\n")

    def on_headers_complete(self) -> None:
        self._status = self._status or self._parser.get_status_code()

    def on_body(self, part: bytes) -> None:
        self._body_size += len(part)
        if self._body_size <= self._most and not self._is_whole:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        self._is_last |= self._is_whole or not self._parser.should_keep_alive()
        self._is_whole = True
