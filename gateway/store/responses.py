"""Responses: each a stretch of a run, from its row on until the next one of the same run. What it says is read out of the thread: nothing
stands here twice, and what is deleted there is gone here too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Connection, bindparam, delete, insert, literal_column, select

from audit.store.prepared import Prepared
from gateway.domain.states import RunState
from gateway.domain.strict_json import Json
from gateway.store import steps, threads
from gateway.store.assistants import as_text
from gateway.store.items import Item, Locks
from gateway.store.runs import OutputsMismatch, Run, StartRun, SubmitOutputs, TooManyRuns, find
from gateway.store.steps import Step
from gateway.store.tables import RESPONSES, THREADS
from gateway.store.threads import AddMessage, Message, Thread
from gateway.store.times import from_us, to_us

ITEMS_MOST = 500
"""Messages, and steps, of a thread that are looked at: the newest."""

_C = RESPONSES.c
_OWN = (_C.customer == bindparam("of_customer"),)
_FOUND = Prepared(select(RESPONSES).where(_C.id == bindparam("response"), *_OWN))
_NEWEST = Prepared(
    select(RESPONSES).where(_C.thread == bindparam("thread")).order_by(_C.created_us.desc()).limit(literal_column("1"))
)
_NEXT = Prepared(
    select(_C.created_us)
    .where(_C.run == bindparam("run"), _C.thread == bindparam("thread"), _C.created_us > bindparam("since_us", type_=BigInteger))
    .order_by(_C.created_us)
    .limit(literal_column("1"))
)
_IN_CONVERSATION = Prepared(
    select(RESPONSES)
    .where(_C.thread == THREADS.c.id, THREADS.c.conversation == bindparam("conversation"), *_OWN)
    .order_by(_C.created_us.desc())
    .limit(literal_column("1"))
)
_ADD = Prepared(insert(RESPONSES))


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """`body`: what of the API's own object does not change, and under `own` what no client sees. What the run did after `created`, and
    before the next response of the same run, is its output."""

    id: str
    thread: str
    run: str
    customer: str
    created: datetime
    body: Mapping[str, Json]

    @property
    def own(self) -> Mapping[str, Any]:
        own: Any = self.body.get("own", {})
        return own  # type: ignore[no-any-return]  # made by us


@dataclass(frozen=True, slots=True)
class NotTheNewest:
    """Another response came after the one that this was to follow."""


@dataclass(frozen=True, slots=True)
class StartResponse(Item[tuple[Thread, Run] | str | TooManyRuns | NotTheNewest | None]):
    """A run with its response, if that is to be stored. `after`: the response that must be the newest of the thread. Answered as StartRun
    is; NotTheNewest: nothing was written."""

    starting: StartRun
    response: StoredResponse | None
    after: str | None = None

    @property
    def locks(self) -> Locks:
        return self.starting.locks  # no other response of this customer begins meanwhile

    def apply(self, connection: Connection) -> tuple[Thread, Run] | str | TooManyRuns | NotTheNewest | Exception | None:
        if self.after is not None:
            last = newest(connection, self.starting.run.thread)
            if last is None or last.id != self.after:
                return NotTheNewest()
        started = self.starting.apply(connection)
        if isinstance(started, tuple) and self.response is not None:
            _put(connection, self.response, self.starting.run.created)
        return started


@dataclass(frozen=True, slots=True)
class SubmitResponse(Item[Run | OutputsMismatch | None]):
    """The app's outputs with the response that goes on with them, and messages that come after them. Answered as SubmitOutputs is, but for
    the same outputs once more: OutputsMismatch."""

    submitting: SubmitOutputs
    response: StoredResponse | None
    messages: tuple[AddMessage, ...] = ()

    def apply(self, connection: Connection) -> Run | OutputsMismatch | None:
        run = self.submitting.apply(connection)
        if not isinstance(run, Run):
            return run
        if run.state is not RunState.QUEUED:
            return OutputsMismatch(run.state)
        thread = threads.of_id(connection, run.thread)
        if thread is not None:
            threads.add(connection, thread, self.messages, self.submitting.at)
        if self.response is not None:
            _put(connection, self.response, self.submitting.at)
        return run


@dataclass(frozen=True, slots=True)
class DeleteResponse(Item[StoredResponse | None]):
    """Answered with what it was; None: not this customer's. Its thread stays until it is swept."""

    customer: str
    id: str

    def apply(self, connection: Connection) -> StoredResponse | None:
        found = of_customer(connection, self.customer, self.id)
        if found is not None:
            connection.execute(delete(RESPONSES).where(_C.id == self.id))
        return found


