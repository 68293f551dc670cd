"""Changes of others in the log's transactions: a change and its record are both there, or neither, whatever else is in the group."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from audit.committer import IntentEnded
from audit.leaf import LeafInvalid
from audit.log import Log, LogUnavailable
from audit.transactions import Write
from gateway.app.databases import DatabaseLocations, open_log
from tests.support.databases import postgresql
from tests.trail import ORIGIN, Clock, Random, a_record, an_end, an_intent


class Notes:
    """A table beside the log's. A change is a word: `no` is refused, `break` raises, every other is written and answered."""

    def apply(self, connection: Connection, words: Sequence[str]) -> Sequence[str | Exception]:
        return [self._one(connection, word) for word in words]

    def _one(self, connection: Connection, word: str) -> str | Exception:
        if word == "no":
            return KeyError(word)
        if word == "break":
            connection.execute(text("INSERT INTO no_such_table VALUES (1)"))
        connection.execute(text("INSERT INTO notes VALUES (:word)"), {"word": word})
        return word


@pytest.fixture(params=["sqlite", "postgresql"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    places = DatabaseLocations(tmp_path, "" if request.param == "sqlite" else postgresql(tmp_path))
    opened = await open_log(places, origin=ORIGIN, writer_id="w1", clock=Clock(), random=Random())
    await opened.write(lambda connection: connection.execute(text("CREATE TABLE notes (word TEXT)")))
    opened.transactions.share(Notes().apply)
    yield opened
    await opened.close()


async def stands(log: Log) -> tuple[list[str], int]:
    """The words that stand, and how many records."""
    words = await log.read(lambda reads: list(reads.connection.execute(text("SELECT word FROM notes ORDER BY word")).scalars()))
    return words, (await log.head())[0]


async def test_a_change_and_its_record_are_there_together(log: Log) -> None:
    answer, entry = await log.append_with("yes", a_record())
    assert (answer, entry and entry.index) == ("yes", 0)
    assert await stands(log) == (["yes"], 1)


async def test_what_the_change_refuses_is_not_recorded(log: Log) -> None:
    with pytest.raises(KeyError):
        await log.append_with("no", a_record())
    assert await stands(log) == ([], 0)


async def test_a_record_that_does_not_belong_to_the_answer_is_left_out(log: Log) -> None:
    assert await log.append_with("yes", a_record(), wants=lambda answer: answer != "yes") == ("yes", None)
    assert await stands(log) == (["yes"], 0)


async def test_a_record_that_breaks_the_schema_makes_no_change(log: Log) -> None:
    with pytest.raises(LeafInvalid):
        await log.append_with("yes", an_intent(instruction=None))
    assert await stands(log) == ([], 0)


async def test_a_second_end_is_refused_and_its_change_stands(log: Log) -> None:
    """What a change says of an ended call was true before: whoever settles a claim twice changes nothing."""
    intent = await log.append(an_intent())
    await log.append(an_end(intent.index, intent.leaf_hash))
    with pytest.raises(IntentEnded):
        await log.append_with("yes", an_end(intent.index, intent.leaf_hash))
    assert await stands(log) == (["yes"], 2)


async def test_one_that_breaks_takes_nobody_of_its_group_with_it(log: Log) -> None:
    wanted = ["a", "no", "b", "break", "c", None, "d"]
    answers = await asyncio.gather(*(log.append_with(change, a_record()) for change in wanted), return_exceptions=True)
    failed = [type(answer) for answer in answers if isinstance(answer, BaseException)]
    assert failed == [KeyError, LogUnavailable]
    assert await stands(log) == (["a", "b", "c", "d"], 5)


async def test_a_transaction_that_is_not_committed_leaves_neither(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next one goes on where the log is, not where this one thought that it was."""
    lane: Any = log.transactions._writer._lane

    async def lost() -> None:
        raise OperationalError(None, None, OSError("the disk is full"))

    await log.append_with("before", a_record())
    with monkeypatch.context() as broken:
        broken.setattr(type(lane), "commit", lambda _lane: lost())
        with pytest.raises(LogUnavailable):
            await log.append_with("lost", a_record())
    assert await stands(log) == (["before"], 1)
    _, entry = await log.append_with("after", a_record())
    assert (entry and entry.index, await stands(log)) == (1, (["after", "before"], 2))


async def test_a_change_alone_waits_for_no_record(log: Log) -> None:
    assert (await log.transactions.submit(Write(change="alone"))).answer == "alone"
    assert await stands(log) == (["alone"], 0)
    with pytest.raises(SQLAlchemyError):
        await log.transactions.submit(Write(change="break"))


async def test_the_transactions_are_shared_with_one(log: Log) -> None:
    with pytest.raises(RuntimeError, match="already"):
        log.transactions.share(Notes().apply)
