"""Runs: who has a run under way, when somebody must look at it again, and what became of it.

A worker has a run for as long as its lease; every write of it is refused once somebody else has it, or the run was cancelled.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Row, delete, insert, select, update

from gateway.domain.strict_json import Json
from gateway.store import confirmations, conversations, steps, threads
from gateway.store.assistants import Metadata, as_text
from gateway.store.pages import PageRequest, rows_of
from gateway.store.steps import Step
from gateway.store.tables import ACTIVE_RUNS, CONFIRMATIONS, MESSAGES, RUN_WAITS, RUNS
from gateway.store.threads import Message, Thread
from gateway.store.times import from_us, to_us

_R, _W = RUNS.c, RUN_WAITS.c

LOOK_AGAIN = timedelta(seconds=1)
"""When a run that waits is looked at again, once its customer has spoken and the call has not ended."""

OVER = b""
"""The principal of a run that has ended: nobody calls for it any more."""


@dataclass(frozen=True, slots=True)
class Run:
    """`body` holds the API's own names, but for what has a field here; under `own` what no client sees. `principal` is sealed."""

    id: str
    thread: str
    customer: str
    assistant: str
    state: str
    created: datetime
    expires: datetime
    lease: str | None
    principal: bytes
    body: Mapping[str, Json]
    metadata: Metadata

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE_RUNS


@dataclass(frozen=True, slots=True)
class StartRun:
    """A new run, queued, with messages before it; `opening` makes its thread too. It is had by `run.lease`, if any, until `due`.

    Answered with it; None: not this customer's thread; the id of the thread's active run.
    """

    run: Run
    due: datetime
    messages: tuple[threads.AddMessage, ...] = ()
    opening: threads.CreateThread | None = None


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Answered with the run, as it is now; None: not this customer's. What has ended stays as it is."""

    customer: str
    thread: str
    run: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OutputsMismatch:
    """The outputs are not those of exactly the calls that wait; nothing was taken. `state` is the run's."""

    state: str


@dataclass(frozen=True, slots=True)
class SubmitOutputs:
    """The app's outputs of its functions: all of those that wait. The run is queued, had by `lease` until `due`; the conversation
    is tainted.

    Answered with the run; None: not this customer's; Mismatch. The same outputs once more change nothing.
    """

    customer: str
    thread: str
    run: str
    outputs: Mapping[str, str]
    principal: bytes
    lease: str | None
    at: datetime
    due: datetime


@dataclass(frozen=True, slots=True)
class LeaseRuns:
    """Take what is due, `most` at once; nobody else gets it before `until`."""

    lease: str
    at: datetime
    until: datetime
    most: int


@dataclass(frozen=True, slots=True)
class RenewLeases:
    """Answered with the states of those of these runs that the lease still has."""

    lease: str
    runs: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class FreeLeases:
    """Nobody has any run: the only process that could has just started. What was had is due."""

    at: datetime


@dataclass(frozen=True, slots=True)
class AdvanceRun:
    """What the worker that has the run found out, at once: only while it has it, and the run is in the state that it thinks.

    `steps` are new, or replace what stands under their ids; `messages` are new. `due` None: the worker keeps the run; else it lets go of
    it, and somebody looks at it then, or as soon as the customer has spoken of one of `waits`. Over, when `state` is not active. Answered
    with the run; with its state where it is another; None: lost.
    """

    run: str
    lease: str
    before: str
    state: str
    at: datetime
    body: Mapping[str, Json]
    steps: tuple[Step, ...] = ()
    messages: tuple[Message, ...] = ()
    due: datetime | None = None
    expires: datetime | None = None
    waits: tuple[str, ...] = ()


