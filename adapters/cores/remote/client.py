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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from ssl import SSLContext
from typing import Any, cast

from adapters.alarms import CoreAlarm
from adapters.core import CoreAnswer, CoreBank, CoreUnavailable, ExecutionPermit, Instruction, NotSeen, PermitRefused, Unknown
from adapters.cores.remote import wire
from adapters.cores.remote.bounds import ClientBounds
from adapters.cores.remote.breaker import Breaker, BreakerLimits, State, Ticket
from adapters.cores.remote.codec import Json, WireError
from adapters.cores.remote.http import ExchangeFailed, HttpPool
from adapters.cores.remote.together import Together, side_by_side
from adapters.cores.remote.wire import CoreFault, Operation
from adapters.questions import Answered, Question

SKEW = timedelta(seconds=5)
"""How far the core's clock may be behind ours: so long after a permit's end its key is left alone."""

_LOG = logging.getLogger("tellergate.core")
_DICE = secrets.SystemRandom()


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
        self._clock = clock
        self._bounds = bounds
        self._breaker = Breaker(limits, moved=_tell)
        self._on_their_way: dict[str, datetime] = {}
        """Keys under which bytes may still travel, with the end of their permit."""
        self._http = HttpPool(
            url,
            {
                "Authorization": f"Bearer {credential}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                "User-Agent": "tellergate",
            },
            tls=tls,
            bounds=bounds,
            most=wire.MAX_ANSWER_BYTES,
        )
        self._together = Together(self._capabilities)
        for name, operation in wire.QUESTIONS.items():
            setattr(self, name, partial(self._ask, operation))

    @property
    def is_near(self) -> bool:
        return False

    @property
    def breaker(self) -> State:
        """For telemetry."""
        return self._breaker.state

    async def close(self) -> None:
        """Close the connections."""
        self._together.close()
        self._http.close()

    async def submit(self, instruction: Instruction, permit: ExecutionPermit) -> CoreAnswer:
        """Send the instruction until it is answered, as the module says. Cancelling it leaves its key on its way."""
        sending = self._prepared(instruction, permit)
        try:
            answer = await self._submit(sending)
        except ExchangeFailed as failed:
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

    async def together(self, questions: Sequence[Question[Any]], ahead: Question[Any] | None = None) -> Sequence[Answered]:
        """In one exchange if the core announced that it takes several at once; else side by side, and `ahead` not at all."""
        if not self._together.may_be(self._now()):
            return await side_by_side(self, questions)
        asked = (*questions, *([] if ahead is None else [ahead]))
        if len(asked) < 2:
            return ()
        answers = await self._answered(wire.TOGETHER_PATH, wire.together(asked), None, partial(wire.answers_of, asked))
        if answers is CoreFault.NOT_FOUND:  # another version of the core answers now
            self._together.forget(self._now())
            return await side_by_side(self, questions)
        return cast(Sequence[Answered], _believed(answers, wire.TOGETHER_PATH))

    # Questions

    async def _ask(self, operation: Operation, *arguments: Any, **named: Any) -> Any:
        key = arguments[0] if operation is wire.STATUS_OF_KEY else None
        body = operation.request(arguments, named)
        return _believed(await self._answered(operation.path, body, key, operation.answer.decode), operation.name)

    async def _capabilities(self) -> frozenset[str]:
        """None of a core that was made before there were any. CoreUnavailable."""
        operation = wire.QUESTIONS["capabilities"]
        found = await self._answered(operation.path, operation.request((), {}), None, operation.answer.decode)
        return frozenset() if found is CoreFault.NOT_FOUND else cast(frozenset[str], _believed(found, operation.name))

    async def _answered(self, path: str, body: bytes, key: str | None, decode: Callable[[Json], Any]) -> Any:
        """The answer to a question, or the core's fault where asking again would not help. CoreUnavailable."""
        deadline = self._now() + self._bounds.question_s
        for attempt in range(self._bounds.tries):
            ticket = self._breaker.question(self._now())
            if ticket is None:
                raise CoreUnavailable("left_alone")
            try:
                with _Ticket(self._breaker, ticket, self._now) as turn:
                    answer = await self._exchange(path, body, {}, key, deadline)
                    decoded = answer if isinstance(answer, CoreFault) else _decoded(decode, answer)
                    turn.answered = answer is not CoreFault.UNAVAILABLE
            except ExchangeFailed as failed:
                why, is_final = failed.why, failed.is_final
            else:
                if answer is not CoreFault.UNAVAILABLE:
                    return decoded
                why, is_final = answer.value, False
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
        if wire.PERMIT_FORM.fullmatch(encoded) is None:
            raise PermitRefused("not a permit")
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
        """The core's answer; PermitRefused of the first try; ExchangeFailed after the last one."""
        last = ExchangeFailed("left_alone", sent=False)
        for attempt in range(self._bounds.tries):
            ticket = self._breaker.instruction()
            if ticket is None:
                break
            try:
                with _Ticket(self._breaker, ticket, self._now) as turn:
                    answer = await self._exchange(
                        wire.SUBMIT_PATH, sending.body, sending.headers, sending.instruction.key, sending.deadline
                    )
                    decoded = None if isinstance(answer, CoreFault) else _decoded(wire.ANSWER_TO_INSTRUCTION.decode, answer)
                    turn.answered = answer is not CoreFault.UNAVAILABLE
            except ExchangeFailed as failed:
                last = failed
                sending.sent |= failed.sent
            else:
                if decoded is not None:
                    return cast(CoreAnswer, decoded)
                _refused(answer)
                if answer is CoreFault.PERMIT_REFUSED and not sending.sent:
                    raise PermitRefused("by the core")
                sending.sent = True
                last = ExchangeFailed(str(answer), sent=True, is_final=answer is not CoreFault.UNAVAILABLE)
            if last.is_final or not await self._pause(attempt, sending.deadline):
                break
            if self._clock() >= sending.permit.expires:
                break
        raise last

    # One request and its answer

    async def _exchange(
        self, path: str, body: bytes, headers: Mapping[str, str], key: str | None, deadline: float
    ) -> Json | CoreFault:
        """Once: what the frame holds. ExchangeFailed for everything that is not a whole frame of this request and this key."""
        number = secrets.token_hex(16)
        silence_s = min(
            self._bounds.silence_s, (self._bounds.instruction_s if path == wire.SUBMIT_PATH else self._bounds.question_s) / 2
        )
        headers = {**headers, wire.REQUEST: number}
        status, answer = await self._http.post(path, body, headers, deadline, silence_s)
        try:
            return _frame(status, answer, number, key)
        except WireError as error:
            raise ExchangeFailed(str(error), sent=True) from None

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
            answered = False if isinstance(error, ExchangeFailed) and not error.is_stale else None
        self._breaker.ended(self._ticket, self._now(), answered=answered)


