"""Runs and their steps, `/v1/threads/{id}/runs`: with a token of the scope `threads`. The model acts in them, never the customer."""

import re
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import SCOPE_THREADS, Principal
from gateway.domain.states import RunState
from gateway.doors.assistants_api.api import (
    Api,
    Include,
    JsonAnswer,
    ObjectPage,
    body_as,
    listed,
    metadata_of,
    missing,
    page_of,
    plain,
    responses_of,
)
from gateway.doors.assistants_api.assistants import assistant_of
from gateway.doors.assistants_api.common_schemas import Id
from gateway.doors.assistants_api.resources import (
    RESOURCES,
    AskedResources,
    asked_of_messages,
    asked_of_thread,
    run_tools_checked,
    tools_checked,
)
from gateway.doors.assistants_api.schemas import Labels, NewRun, NewThread, NewThreadAndRun, ToolOutputs
from gateway.doors.assistants_api.streamed import Streamed
from gateway.doors.assistants_api.threads import adding_of, labelled, opening_of, thread_of
from gateway.doors.bodies import json_answer
from gateway.doors.rest import Door, HotRoute
from gateway.doors.running import cancelled, due, lease_for, listening, new_run, submitted, submitting, taken_up, written
from gateway.doors.schemas import body_of
from gateway.runs import objects
from gateway.runs.broadcast import AssistantsEvents
from gateway.runs.objects import RUN_FIELDS
from gateway.store import runs, steps
from gateway.store.pages import PageRequest
from gateway.store.resources import replaced
from gateway.store.runs import Run, StartRun
from gateway.store.threads import CreateThread, SetMetadata, Thread

POLL_AFTER = "openai-poll-after-ms"
"""Header that steers how soon the client asks again."""

_SOON_MS, _LATER_MS = 300, 2_000
_EVENTS = AssistantsEvents()


def mount(app: FastAPI, door: Door, api: Api) -> None:
    """Put these routes into the application."""
    _mount_beginning(app, door, api)
    _mount_going_on(app, door, api)
    _mount_steps(app, door, api)


def in_front(app: ASGIApp, door: Door, api: Api) -> ASGIApp:
    """The application with the route that clients ask again and again before it: routing and middleware cost more than the answer.

    The path operation of the same path stays for OpenAPI, and for whatever are no ids of ours.
    """

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        polled = _POLLED.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if polled is None:
            await app(scope, receive, send)
            return
        scope["route"] = _POLLED_ROUTE
        response = await door.answer(Request(scope, receive), partial(_get, api, *polled.groups()), SCOPE_THREADS)
        await response(scope, receive, send)

    return front


_POLLED = re.compile("/v1/threads/(thread_[0-9a-f]{24})/runs/(run_[0-9a-f]{24})")
_POLLED_ROUTE = HotRoute("/v1/threads/{thread_id}/runs/{run_id}")


def _mount_beginning(app: FastAPI, door: Door, api: Api) -> None:
    @app.post("/v1/threads/runs", responses=responses_of(JsonAnswer, runs=True), openapi_extra=body_of(NewThreadAndRun))
    async def create_thread_and_run(request: Request) -> Response:
        """Create a thread and run it.

        With `stream`, the answer is the run's events (server-sent events).
        """
        return await door.answer(request, partial(_create_both, api), SCOPE_THREADS)

    @app.post("/v1/threads/{thread_id}/runs", responses=responses_of(JsonAnswer, runs=True), openapi_extra=body_of(NewRun))
    async def create_run(request: Request, thread_id: Id, include: Include = None) -> Response:
        """Run an assistant over a thread.

        With `stream`, the answer is the run's events (server-sent events). `include[]` is about the steps in them.
        """
        return await door.answer(request, partial(_create, api, thread_id, include), SCOPE_THREADS)

    @app.get("/v1/threads/{thread_id}/runs", responses=responses_of(ObjectPage))
    async def list_runs(request: Request, thread_id: Id, page: Annotated[PageRequest, Depends(page_of)]) -> Response:
        """List the runs of a thread."""
        return await door.answer(request, partial(_list, api, thread_id, page), SCOPE_THREADS)


