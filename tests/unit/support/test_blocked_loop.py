"""The alarm over the suite's own loops rings for code of ours that holds one, and for nothing else."""

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection

from audit.database import SqliteDatabase
from audit.leaf import canonical
from tests.support import blocked_loop
from tests.support.blocked_loop import Watch


async def test_a_question_that_takes_long_on_the_loop_is_named(
    tmp_path: Path, loop_watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocked_loop, "AT_ONCE", 4)  # far from what it sleeps, however busy the machine is
    database = SqliteDatabase(tmp_path / "x.sqlite")
    await asyncio.sleep(0)  # a callback of its own
    await database.read(lambda _connection: time.sleep(1.2))
    await asyncio.sleep(0)
    assert loop_watch.found
    for held in loop_watch.found:  # more than once where it was looked at just as it ended
        assert "audit/database.py:SqliteDatabase.read" in held
    loop_watch.found.clear()
    await database.read_long(lambda _connection: time.sleep(1.2))
    await database.close()
    assert loop_watch.found == []


async def test_a_shorter_time_counts_when_it_is_the_second_in_one_place(
    tmp_path: Path, loop_watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens once may be the machine's doing."""
    monkeypatch.setattr(loop_watch, "once", set())
    database = SqliteDatabase(tmp_path / "x.sqlite")
    for found in (0, 1):
        await asyncio.sleep(0)
        await database.read(lambda _connection: time.sleep(0.4))  # far from both bounds, however late it is seen
        await asyncio.sleep(0)
        assert len(loop_watch.found) == found
    await database.close()
    loop_watch.found.clear()


async def test_computing_counts_as_sleeping_does(tmp_path: Path, loop_watch: Watch) -> None:
    def work(_connection: Connection) -> None:
        until_s = time.thread_time() + 0.3
        while time.thread_time() < until_s:
            pass

    database = SqliteDatabase(tmp_path / "x.sqlite")
    await asyncio.sleep(0)
    for _ in range(2):
        await database.read(work)
        await asyncio.sleep(0)
    await database.close()
    assert loop_watch.found
    assert all("audit/database.py:SqliteDatabase.read" in held for held in loop_watch.found)
    loop_watch.found.clear()


async def test_many_short_calls_of_a_test_are_no_alarm(loop_watch: Watch) -> None:
    await asyncio.sleep(0)
    until_s = time.thread_time() + 0.8
    while time.thread_time() < until_s:
        canonical({"short": ["calls"] * 100})
    await asyncio.sleep(0)
    assert loop_watch.found == []


async def test_what_the_test_itself_does_is_no_alarm(loop_watch: Watch) -> None:
    await asyncio.sleep(0)
    time.sleep(1.2)
    await asyncio.sleep(0)
    assert loop_watch.found == []


@pytest.mark.parametrize("place", blocked_loop.ALLOWED)
def test_what_is_allowed_to_hold_a_loop_is_there(place: str) -> None:
    path, _, name = place.partition(":")
    assert (blocked_loop.ROOT / path).exists()
    assert not name or name.rpartition(".")[2] in (blocked_loop.ROOT / path).read_text()
