"""THE STATES OF A RUN: from where it stands to where it leaves this worker. Read `drive` from top to bottom.

    ended        a cancelled or expired run ends
    begin        queued -> in_progress
    calls        an open step first: its banking calls go through the call pipeline, or wait for the customer; then those of the app
    ask          the model, with the whole thread
    keep         its answer, in one write: a message, or a step with calls, which begins the circle again

What a worker found out is written at once, and only while it has the run: after a crash the next worker goes on from the last write. The
model may then be asked once more, which does nothing; calls have their ids before they are taken, so that none is executed twice.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection

from gateway.domain.alarms import Alarm
from gateway.domain.principal import Principal
from gateway.domain.states import RunState, StepStatus
from gateway.domain.strict_json import Json
from gateway.domain.tools import ToolContext
from gateway.runs import objects
from gateway.runs.answer import ModelAnswer
from gateway.runs.broadcast import Broadcast
from gateway.runs.budget import ROUNDS_MOST, TokensUsed
from gateway.runs.function_calls import RunFunctionCalls, WaitingCall, asked_of, changed_calls, open_calls, required
from gateway.runs.model import Finish, Model, ModelFailed, Usage
from gateway.runs.objects import seconds
from gateway.runs.question import ModelQuestion, QuestionBuilder
from gateway.runs.sealed_principal import PrincipalSeal
from gateway.runs.streaming import KeptAnswer, MessageStream, call_delta, counted
from gateway.runs.tool_context import begun, context_of, context_with_outputs, is_indexing
from gateway.store import runs, steps, threads
from gateway.store.items import ItemStore
from gateway.store.runs import AdvanceRun, Run
from gateway.store.steps import Step
from gateway.store.threads import Thread

T = TypeVar("T")

LEASE = timedelta(seconds=20)
"""So long a worker has a run without saying so again."""

LOOK_S = 0.25
"""How often a run that somebody listens to looks whether the customer has spoken."""

INDEXED_WITHIN = timedelta(minutes=1)
"""So long a run waits for files to be indexed before it asks the model without them."""

GRACE = timedelta(minutes=1)
"""How much longer than the last confirmation a run lives that waits for it."""

_LOG = logging.getLogger("tellergate.runs")

_INCOMPLETE = {Finish.LENGTH: ("max_tokens", "max_completion_tokens"), Finish.FILTERED: ("content_filter", None)}
"""Of answers that were cut off: the reason of the message, and of the run."""


class LeaseLost(Exception):
    """Another worker has the run, or it is gone: whatever was found out is dropped, and nothing more is done."""


class RunEnded(Exception):
    """The run is to end now, in this state: cancelled, expired or failed."""

    def __init__(self, state: RunState, error: ModelFailed | None = None) -> None:
        super().__init__(state)
        self.state = state
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDependencies:
    """What the loop is made of. Built by `main`, and by tests with other parts."""

    book: ItemStore
    calling: RunFunctionCalls
    question: QuestionBuilder
    model: Model
    seal: PrincipalSeal
    broadcast: Broadcast
    clock: Callable[[], datetime]
    confirm_at: str
    """Where the customer confirms: the URL before a confirmation's id; empty where there is no page."""
    ended: Counter[str] = field(default_factory=Counter)
    """How runs ended that this process drove, by state; for metrics."""
    answers: Counter[str] = field(default_factory=Counter)
    """What came of questions to the model: `answered`, or the code of the failure; for metrics."""


