"""`POST /v1/responses`: a run begins, in a new thread or in that of the response that it follows, or goes on with the app's outputs.

Where the response that is followed is not the newest of its thread, or waits for the customer, a new thread of the same conversation begins
with what stood there, told as what a client resends.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request, Response

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import Principal
from gateway.domain.states import RunState
from gateway.domain.strict_json import Json
from gateway.doors.assistants_api.api import Api, body_as, metadata_of
from gateway.doors.assistants_api.resources import AskedResources, readable, run_tools_checked, tools_checked
from gateway.doors.assistants_api.schemas import TEXT_MOST, NewMessage
from gateway.doors.assistants_api.streamed import StreamedInForeground
from gateway.doors.assistants_api.threads import thread_of
from gateway.doors.bodies import json_answer
from gateway.doors.resent import Entry, Resent
from gateway.doors.responses_api.events import ResponseEvents
from gateway.doors.responses_api.given import GivenInput, given_input, history_of, references_of
from gateway.doors.responses_api.items import all_items
from gateway.doors.responses_api.reading import referenced_items
from gateway.doors.responses_api.schemas import ITEMS_MOST, ChosenFunction, ChosenTool, ResponseRequest, SchemaFormat
from gateway.doors.responses_api.shown import asked_body
from gateway.doors.responses_api.tools import going_on_with, named_ids, own_of_tools, run_tools
from gateway.doors.rest import Door
from gateway.doors.running import as_started, as_submitted, due, given_up, lease_for, listening, new_run, submitting, taken_up
from gateway.runs.broadcast import Listener
from gateway.runs.objects import RUN_FIELDS, new_id, own_of
from gateway.store import responses, runs, threads
from gateway.store.responses import NotTheNewest, ResponseState, StartResponse, StoredResponse, SubmitResponse
from gateway.store.runs import OutputsMismatch, Run, StartRun
from gateway.store.steps import calls_of
from gateway.store.threads import AddMessage, CreateThread


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, who makes it, and what it follows."""

    api: Api
    door: Door
    principal: Principal
    body: ResponseRequest
    follows: ResponseState | None
    given: GivenInput

    @property
    def instructions(self) -> tuple[str, ...]:
        """Those of system and developer messages, which count for what follows too."""
        earlier = () if self.follows is None else self.follows.response.own["instructions"]
        return (*earlier, *self.given.instructions)

    @property
    def is_background(self) -> bool:
        return bool(self.body.background)

    @property
    def lease(self) -> str | None:
        return lease_for(self.api, is_heard=not self.is_background or bool(self.body.stream))


async def create(api: Api, door: Door, request: Request, principal: Principal) -> Response:
    api.bounded(door, principal)
    body = await body_as(ResponseRequest, request)
    if body.background and body.store is False:
        raise _wrong("background", "needs store, or nothing could be read of it later")
    if body.previous_response_id is not None and body.conversation_id is not None:
        raise _wrong("conversation", "either previous_response_id or conversation")
    api.with_model()
    tools_checked(api, run_tools(body))
    await readable(api, door, principal, list(named_ids(body)))
    follows = await _followed(api, principal, body)
    thread = "" if follows is None else follows.response.thread
    referenced = await referenced_items(api, principal, references_of(body), thread)
    asked = _Asked(api, door, principal, body, follows, given_input(body, referenced))
    if sum(map(len, asked.instructions)) > TEXT_MOST:
        raise _wrong("input", f"system and developer messages have at most {TEXT_MOST} characters together, with earlier ones")
    if outputs := asked.given.outputs:
        waiting = await _waiting_for(asked, outputs)
        if waiting is None and (left := await _without_answered(asked)) is not None:
            asked, outputs = left, left.given.outputs
            waiting = await _waiting_for(asked, outputs)
        if waiting is not None and (follows is None or follows.run.id == waiting.id):
            return await _go_on(asked, waiting, outputs)
        if asked.given.loose:
            raise RequestFault(Fault.OUTPUTS_NOT_EXPECTED, _NOT_EXPECTED, param="input")
    return await _begin(asked)


async def _waiting_for(asked: _Asked, outputs: Mapping[str, str]) -> Run | None:
    wanted = frozenset(outputs)
    return await asked.api.book.read(lambda connection: runs.waiting_for(connection, asked.principal.customer, wanted))


async def _without_answered(asked: _Asked) -> _Asked | None:
    """Without outputs that were taken before in the thread: clients resend those of all their rounds. None: there are none."""
    follows, loose = asked.follows, asked.given.loose
    if follows is None or not loose:
        return None
    thread = follows.response.thread
    _, made = await asked.api.book.read(lambda connection: responses.items_of(connection, thread))
    taken = {call["id"]: call["function"]["output"] for step in made for call in calls_of(step) if "tellergate" not in call}
    left = {id_: output for id_, output in loose.items() if taken.get(id_) != output}
    return replace(asked, given=replace(asked.given, loose=left)) if 0 < len(left) < len(loose) else None