def _decoded(decode: Callable[[Json], Any], answer: Json) -> Any:
    try:
        return decode(answer)
    except WireError as error:
        raise ExchangeFailed(str(error), sent=True) from None


def _believed(answer: Any, question: str) -> Any:
    """An answer; ValueError for a question that the core does not know, CoreUnavailable for one that it refused."""
    if answer is CoreFault.INVALID:
        raise ValueError(f"not a question of {question}")
    if isinstance(answer, CoreFault):
        _refused(answer)
        raise CoreUnavailable(answer.value)
    return answer


def _frame(status: int, body: bytes, number: str, key: str | None) -> Json | CoreFault:
    frame = wire.read_frame(body, number, key)
    if status != (wire.STATUS[frame] if isinstance(frame, CoreFault) else 200):
        raise WireError("a status that does not fit its frame")
    return frame


def _refused(answer: object) -> None:
    """A core that does not take what we send is set up in another way than we are: somebody must look."""
    if isinstance(answer, CoreFault) and answer is not CoreFault.UNAVAILABLE:
        _LOG.log(*CoreAlarm.CORE_REFUSES.line(code=answer.value))


def _tell(state: State, failures: int) -> None:
    _LOG.log(*CoreAlarm.CORE_BREAKER.line(state=state.value, failures=failures))
