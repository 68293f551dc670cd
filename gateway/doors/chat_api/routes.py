"""`/v1/chat/completions`, with a token of the scope `threads`: stateless for the client, a run of a thread of its own within.

A request that ends with the outputs of calls which a run waits for goes on with that run, and so with all that the model knows; any other
begins a new one over what the client resends. None of it but the newest user message can be the customer's word.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict

from gateway.domain.principal import SCOPE_THREADS, Principal
from gateway.doors.assistants_api.api import Api, body_as, metadata_of, plain, responses_of
from gateway.doors.assistants_api.resources import AskedResources, run_tools_checked, tools_checked
from gateway.doors.assistants_api.streamed import StreamedInForeground
from gateway.doors.assistants_api.threads import thread_of
from gateway.doors.bodies import json_answer
from gateway.doors.chat_api.completions import ChatEvents
from gateway.doors.chat_api.schemas import ChatCompletionRequest
from gateway.doors.chat_api.transcript import Transcript, transcript_of
from gateway.doors.resent import Resent
from gateway.doors.rest import Door
from gateway.doors.running import due, given_up, lease_for, listening, new_run, submitted, submitting, taken_up, written
from gateway.doors.schemas import body_of
from gateway.runs.broadcast import Listener
from gateway.runs.objects import RUN_FIELDS, new_id, seconds
from gateway.store import runs
from gateway.store.runs import Run, StartRun
from gateway.store.threads import CreateThread


class ChatCompletion(BaseModel):
    """A chat completion, as the types of the `openai` package describe it, with ours under `tellergate`."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str
    created: int
    model: str


def mount(app: FastAPI, door: Door, api: Api) -> None:
    """Put these routes into the application."""

    @app.post(
        "/v1/chat/completions",
        responses=responses_of(ChatCompletion, runs=True, is_waited_for=True),
        openapi_extra=body_of(ChatCompletionRequest),
    )
    async def create_chat_completion(request: Request) -> Response:
        """Answer a conversation.

        Functions that the gateway knows are executed; others are asked for in `tool_calls`. With `stream`, the answer is chunks
        (server-sent events). What waits for the customer's confirmation ends the answer, and stands under `tellergate`.
        """
        return await door.answer(request, partial(_complete, api), SCOPE_THREADS)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, and who makes it."""

    api: Api
    door: Door
    principal: Principal
    body: ChatCompletionRequest
    transcript: Transcript


async def _complete(api: Api, door: Door, request: Request, principal: Principal) -> Response:
    api.bounded(door, principal)
    body = await body_as(ChatCompletionRequest, request)
    asked = _Asked(api, door, principal, body, transcript_of(body.messages))
    if outputs := asked.transcript.outputs:
        waiting = await api.book.read(lambda connection: runs.waiting_for(connection, principal.customer, frozenset(outputs)))
        if waiting is not None:
            return await _go_on(asked, waiting, outputs)
    return await _begin(asked)


async def _begin(asked: _Asked) -> Response:
    api, door, run = asked.api, asked.door, _run(asked)
    opening = CreateThread(run.thread, run.customer, run.created, {}, conversation=asked.body.tellergate.conversation)
    entries = await _resent(asked).kept(api, door, asked.principal, run)
    starting = StartRun(run, due(run.created, run.lease), api.runs_most, entries, opening)
    answer = _Answer(api, door, run, _events(asked.body, run))
    with ExitStack() as stack:
        listener = listening(api, door, run, answer.events, stack)
        thread, queued = await written(api, starting, AskedResources())
        answer.events.conversation = thread.conversation
        taken_up(api, queued, run.created)
        return await answer.given(listener, stack)


async def _go_on(asked: _Asked, run: Run, outputs: Mapping[str, str]) -> Response:
    api, door = asked.api, asked.door
    item = submitting(api, door, asked.principal, run, outputs, lease=lease_for(api, is_heard=True))
    answer = _Answer(api, door, run, _events(asked.body, run))
    with ExitStack() as stack:
        listener = listening(api, door, run, answer.events, stack)
        answer.events.conversation = (await thread_of(api, asked.principal, run.thread)).conversation
        going_on = await submitted(api, item)
        taken_up(api, going_on, item.at)
        if not going_on.is_active:  # its answer went to whoever brought the same outputs before
            listener.break_off()
        return await answer.given(listener, stack)


def _run(asked: _Asked) -> Run:
    """A run that is not written yet, ours already."""
    api, request = asked.api, asked.body
    lease = lease_for(api, is_heard=True)
    tools_checked(api, request.tools or [])
    given = {name: value for name, value in plain(request).items() if name in RUN_FIELDS and value is not None}
    body: dict[str, Any] = {**RUN_FIELDS, **given, "instructions": asked.transcript.instructions}
    body["max_completion_tokens"] = request.max_completion_tokens or request.max_tokens
    run_tools_checked(api, body)
    if api.stand_in:  # an answer never says that another model gave it
        body["model"] = api.stand_in
    run = new_run(api, asked.door, asked.principal, body, assistant=asked.principal.client, thread=new_id("thread"), lease=lease)
    return replace(run, metadata=metadata_of(request.metadata))


def _resent(asked: _Asked) -> Resent:
    transcript = asked.transcript
    return Resent(transcript.entries, transcript.newest_word, asked.body.tellergate.origin)


def _events(asked: ChatCompletionRequest, run: Run) -> ChatEvents:
    return ChatEvents(
        id=f"chatcmpl-{run.id.removeprefix('run_')}",
        created=seconds(run.created),
        model=str(run.body["model"]),
        is_streamed=bool(asked.stream),
        with_usage=asked.stream_options is not None and bool(asked.stream_options.include_usage),
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a run comes to, for who waits for it."""

    api: Api
    door: Door
    run: Run
    events: ChatEvents

    async def given(self, listener: Listener, stack: ExitStack) -> Response:
        if self.events.is_streamed:
            return StreamedInForeground([self.events.begun()], listener, stack.pop_all(), self.let_go)
        async for _ in listener.stream():
            pass
        await self.let_go()
        return json_answer(self.events.completion())

    async def let_go(self) -> None:
        """Give the run up if nobody will hear of it any more: it waits for the customer, or its client has hung up."""
        if not self.events.is_over or self.events.is_left:
            await given_up(self.api, self.door, self.run)
