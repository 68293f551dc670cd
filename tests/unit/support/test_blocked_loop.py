"""The alarm over the suite's own loops rings for code of ours that holds one, and for nothing else."""

import asyncio
import time
from pathlib import Path

from audit.database import SqliteDatabase
from tests.support.blocked_loop import Watch


async def test_a_question_that_takes_long_on_the_loop_is_named(tmp_path: Path, loop_watch: Watch) -> None:
    database = SqliteDatabase(tmp_path / "x.sqlite")
    await asyncio.sleep(0)  # a callback of its own
    await database.read(lambda _connection: time.sleep(0.3))
    await asyncio.sleep(0)
    (held,) = loop_watch.found
    assert "audit/database.py:SqliteDatabase.read" in held
    loop_watch.found.clear()
    await database.read_long(lambda _connection: time.sleep(0.3))
    await database.close()
    assert loop_watch.found == []


async def test_what_the_test_itself_does_is_no_alarm(loop_watch: Watch) -> None:
    await asyncio.sleep(0)
    time.sleep(0.3)
    await asyncio.sleep(0)
    assert loop_watch.found == []