@dataclass(slots=True)
class RunDriver:
    """One run while this worker has it. `cancelled` is set by whoever cancels it."""

    parts: RunDependencies
    run: Run
    lease: str
    cancelled: asyncio.Event

    async def drive(self) -> None:
        """Until the run has ended, or waits for somebody outside. Unavailable when a store or the log does not answer: it is due again."""
        growing: MessageStream | None = None
        try:
            self._still_goes_on()
            await self._begin()
            thread, principal = await self._whose()
            while True:
                step = await self._read(lambda connection: steps.open_one(connection, self.run.id))
                if step is not None and not await self._calls(step, thread, principal):
                    return
                question = await self._asked(thread, principal)
                if question is None:
                    return
                growing = self._growing(question)
                answer = await self._until_cancelled(self._ask(growing, question))
                self.parts.answers["answered"] += 1
                if not await self._keep(growing, answer, question):
                    return
                growing = None
        except LeaseLost:
            return
        except RunEnded as ended:
            await self._end(ended, growing)
        except ModelFailed as failed:
            self.parts.answers[failed.code] += 1
            _LOG.log(*Alarm.MODEL_FAILED.line(code=failed.code, why=failed.message, run=self.run.id))
            await self._end(RunEnded(RunState.FAILED, failed), growing)

    async def break_down(self) -> None:
        """After a defect: the run has failed, and its thread is free."""
        await self._end(RunEnded(RunState.FAILED, ModelFailed("server_error", "A defect of the gateway stopped the run.")), None)

    # ended

    @property
    def _is_over(self) -> bool:
        return self.cancelled.is_set() or self.parts.clock() >= self.run.expires

    def _still_goes_on(self) -> None:
        if self.run.state is RunState.CANCELLING or self.cancelled.is_set():
            raise RunEnded(RunState.CANCELLED)
        if self.parts.clock() >= self.run.expires:
            raise RunEnded(RunState.EXPIRED)

    async def _end(self, ended: RunEnded, growing: MessageStream | None) -> None:
        """End the run, with what it has said so far; its open step ends with it."""
        now = self.parts.clock()
        kept = growing.broken_off(f"run_{ended.state}") if growing is not None else KeptAnswer()
        opened = await self._read(lambda connection: steps.open_one(connection, self.run.id))
        if opened is not None:
            at: dict[str, Json] = {f"{ended.state}_at": seconds(now)}
            opened = replace(opened, body={**opened.body, "status": ended.state, **at})
            kept = replace(
                kept, steps=(*kept.steps, opened), news=(*kept.news, (f"thread.run.step.{ended.state}", objects.step(opened)))
            )
        body = {**self.run.body, "required_action": None, "usage": self._usage(), "own": self._own(confirmations=[])}
        if ended.state is not RunState.EXPIRED:
            body[f"{ended.state}_at"] = seconds(now)
        if ended.error is not None:
            body["last_error"] = {"code": ended.error.code, "message": ended.error.message}
        try:
            await self._advance_with(kept, ended.state, body)
        except LeaseLost:
            return
        except RunEnded:  # cancelled meanwhile: that comes first
            await self._end(RunEnded(RunState.CANCELLED), growing)
            return
        self._left(ended.state)

    # begin

    async def _begin(self) -> None:
        if self.run.state is RunState.QUEUED:  # else it was written as begun with its lease
            await self._advance(RunState.IN_PROGRESS, runs.begun(self.run, self.parts.clock()).body)
        self._tell("thread.run.in_progress", objects.run(self.run))

    async def _whose(self) -> tuple[Thread, Principal]:
        thread = await self._read(lambda connection: threads.of_id(connection, self.run.thread))
        if thread is None:
            raise LeaseLost
        return thread, self.parts.seal.open(self.run.principal, self.run.id)

    # calls

    async def _calls(self, step: Step, thread: Thread, principal: Principal) -> bool:
        """Until every call of the step has its output: True. False: the run waits, and this worker has let go of it."""
        request = asked_of(
            step,
            conversation=thread.conversation,
            model=str(self.run.body["model"]),
            offered=self.parts.question.ours_of(self.run),
            trace_id=str(objects.own_of(self.run)["trace"]),
            tools=await context_with_outputs(self.parts.book, self._context(thread, step), step),
        )
        if (marked := begun(step)) is not None:
            await self._advance(RunState.IN_PROGRESS, self.run.body, steps=(marked,))
            step = marked
        now = await self.parts.calling.take(step, request, principal)  # never cut short: what was begun is heard to its end
        while True:
            if self._is_over and now is not step:
                await self._changed(step, now)  # what was done is kept, before the run ends
            self._still_goes_on()
            now = await self.parts.calling.look(now, self.run.customer)
            if app := required(now):
                await self._require_action(app, step, now)
                return False
            if not open_calls(now):
                break
            if not await self._wait(step, now):
                return False
            step = now
        done = replace(now, body={**now.body, "status": StepStatus.COMPLETED, "completed_at": seconds(self.parts.clock())})
        await self._changed(step, done, own=self._own(confirmations=[]))
        self._tell("thread.run.step.completed", objects.step(done, with_content=self._with_content))
        return True

    def _context(self, thread: Thread, step: Step | None = None) -> ToolContext | None:
        return context_of(self.run, thread, self._spent.rounds, step, tier=self.parts.question.tier)

    async def _changed(self, before: Step, after: Step, **body: Json) -> None:
        """One write of the step as it is now, with whatever else of the run it changes; then it is told."""
        await self._advance(RunState.IN_PROGRESS, {**self.run.body, **body}, steps=(after,))
        self._tell_calls(before, after)

    def _tell_calls(self, before: Step, after: Step) -> None:
        for delta in changed_calls(before, after, objects.own_of(self.run)):
            self._tell("thread.run.step.delta", call_delta(after.id, delta))

    async def _require_action(self, app: Sequence[Json], before: Step, after: Step) -> None:
        action: Json = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": list(app)}}
        body = {**self.run.body, "required_action": action}
        await self._advance(RunState.REQUIRES_ACTION, body, steps=(after,), due=self.run.expires)
        self._tell_calls(before, after)
        self._left(RunState.REQUIRES_ACTION)

    async def _wait(self, before: Step, after: Step) -> bool:
        """For the customer, or for an outcome. True: look again. False: let go of it; it is due when the customer has spoken."""
        waits, now = await self.parts.calling.waits(after), self.parts.clock()
        shown: list[Json] = [self._shown(wait) for wait in waits]
        heard = self.parts.broadcast.is_heard(self.run.id)
        is_news = shown != objects.own_of(self.run).get("confirmations", [])
        if is_news or not heard or after is not before:
            await self._advance(
                RunState.IN_PROGRESS,
                {**self.run.body, "own": self._own(confirmations=shown, **({"has_waited": True} if shown else {}))},
                steps=(after,),
                due=None if heard else min((wait.expires for wait in waits), default=now + runs.LOOK_AGAIN),
                expires=max([self.run.expires, *(wait.expires + GRACE for wait in waits)]),
                waits=tuple(wait.confirmation for wait in waits),
            )
        self._tell_calls(before, after)
        if is_news:
            self._tell("thread.run.in_progress", objects.run(self.run))
        if heard:
            await self._until_cancelled(asyncio.sleep(LOOK_S))
        return heard

    def _shown(self, waiting: WaitingCall) -> Json:
        url = f"{self.parts.confirm_at}{waiting.confirmation}" if self.parts.confirm_at else None
        return {"id": waiting.confirmation, "expires_at": seconds(waiting.expires), "url": url}

    # ask

    async def _asked(self, thread: Thread, principal: Principal) -> ModelQuestion | None:
        """The next question; None: the run's bounds do not allow it, and it has ended."""
        spent = self._spent
        if not spent.rounds:
            await self._indexed(thread)
        if spent.rounds >= ROUNDS_MOST:
            raise ModelFailed("server_error", f"The model did not come to an end within {ROUNDS_MOST} questions.")
        question = await self.parts.question.of(self.run, thread, principal, spent)
        if isinstance(question, ModelQuestion):
            return question
        body: dict[str, Json] = {**self.run.body, "incomplete_details": {"reason": question}, "usage": self._usage()}
        await self._advance(RunState.INCOMPLETE, body)
        self._left(RunState.INCOMPLETE)
        return None

    async def _indexed(self, thread: Thread) -> None:
        """Until the files that it may search are indexed, or they took long enough: who attaches one asks about it."""
        context, until = self._context(thread), self.parts.clock() + INDEXED_WITHIN
        while context and context.vector_stores and self.parts.clock() < until and await is_indexing(self.parts.book, context):
            await self._until_cancelled(asyncio.sleep(LOOK_S))

    def _growing(self, question: ModelQuestion) -> MessageStream:
        return MessageStream(
            run=self.run,
            outgoing=question.outgoing,
            tell=self._tell,
            is_banking=lambda name: name not in question.app,
            clock=self.parts.clock,
            sources=question.sources,
            images=question.images,
            with_content=self._with_content,
            calls_left=question.calls_left,
        )

    async def _ask(self, growing: MessageStream, question: ModelQuestion) -> ModelAnswer:
        left_s = (self.run.expires - self.parts.clock()).total_seconds()
        try:
            async with asyncio.timeout(left_s), aclosing(self.parts.model.answer(question.prompt)) as pieces:
                async for piece in pieces:
                    growing.feed(piece)
        except TimeoutError:
            raise RunEnded(RunState.EXPIRED) from None
        return growing.ended()

    # keep

    async def _keep(self, growing: MessageStream, answer: ModelAnswer, question: ModelQuestion) -> bool:
        """True: it asks for calls, and the circle begins again."""
        own = self._own(**question.learned(answer, self._spent))
        body = {**self.run.body, "own": own}
        if answer.calls:
            await self._advance_with(growing.kept(answer, "completed"), RunState.IN_PROGRESS, body)
            return True
        reason, of_run = _INCOMPLETE.get(answer.finish, (None, None))
        state = RunState.COMPLETED if reason is None else RunState.INCOMPLETE
        body |= {"usage": self._usage(own)}
        if reason is None:
            body["completed_at"] = seconds(self.parts.clock())
        else:
            body["incomplete_details"] = {"reason": of_run}
        await self._advance_with(growing.kept(answer, state, reason), state, body)
        self._left(state)
        return False

    # helpers

    @property
    def _with_content(self) -> bool:
        """Whether the run's listeners asked for the passages that file search found."""
        return bool(objects.own_of(self.run).get("include"))

    @property
    def _spent(self) -> TokensUsed:
        return TokensUsed(**objects.own_of(self.run).get("spent", {}))

    def _own(self, **changes: Json) -> dict[str, Json]:
        return {**objects.own_of(self.run), **changes}

    def _usage(self, own: Mapping[str, Any] | None = None) -> Json:
        spent = TokensUsed(**(objects.own_of(self.run) if own is None else own).get("spent", {}))
        return counted(Usage(spent.prompt, spent.completion))

    def _tell(self, name: str, shown: objects.Object) -> None:
        self.parts.broadcast.tell(self.run.id, name, shown)

    def _left(self, state: RunState) -> None:
        """The run is nobody's now: its listeners hear in which state, and that this is all."""
        if state is not RunState.REQUIRES_ACTION:
            self.parts.ended[state.value] += 1
        self._tell(f"thread.run.{state}", objects.run(self.run))
        self.parts.broadcast.end(self.run.id)

    async def _advance_with(self, kept: KeptAnswer, state: RunState, body: Mapping[str, Json]) -> None:
        """The same, with what is kept of an answer; it is told once it is written."""
        await self._advance(state, body, steps=kept.steps, messages=kept.messages)
        for name, shown in kept.news:
            self._tell(name, shown)

    async def _advance(self, state: RunState, body: Mapping[str, Json], **rest: Any) -> None:
        """One write. Lost; Ended when the run was cancelled meanwhile: nothing was written then."""
        item = AdvanceRun(
            run=self.run.id, lease=self.lease, before=self.run.state, state=state, at=self.parts.clock(), body=body, **rest
        )
        written = await self.parts.book.write(item)
        if isinstance(written, Run):
            self.run = written
        elif written is RunState.CANCELLING:
            self.run = replace(self.run, state=RunState.CANCELLING)
            raise RunEnded(RunState.CANCELLED)
        else:
            raise LeaseLost

    async def _read(self, question: Callable[[Connection], T]) -> T:
        return await self.parts.book.read(question)

    async def _until_cancelled(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives, unless the run is cancelled first: then it is stopped."""
        doing, cancelling = asyncio.ensure_future(work), asyncio.ensure_future(self.cancelled.wait())
        try:
            await asyncio.wait({doing, cancelling}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise RunEnded(RunState.CANCELLED)
            return doing.result()
        finally:
            for item in (doing, cancelling):
                item.cancel()
            await asyncio.gather(doing, cancelling, return_exceptions=True)