_NOT_EXPECTED = "input: must have the outputs of exactly the calls that wait, or each call with its output"


_STILL_RUNS = "the response that this follows is still in progress: wait until it has ended, or cancel it"


async def _followed(api: Api, principal: Principal, body: ResponseRequest) -> ResponseState | None:
    """RequestFault NOT_FOUND: it is none of this customer's."""
    named, conversation, customer = body.previous_response_id, body.conversation_id, principal.customer

    def question(connection: Any) -> ResponseState | None:
        if named is not None:
            found = responses.of_customer(connection, customer, named)
        elif conversation is not None:
            found = responses.newest_in(connection, customer, conversation)
        else:
            return None
        return None if found is None else responses.state_of(connection, found)

    state = await api.book.read(question)
    if state is None and named is not None:
        raise RequestFault(Fault.NOT_FOUND, "previous_response_id: no such response", param="previous_response_id")
    return state


async def _begin(asked: _Asked) -> Response:
    follows = asked.follows
    if follows is None:
        return await _elsewhere(asked, (), asked.body.conversation_id)
    if follows.is_last and follows.run.state is RunState.REQUIRES_ACTION:
        raise RequestFault(Fault.OUTPUTS_NOT_EXPECTED, _NOT_EXPECTED, param="input")
    if follows.is_last and not _goes_on_by_itself(follows):
        answered = await _started(asked, follows.response.thread, (), None)
        if answered is not None:
            return answered
    return await _elsewhere(asked, await _history(asked.api, follows), follows.conversation)


def _goes_on_by_itself(follows: ResponseState) -> bool:
    """Whether its client was told that it has ended, and its run waits for the customer, or goes on since they have spoken."""
    own = own_of(follows.run)
    has_spoken = own.get("has_waited") and follows.run.is_active and not follows.response.body["background"]
    return bool(own.get("confirmations") or has_spoken)


async def _elsewhere(asked: _Asked, history: tuple[Entry, ...], conversation: str | None) -> Response:
    """In a new thread, of this conversation if there is one."""
    thread = new_id("thread")
    opening = CreateThread(thread, asked.principal.customer, asked.door.clock(), {}, conversation=conversation)
    answered = await _started(asked, thread, history, opening)
    if answered is None:
        raise RequestFault(Fault.THREAD_HAS_ACTIVE_RUN, _STILL_RUNS)  # a new thread goes on nowhere else
    return answered


async def _history(api: Api, follows: ResponseState) -> tuple[Entry, ...]:
    before = await api.book.read(lambda connection: responses.before(connection, follows.response))
    return history_of(
        [item for part in (before, (follows.messages, follows.steps)) for item in all_items(*part, as_functions=True)]
    )


async def _started(asked: _Asked, thread: str, history: tuple[Entry, ...], opening: CreateThread | None) -> Response | None:
    """`opening`: makes the thread; without it, None: the thread goes on elsewhere."""
    api, door, run = asked.api, asked.door, _run(asked, thread)
    given = asked.given
    word = None if given.newest_word is None else given.newest_word + len(history)
    entries = await Resent((*history, *given.entries), word, asked.body.tellergate.origin).kept(api, door, asked.principal, run)
    starting = StartRun(run, due(run.created, run.lease), api.runs_most, entries, opening)
    response, events = _response(asked, run)
    after = asked.follows.response.id if asked.follows is not None and opening is None else None
    answer = _Answer(api, door, run, events, asked.is_background)
    with ExitStack() as stack:
        listener = None if answer.is_deaf else listening(api, door, run, events, stack)
        outcome = await AskedResources().written(api, StartResponse(starting, response, after))
        if isinstance(outcome, NotTheNewest):
            return None
        if isinstance(outcome, str):
            raise RequestFault(Fault.THREAD_HAS_ACTIVE_RUN, _STILL_RUNS)
        opened, queued = as_started(starting, outcome)
        events.conversation = opened.conversation
        taken_up(api, queued, run.created)
        return await answer.given(listener, stack)


async def _go_on(asked: _Asked, run: Run, outputs: Mapping[str, str]) -> Response:
    api, door = asked.api, asked.door
    item = submitting(api, door, asked.principal, run, outputs, lease=asked.lease)
    item = replace(item, body=going_on_with(run, asked.body))
    response, events = _response(asked, run)
    events.conversation = (await thread_of(api, asked.principal, run.thread)).conversation
    answer = _Answer(api, door, run, events, asked.is_background)
    with ExitStack() as stack:
        listener = None if answer.is_deaf else listening(api, door, run, events, stack)
        written = await api.book.write(SubmitResponse(item, response, await _further(asked, run)))
        if isinstance(written, OutputsMismatch):
            raise RequestFault(Fault.OUTPUTS_NOT_EXPECTED, _NOT_EXPECTED, param="input")
        taken_up(api, as_submitted(written), item.at)
        return await answer.given(listener, stack)


