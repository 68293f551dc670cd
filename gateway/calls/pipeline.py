"""THE PIPELINE OF A CALL. Read it from top to bottom: this is all that happens to a function call that a model asked for.

    1 authenticate   the customer's token; the agent in `act`
    2 validate       strict arguments, references of this customer and conversation, the call's facts, gathered once
    3 ground         where the value of each sensitive argument comes from
    4 decide         Cedar, on this customer's policies; what is not permitted ends here, or waits for the customer
    5 intend         one transaction compares the facts again, claims the idempotency key and the limits, and records what is about to
                     happen; it yields the execution permit
    6 execute        the one line that reaches the core with an effect
    7 redact         only allow-listed fields leave
    8 record         what is not recorded is not answered; the same transaction posts the claim, voids it, or leaves it open while nobody
                     knows

A read skips 5 and 6 and is one record. Each step takes the stage that the step before made, so none can be skipped. Steps 5 to 8 run in
a task of their own: a client that hangs up cannot cancel them.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from weakref import WeakValueDictionary

from adapters.core import CoreBank, CoreUnavailable, Declined, Done, NotSeen, PermitRefused, Unknown
from adapters.function import BankingFunction, EffectFunction, Label, ReadFunction, Unfit
from audit.committer import IntentEnded
from gateway.calls.arguments import parse, unfit
from gateway.calls.claims import STATE_AFTER, amounts_of, claim_of, held_of, instruction_of, reading_of, rest_of
from gateway.calls.decide import Decider
from gateway.calls.gather import asker, gather, kill_subjects, no_such_conversation, not_killed
from gateway.calls.newcomers import Newcomers
from gateway.calls.outcome import CallOutcomes, code_of_decline
from gateway.calls.rates import Rates
from gateway.calls.record import Records
from gateway.calls.redaction import redact
from gateway.calls.references import References
from gateway.calls.replay import IdempotentReplay
from gateway.calls.telemetry import Telemetry
from gateway.calls.tools import used
from gateway.domain.errors import Code, InDoubt, Refusal, Unavailable
from gateway.domain.facts import Snapshot
from gateway.domain.obstacle import Obstacle
from gateway.domain.ports import Book, BookChange, Claimed, FactsMoved, HeldCalls, Screening
from gateway.domain.principal import Principal, TokenStatus, invalid_token
from gateway.domain.request import CallRequest, has_effects, new_call_id
from gateway.domain.stages import (
    Call,
    Decided,
    DecidedEffect,
    DecidedRead,
    Executed,
    Grounded,
    Held,
    Intended,
    Received,
    Recorded,
    Redacted,
    Refused,
    answer_of,
)
from gateway.domain.states import CallStatus
from gateway.domain.steps import Steps
from gateway.domain.tools import Tool, ToolFunction
from gateway.grounding import ground

_UNTRUSTED = frozenset({Label.THIRD_PARTY, Label.DOCUMENT})

_TRY_AGAIN = frozenset({Code.TEMPORARILY_UNAVAILABLE, Code.RATE_LIMITED})

_BLOCKED = Obstacle("blocked")
"""By the screening: it is denied, and the model is not told why."""

_DECIDE_AGAIN = 3
"""How often a call is decided anew because a fact moved between its decision and its reservation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDependencies:
    """What the pipeline is made of. Built by `main`, and by tests with other parts."""

    functions: Mapping[str, BankingFunction]
    standing: TokenStatus
    references: References
    book: Book
    core: CoreBank
    decider: Decider
    records: Records
    outcomes: CallOutcomes
    rates: Rates
    telemetry: Telemetry
    clock: Callable[[], datetime]
    strong_session_s: int
    proposals: HeldCalls
    screening: Screening
    tools: Mapping[str, Tool] = field(default_factory=dict)