def _mount_going_on(app: FastAPI, door: Door, api: Api) -> None:
    @app.get("/v1/threads/{thread_id}/runs/{run_id}", responses=responses_of(JsonAnswer))
    async def get_run(request: Request, thread_id: Id, run_id: Id) -> Response:
        """Read a run."""
        return await door.answer(request, partial(_get, api, thread_id, run_id), SCOPE_THREADS)

    @app.post("/v1/threads/{thread_id}/runs/{run_id}", responses=responses_of(JsonAnswer), openapi_extra=body_of(Labels))
    async def update_run(request: Request, thread_id: Id, run_id: Id) -> Response:
        """Change a run's metadata."""
        return await door.answer(request, partial(_label, api, thread_id, run_id), SCOPE_THREADS)

    @app.post("/v1/threads/{thread_id}/runs/{run_id}/cancel", responses=responses_of(JsonAnswer))
    async def cancel_run(request: Request, thread_id: Id, run_id: Id) -> Response:
        """Cancel a run.

        A call that is under way is carried to its end first.
        """
        return await door.answer(request, partial(_cancel, api, thread_id, run_id), SCOPE_THREADS)

    @app.post(
        "/v1/threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
        responses=responses_of(JsonAnswer, runs=True),
        openapi_extra=body_of(ToolOutputs),
    )
    async def submit_tool_outputs(request: Request, thread_id: Id, run_id: Id) -> Response:
        """Submit the outputs of the app's own functions.

        All of those that the run waits for, in one request. The same outputs again change nothing.
        """
        return await door.answer(request, partial(_submit, api, thread_id, run_id), SCOPE_THREADS)


def _mount_steps(app: FastAPI, door: Door, api: Api) -> None:
    @app.get("/v1/threads/{thread_id}/runs/{run_id}/steps", responses=responses_of(ObjectPage))
    async def list_run_steps(
        request: Request,
        thread_id: Id,
        run_id: Id,
        page: Annotated[PageRequest, Depends(page_of)],
        include: Include = None,
    ) -> Response:
        """List the steps of a run.

        What a search found is told with `include[]` alone.
        """
        return await door.answer(request, partial(_steps, api, (thread_id, run_id), page, include), SCOPE_THREADS)

    @app.get("/v1/threads/{thread_id}/runs/{run_id}/steps/{step_id}", responses=responses_of(JsonAnswer))
    async def get_run_step(
        request: Request,
        thread_id: Id,
        run_id: Id,
        step_id: Id,
        include: Include = None,
    ) -> Response:
        """Read a step of a run.

        What a search found is told with `include[]` alone.
        """
        return await door.answer(request, partial(_step, api, (thread_id, run_id), step_id, include), SCOPE_THREADS)


async def _create(api: Api, thread: str, include: Include, *rest: Any) -> Response:
    door, request, principal = rest
    api.bounded(door, principal)
    wanted = await body_as(NewRun, request)
    run = await _new(api, door, principal, wanted, thread)
    if include:
        own: dict[str, Any] = {**objects.own_of(run), "include": include}
        run = replace(run, body={**run.body, "own": own})
    more = wanted.additional_messages or []
    asked = await asked_of_messages(api, door, principal, more, inside="additional_messages[{}].")
    messages = await adding_of(api, door, principal, more)
    starting = StartRun(run, due(run.created, run.lease), api.runs_most, messages, attachments=asked.attachments)
    return await _started(api, door, starting, asked, stream=bool(wanted.stream))


async def _create_both(api: Api, door: Door, request: Request, principal: Principal) -> Response:
    api.bounded(door, principal)
    wanted = await body_as(NewThreadAndRun, request)
    opening, asked = await opening_of(api, door, principal, wanted.thread or NewThread(), "thread.")
    run = await _new(api, door, principal, wanted, opening.id)
    starting = StartRun(run, due(run.created, run.lease), api.runs_most, opening=opening)
    return await _started(api, door, starting, asked, stream=bool(wanted.stream))


async def _new(api: Api, door: Door, principal: Principal, wanted: NewRun | NewThreadAndRun, thread: str) -> Run:
    """A run that is not written yet; ours already if there is room, or somebody will listen."""
    lease = lease_for(api, is_heard=bool(wanted.stream))
    assistant = await assistant_of(api, principal, wanted.assistant_id)
    tools_checked(api, wanted.tools or [])
    resources: Any = assistant.body.get(RESOURCES)
    if isinstance(wanted, NewThreadAndRun) and wanted.tool_resources is not None:
        resources = replaced(resources, (await asked_of_thread(api, door, principal, wanted.tool_resources)).resources)
    given = {name: value for name, value in plain(wanted).items() if value is not None}
    body: dict[str, Any] = {**RUN_FIELDS}
    body |= {name: value for name, value in assistant.body.items() if name in RUN_FIELDS and value is not None}
    body |= {name: value for name, value in given.items() if name in RUN_FIELDS}
    body["truncation_strategy"] = {"last_messages": None, **body["truncation_strategy"]}
    if (more := getattr(wanted, "additional_instructions", None)) is not None:
        body["instructions"] = f"{body['instructions']}\n\n{more}" if body["instructions"] else more
    run_tools_checked(api, body)
    if api.stand_in:  # a run never says that another model answered
        body["model"] = api.stand_in
    if resources:
        body["own"] = {"resources": resources}
    run = new_run(api, door, principal, body, assistant=assistant.id, thread=thread, lease=lease)
    return replace(run, metadata=metadata_of(wanted.metadata))


