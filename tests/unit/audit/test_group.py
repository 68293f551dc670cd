"""The one writer over one database."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import OperationalError

from audit.database import SqliteLane, open_sqlite
from audit.group import CommitUnknown, GroupWriter, WriterClosed, WriterFull

tables = MetaData()
numbers = Table("numbers", tables, Column("n", Integer, primary_key=True))


class Refused(Exception):
    pass


class Ledger:
    """Writes numbers. Refuses negative ones alone; zero breaks the whole group."""

    def __init__(self, path: Path) -> None:
        self.engine: Engine = open_sqlite(path)
        tables.create_all(self.engine)
        self.groups: list[int] = []
        self.committed: list[int] = []
        self.failures = 0
        self.writer: GroupWriter[int, int] = GroupWriter(
            SqliteLane(self.engine), self.apply, committed=self.note, failed=self.fail, capacity=100
        )

    def apply(self, connection: Connection, items: Sequence[int]) -> Sequence[int | Exception]:
        self.groups.append(len(items))
        good = [item for item in items if item >= 0]
        if good:
            connection.execute(insert(numbers), [{"n": item} for item in good])
        if 0 in items:
            raise ZeroDivisionError
        return [item * 10 if item > 0 else Refused() for item in items]

    def note(self, answers: Sequence[int | Exception]) -> None:
        self.committed += [answer for answer in answers if isinstance(answer, int)]

    def fail(self) -> None:
        self.failures += 1

    def stored(self) -> set[int]:
        with self.engine.connect() as connection:
            return set(connection.execute(select(numbers.c.n)).scalars())


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "numbers.sqlite")


async def test_what_waits_is_committed_together_in_order_and_answered_after_the_commit(ledger: Ledger) -> None:
    answers = await asyncio.gather(*(ledger.writer.submit(item) for item in range(1, 33)))
    assert answers == [item * 10 for item in range(1, 33)] == ledger.committed
    assert ledger.stored() == set(range(1, 33))
    assert sum(ledger.groups) == 32
    assert len(ledger.groups) <= 2
    await ledger.writer.close()


async def test_an_exception_returned_for_an_item_reaches_its_caller_only(ledger: Ledger) -> None:
    answers = await asyncio.gather(*(ledger.writer.submit(item) for item in (1, -2, 3)), return_exceptions=True)
    assert (answers[0], answers[2]) == (10, 30)
    assert isinstance(answers[1], Refused)
    assert ledger.stored() == {1, 3}
    await ledger.writer.close()


async def test_a_bad_item_cannot_fail_its_group(ledger: Ledger) -> None:
    answers = await asyncio.gather(*(ledger.writer.submit(item) for item in (1, 0, 3)), return_exceptions=True)
    assert (answers[0], answers[2]) == (10, 30)
    assert isinstance(answers[1], ZeroDivisionError)
    assert ledger.stored() == {1, 3}
    assert ledger.failures == 2, "once for the group, once for the bad item alone"
    await ledger.writer.close()


async def test_a_broken_constraint_is_one_callers_problem(ledger: Ledger) -> None:
    await ledger.writer.submit(5)
    answers = await asyncio.gather(*(ledger.writer.submit(item) for item in (4, 5, 6)), return_exceptions=True)
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert ledger.stored() == {4, 5, 6}
    await ledger.writer.close()


async def test_a_commit_that_raises_is_unknown_to_all_and_the_writer_goes_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Connection) -> None:
        raise OperationalError("COMMIT", None, OSError("disk"))

    await ledger.writer.submit(1)
    with monkeypatch.context() as patched:
        patched.setattr(Connection, "commit", broken)
        answers = await asyncio.gather(*(ledger.writer.submit(item) for item in (2, 3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [CommitUnknown, CommitUnknown]
    assert ledger.failures == 1
    assert ledger.committed == [10]
    assert await ledger.writer.submit(4) == 40
    await ledger.writer.close()


async def test_a_cancelled_caller_does_not_lose_the_item(ledger: Ledger) -> None:
    task = asyncio.create_task(ledger.writer.submit(7))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ledger.writer.close()
    assert ledger.stored() == {7}


async def test_a_cancelled_caller_of_a_refused_item_leaves_no_noise(ledger: Ledger) -> None:
    task = asyncio.create_task(ledger.writer.submit(-7))
    await asyncio.sleep(0)
    task.cancel()
    await ledger.writer.close()
    assert ledger.stored() == set()


async def test_more_than_the_capacity_is_refused_and_nothing_of_it_written(ledger: Ledger) -> None:
    answers = await asyncio.gather(*(ledger.writer.submit(item) for item in range(1, 103)), return_exceptions=True)
    assert [type(answer) for answer in answers[100:]] == [WriterFull, WriterFull]
    assert ledger.stored() == set(range(1, 101))
    await ledger.writer.close()


async def test_a_closed_writer_writes_what_waited_and_takes_no_more(ledger: Ledger) -> None:
    waiting = asyncio.create_task(ledger.writer.submit(1))
    await asyncio.sleep(0)
    await ledger.writer.close()
    assert await waiting == 10
    with pytest.raises(WriterClosed):
        await ledger.writer.submit(2)


async def test_the_writer_waits_for_a_lock_of_another_process_without_holding_the_loop(ledger: Ledger) -> None:
    other = ledger.engine.connect()
    other.exec_driver_sql("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(ledger.writer.submit(1))
    for _ in range(3):
        await asyncio.sleep(0.01)
    assert not waiting.done()
    other.rollback()
    other.close()
    assert await waiting == 10
    await ledger.writer.close()


async def test_what_was_committed_is_never_tried_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect in what runs after the commit must not write the group twice."""

    def broken(_answers: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(ledger.writer, "_committed", broken)
    answers = await asyncio.gather(*(ledger.writer.submit(item) for item in (1, 2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [CommitUnknown, CommitUnknown]
    assert sum(ledger.groups) == 2
    assert ledger.stored() == {1, 2}
    await ledger.writer.close()