def start(connection: Connection, item: StartRun) -> tuple[Thread, Run] | str | None:
    run = item.run
    if item.opening is not None:
        thread: Thread | None = threads.open_one(connection, item.opening)
    else:
        thread = threads.locked(connection, run.customer, run.thread)
    if thread is None:
        return None
    if item.opening is None and (other := threads.active_run(connection, thread.id)) is not None:
        return other
    threads.add(connection, thread, item.messages, run.created)
    created_us = threads.next_us(connection, thread.id, run.created)
    row = {
        "id": run.id,
        "thread": thread.id,
        "customer": thread.customer,
        "assistant": run.assistant,
        "state": "queued",
        "created_us": created_us,
        "expires_us": to_us(run.expires),
        "due_us": to_us(item.due),
        "lease": run.lease,
        "principal": run.principal,
        "body": as_text(run.body),
        "metadata": as_text(run.metadata),
    }
    connection.execute(insert(RUNS), [row])
    return thread, replace(run, created=from_us(created_us))


def cancel(connection: Connection, item: CancelRun) -> Run | None:
    found = _mine(connection, item.customer, item.thread, item.run)
    if found is None or found.state not in ("queued", "in_progress", "requires_action"):
        return found
    values: dict[str, object] = {"state": "cancelling"}
    if found.lease is None:
        values["due_us"] = to_us(item.at)
    connection.execute(update(RUNS).where(_R.id == item.run).values(values))
    return replace(found, state="cancelling")


def submit(connection: Connection, item: SubmitOutputs) -> Run | OutputsMismatch | None:
    found = _mine(connection, item.customer, item.thread, item.run)
    if found is None:
        return None
    step = steps.open_one(connection, item.run)
    if found.state != "requires_action" or step is None:
        return found if _was_submitted(connection, item) else OutputsMismatch(found.state)
    waiting = {app_call["id"]: app_call for app_call in steps.app_calls(step)}
    if set(waiting) != set(item.outputs):
        return OutputsMismatch(found.state)
    answered = {id_: {**call, "function": {**call["function"], "output": item.outputs[id_]}} for id_, call in waiting.items()}
    steps.put(connection, steps.with_calls(step, answered))
    thread = threads.of_id(connection, item.thread)
    if thread is not None:
        conversations.taint_alone(connection, thread.conversation, item.at)
    body = {**found.body, "required_action": None}
    values = {"state": "queued", "body": as_text(body), "principal": item.principal, "lease": item.lease, "due_us": to_us(item.due)}
    connection.execute(update(RUNS).where(_R.id == item.run).values(values))
    return replace(found, state="queued", body=body, lease=item.lease, principal=item.principal)


def _was_submitted(connection: Connection, item: SubmitOutputs) -> bool:
    """Whether exactly these outputs were taken before."""
    for step in steps.of_run(connection, item.run):
        given = {entry["id"]: entry["function"]["output"] for entry in steps.calls_of(step) if "tellergate" not in entry}
        if given and given == dict(item.outputs):
            return True
    return False


def lease(connection: Connection, item: LeaseRuns) -> Sequence[Run]:
    due = select(RUNS).where(_R.due_us <= to_us(item.at)).order_by(_R.due_us).limit(item.most)
    rows = connection.execute(due.with_for_update(skip_locked=True)).all()
    if rows:
        mine = _R.id.in_([row.id for row in rows])
        connection.execute(update(RUNS).where(mine).values(lease=item.lease, due_us=to_us(item.until)))
    return [replace(_run(row), lease=item.lease) for row in rows]


def renew(connection: Connection, item: RenewLeases) -> Mapping[str, str]:
    mine = (_R.id.in_(item.runs), _R.lease == item.lease)
    connection.execute(update(RUNS).where(*mine).values(due_us=to_us(item.until)))
    return {row.id: row.state for row in connection.execute(select(_R.id, _R.state).where(*mine))}


def free(connection: Connection, item: FreeLeases) -> None:
    connection.execute(update(RUNS).where(_R.lease.is_not(None)).values(lease=None, due_us=to_us(item.at)))


