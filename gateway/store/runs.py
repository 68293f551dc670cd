"""Runs: who has a run under way, when somebody must look at it again, and what became of it.

A worker has a run for as long as its lease; every write of it is refused once somebody else has it, or the run was cancelled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, func, insert, literal_column, select, update

from audit.store.prepared import Prepared
from gateway.domain.states import ProposalState, RunState
from gateway.domain.strict_json import Json
from gateway.store import conversations, steps, threads
from gateway.store.assistants import Metadata, as_text
from gateway.store.attaching import Attachments, attach
from gateway.store.items import Consequences, Item, Locks
from gateway.store.pages import PageRequest, rows_of
from gateway.store.steps import Step
from gateway.store.tables import CONFIRMATIONS, RUN_IS_ACTIVE, RUN_WAITS, RUNS
from gateway.store.threads import Message, Thread
from gateway.store.times import from_us, to_us

_R, _W = RUNS.c, RUN_WAITS.c

_THIS = _R.id == bindparam("run")
_BY_ID_LOCKED = Prepared(select(RUNS).where(_THIS).with_for_update())
_OF_CUSTOMER = select(RUNS).where(_THIS, _R.thread == bindparam("in_thread"), _R.customer == bindparam("of_customer"))
_MINE = Prepared(_OF_CUSTOMER)
_MINE_LOCKED = Prepared(_OF_CUSTOMER.with_for_update())
_CREATE = Prepared(insert(RUNS))
_CHANGING = ("state", "expires_us", "due_us", "lease", "principal", "body")
_CHANGE = Prepared(update(RUNS).where(_THIS).values({name: bindparam(f"new_{name}") for name in _CHANGING}))
_UNDER_WAY = Prepared(select(func.count()).select_from(RUNS).where(_R.customer == bindparam("of_customer"), RUN_IS_ACTIVE))
_WAITING = Prepared(
    select(RUNS).where(_R.customer == bindparam("of_customer"), RUN_IS_ACTIVE, _R.state == literal_column("'requires_action'"))
)
_FORGET_WAITS = Prepared(delete(RUN_WAITS).where(_W.run == bindparam("run")))
_WAIT = Prepared(insert(RUN_WAITS))
_WAKE = Prepared(
    update(RUNS)
    .where(
        _R.id.in_(select(_W.run).where(_W.confirmation == bindparam("spoken_of"))),
        _R.lease.is_(literal_column("null")),
        _R.due_us > bindparam("now_us"),
    )
    .values(due_us=bindparam("now_us"))
)

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
    state: RunState
    created: datetime
    expires: datetime
    lease: str | None
    principal: bytes
    body: Mapping[str, Json]
    metadata: Metadata

    @property
    def is_active(self) -> bool:
        return self.state.is_active


@dataclass(frozen=True, slots=True)
class TooManyRuns:
    """As many runs of the customer are under way as may be."""


@dataclass(frozen=True, slots=True)
class StartRun(Item[tuple[Thread, Run] | str | TooManyRuns | None]):
    """A new run, queued, with messages before it and what they attach; `opening` makes its thread too. Among the messages may stand
    steps of this run that are over: calls of the past, as a client says them, which taint the conversation. `run.lease`, if any, has it
    until `due`, and then it is `begun` in the same write. `most`: how many of this customer may be under way with it.

    Answered with it as it was queued; None: not this customer's thread, or conversation; the id of the thread's active run; TooManyRuns,
    what `attached` answers: nothing was written.
    """

    run: Run
    due: datetime
    most: int
    messages: tuple[threads.AddMessage | Step, ...] = ()
    opening: threads.CreateThread | None = None
    attachments: Attachments | None = None

    @property
    def locks(self) -> Locks:
        return Locks(customers=frozenset({self.run.customer}))  # two at once must not both be the last that fits

    def apply(self, connection: Connection) -> tuple[Thread, Run] | str | TooManyRuns | Exception | None:
        run = self.run
        if _under_way(connection, run.customer) >= self.most:
            return TooManyRuns()
        if self.opening is not None:
            thread: Thread | Exception | None = self.opening.apply(connection)
        else:
            thread = threads.locked(connection, run.customer, run.thread)
        if thread is None or isinstance(thread, Exception):
            return thread
        if self.opening is None and (other := threads.active_run(connection, thread.id)) is not None:
            return other
        if (problem := attach(connection, thread.id, thread.resources, self.attachments, run.created)) is not None:
            return problem
        self._add(connection, thread)
        created_us = threads.next_us(connection, thread.id, run.created)
        row = {
            "id": run.id,
            "thread": thread.id,
            "customer": thread.customer,
            "assistant": run.assistant,
            "state": RunState.QUEUED,
            "created_us": created_us,
            "expires_us": to_us(run.expires),
            "due_us": to_us(self.due),
            "lease": run.lease,
            "principal": run.principal,
            "body": as_text(run.body),
            "metadata": as_text(run.metadata),
        }
        _CREATE.one(connection, row)
        queued = replace(run, created=from_us(created_us))
        if run.lease is not None:
            _change(connection, begun(queued, run.created), to_us(self.due))
        return thread, queued

    def _add(self, connection: Connection, thread: Thread) -> None:
        for is_past, entries in groupby(self.messages, key=lambda entry: isinstance(entry, Step)):
            if is_past:
                conversations.taint_alone(connection, thread.conversation, self.run.created)
            messages = []
            for entry in entries:
                if isinstance(entry, Step):
                    steps.put(connection, entry, self.run.created)
                else:
                    messages.append(entry)
            threads.add(connection, thread, messages, self.run.created)


def begun(run: Run, at: datetime) -> Run:
    """A queued run, once a worker has it."""
    started = run.body["started_at"] or int(at.timestamp())
    return replace(run, state=RunState.IN_PROGRESS, body={**run.body, "started_at": started})


def _change(connection: Connection, run: Run, due_us: int | None) -> None:
    """Write whatever of a run may change."""
    values = {
        "run": run.id,
        "new_state": run.state,
        "new_expires_us": to_us(run.expires),
        "new_due_us": due_us,
        "new_lease": run.lease,
        "new_principal": run.principal,
        "new_body": as_text(run.body),
    }
    _CHANGE.one(connection, values)


def _under_way(connection: Connection, customer: str) -> int:
    return int(_UNDER_WAY.rows(connection, {"of_customer": customer})[0][0])


@dataclass(frozen=True, slots=True)
class CancelRun(Item[Run | None]):
    """Answered with the run, as it is now; None: not this customer's. What has ended stays as it is."""

    customer: str
    thread: str
    run: str
    at: datetime

    def apply(self, connection: Connection) -> Run | None:
        run = _mine(connection, self.customer, self.thread, self.run)
        if run is None or run.state not in (RunState.QUEUED, RunState.IN_PROGRESS, RunState.REQUIRES_ACTION):
            return run
        values: dict[str, object] = {"state": RunState.CANCELLING}
        if run.lease is None:
            values["due_us"] = to_us(self.at)
        connection.execute(update(RUNS).where(_R.id == self.run).values(values))
        return replace(run, state=RunState.CANCELLING)


