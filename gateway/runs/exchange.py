"""One question to a model's server by the `openai` package, and the events of its answer. Owns the connections.

The package builds the request, sends it, and repeats it; the events are read here, since its models of them cost seven times as
much, and have no bounds. Its own way out is replaced by aiohttp's: no redirect is followed, no cookie kept, nothing is taken from the
environment, no body of an error is read, none is unpacked. Must never log what is asked or answered, nor the credential.
"""

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Never

import aiohttp
import httpx2
import openai
import orjson

from adapters.tls import nobody, tls_for
from gateway.domain.alarms import Alarm
from gateway.domain.strict_json import Json
from gateway.runs.events import MAX_EVENT_BYTES, Event, Events, EventTooLong
from gateway.runs.model import ModelFailed

MAX_STREAM_BYTES = 64 * 1024 * 1024
"""Of one answer as it is sent: some 400 bytes a token, and what is dropped of it."""

AT_ONCE = 256
"""Connections. Whoever comes then waits, within their own time."""

_KEPT_S = 4.0
"""So long a connection is kept: less than the five seconds after which common servers close it, as we would send."""

_AFTER_THE_END_S = 0.1
"""So long the end of the body is waited for once the answer has ended, to keep its connection."""

_SENT = ("content-type", "accept")
_READ = ("content-type", "retry-after", "retry-after-ms")
"""Headers. What else the package tells of this machine, or takes from its environment, stays here; of the server's it sees these."""

_LOG = logging.getLogger("tellergate.runs.model")
logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line for each question, no JSON: not what our log holds

_REFUSED = "The model's server refused the request."
_LIMITED = "The model's server is asked too often."
_FAILED = "The model's server failed."
_TOO_LATE = "The model's server took too long."
_MALFORMED = "The model's server answered what is no answer."
_TOO_LONG = "The model's server answered too much."
_UNSENDABLE = "The thread holds what cannot be sent to a model."


def malformed() -> ModelFailed:
    """For an answer that is not as the API has it."""
    return ModelFailed("server_error", _MALFORMED)


def failed(code: object) -> ModelFailed:
    """What a failure that the server tells inside its answer comes to, by its code."""
    if code == "rate_limit_exceeded":
        return ModelFailed("rate_limit_exceeded", _LIMITED)
    if code == "invalid_prompt":
        return ModelFailed("invalid_prompt", _REFUSED)
    return ModelFailed("server_error", _FAILED)


def by_status(status: int) -> ModelFailed:
    """What a refused request comes to."""
    if status == 429:
        return ModelFailed("rate_limit_exceeded", _LIMITED)
    if 400 <= status < 500 and status not in (408, 409):
        return ModelFailed("invalid_prompt", _REFUSED)
    return ModelFailed("server_error", _FAILED)


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """`timeout_ms`: of a whole answer, its repeats and waits among them. `idle_ms`: of connecting, and between two reads of an answer
    once it has begun; a server that thinks before its first byte has the whole time. `retries`: after a first try that failed.
    """

    timeout_ms: int
    idle_ms: int
    retries: int