def advance(connection: Connection, item: AdvanceRun) -> Run | str | None:
    row = connection.execute(select(RUNS).where(_R.id == item.run).with_for_update()).one_or_none()
    if row is None or row.lease != item.lease:
        return None
    if row.state != item.before:
        return str(row.state)
    for step in item.steps:
        steps.put(connection, step, item.at)
    for message in item.messages:
        _put_message(connection, message, item.at)
    values: dict[str, object] = {"state": item.state, "body": as_text(item.body)}
    if item.due is not None:
        due = item.at + LOOK_AGAIN if _is_spoken(connection, item.waits) else item.due
        values |= {"due_us": to_us(due), "lease": None}
    if item.expires is not None:
        values["expires_us"] = to_us(item.expires)
    if item.state not in ACTIVE_RUNS:
        values |= {"due_us": None, "lease": None, "principal": OVER}
    if item.waits or item.state not in ACTIVE_RUNS:
        connection.execute(delete(RUN_WAITS).where(_W.run == item.run))
    if item.waits:
        connection.execute(insert(RUN_WAITS), [{"confirmation": wait, "run": item.run} for wait in item.waits])
    connection.execute(update(RUNS).where(_R.id == item.run).values(values))
    return find_any(connection, item.run)


def _is_spoken(connection: Connection, waits: Sequence[str]) -> bool:
    """Whether the customer, or who approves, has spoken of one of these. Who speaks now waits for this transaction, and finds the run."""
    rows = connection.execute(
        select(CONFIRMATIONS.c.state, CONFIRMATIONS.c.level).where(CONFIRMATIONS.c.id.in_(waits)).with_for_update(read=True)
    )
    return any(row.state != "open" and not (row.state == "confirmed" and row.level > 3) for row in rows)


def _put_message(connection: Connection, message: Message, at: datetime) -> None:
    row = {
        "id": message.id,
        "thread": message.thread,
        "run": message.run,
        "created_us": threads.next_us(connection, message.thread, at),
        "word": None,
        "body": as_text(message.body),
        "metadata": as_text(message.metadata),
    }
    connection.execute(insert(MESSAGES), [row])


def follow(connection: Connection, item: object, answer: object) -> None:
    """The customer has spoken: a run that waits for it is looked at now; inside the change's own transaction."""
    if isinstance(item, confirmations.MoveProposal) and answer is None:
        waits = select(_W.run).where(_W.confirmation == item.id)
        mine = (_R.id.in_(waits), _R.lease.is_(None), _R.due_us > to_us(item.at))
        connection.execute(update(RUNS).where(*mine).values(due_us=to_us(item.at)))


def find(connection: Connection, customer: str, thread: str, run: str) -> Run | None:
    return _mine(connection, customer, thread, run, lock=False)


def find_any(connection: Connection, run: str) -> Run | None:
    """Whoever's it is: for the worker that has it."""
    row = connection.execute(select(RUNS).where(_R.id == run)).one_or_none()
    return None if row is None else _run(row)


def _mine(connection: Connection, customer: str, thread: str, run: str, *, lock: bool = True) -> Run | None:
    wanted = select(RUNS).where(_R.id == run, _R.thread == thread, _R.customer == customer)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    return None if row is None else _run(row)


def page(connection: Connection, thread: str, asked: PageRequest) -> tuple[Sequence[Run], bool]:
    """One page of a thread's runs. NoSuchCursor."""
    rows, more = rows_of(connection, RUNS, [_R.thread == thread], asked)
    return [_run(row) for row in rows], more


def _run(row: Row[Any]) -> Run:
    return Run(
        row.id,
        row.thread,
        row.customer,
        row.assistant,
        row.state,
        from_us(row.created_us),
        from_us(row.expires_us),
        row.lease,
        bytes(row.principal),
        orjson.loads(row.body),
        orjson.loads(row.metadata),
    )


WRITES: dict[type[Any], Callable[[Connection, Any], Any]] = {
    StartRun: start,
    CancelRun: cancel,
    SubmitOutputs: submit,
    LeaseRuns: lease,
    RenewLeases: renew,
    FreeLeases: free,
    AdvanceRun: advance,
}
"""What is done with each, inside a transaction."""