@dataclass(frozen=True, slots=True)
class OutputsMismatch:
    """The outputs are not those of exactly the calls that wait; nothing was taken. `state` is the run's."""

    state: RunState


@dataclass(frozen=True, slots=True)
class SubmitOutputs(Item[Run | OutputsMismatch | None]):
    """The app's outputs of its functions: all of those that wait. The run is queued; `lease`, if any, has it until `due`, and then it is
    `begun` in the same write. The conversation is tainted.

    Answered with the run as it was queued; None: not this customer's; Mismatch. The same outputs once more change nothing.
    """

    customer: str
    thread: str
    run: str
    outputs: Mapping[str, str]
    principal: bytes
    lease: str | None
    at: datetime
    due: datetime
    body: Mapping[str, Json] = field(default_factory=dict)
    """What of the run's body changes with them."""

    def apply(self, connection: Connection) -> Run | OutputsMismatch | None:
        run = _mine(connection, self.customer, self.thread, self.run)
        if run is None:
            return None
        step = steps.open_one(connection, self.run)
        if run.state is not RunState.REQUIRES_ACTION or step is None:
            return run if _was_submitted(connection, self) else OutputsMismatch(run.state)
        waiting = {app_call["id"]: app_call for app_call in steps.app_calls(step)}
        if set(waiting) != set(self.outputs):
            return OutputsMismatch(run.state)
        answered = {id_: {**call, "function": {**call["function"], "output": self.outputs[id_]}} for id_, call in waiting.items()}
        steps.put(connection, steps.with_calls(step, answered))
        thread = threads.of_id(connection, self.thread)
        if thread is not None:
            conversations.taint_alone(connection, thread.conversation, self.at)
        body = {**run.body, **self.body, "required_action": None}
        queued = replace(run, state=RunState.QUEUED, body=body, lease=self.lease, principal=self.principal)
        _change(connection, queued, to_us(self.due))
        if self.lease is not None:
            _change(connection, begun(queued, self.at), to_us(self.due))
        return queued