class Exchange:
    """Questions to one server. Concurrent use is safe. To be made where its loop runs, and closed."""

    def __init__(self, url: str, credential: str | None, limits: ExchangeLimits) -> None:
        self._limits = limits
        self._transport = _Transport(credential, limits.idle_ms / 1000, tls_for(url) or nobody())
        # Each of them is read from the environment when it is None; none is sent, since the transport sends what it knows.
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key="unused",
            admin_api_key="",
            organization="",
            project="",
            webhook_secret="",
            max_retries=limits.retries,
            timeout=None,
            http_client=httpx2.AsyncClient(transport=self._transport, trust_env=False, follow_redirects=False),
        )

    async def events(self, path: str, body: Mapping[str, object]) -> AsyncGenerator[dict[str, Json], None]:
        """The JSON objects of the answer's events, up to `[DONE]` or the end of the stream. Errors: ModelFailed alone."""
        try:
            content = orjson.dumps(body)
        except TypeError:
            raise ModelFailed("invalid_prompt", _UNSENDABLE) from None
        deadline = asyncio.get_running_loop().time() + self._limits.timeout_ms / 1000
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._asked(path, content)
            try:
                async with contextlib.aclosing(self._read(response, deadline)) as events:
                    async for event in events:
                        for read in _objects(event):
                            yield read
            finally:
                await response.aclose()
        except TimeoutError:
            raise ModelFailed("server_error", _TOO_LATE) from None
        except openai.APIStatusError as error:
            _LOG.log(*Alarm.MODEL_REFUSED.line(status=error.status_code))
            raise by_status(error.status_code) from None
        except (openai.OpenAIError, httpx2.HTTPError):
            raise ModelFailed("server_error", _FAILED) from None
        except EventTooLong:
            raise ModelFailed("server_error", _TOO_LONG) from None

    async def close(self) -> None:
        await self._client.close()

    async def _asked(self, path: str, content: bytes) -> httpx2.Response:
        stream = True
        response = await self._client.post(
            path,
            cast_to=httpx2.Response,
            content=content,
            options={"headers": {"accept": "text/event-stream"}},
            stream=stream,
            stream_cls=openai.AsyncStream[object],
        )
        if not isinstance(response, httpx2.Response):
            raise malformed()  # never: it is what it was asked to be
        if response.status_code == 200:
            return response
        await response.aclose()
        raise malformed()

    async def _read(self, response: httpx2.Response, deadline: float) -> AsyncGenerator[Event, None]:
        """What the answer is, its first byte says, and not its type, which servers and proxies get wrong: a JSON object is all of it."""
        loop, events, size = asyncio.get_running_loop(), Events(), 0
        chunks, whole = response.aiter_raw(), bytearray()
        is_whole: bool | None = None
        until = deadline
        while True:
            async with asyncio.timeout_at(until):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            size += len(chunk)
            if size > (MAX_EVENT_BYTES if is_whole else MAX_STREAM_BYTES):
                raise EventTooLong("an answer is too long")
            until = min(deadline, loop.time() + self._limits.idle_ms / 1000)
            if is_whole is None and (begin := chunk.lstrip(_BEFORE)):
                is_whole = begin.startswith(b"{")
            if is_whole:
                whole += chunk
                continue
            for event in events.feed(chunk):
                if event.content.strip() == b"[DONE]":
                    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
                        async with asyncio.timeout(_AFTER_THE_END_S):
                            await anext(chunks, None)
                    return
                yield event
        for event in (Event("", bytes(whole.strip(_BEFORE))),) if is_whole else events.end():
            yield event


_BEFORE = b"\xef\xbb\xbf \t\r\n"
"""What may stand before the first byte that says something."""


def _objects(event: Event) -> list[dict[str, Json]]:
    """The JSON objects of an event: one; or one a line, of servers that leave out the empty lines between events."""
    with contextlib.suppress(ValueError):
        return [_object(event.name, event.content)]
    lines = [line for line in event.content.split(b"\n") if line.strip() != b"[DONE]"]
    try:
        return [_object(event.name, line) for line in lines]
    except ValueError:
        raise malformed() from None


def _object(name: str, content: bytes) -> dict[str, Json]:
    """ValueError for what is none."""
    # By the standard library: servers written in JavaScript cut a text between the two halves of a character, which strict JSON refuses.
    try:
        value: Json = json.loads(content.decode(), parse_constant=_no_number, object_pairs_hook=_members)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise malformed()
    if name == "error" and value.get("type") != "error":
        raise failed(value.get("code"))
    return {"type": name, **value} if name else value


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice")  # which of both is meant nobody knows
    return made


def _no_number(name: str) -> Never:
    raise ValueError(f"{name} is no number")


class _Transport(httpx2.AsyncBaseTransport):
    """The package's way out, over aiohttp."""

    def __init__(self, credential: str | None, connect_s: float, trust: ssl.SSLContext) -> None:
        self._headers = {"accept-encoding": "identity", "user-agent": "tellergate"}
        if credential is not None:
            self._headers["authorization"] = f"Bearer {credential}"
        self._connect_s = connect_s
        self._trust = trust
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = {name: request.headers[name] for name in _SENT if name in request.headers}
        try:
            response = await self._opened().request(
                request.method, str(request.url), data=request.content, headers={**sent, **self._headers}, allow_redirects=False
            )
        except TimeoutError:
            raise httpx2.ConnectTimeout("not connected in time") from None
        except (aiohttp.ClientError, OSError):
            raise httpx2.ConnectError("not connected") from None
        headers = {name: response.headers[name] for name in _READ if name in response.headers}
        if response.status != 200:
            response.close()  # what an error says is read by nobody: it may be endless
            return httpx2.Response(response.status, headers=headers)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            response.close()
            raise httpx2.DecodingError("packed, though it was not asked for")
        return httpx2.Response(200, headers=headers, stream=_Body(response))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # made where the loop runs
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=AT_ONCE, keepalive_timeout=_KEPT_S, ssl=self._trust),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError):
            raise httpx2.ReadError("broken") from None

    async def aclose(self) -> None:
        self._response.close()  # a connection whose body ended is back among the kept ones already