async def _further(asked: _Asked, run: Run) -> tuple[AddMessage, ...]:
    """The messages beside outputs whose calls the client does not resend: all else it resends is known. What was asked before, and stands
    here again, is not said again."""
    if not asked.given.loose or not asked.given.entries:
        return ()
    stand = await asked.api.book.read(lambda connection: threads.newest(connection, run.thread, ITEMS_MOST))
    given = asked.given.without_resent(stand)
    if not all(isinstance(entry, NewMessage) for entry in given.entries):
        raise _wrong("input", "beside outputs of calls that wait there may be messages, and no other calls")
    resent = Resent(given.entries, given.newest_word, asked.body.tellergate.origin)
    kept = await resent.kept(asked.api, asked.door, asked.principal, run)
    return tuple(entry for entry in kept if isinstance(entry, AddMessage))


def _run(asked: _Asked, thread: str) -> Run:
    """A run that is not written yet."""
    api, request = asked.api, asked.body
    body: dict[str, Any] = {**RUN_FIELDS, "model": api.stand_in or request.model}  # an answer never says that another model gave it
    body["tools"] = [tool.model_dump(exclude_unset=True) for tool in run_tools(request)]
    body["instructions"] = "\n\n".join(text for text in (request.instructions or "", *asked.instructions) if text)
    body["temperature"], body["top_p"] = request.temperature, request.top_p
    body["max_completion_tokens"] = request.max_output_tokens
    body["parallel_tool_calls"] = request.parallel_tool_calls is not False
    body["reasoning_effort"] = None if request.reasoning is None else request.reasoning.effort
    body["response_format"] = _format(request)
    body["own"] = own_of_tools(request, thread)
    if request.truncation == "disabled":
        body["own"]["is_whole"] = True
    if request.tool_choice is not None:
        body["tool_choice"] = _choice(request.tool_choice)
    run_tools_checked(api, body)
    run = new_run(api, asked.door, asked.principal, body, assistant=asked.principal.client, thread=thread, lease=asked.lease)
    return replace(run, metadata=metadata_of(request.metadata))


def _choice(choice: str | ChosenFunction | ChosenTool) -> Json:
    """As runs have it."""
    if isinstance(choice, ChosenFunction):
        return {"type": "function", "function": {"name": choice.name}}
    return choice if isinstance(choice, str) else {"type": choice.type}


def _format(request: ResponseRequest) -> Json:
    """As runs have it."""
    form = None if request.text is None else request.text.format
    if form is None or form.type == "text":
        return "auto"
    if isinstance(form, SchemaFormat):
        return {"type": "json_schema", "json_schema": form.model_dump(by_alias=True, exclude_unset=True, exclude={"type"})}
    return {"type": form.type}


def _response(asked: _Asked, run: Run) -> tuple[StoredResponse | None, ResponseEvents]:
    """What is stored of the response, if it is to be, and how it is told."""
    id_, now = new_id("resp"), asked.door.clock()
    body = asked_body(id_, asked.body, str(run.body["model"]), now)
    included = asked.body.included
    own: Json = {"instructions": list(asked.instructions), "include": [*sorted(included)]}
    kept: dict[str, Json] = {**body, "own": own}
    events = ResponseEvents(asked=body, is_streamed=bool(asked.body.stream), included=included)
    response = StoredResponse(id_, run.thread, run.id, run.customer, now, kept)
    return response if asked.body.store is not False else None, events


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a run comes to, for who waits for it."""

    api: Api
    door: Door
    run: Run
    events: ResponseEvents
    is_background: bool

    @property
    def is_deaf(self) -> bool:
        """Whether nobody waits."""
        return self.is_background and not self.events.is_streamed

    async def given(self, listener: Listener | None, stack: ExitStack) -> Response:
        if listener is None:
            return json_answer(self.events.at_first())
        if self.events.is_streamed:
            return StreamedInForeground([self.events.begun()], listener, stack.pop_all(), self.let_go)
        async for _ in listener.stream():
            pass
        await self.let_go()
        return json_answer(self.events.response())

    async def let_go(self) -> None:
        """Give the run up if nobody will hear of it any more: its client has hung up on a response in the foreground."""
        if not self.is_background and (not self.events.is_over or self.events.ends_run):
            await given_up(self.api, self.door, self.run)


def _wrong(field: str, why: str) -> RequestFault:
    return RequestFault(Fault.INVALID_REQUEST, f"{field}: {why}", param=field)
