"""A small log with a clock and a source of randomness that repeat, and records as the gateway would fill them."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from audit.database import SqliteLane
from audit.leaf import Committed, EndState, Function, IntentRef, Masked, Policy, Public, Record, RecordKind
from audit.log import Log
from audit.policies import activate
from gateway.app.databases import open_log as open_log_in
from tests.support.databases import places

ORIGIN = "bank.example/log"
RULES = b'{"rules":[]}'
"""What decides here, and its hash."""
RULES_HASH = hashlib.sha256(RULES).hexdigest()
START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Random:
    """Bytes that look random and repeat from run to run."""

    def __init__(self, seed: bytes = b"seed") -> None:
        self.state = seed

    def __call__(self, count: int) -> bytes:
        made = b""
        while len(made) < count:
            self.state = hashlib.sha256(self.state).digest()
            made += self.state
        return made[:count]


def a_record(**changes: Any) -> Record:
    """A read of a balance."""
    read = Record(
        kind=RecordKind.READ,
        time=START,
        call_id="call_1",
        conversation="conv_1",
        customer="C-1001",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        span_id="b7ad6b7169203331",
        agent="bank-app",
        model="a-model",
        function=Function("get_account_balance", 1, "aa" * 32),
        policy=Policy(bundle_hash=RULES_HASH, bundle_version="7", decision="permit", policies=("owner-reads",), reason="owner"),
        arguments={"account": Committed("GB00-1"), "type": Public("ITAV")},
        result={"amount": Committed({"value": "12.50", "currency": "GBP"}), "account": Masked("****1234")},
        sealed={"decision_request": {"principal": "Customer::C-1001", "context": {"assurance": 1}}},
        grounding={"object": "reference"},
        timings={"decide": 81},
        redaction="default-1",
    )
    return replace(read, **changes)


async def activate_rules(log: Log) -> None:
    """The first record of a log whose records are decided upon."""
    await activate(log, RULES, version="7", author="tests")


def an_intent(**changes: Any) -> Record:
    return a_record(
        **{
            "kind": RecordKind.INTENT,
            "function": Function("initiate_transfer", 1, "cc" * 32),
            "result": {},
            "instruction": b'{"key":"k1"}',
            "core_key": "k1",
            **changes,
        }
    )


def an_end(
    index: int, leaf_hash: bytes, kind: RecordKind = RecordKind.OUTCOME, state: EndState = EndState.EXECUTED, **changes: Any
) -> Record:
    return a_record(**{"kind": kind, "intent": IntentRef(index, leaf_hash), "end_state": state, "arguments": {}, **changes})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def at_the_commit(log: Log, happens: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]) -> Iterator[None]:
    """What `happens` in the place of whatever makes a group of records durable, which it is given: a commit, or the one statement that
    commits itself."""
    lane: Any = log.transactions._writer._lane
    commit, alone = lane.commit, lane.alone

    class NotWritten(Exception):
        """Somebody else's head was found: the group is written by a transaction."""

    async def all_at_once(work: Any) -> Any:
        async def written() -> Any:
            done = await alone(work)
            if done is None:
                raise NotWritten
            return done

        try:
            return await happens(written)
        except NotWritten:
            return None

    with patch.object(lane, "commit", lambda: happens(commit)):
        if isinstance(lane, SqliteLane):
            yield
        else:
            with patch.object(lane, "alone", all_at_once):
                yield


async def open_trail(folder: Path, clock: Clock, random: Random) -> Log:
    """The log of a folder, wherever its databases are."""
    return await open_log_in(places(folder), origin=ORIGIN, writer_id="w1", clock=clock, random=random)


@pytest.fixture
def open_log(tmp_path: Path, clock: Clock) -> Callable[[], Awaitable[Log]]:
    """Opens the same folder, each time as another process would."""
    random = Random()

    def open_again() -> Awaitable[Log]:
        return open_trail(tmp_path / "log", clock, random)

    return open_again


@pytest.fixture
async def log(open_log: Callable[[], Awaitable[Log]]) -> AsyncIterator[Log]:
    opened = await open_log()
    yield opened
    await opened.close()
