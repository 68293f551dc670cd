"""The group writer under any mixture of good, refused and poisonous items, and commits that fail before or after they happen."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import OperationalError

from audit.database import SqliteLane, open_sqlite
from audit.group import CommitUnknown, GroupWriter
from tests.support.options import examples

tables = MetaData()
numbers = Table("numbers", tables, Column("n", Integer, primary_key=True))

ITEMS = st.lists(st.sampled_from(["good", "refused", "poison"]), max_size=8)
FAULTS = st.sampled_from([None, None, "before", "after"])


class Refused(Exception):
    pass


def apply(connection: Connection, items: Sequence[tuple[int, str]]) -> Sequence[int | Exception]:
    good = [{"n": number} for number, kind in items if kind != "refused"]
    if good:
        connection.execute(insert(numbers), good)
    if any(kind == "poison" for _, kind in items):
        raise ZeroDivisionError
    return [Refused() if kind == "refused" else number for number, kind in items]


async def submit_all(
    path: Path, batches: list[tuple[list[str], str | None]]
) -> tuple[dict[int, tuple[str, object, str | None]], set[int]]:
    """The answer of each number, and what is stored in the end."""
    engine = open_sqlite(path)
    tables.create_all(engine)
    writer: GroupWriter[tuple[int, str], int] = GroupWriter(SqliteLane(engine), apply)
    commit, answers, number = Connection.commit, dict[int, tuple[str, object, str | None]](), 0
    for kinds, fault in batches:
        items = [(number + place, kind) for place, kind in enumerate(kinds)]
        number += len(items)

        def faulty(connection: Connection, fault: str | None = fault) -> None:
            if fault != "before":
                commit(connection)
            if fault is not None:
                raise OperationalError("COMMIT", None, OSError("disk"))

        with patch.object(Connection, "commit", faulty):
            given_back = await asyncio.gather(*(writer.submit(item) for item in items), return_exceptions=True)
        answers |= {place: (kind, answer, fault) for (place, kind), answer in zip(items, given_back, strict=True)}
    await writer.close()
    with engine.connect() as connection:
        stored = set(connection.execute(select(numbers.c.n)).scalars())
    engine.dispose()
    return answers, stored


@given(st.lists(st.tuples(ITEMS, FAULTS), max_size=5))
@settings(max_examples=examples(40), deadline=None)
def test_what_was_answered_is_stored_and_what_was_refused_is_not(batches: list[tuple[list[str], str | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        answers, stored = asyncio.run(submit_all(Path(folder) / "numbers.sqlite", batches))
    for number, (kind, answer, fault) in answers.items():
        if kind == "poison":
            assert isinstance(answer, ZeroDivisionError)
            assert number not in stored
        elif fault is not None:
            assert isinstance(answer, CommitUnknown)
            assert (number in stored) == (kind == "good" and fault == "after")
        else:
            assert isinstance(answer, Refused) if kind == "refused" else answer == number
            assert (number in stored) == (kind == "good")
