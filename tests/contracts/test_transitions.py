"""Which states follow which is held by the database itself, on SQLite and on PostgreSQL: nothing else can be written, by whoever writes."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, delete, insert, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from audit.migration import prepare
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.domain.states import CallState, ProposalState
from gateway.store.tables import CALLS, CONFIRMATIONS
from gateway.store.transitions import CALL_TRANSITIONS, CONFIRMATION_TRANSITIONS, Transitions
from tests.support.databases import lent

ROWS: dict[str, dict[str, object]] = {
    "calls": {
        **dict.fromkeys(("customer", "conversation", "turn", "native_id", "function", "channel", "core_key", "trace_id"), "x"),
        "call_id": "one",
        "arguments_hash": b"",
        "created_us": 1,
    },
    "confirmations": {
        **dict.fromkeys(("intent", "principal", "repeat_key"), b""),
        "id": "one",
        "customer": "x",
        "level": 3,
        "moves_money": True,
        "created_us": 1,
        "expires_us": 2,
    },
}


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseLocations:
    return DatabaseLocations(tmp_path, "" if request.param == "sqlite" else lent(tmp_path))


def reach(connection: Connection, table: Table, path: Sequence[str]) -> None:
    """A row that went this way."""
    connection.execute(delete(table))
    connection.execute(insert(table).values(**ROWS[table.name], state=path[0]))
    for state in path[1:]:
        connection.execute(update(table).values(state=state))


def path_to(state: str, transitions: Transitions) -> list[str]:
    first = next(iter(transitions))
    paths = [[first]]
    while paths[0][-1] != state:
        path = paths.pop(0)
        paths += [[*path, after] for after in transitions.get(path[-1], ())]
    return paths[0]


@pytest.mark.parametrize(
    ("table", "states", "transitions"),
    [(CALLS, tuple(CallState), CALL_TRANSITIONS), (CONFIRMATIONS, tuple(ProposalState), CONFIRMATION_TRANSITIONS)],
    ids=["calls", "confirmations"],
)
async def test_only_the_arrows_can_be_written(
    places: DatabaseLocations, table: Table, states: Sequence[str], transitions: Transitions
) -> None:
    database = places.open(DatabaseName.GATEWAY, name="tests")
    await prepare(database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=True)
    for before, after in itertools.product(states, states):
        if before == after:
            continue
        path = [*path_to(before, transitions), after]
        if after in transitions.get(before, ()):
            await database.write(lambda connection, path=path: reach(connection, table, path))  # type: ignore[misc]
        else:
            with pytest.raises((DBAPIError, IntegrityError), match="no such transition"):
                await database.write(lambda connection, path=path: reach(connection, table, path))  # type: ignore[misc]
    for state in [*states, "invented"]:
        if state != next(iter(transitions)):
            with pytest.raises((DBAPIError, IntegrityError)):
                await database.write(lambda connection, state=state: reach(connection, table, [state]))  # type: ignore[misc]
    await database.close()