class CallPipeline:
    """The pipeline over one set of parts."""

    def __init__(self, parts: CallDependencies) -> None:
        self._parts = parts
        self._conversations: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._running: set[asyncio.Task[Recorded]] = set()
        self._newcomers = Newcomers()
        self.unrecorded: set[str] = set()
        """Calls whose end the log did not take. While there is one, effects are refused; `recovery` ends and removes them."""
        self.late: dict[str, datetime] = {}
        """Calls that were told that nothing happened, and when, whose intent may be committed after all. `recovery` ends and removes
        them."""

    async def drain(self) -> None:
        """Wait for the effects that are under way; for an orderly stop."""
        while self._running:
            await asyncio.wait(self._running)

    # 1 -- authenticate: the door did, and hands in the Principal

    async def take(self, principal: Principal, request: CallRequest) -> tuple[Recorded, ...]:
        """The calls of one request, in their order. RequestFault: NOT_FOUND, not this customer's conversation; INVALID_TOKEN, revoked.
        Unavailable: a dependency does not answer, or too many new customers wait."""
        named = request.named(self._parts.functions)
        if not any(function.emergency for function in named) and await self._newcomers.turn(principal.customer):
            await self._parts.records.meet(principal.customer, {function.retention for function in named})
        set_at = self._parts.clock()
        snapshot = await self._parts.book.facts(principal.customer, principal.acting, request.conversation_id, set_at)
        if snapshot is None:
            raise no_such_conversation()  # before any call is looked at: its record would stand in somebody else's conversation
        lock = self._conversations.setdefault(request.conversation_id, asyncio.Lock())
        fresh = None if lock.locked() else snapshot  # what was just read still stands if nobody is before us
        async with lock:  # one at a time: each call sees what the one before let into the conversation
            if has_effects(named) and not await self._parts.standing.still_stands(principal):
                raise invalid_token(principal.scheme)
            taken: list[tuple[Received, Recorded | Held]] = []
            amounts = amounts_of(request.calls, self._parts.functions)
            for number, native in enumerate(request.calls):
                now = self._parts.clock()
                received = Received(
                    call_id=new_call_id(now, secrets.token_bytes(8)),
                    principal=principal,
                    request=request,
                    native=native,
                    received_at=now,
                    span_id=secrets.token_hex(8),
                    steps=Steps(),
                    set_at=set_at,
                    rest=rest_of(amounts[number + 1 :], [pair for _, pair in taken if isinstance(pair, Held)]),
                )
                taken.append((received, await self._guarded(received, fresh)))
                fresh = None
            return await self._answered(taken)

    async def confirmed(self, received: Received) -> Recorded:
        """A call that the customer confirmed: the same pipeline again, on the facts of now, with the stored arguments."""
        (answered,) = await self._answered([(received, await self._guarded(received, None))])
        return answered

    async def _answered(self, taken: Sequence[tuple[Received, Recorded | Held]]) -> tuple[Recorded, ...]:
        """What waits for the customer is proposed to them as one."""
        held = [pair for _, pair in taken if isinstance(pair, Held)]
        proposed = iter(await self._parts.proposals.propose(held, self.refuse) if held else ())
        answers = tuple(next(proposed) if isinstance(pair, Held) else pair for _, pair in taken)
        for (received, _), answered in zip(taken, answers, strict=True):
            function = self._parts.functions.get(received.native.function)
            self._parts.telemetry.answered(received, answered, None if function is None else function.name)
        return answers

    async def _guarded(self, received: Received, snapshot: Snapshot | None) -> Recorded | Held:
        reached: Received | Call | Decided = received
        try:
            for _ in range(_DECIDE_AGAIN):
                reached = call = await self._validate(received, snapshot)
                grounded = self._ground(call)
                reached = decided = self._decide(grounded)
                try:
                    return await self._go_on(decided)
                except FactsMoved:
                    snapshot = None
            raise Unavailable("facts_moved")
        except Refusal as refusal:
            refused = Refused(received, reached, refusal)
            return await self._repeats().earlier(refused) or held_of(refused) or await self.refuse(refused)
        except Unavailable as unavailable:
            again = Refusal(Code.TEMPORARILY_UNAVAILABLE, unavailable.reason)
            return await self.refuse(Refused(received, reached, again))
        except InDoubt:
            return answer_of(received, CallStatus.IN_DOUBT, Code.OUTCOME_UNKNOWN)

    async def _go_on(self, decided: Decided) -> Recorded:
        function = decided.call.function
        if isinstance(function, ReadFunction):
            return await self._record(await self._read(DecidedRead(decided, function)))
        if isinstance(function, EffectFunction):
            return await self._uncancelled(self._effect(DecidedEffect(decided, function)))
        if isinstance(function, ToolFunction):
            return await self._record(await self._use(decided))
        raise TypeError("a function is a ReadFunction, an EffectFunction or a ToolFunction")

    async def _effect(self, effect: DecidedEffect) -> Recorded:
        intended = await self._intend(effect)
        if isinstance(intended, Claimed):
            return await self._repeats().stored_answer(effect.call, intended, self._parts.decider.revealed(effect.decided))
        executed = await self._execute(intended)
        try:
            redacted = await self._redact(executed)
        except Unavailable as unavailable:
            raise self._in_doubt(effect.call.received, unavailable) from None
        return await self._record(redacted)

    # 2 -- validate

    async def _validate(self, received: Received, snapshot: Snapshot | None) -> Call:
        parts, customer, request = self._parts, received.principal.customer, received.request
        function, confirmed = request.function_of(received.native, parts.functions), received.confirmed
        waits = function is None or not (function.emergency or confirmed)
        if waits and not parts.rates.take(customer, received.received_at, function):
            raise Refusal(Code.RATE_LIMITED, "rate_limited")
        if (fault := received.native.fault) is not None:
            raise Refusal(Code.INVALID_ARGUMENT, fault.value, message=fault.told)
        if function is None:
            raise Refusal(Code.DENIED, "unknown_function")
        resolve = partial(parts.references.resolve, customer, request.conversation_id, today=received.received_at.date())
        arguments = confirmed.arguments if confirmed else parse(function, received.native.arguments, resolve)
        call = await gather(
            received,
            function,
            arguments,
            book=parts.book,
            core=parts.core,
            strong_session_s=parts.strong_session_s,
            snapshot=snapshot,
        )
        received.steps.end("validate")
        return call

    # 3 -- ground

    def _ground(self, call: Call) -> Grounded:
        not_killed(call)
        grounded = ground(call)
        call.received.steps.end("ground")
        return grounded

    # 4 -- decide

    def _decide(self, grounded: Grounded) -> Decided:
        decided = self._parts.decider.decide(grounded)
        grounded.call.received.steps.end("decide")
        return decided

    # a read goes from 4 to 7

    async def _read(self, read: DecidedRead) -> Redacted:
        call = read.call
        try:
            raw = await read.function.read(call.core, await asker(call, self._parts.book), call.arguments)
        except CoreUnavailable:
            raise Unavailable("core_unavailable") from None
        except Unfit as refused:
            raise unfit(refused) from None
        call.received.steps.end("read")
        if raw is None:
            raise Refusal(Code.DENIED, "object_gone")
        return await self._allow(read.decided, raw)

    # so does the use of a tool, which is announced where it does more than look

    async def _use(self, decided: Decided) -> Redacted:
        try:
            raw = await used(decided, self._parts.tools, self._parts.records)
        except Unfit as refused:
            raise unfit(refused) from None
        decided.call.received.steps.end("use")
        return await self._allow(decided, raw)

    # 5 -- intend

    async def _intend(self, effect: DecidedEffect) -> Intended | Claimed:
        """Intended; or the row of an earlier call with the same ids and arguments."""
        call, parts = effect.call, self._parts
        if self.unrecorded and not call.function.emergency:
            raise Unavailable("audit_unavailable")
        if await parts.screening.blocks(call):
            raise Refusal(Code.DENIED, "blocked")  # neutral: who is on which list is told to no model
        instruction = instruction_of(effect)
        claim = claim_of(effect, instruction)
        claiming = await parts.book.claiming(claim)
        try:
            intended = await parts.records.intend(effect, instruction, claiming, claim)
        except Unavailable:
            self.late[call.received.call_id] = parts.clock()  # nothing is sent; what was committed after all is ended by recovery
            raise
        call.received.steps.end("intend")
        return intended

    # 6 -- execute

    async def _execute(self, intended: Intended) -> Executed:
        call, instruction = intended.call, intended.instruction
        if not call.function.emergency and (why := await self._parts.book.stopped(kill_subjects(call))):
            return Executed(intended, NotSeen(), why)
        if await self._parts.screening.blocks(call):
            return Executed(intended, NotSeen(), _BLOCKED)
        try:
            answer = await self._parts.core.submit(instruction, intended.permit)
        except (PermitRefused, CoreUnavailable) as error:  # the two that say that nothing was done
            why = Obstacle("permit_refused" if isinstance(error, PermitRefused) else "core_unavailable")
            return Executed(intended, NotSeen(), why)
        except Exception as error:  # noqa: BLE001  # whatever a core raises, the money may have moved
            answer = Unknown(type(error).__name__)
        call.received.steps.end("execute")
        return Executed(intended, answer)

    # 7 -- redact

    async def _redact(self, executed: Executed) -> Redacted:
        decided, answer = executed.intended.effect.decided, executed.answer
        match answer:
            case Done(output):
                return await self._allow(decided, output, executed)
            case Declined(code):
                return Redacted(decided, CallStatus.DENIED, code=code_of_decline(code), executed=executed)
            case Unknown():
                return Redacted(decided, CallStatus.IN_DOUBT, code=Code.OUTCOME_UNKNOWN, executed=executed)
            case NotSeen():
                if executed.why == _BLOCKED:
                    return Redacted(decided, CallStatus.DENIED, code=Code.DENIED, executed=executed)
                return Redacted(decided, CallStatus.UNAVAILABLE, code=Code.TEMPORARILY_UNAVAILABLE, executed=executed)

    async def _allow(self, decided: Decided, raw: Mapping[str, object], executed: Executed | None = None) -> Redacted:
        call, parts = decided.call, self._parts
        reference = partial(
            parts.references.issue,
            call.customer,
            call.facts.conversation.id,
            today=call.received.received_at.date(),
        )
        shown = redact(call.function.output, raw, reference=reference, allowed=parts.decider.revealed(decided))
        if shown.labels & _UNTRUSTED:
            acting = call.received.principal.acting
            await parts.book.taint(call.customer, acting, call.facts.conversation.id, parts.clock())
            if (reading := reading_of(decided, shown)) is not None:
                await parts.book.store_document_text(call.received.call_id, call.facts.conversation.id, reading, parts.clock())
        call.received.steps.end("redact")
        return Redacted(decided, CallStatus.DONE, output=shown.value, app=shown.app or None, executed=executed)

    # 8 -- record

    async def _record(self, redacted: Redacted) -> Recorded:
        received = redacted.call.received
        try:
            proof = await self._parts.records.outcome(redacted, self._settling(redacted))
        except IntentEnded:  # recovery was quicker: what it recorded is the end, and is told by the call's status
            raise InDoubt("ended_by_recovery") from None
        except Unavailable as unavailable:
            if redacted.executed is None:
                raise  # a read: nothing happened, nothing is told
            raise self._in_doubt(received, unavailable) from None
        received.steps.end("record")
        why = None if redacted.executed is None else redacted.executed.why
        cause, shown = None if why is None else why.code, redacted.output
        return answer_of(received, redacted.status, redacted.code, cause=cause, output=shown, app=redacted.app, proof=proof)

    def _settling(self, redacted: Redacted) -> BookChange[None] | None:
        """What becomes of the claim; None for a read, which has none."""
        if redacted.executed is None:
            return None
        state = STATE_AFTER[type(redacted.executed.answer)]
        return self._parts.book.settling(redacted.call.received.call_id, state, self._parts.clock())

    def _in_doubt(self, received: Received, unavailable: Unavailable) -> InDoubt:
        """After the core was asked, a dependency that fails leaves the caller in doubt, and recovery to record the end."""
        self.unrecorded.add(received.call_id)
        return InDoubt(unavailable.reason)

    async def refuse(self, refused: Refused) -> Recorded:
        """A call that ends here, on record."""
        received, refusal = refused.received, refused.refusal
        status = CallStatus.UNAVAILABLE if refusal.code in _TRY_AGAIN else CallStatus.DENIED
        if refusal.code is Code.RATE_LIMITED:
            self._parts.records.counters.rate_limited += 1  # only counted, or junk could fill the trail
            return answer_of(received, status, refusal.code, cause=refusal.reason)
        try:
            proof = await self._parts.records.deny(refused)
        except Unavailable:
            return answer_of(received, CallStatus.UNAVAILABLE, Code.TEMPORARILY_UNAVAILABLE, cause="audit_unavailable")
        return answer_of(received, status, refusal.code, cause=refusal.reason, message=refusal.message, proof=proof)

    # an effect that was asked for before, with the same ids and arguments: its stored answer

    def _repeats(self) -> IdempotentReplay:
        return IdempotentReplay(self._parts.book, self._parts.outcomes, self._parts.records, self._parts.proposals)

    async def _uncancelled(self, effect: Coroutine[object, object, Recorded]) -> Recorded:
        task = asyncio.ensure_future(effect)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)