async def _started(api: Api, door: Door, starting: StartRun, asked: AskedResources, *, stream: bool) -> Response:
    with ExitStack() as stack:
        listener = listening(api, door, starting.run, _EVENTS, stack) if stream else None
        thread, run = await written(api, starting, asked)
        events = _beginning(starting.opening, thread, run)
        taken_up(api, run, starting.run.created)
        if listener is not None:
            return Streamed(events, listener, stack.pop_all())
    return json_answer(objects.run(run), {POLL_AFTER: str(_SOON_MS)})


def _beginning(opening: CreateThread | None, thread: Thread, run: Run) -> list[bytes]:
    shown = objects.run(run)
    opened = [] if opening is None else [_EVENTS.told("thread.created", objects.thread(thread))]
    return [*opened, _EVENTS.told("thread.run.created", shown), _EVENTS.told("thread.run.queued", shown)]


async def _list(api: Api, thread: str, page: PageRequest, *rest: Any) -> Response:
    await thread_of(api, rest[-1], thread)
    return await listed(api, lambda connection: runs.page(connection, thread, page), objects.run)


async def _get(api: Api, thread: str, id_: str, *rest: Any) -> Response:
    run = await _found(api, rest[-1], thread, id_)
    waits = run.state is RunState.REQUIRES_ACTION or bool(objects.own_of(run).get("confirmations"))
    return json_answer(objects.run(run), {POLL_AFTER: str(_LATER_MS if waits else _SOON_MS)})


async def _label(api: Api, thread: str, id_: str, *rest: Any) -> Response:
    door, request, principal = rest
    api.bounded(door, principal)
    labels = await body_as(Labels, request)
    await _found(api, principal, thread, id_)
    if "metadata" in plain(labels):
        await labelled(api, SetMetadata(principal.customer, thread, "runs", id_, metadata_of(labels.metadata)))
    return json_answer(objects.run(await _found(api, principal, thread, id_)))


async def _cancel(api: Api, thread: str, id_: str, *rest: Any) -> Response:
    door, _, principal = rest
    run = await cancelled(api, principal.customer, thread, id_, door.clock())
    if run is None:
        raise missing("run")
    if run.state is not RunState.CANCELLING:
        raise RequestFault(Fault.RUN_NOT_CANCELLABLE, f"Cannot cancel run with status '{run.state}'.")
    return json_answer(objects.run(run), {POLL_AFTER: str(_SOON_MS)})


async def _submit(api: Api, thread: str, id_: str, *rest: Any) -> Response:
    door, request, principal = rest
    api.bounded(door, principal)
    outputs_given = await body_as(ToolOutputs, request)
    outputs = {tool_output.tool_call_id: tool_output.output for tool_output in outputs_given.tool_outputs}
    if len(outputs) < len(outputs_given.tool_outputs):
        raise RequestFault(Fault.OUTPUTS_NOT_EXPECTED, "tool_outputs: must have one output for each call", param="tool_outputs")
    lease = lease_for(api, is_heard=bool(outputs_given.stream))
    before = await _found(api, principal, thread, id_)
    item = submitting(api, door, principal, before, outputs, lease=lease)
    with ExitStack() as stack:
        listener = listening(api, door, before, _EVENTS, stack) if outputs_given.stream else None
        run = await submitted(api, item)
        taken_up(api, run, item.at)
        if listener is not None:
            events = [_EVENTS.told(f"thread.run.{run.state}", objects.run(run))]
            if not run.is_active:
                listener.end()
            return Streamed(events, listener, stack.pop_all())
    return json_answer(objects.run(run), {POLL_AFTER: str(_SOON_MS)})


async def _steps(api: Api, where: tuple[str, str], page: PageRequest, include: Include, *rest: Any) -> Response:
    await _found(api, rest[-1], *where)
    shown = partial(objects.step, with_content=bool(include))
    return await listed(api, lambda connection: steps.page(connection, where[1], page), shown)


async def _step(api: Api, where: tuple[str, str], id_: str, include: Include, *rest: Any) -> Response:
    await _found(api, rest[-1], *where)
    step = await api.book.read(lambda connection: steps.find(connection, where[1], id_))
    if step is None:
        raise missing("step")
    return json_answer(objects.step(step, with_content=bool(include)))


async def _found(api: Api, principal: Principal, thread: str, id_: str) -> Run:
    run = await api.book.read(lambda connection: runs.find(connection, principal.customer, thread, id_))
    if run is None:
        raise missing("run")
    return run
