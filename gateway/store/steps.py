"""The steps of runs: what a run did, in its order, each with its calls and what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, insert, literal_column, select, update

from audit.store.prepared import Prepared
from gateway.domain.states import StepStatus
from gateway.domain.strict_json import Json
from gateway.store import threads
from gateway.store.assistants import Metadata, as_text
from gateway.store.pages import PageRequest, rows_of
from gateway.store.tables import RUN_STEPS, THREADS
from gateway.store.times import from_us, to_us

_S = RUN_STEPS.c

_OF_RUN = select(RUN_STEPS).where(_S.run == bindparam("run"))
_FOUND = Prepared(_OF_RUN.where(_S.id == bindparam("id")))
_ALL = Prepared(_OF_RUN.order_by(_S.created_us))
_LAST = Prepared(_OF_RUN.order_by(_S.created_us.desc()).limit(literal_column("1")))
_SINCE = Prepared(
    select(RUN_STEPS)
    .where(_S.thread == bindparam("thread"), _S.created_us >= bindparam("since_us"))
    .order_by(_S.created_us.desc())
    .limit(bindparam("most"))
)
_CHANGE = Prepared(update(RUN_STEPS).where(_S.id == bindparam("step")).values(body=bindparam("new_body")))
_CREATE = Prepared(insert(RUN_STEPS))


@dataclass(frozen=True, slots=True)
class Step:
    """`body` holds the API's own names: type, status, step_details and what goes with them."""

    id: str
    thread: str
    run: str
    created: datetime
    body: Mapping[str, Json]
    metadata: Metadata


def calls_of(step: Step) -> Sequence[Mapping[str, Any]]:
    """The tool calls of a step, as the API spells them."""
    details: Any = step.body["step_details"]
    return details["tool_calls"] if details["type"] == "tool_calls" else ()


def app_calls(step: Step) -> Sequence[Mapping[str, Any]]:
    """The calls that the app is to execute and that have no output."""
    return [item for item in calls_of(step) if item["function"]["output"] is None and "tellergate" not in item]


def with_calls(step: Step, changed: Mapping[str, Mapping[str, Json]]) -> Step:
    """The step with these calls, by their ids, in the place of the earlier ones."""
    calls: list[Json] = [dict(changed.get(item["id"], item)) for item in calls_of(step)]
    return replace(step, body={**step.body, "step_details": {"type": "tool_calls", "tool_calls": calls}})


def put(connection: Connection, step: Step, at: datetime | None = None) -> None:
    """In the place of what stands under its id; `at`: where nothing does, as the last of its thread."""
    body = as_text(step.body)
    if _CHANGE.one(connection, {"step": step.id, "new_body": body}) or at is None:
        return
    row = {
        "id": step.id,
        "thread": step.thread,
        "run": step.run,
        "created_us": threads.next_us(connection, step.thread, at),
        "body": body,
        "metadata": as_text(step.metadata),
    }
    _CREATE.one(connection, row)


def find(connection: Connection, run: str, id_: str) -> Step | None:
    rows = _FOUND.rows(connection, {"run": run, "id": id_})
    return _step(rows[0]) if rows else None


def steps_of(connection: Connection, customer: str, ids: Sequence[str]) -> Sequence[Step]:
    """Those of these steps that are in threads of this customer."""
    found = select(RUN_STEPS).where(_S.id.in_(ids), _S.thread == THREADS.c.id, THREADS.c.customer == customer)
    return [_step(row) for row in connection.execute(found)]


def open_one(connection: Connection, run: str) -> Step | None:
    """The step whose calls are not all answered; a run has one at most."""
    rows = _LAST.rows(connection, {"run": run})
    step = _step(rows[0]) if rows else None
    return step if step is not None and step.body["status"] == StepStatus.IN_PROGRESS else None


def page(connection: Connection, run: str, page_request: PageRequest) -> tuple[Sequence[Step], bool]:
    """One page of a run's steps. NoSuchCursor."""
    rows, more = rows_of(connection, RUN_STEPS, [_S.run == run], page_request)
    return [_step(row) for row in rows], more


def of_run(connection: Connection, run: str) -> Sequence[Step]:
    """All steps of a run, the oldest first."""
    return [_step(row) for row in _ALL.rows(connection, {"run": run})]


def since(connection: Connection, thread: str, begin: datetime, most: int) -> Sequence[Step]:
    """The last `most` steps of a thread's runs since then, the oldest of them first."""
    rows = _SINCE.rows(connection, {"thread": thread, "since_us": to_us(begin), "most": most})
    return [_step(row) for row in rows[::-1]]


def _step(row: Sequence[Any]) -> Step:
    id_, thread, run, created_us, body, metadata = row
    return Step(id_, thread, run, from_us(created_us), orjson.loads(body), orjson.loads(metadata))
