"""`RemoteCore`: the `CoreBank` port over HTTP. Owns the connections, the deadlines, the repeats and the breaker of one core.

What it says about an instruction:

    a value of the core, whole, well-formed, for this request and this key     is believed
    nothing was sent: no connection in time, or the breaker is open            CoreUnavailable
    anything else, once a byte may have gone                                   Unknown, after repeats of the same bytes under the same key

A repeat is sent within the deadline and before the permit expires only. A refused permit is believed of the first request alone: after
it, an earlier one may have acted.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from ssl import SSLContext
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
from yarl import URL

from adapters.alarms import CoreAlarm
from adapters.core import CoreAnswer, CoreBank, CoreUnavailable, ExecutionPermit, Instruction, NotSeen, PermitRefused, Unknown
from adapters.cores.remote import wire
from adapters.cores.remote.breaker import Breaker, BreakerLimits, State, Ticket
from adapters.cores.remote.codec import Json, WireError
from adapters.cores.remote.wire import CoreFault, Operation

SKEW = timedelta(seconds=5)
"""How far the core's clock may be behind ours: so long after a permit's end its key is left alone."""

_LOG = logging.getLogger("tellergate.core")
_DICE = secrets.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientBounds:
    """How long and how often. Times in seconds, on a monotonic clock."""

    question_s: float = 2.0
    """From asking to the answer, with every repeat."""
    instruction_s: float = 10.0
    connect_s: float = 0.5
    silence_s: float = 4.0
    """Without a byte for so long, or for half of the deadline, a connection is given up."""
    tries: int = 3
    pause_s: float = 0.02
    """Before the second try, doubled before each further one; the real pause is a random part of it."""
    connections: int = 64
    idle_s: float = 15.0
    """How long an idle connection is kept: less than the server keeps it, so that it is rarely closed while something is sent."""


class _Failed(Exception):
    """One try without an answer. `is_final`: another try would fail alike. `is_stale`: the server had closed an idle connection."""

    def __init__(self, why: str, *, sent: bool, is_final: bool = False, is_stale: bool = False) -> None:
        super().__init__(why)
        self.why, self.sent, self.is_final, self.is_stale = why, sent, is_final, is_stale


@dataclass(slots=True)
class _Sending:
    """One instruction on its way: whether a byte of it may have gone."""

    instruction: Instruction
    permit: ExecutionPermit
    headers: Mapping[str, str]
    body: bytes
    deadline: float
    sent: bool = field(default=False)


def open_remote(
    url: str,
    *,
    credential: str,
    clock: Callable[[], datetime],
    bounds: ClientBounds | None = None,
    limits: BreakerLimits | None = None,
    tls: SSLContext | None = None,
) -> tuple[CoreBank, "RemoteCore"]:
    """The core at this base URL, as the port and as itself. `credential` is the bearer token; `tls` says whom https trusts. Must be
    called on the event loop."""
    core = RemoteCore(url, credential=credential, clock=clock, bounds=bounds or ClientBounds(), limits=limits, tls=tls)
    return cast(CoreBank, core), core  # its questions come from the port itself, which mypy cannot see


class RemoteCore:
    """A `CoreBank`: the port says what each method does. Its questions are made of the port's own methods. Close it with `close`."""

    def __init__(
        self,
        url: str,
        *,
        credential: str,
        clock: Callable[[], datetime],
        bounds: ClientBounds,
        limits: BreakerLimits | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        paths = (wire.SUBMIT_PATH, *(question.path for question in (*wire.QUESTIONS.values(), wire.STATUS_OF_KEY)))
        self._urls = {path: URL(url.rstrip("/") + path) for path in paths}
        self._clock = clock
        self._bounds = bounds
        self._breaker = Breaker(limits, moved=_tell)
        self._on_their_way: dict[str, datetime] = {}
        """Keys under which bytes may still travel, with the end of their permit."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=bounds.connections, keepalive_timeout=bounds.idle_s, ssl=tls or True),
            headers={
                "Authorization": f"Bearer {credential}",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                "User-Agent": "tellergate",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trace_configs=[_noting_what_was_sent()],
        )
        self._question_waits, self._instruction_waits = (
            aiohttp.ClientTimeout(total=None, sock_connect=bounds.connect_s, sock_read=min(bounds.silence_s, given_s / 2))
            for given_s in (bounds.question_s, bounds.instruction_s)
        )
        for name, operation in wire.QUESTIONS.items():
            setattr(self, name, partial(self._ask, operation))

    @property
    def breaker(self) -> State:
        """For telemetry."""
        return self._breaker.state

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def submit(self, instruction: Instruction, permit: ExecutionPermit) -> CoreAnswer:
        """Send the instruction until it is answered, as the module says. Cancelling it leaves its key on its way."""
        sending = self._prepared(instruction, permit)
        try:
            answer = await self._submit(sending)
        except _Failed as failed:
            if sending.sent:
                _LOG.log(*CoreAlarm.CORE_OUTCOME_UNKNOWN.line(cause=failed.why))
                return Unknown(failed.why)
            raise CoreUnavailable(failed.why) from None
        if not isinstance(answer, Unknown):
            self._on_their_way.pop(instruction.key, None)
        return answer

    async def status(self, key: str) -> CoreAnswer | NotSeen:
        """What became of this key; Unknown without asking while bytes under it may travel, since to ask may burn it."""
        until = self._on_their_way.get(key)
        if until is not None and self._clock() < until + SKEW:
            return Unknown("on its way")
        answer: CoreAnswer | NotSeen = await self._ask(wire.STATUS_OF_KEY, key)
        if not isinstance(answer, Unknown):
            self._on_their_way.pop(key, None)
        return answer

    # Questions

    async def _ask(self, operation: Operation, *arguments: Any, **named: Any) -> Any:
        body = operation.request(arguments, named)
        key = arguments[0] if operation is wire.STATUS_OF_KEY else None
        deadline = self._now() + self._bounds.question_s
        for attempt in range(self._bounds.tries):
            ticket = self._breaker.question(self._now())
            if ticket is None:
                raise CoreUnavailable("left_alone")
            try:
                with _Ticket(self._breaker, ticket, self._now) as turn:
                    answer = await self._exchange(operation.path, body, {}, key, deadline)
                    decoded = None if isinstance(answer, CoreFault) else _decoded(operation, answer)
                    turn.answered = answer is not CoreFault.UNAVAILABLE
            except _Failed as failed:
                why, is_final = failed.why, failed.is_final
            else:
                if answer is CoreFault.INVALID:
                    raise ValueError(f"not a question of {operation.name}")
                if not isinstance(answer, CoreFault):
                    return decoded
                why, is_final = answer.value, answer is not CoreFault.UNAVAILABLE
                _refused(answer)
            if is_final or not await self._pause(attempt, deadline):
                break
        raise CoreUnavailable(why)

    # Instructions

    def _prepared(self, instruction: Instruction, permit: ExecutionPermit) -> _Sending:
        """Everything that can fail before a byte goes. PermitRefused, or CoreUnavailable for a key that no header can hold."""
        body, now = instruction.canonical(), self._clock()
        try:
            encoded, left_s = permit.encode(), (permit.expires - now).total_seconds()
        except AttributeError:
            raise PermitRefused("not a permit") from None
        if left_s <= 0:
            raise PermitRefused("expired")
        if wire.KEY_FORM.fullmatch(instruction.key) is None:
            raise CoreUnavailable("not a key")
        headers = {wire.KEY: instruction.key, wire.PERMIT: encoded}
        deadline = self._now() + min(self._bounds.instruction_s, left_s)
        while self._on_their_way:  # about in the order of their ends
            key, until = next(iter(self._on_their_way.items()))
            if now < until + SKEW:
                break
            del self._on_their_way[key]
        self._on_their_way[instruction.key] = max(permit.expires, self._on_their_way.get(instruction.key, permit.expires))
        return _Sending(instruction, permit, headers, body, deadline)

    async def _submit(self, sending: _Sending) -> CoreAnswer:
        """The core's answer; PermitRefused of the first try; _Failed after the last one."""
        last = _Failed("left_alone", sent=False)
        for attempt in range(self._bounds.tries):
            ticket = self._breaker.instruction()
            if ticket is None:
                break
            try:
                with _Ticket(self._breaker, ticket, self._now) as turn:
                    answer = await self._exchange(
                        wire.SUBMIT_PATH, sending.body, sending.headers, sending.instruction.key, sending.deadline
                    )
                    decoded = None if isinstance(answer, CoreFault) else _decoded_answer(answer)
                    turn.answered = answer is not CoreFault.UNAVAILABLE
            except _Failed as failed:
                last = failed
                sending.sent |= failed.sent
            else:
                if decoded is not None:
                    return decoded
                _refused(answer)
                if answer is CoreFault.PERMIT_REFUSED and not sending.sent:
                    raise PermitRefused("by the core")
                sending.sent = True
                last = _Failed(str(answer), sent=True, is_final=answer is not CoreFault.UNAVAILABLE)
            if last.is_final or not await self._pause(attempt, sending.deadline):
                break
            if self._clock() >= sending.permit.expires:
                break
        raise last

    # One request and its answer

    async def _exchange(
        self, path: str, body: bytes, headers: Mapping[str, str], key: str | None, deadline: float
    ) -> Json | CoreFault:
        """Once: what the frame holds. _Failed for everything that is not a whole frame of this request and this key."""
        number, noted = secrets.token_hex(16), SimpleNamespace(connected=False, reused=False)
        try:
            async with (
                asyncio.timeout_at(deadline),
                self._session.post(
                    self._urls[path],
                    data=body,
                    headers={**headers, wire.REQUEST: number},
                    timeout=self._instruction_waits if path == wire.SUBMIT_PATH else self._question_waits,
                    allow_redirects=False,
                    trace_request_ctx=noted,
                ) as response,
            ):
                try:
                    return _frame(response.status, await _whole(response), number, key)
                except WireError as error:
                    response.close()  # what comes next on this connection belongs to nothing
                    raise _Failed(str(error), sent=True) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:  # OSError: TimeoutError is one, sockets raise others
            is_stale = noted.reused and isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
            raise _Failed(type(error).__name__, sent=noted.connected, is_stale=is_stale) from None

    async def _pause(self, attempt: int, deadline: float) -> bool:
        """Wait a random part of the pause after this try; whether another may follow."""
        if attempt + 1 >= self._bounds.tries:
            return False
        pause_s = self._bounds.pause_s * 2**attempt * _DICE.random()
        if self._now() + pause_s >= deadline:
            return False
        await asyncio.sleep(pause_s)
        return True

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class _Ticket:
    """Hands a ticket back, whatever happens: answered, failed, or given up by a caller that was cancelled."""

    def __init__(self, breaker: Breaker, ticket: Ticket, now: Callable[[], float]) -> None:
        self._breaker, self._ticket, self._now = breaker, ticket, now
        self.answered = True

    def __enter__(self) -> "_Ticket":
        return self

    def __exit__(self, of: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        answered: bool | None = self.answered
        if error is not None:
            answered = False if isinstance(error, _Failed) and not error.is_stale else None
        self._breaker.ended(self._ticket, self._now(), answered=answered)


def _decoded(operation: Operation, answer: Json) -> Any:
    try:
        return operation.answer.decode(answer)
    except WireError as error:
        raise _Failed(str(error), sent=True) from None


def _decoded_answer(answer: Json) -> CoreAnswer:
    try:
        decoded: CoreAnswer = wire.ANSWER_TO_INSTRUCTION.decode(answer)
    except WireError as error:
        raise _Failed(str(error), sent=True) from None
    return decoded


def _frame(status: int, body: bytes, number: str, key: str | None) -> Json | CoreFault:
    frame = wire.read_frame(body, number, key)
    if status != (wire.STATUS[frame] if isinstance(frame, CoreFault) else 200):
        raise WireError("a status that does not fit its frame")
    return frame


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """The body, bounded. WireError beyond `MAX_ANSWER_BYTES`."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > wire.MAX_ANSWER_BYTES:
            raise WireError("a larger answer than any")
        parts.append(part)
    return b"".join(parts)


def _noting_what_was_sent() -> aiohttp.TraceConfig:
    """From the moment that a request has its connection, a byte of it may go."""

    async def connected(_session: aiohttp.ClientSession, noted: SimpleNamespace, _parameters: object) -> None:
        noted.trace_request_ctx.connected = True

    async def reused(_session: aiohttp.ClientSession, noted: SimpleNamespace, _parameters: object) -> None:
        noted.trace_request_ctx.connected = noted.trace_request_ctx.reused = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(reused)
    return tracing


def _refused(answer: object) -> None:
    """A core that does not take what we send is set up in another way than we are: somebody must look."""
    if isinstance(answer, CoreFault) and answer is not CoreFault.UNAVAILABLE:
        _LOG.log(*CoreAlarm.CORE_REFUSES.line(code=answer.value))


def _tell(state: State, failures: int) -> None:
    _LOG.log(*CoreAlarm.CORE_BREAKER.line(state=state.value, failures=failures))