@dataclass(frozen=True, slots=True)
class ResponseState:
    """A response as it stands. `is_last`: no other one goes on with its run. `messages` and `steps`: its output."""

    response: StoredResponse
    run: Run
    is_last: bool
    conversation: str
    messages: Sequence[Message]
    steps: Sequence[Step]


def of_customer(connection: Connection, customer: str, id_: str) -> StoredResponse | None:
    return _response(_FOUND.rows(connection, {"response": id_, "of_customer": customer}))


def of_ids(connection: Connection, customer: str, ids: Sequence[str]) -> Sequence[StoredResponse]:
    """Those of these responses that are this customer's."""
    rows = connection.execute(select(RESPONSES).where(_C.id.in_(ids), _C.customer == customer)).all() if ids else ()
    return [response for row in rows if (response := _response([row])) is not None]


def newest(connection: Connection, thread: str) -> StoredResponse | None:
    return _response(_NEWEST.rows(connection, {"thread": thread}))


def newest_in(connection: Connection, customer: str, conversation: str) -> StoredResponse | None:
    """Of all threads of a conversation of this customer."""
    return _response(_IN_CONVERSATION.rows(connection, {"conversation": conversation, "of_customer": customer}))


def state_of(connection: Connection, response: StoredResponse) -> ResponseState | None:
    """None: its thread is gone."""
    run, thread = find(connection, response.customer, response.thread, response.run), threads.of_id(connection, response.thread)
    if run is None or thread is None:
        return None
    until = _until(connection, response)
    messages, made = items_of(connection, response.thread)
    return ResponseState(
        response,
        run,
        until is None,
        thread.conversation,
        [message for message in messages if message.run == run.id and _is_between(response, until, message.created)],
        [step for step in made if step.run == run.id and _is_between(response, until, step.created)],
    )


def before(connection: Connection, response: StoredResponse) -> tuple[Sequence[Message], Sequence[Step]]:
    """What stood in the thread when it began: its input, with all that came before."""
    messages, made = items_of(connection, response.thread)
    return [item for item in messages if item.created < response.created], [
        step for step in made if step.created < response.created
    ]


def items_of(connection: Connection, thread: str) -> tuple[Sequence[Message], Sequence[Step]]:
    """What stands in a thread: the newest messages and steps, the oldest of them first."""
    return threads.newest(connection, thread, ITEMS_MOST), steps.since(connection, thread, from_us(0), ITEMS_MOST)


def _until(connection: Connection, response: StoredResponse) -> datetime | None:
    rows = _NEXT.rows(connection, {"run": response.run, "thread": response.thread, "since_us": to_us(response.created)})
    return from_us(rows[0][0]) if rows else None


def _is_between(response: StoredResponse, until: datetime | None, at: datetime) -> bool:
    return at > response.created and (until is None or at < until)


def _put(connection: Connection, response: StoredResponse, at: datetime) -> None:
    """As the last of its thread."""
    created_us = threads.next_us(connection, response.thread, at)
    _ADD.one(
        connection,
        {
            "id": response.id,
            "thread": response.thread,
            "run": response.run,
            "customer": response.customer,
            "created_us": created_us,
            "body": as_text(response.body),
        },
    )


def _response(rows: Sequence[Any]) -> StoredResponse | None:
    for id_, thread, run, customer, created_us, body in rows:
        return StoredResponse(id_, thread, run, customer, from_us(created_us), orjson.loads(body))
    return None
