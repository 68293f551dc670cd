"""The steps of runs: what a run did, in its order, each with its calls and what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, insert, select, update

from gateway.domain.states import StepStatus
from gateway.domain.strict_json import Json
from gateway.store import threads
from gateway.store.assistants import Metadata, as_text
from gateway.store.pages import PageRequest, rows_of
from gateway.store.tables import RUN_STEPS
from gateway.store.times import from_us, to_us

_S = RUN_STEPS.c


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
    changed = connection.execute(update(RUN_STEPS).where(_S.id == step.id).values(body=as_text(step.body)))
    if changed.rowcount or at is None:
        return
    row = {
        "id": step.id,
        "thread": step.thread,
        "run": step.run,
        "created_us": threads.next_us(connection, step.thread, at),
        "body": as_text(step.body),
        "metadata": as_text(step.metadata),
    }
    connection.execute(insert(RUN_STEPS), [row])


def find(connection: Connection, run: str, id_: str) -> Step | None:
    row = connection.execute(select(RUN_STEPS).where(_S.run == run, _S.id == id_)).one_or_none()
    return None if row is None else _step(row)


def open_one(connection: Connection, run: str) -> Step | None:
    """The step whose calls are not all answered; a run has one at most."""
    last = connection.execute(select(RUN_STEPS).where(_S.run == run).order_by(_S.created_us.desc()).limit(1)).one_or_none()
    step = None if last is None else _step(last)
    return step if step is not None and step.body["status"] == StepStatus.IN_PROGRESS else None


def page(connection: Connection, run: str, page_request: PageRequest) -> tuple[Sequence[Step], bool]:
    """One page of a run's steps. NoSuchCursor."""
    rows, more = rows_of(connection, RUN_STEPS, [_S.run == run], page_request)
    return [_step(row) for row in rows], more


def of_run(connection: Connection, run: str) -> Sequence[Step]:
    """All steps of a run, the oldest first."""
    return [_step(row) for row in connection.execute(select(RUN_STEPS).where(_S.run == run).order_by(_S.created_us))]


def since(connection: Connection, thread: str, begin: datetime, most: int) -> Sequence[Step]:
    """The last `most` steps of a thread's runs since then, the oldest of them first."""
    wanted = select(RUN_STEPS).where(_S.thread == thread, _S.created_us >= to_us(begin))
    rows = connection.execute(wanted.order_by(_S.created_us.desc()).limit(most)).all()
    return [_step(row) for row in rows[::-1]]


def _step(row: Row[Any]) -> Step:
    return Step(row.id, row.thread, row.run, from_us(row.created_us), orjson.loads(row.body), orjson.loads(row.metadata))