@dataclass(frozen=True, slots=True)
class AdvanceRun(Item[Run | RunState | None]):
    """What the worker that has the run found out, at once: only while it has it, and the run is in the state that it thinks.

    `steps` are new, or replace what stands under their ids; `messages` are new. `due` None: the worker keeps the run; else it lets go of
    it, and somebody looks at it then, or as soon as the customer has spoken of one of `waits`. Over, when `state` is not active. Answered
    with the run; with its state where it is another; None: lost.
    """

    run: str
    lease: str
    before: RunState
    state: RunState
    at: datetime
    body: Mapping[str, Json]
    steps: tuple[Step, ...] = ()
    messages: tuple[Message, ...] = ()
    due: datetime | None = None
    expires: datetime | None = None
    waits: tuple[str, ...] = ()

    def apply(self, connection: Connection) -> Run | RunState | None:
        rows = _BY_ID_LOCKED.rows(connection, {"run": self.run})
        run = run_of(rows[0]) if rows else None
        if run is None or run.lease != self.lease:
            return None
        if run.state is not self.before:
            return run.state
        for step in self.steps:
            steps.put(connection, step, self.at)
        for message in self.messages:
            threads.put(connection, message, self.at)
        if self.waits or not self.state.is_active:
            _FORGET_WAITS.one(connection, {"run": self.run})
        if self.waits:
            _WAIT.many(connection, [{"confirmation": wait, "run": self.run} for wait in self.waits])
        due_us = rows[0][7]
        changed = replace(run, state=self.state, body=self.body, expires=self.expires or run.expires)
        if not self.state.is_active:
            due_us, changed = None, replace(changed, lease=None, principal=OVER)
        elif self.due is not None:
            due_us = to_us(self.at + LOOK_AGAIN if _is_spoken(connection, self.waits) else self.due)
            changed = replace(changed, lease=None)
        _change(connection, changed, due_us)
        return changed


def _was_submitted(connection: Connection, item: SubmitOutputs) -> bool:
    """Whether exactly these outputs were taken before."""
    for step in steps.of_run(connection, item.run):
        given = {entry["id"]: entry["function"]["output"] for entry in steps.calls_of(step) if "tellergate" not in entry}
        if given and given == dict(item.outputs):
            return True
    return False


def _is_spoken(connection: Connection, waits: Sequence[str]) -> bool:
    """Whether the customer, or who approves, has spoken of one of these. Who speaks now waits for this transaction, and finds the run."""
    rows = connection.execute(
        select(CONFIRMATIONS.c.state, CONFIRMATIONS.c.level).where(CONFIRMATIONS.c.id.in_(waits)).with_for_update(read=True)
    )
    return any(row.state != ProposalState.OPEN and not (row.state == ProposalState.CONFIRMED and row.level > 3) for row in rows)


def follow(connection: Connection, what: Consequences) -> None:
    """The customer has spoken: a run that waits for it is looked at now; inside the change's own transaction."""
    if what.spoken_of is not None:
        _WAKE.one(connection, {"spoken_of": what.spoken_of, "now_us": to_us(what.at)})


def find(connection: Connection, customer: str, thread: str, run: str) -> Run | None:
    return _mine(connection, customer, thread, run, lock=False)


def waiting_for(connection: Connection, customer: str, calls: frozenset[str]) -> Run | None:
    """The run of this customer that waits for the outputs of exactly these calls of the app."""
    for row in _WAITING.rows(connection, {"of_customer": customer}):
        step = steps.open_one(connection, row[0])
        if step is not None and {call["id"] for call in steps.app_calls(step)} == calls:
            return run_of(row)
    return None


def _mine(connection: Connection, customer: str, thread: str, run: str, *, lock: bool = True) -> Run | None:
    wanted = {"run": run, "in_thread": thread, "of_customer": customer}
    rows = (_MINE_LOCKED if lock else _MINE).rows(connection, wanted)
    return run_of(rows[0]) if rows else None


def page(connection: Connection, thread: str, page_request: PageRequest) -> tuple[Sequence[Run], bool]:
    """One page of a thread's runs. NoSuchCursor."""
    rows, more = rows_of(connection, RUNS, [_R.thread == thread], page_request)
    return [run_of(row) for row in rows], more


def run_of(row: Sequence[Any]) -> Run:
    """The run of a whole row."""
    id_, thread, customer, assistant, state, created_us, expires_us, _due_us, lease, principal, body, metadata = row
    return Run(
        id_,
        thread,
        customer,
        assistant,
        RunState(state),
        from_us(created_us),
        from_us(expires_us),
        lease,
        bytes(principal),
        orjson.loads(body),
        orjson.loads(metadata),
    )
