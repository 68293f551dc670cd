"""A run as a door begins it, listens to it, goes on with it and gives it up: the same for each API that is served over runs."""

import secrets
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Any

from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.domain.principal import Principal
from gateway.domain.states import RunState
from gateway.doors.assistants_api.api import Api, missing
from gateway.doors.assistants_api.resources import AskedResources
from gateway.doors.faults import too_often
from gateway.doors.rest import Door
from gateway.runs.broadcast import Listener, RunEvents
from gateway.runs.loop import LEASE
from gateway.runs.objects import new_id
from gateway.runs.sealed_principal import acting, going_on
from gateway.store.runs import OVER, CancelRun, OutputsMismatch, Run, StartRun, SubmitOutputs, TooManyRuns, begun
from gateway.store.threads import Thread


def due(now: datetime, lease: str | None) -> datetime:
    """When a worker is to look at a run that begins, or goes on, now: once its lease is over, or at once."""
    return now if lease is None else now + LEASE


def lease_for(api: Api, *, is_heard: bool) -> str | None:
    """Ours where there is room, or somebody listens here; None: whoever has room. RequestFault NO_MODEL."""
    pool = api.with_model()
    return pool.lease if is_heard or pool.has_room else None


def new_run(
    api: Api, door: Door, principal: Principal, body: Mapping[str, Any], *, assistant: str, thread: str, lease: str | None
) -> Run:
    """A run that is not written yet. `assistant`: who acts in it where no agent does; of an API that has none, the client. `body`: as a
    run has it, with what is for us alone under `own`."""
    id_, now = new_id("run"), door.clock()
    return Run(
        id=id_,
        thread=thread,
        customer=principal.customer,
        assistant=assistant,
        state=RunState.QUEUED,
        created=now,
        expires=now + api.lifetime,
        lease=lease,
        principal=api.seal.seal(acting(principal, assistant), id_),
        body={**body, "own": {"trace": secrets.token_hex(16), **body.get("own", {})}},
        metadata={},
    )


def listening(api: Api, door: Door, run: Run, events: RunEvents, stack: ExitStack) -> Listener:
    """What the run tells until the stack ends. RequestFault RATE_LIMITED where this customer has as many streams as may be."""
    if not stack.enter_context(door.waits.one(run.customer)):
        raise too_often()
    return stack.enter_context(api.broadcast.listening(run.id, events))


async def written(api: Api, starting: StartRun, asked: AskedResources) -> tuple[Thread, Run]:
    """The run as it was queued, and its thread; to be `taken_up`. RequestFault: nothing was written."""
    return as_started(starting, await asked.written(api, starting))


def as_started(starting: StartRun, started: tuple[Thread, Run] | str | TooManyRuns | None) -> tuple[Thread, Run]:
    """What the write of it was answered with. RequestFault: nothing was written."""
    if isinstance(started, TooManyRuns):
        raise RequestFault(Fault.RATE_LIMITED, "too many runs of this customer are under way; wait until one has ended")
    if isinstance(started, str):
        message = f"Thread {starting.run.thread} already has an active run {started}."
        raise RequestFault(Fault.THREAD_HAS_ACTIVE_RUN, message)
    if started is None:
        raise missing("thread" if starting.opening is None else "conversation")
    return started


def taken_up(api: Api, run: Run, at: datetime) -> None:
    """Drive a run that was queued, and begun in the same write, with our lease."""
    pool = api.with_model()
    if run.state is RunState.QUEUED and run.lease == pool.lease:
        pool.take_up(begun(run, at))


def goes_on(api: Api, run: Run, principal: Principal) -> bytes:
    """For whom the run goes on, sealed. RequestFault INSUFFICIENT_SCOPE for a token of another client or agent than it began with."""
    if not run.is_active:  # takes no outputs, whoever brings them
        return OVER
    who = going_on(api.seal.open(run.principal, run.id), principal)
    if who is None:
        message = "a run goes on for the client and the agent with which it began: submit its outputs with a token of these"
        raise RequestFault(Fault.INSUFFICIENT_SCOPE, message)
    return api.seal.seal(who, run.id)


def submitting(
    api: Api, door: Door, principal: Principal, run: Run, outputs: Mapping[str, str], *, lease: str | None
) -> SubmitOutputs:
    """These outputs for a run that waits for them, from now on. RequestFault as `goes_on`."""
    now = door.clock()
    return SubmitOutputs(
        customer=run.customer,
        thread=run.thread,
        run=run.id,
        outputs=outputs,
        principal=goes_on(api, run, principal),
        lease=lease,
        at=now,
        due=due(now, lease),
    )


async def submitted(api: Api, item: SubmitOutputs) -> Run:
    """The run with the app's outputs; to be `taken_up`. RequestFault."""
    return as_submitted(await api.book.write(item))


def as_submitted(run: Run | OutputsMismatch | None) -> Run:
    """What the write of it was answered with. RequestFault."""
    if isinstance(run, OutputsMismatch):
        raise RequestFault(Fault.OUTPUTS_NOT_EXPECTED, _unexpected(run), param="tool_outputs")
    if run is None:
        raise missing("run")
    return run


async def cancelled(api: Api, customer: str, thread: str, run: str, at: datetime) -> Run | None:
    """The run as it is now; None: not this customer's. What has ended stays as it is."""
    found = await api.book.write(CancelRun(customer, thread, run, at))
    if found is not None and found.state is RunState.CANCELLING and api.pool is not None:
        api.pool.cancelled(run)
    return found


async def given_up(api: Api, door: Door, run: Run) -> None:
    """Cancel a run of which nobody will hear any more. What it asked the customer to confirm stays, and is done when they do."""
    with suppress(Unavailable):  # it expires
        await cancelled(api, run.customer, run.thread, run.id, door.clock())


def _unexpected(mismatch: OutputsMismatch) -> str:
    if mismatch.state is not RunState.REQUIRES_ACTION:
        return f"Runs in status '{mismatch.state}' do not accept tool outputs."
    return "tool_outputs: must be exactly the calls of required_action, each once, in one request"
