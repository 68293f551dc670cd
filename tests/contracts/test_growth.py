"""What is asked again and again costs the same however much there is: counted in steps of the database, not in time."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from audit.database import open_sqlite
from gateway.domain.limits import DAY, MONTH, WEEK
from gateway.store import spending
from gateway.store.tables import CALLS, METADATA
from gateway.store.times import from_us, to_us
from tests.support import growth
from tests.support.growth import ALL, NOW, Growing, fill

EACH = 10
"""Steps that are counted at once."""


def steps(connection: Connection, growing: Growing) -> int:
    """Instructions of SQLite's machine for one question, to the nearest ten: rows that are looked at cost some each."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += EACH
        return 0

    growing.question(connection)  # once for what is made ready
    connection.rollback()
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(count, EACH)
    growing.question(connection)
    driver.set_progress_handler(None, EACH)
    return counted


def measured(path: Path, growing: Growing, size: int) -> int:
    engine = open_sqlite(path / f"{size}.sqlite")
    METADATA.create_all(engine)
    with engine.connect() as connection:
        fill(connection, growing, size)
        connection.commit()
        return steps(connection, growing)


@pytest.mark.parametrize("growing", ALL, ids=lambda growing: growing.name)
def test_a_question_looks_at_no_more_rows_when_there_are_many_times_as_many(growing: Growing, tmp_path: Path) -> None:
    few, many = (measured(tmp_path, growing, size) for size in (1_000, 5_000))
    assert many <= 1.6 * few + 200, f"{few} steps beside 1,000, {many} beside 5,000"


def test_the_sums_by_the_hour_are_those_of_the_calls_to_the_microsecond(tmp_path: Path) -> None:
    """Beside a naive sum of the calls, at moments around whole hours and where payments lie at the very edge of a window."""
    engine = open_sqlite(tmp_path / "x.sqlite")
    METADATA.create_all(engine)
    with engine.connect() as connection:
        fill(connection, Growing("payments", growth._payments, lambda _: None), 3_000)
        edges = [
            NOW,
            NOW.replace(minute=0, second=0),
            *(NOW - 7 * spread for spread in (timedelta(hours=1), timedelta(minutes=13))),
        ]
        newest = connection.execute(select(func.max(CALLS.c.created_us))).scalar_one()
        on_the_edge = [from_us(newest) + window for window in (DAY, WEEK, MONTH)]
        micro = timedelta(microseconds=1)
        for at in (*edges, *on_the_edge, *(moment - micro for moment in on_the_edge), *(moment + micro for moment in on_the_edge)):
            told = spending.totals(connection, "alice", "GBP", at)
            assert told == spending.automatic(connection, "alice", "GBP", at).get("std_1", type(told)())
            naive = [
                connection.execute(
                    select(func.count(), func.coalesce(func.sum(CALLS.c.minor), 0)).where(CALLS.c.created_us > to_us(at - window))
                ).one()
                for window in (DAY, WEEK, MONTH)
            ]
            assert (told.day_count, told.day_minor, told.week_minor, told.month_minor) == (
                naive[0][0],
                *(summed for _, summed in naive),
            )
