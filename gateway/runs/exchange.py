"""One question to a model's server over aiohttp, and the events of its answer. Owns the connections, and repeats what failed.

No redirect is followed, no cookie kept, nothing is taken from the environment, no body of an error is read, none is unpacked. What is
repeated, and when, is as in the `openai` package. Must never log what is asked or answered, nor the credential.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import random
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Never

import aiohttp
import orjson

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

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0
"""Before the next try: doubled each time, less up to a quarter of it, so that not all come back at once."""

_ASKED_WAIT_MOST_S = 120.0
"""So long a server may ask to be left alone (`Retry-After`); where it asks for more, the question is not repeated."""

_LOG = logging.getLogger("tellergate.runs.model")

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
        self._url = url.rstrip("/")
        self._limits = limits
        self._headers = {
            "accept": "text/event-stream",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": "tellergate",
            **({} if credential is None else {"authorization": f"Bearer {credential}"}),
        }
        self._trust = ssl.create_default_context()
        self._session: aiohttp.ClientSession | None = None

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
                response.close()  # a connection whose body ended is back among the kept ones already
        except TimeoutError:
            raise ModelFailed("server_error", _TOO_LATE) from None
        except (aiohttp.ClientError, OSError):
            raise ModelFailed("server_error", _FAILED) from None
        except EventTooLong:
            raise ModelFailed("server_error", _TOO_LONG) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _asked(self, path: str, content: bytes) -> aiohttp.ClientResponse:
        """The response that begins an answer, after as many tries as it takes. ModelFailed."""
        for tried in itertools.count():
            is_last, asked_wait_s = tried >= self._limits.retries, None
            try:
                response = await self._opened().post(
                    f"{self._url}{path}", data=content, headers=self._headers, allow_redirects=False
                )
            except (aiohttp.ClientError, OSError):  # not connected, or not in time
                if is_last:
                    raise failed(None) from None
            else:
                is_packed = response.headers.get("content-encoding", "identity").lower() != "identity"
                if response.status == 200 and not is_packed:
                    return response
                response.close()  # what an error says is read by nobody: it may be endless
                asked_wait_s = _asked_wait_s(response.headers)
                if is_last or not _is_passing(response.status, asked_wait_s):
                    raise _refused(response.status)
            await asyncio.sleep(_wait_s(tried, asked_wait_s))
        raise failed(None)  # never: the last try answers, or raises

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # made where the loop runs
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=AT_ONCE, keepalive_timeout=_KEPT_S, ssl=self._trust),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.idle_ms / 1000),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse, deadline: float) -> AsyncGenerator[Event, None]:
        """What the answer is, its first byte says, and not its type, which servers and proxies get wrong: a JSON object is all of it."""
        loop, events, size = asyncio.get_running_loop(), Events(), 0
        chunks, whole = response.content.iter_any(), bytearray()
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
                    with contextlib.suppress(aiohttp.ClientError, OSError):
                        async with asyncio.timeout(_AFTER_THE_END_S):
                            await anext(chunks, None)
                    return
                yield event
        for event in (Event("", bytes(whole.strip(_BEFORE))),) if is_whole else events.end():
            yield event


def _refused(status: int) -> ModelFailed:
    """What a response that begins no answer comes to; one that is packed, though it was not asked for, failed."""
    if status == 200:
        return failed(None)
    if status < 300:
        return malformed()
    _LOG.log(*Alarm.MODEL_REFUSED.line(status=status))
    return by_status(status)


def _is_passing(status: int, asked_wait_s: float | None) -> bool:
    """Whether the same question may be answered later."""
    if asked_wait_s is not None and asked_wait_s > _ASKED_WAIT_MOST_S:
        return False
    return status in (200, 408, 409, 429) or status >= 500


def _wait_s(tried: int, asked_wait_s: float | None) -> float:
    if asked_wait_s is not None and asked_wait_s > 0:
        return asked_wait_s
    longest = min(_FIRST_WAIT_S * 2.0 ** min(tried, 10), _LONGEST_WAIT_S)
    return longest * random.uniform(0.75, 1.0)  # noqa: S311  # spreads, and protects nothing


def _asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to be left alone, as a number or a date (RFC 9110 section 10.2.3); None where it says nothing."""
    for name, of_a_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        with contextlib.suppress(ValueError):
            return float(headers.get(name, "")) / of_a_second
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        until, now = (
            parsedate_to_datetime(headers.get(name, "")) for name in ("retry-after", "date")
        )  # both by the server's clock
        return (until - now).total_seconds()
    return None


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
