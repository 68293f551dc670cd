"""Streams of the trail, over every transport with a real receiver: each record is accounted for, whatever the receiver does."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from audit.leaf import RecordKind
from audit.log import Log
from audit.store.reads import LogCorrupt
from audit.store.streams import position_of, skip
from audit.streams.formats import StreamFormat
from audit.streams.selection import selection
from gateway.app.databases import DatabaseName
from gateway.oversight.streams import AGAIN_MOST_S, LEASE_MS, Stream, StreamReceiver, Streams, StreamStanding
from tests.support.certificates import Authority
from tests.support.databases import sql
from tests.support.stream_receivers import (
    Fault,
    FolderHarness,
    Harness,
    HttpHarness,
    SyslogHarness,
    accounted,
    http_harness,
    indexes,
)
from tests.trail import Clock, a_record, clock, log, open_log

__all__ = ["clock", "log", "open_log"]


def stream(receiver: StreamReceiver, name: str = "soc", *, question: str = "", most: int = 7) -> Stream:
    takes = selection(question) if question else None
    return Stream(name=name, format=StreamFormat.JSON, receiver=receiver, takes=takes, from_beginning=True, records_most=most)


def streams(log: Log, clock: Clock, *made: Stream, holder: str = "one") -> Streams:
    return Streams(log=log, streams=made, holder=holder, version="0.1.0", clock=clock, jitter=lambda: 1.0)


@pytest.fixture(params=["http", "syslog", "folder"])
async def harness(request: pytest.FixtureRequest, log: Log, tmp_path: Path) -> AsyncIterator[Harness]:
    if request.param == "http":
        async with http_harness(log.signers.head.signers) as made:
            yield made
    elif request.param == "syslog":
        authority = Authority(tmp_path)
        server = SyslogHarness(authority, authority.issue("siem"), authority.issue("us", alternative=None))
        yield server
        server.close()
    else:
        yield FolderHarness(tmp_path / "out")


async def grown(log: Log, count: int, *, wide: bool = False) -> int:
    """The size of the log, all of it published. `wide`: a batch is of several TLS records."""
    policy = a_record().policy
    assert policy is not None
    if wide:
        policy = replace(policy, obligations=tuple(f"obligation-{n}-{'x' * 80}" for n in range(50)))
    for _ in range(count):
        await log.append(a_record(policy=policy))
    await log.publish(force=True)
    return log.size()


async def sent(sender: Streams, clock: Clock, *, turns: int = 60) -> None:
    """Step until nothing is left, with time for every back-off."""
    for _ in range(turns):
        for item in sender.streams:
            while await sender.step(item):
                pass
        if all(standing.behind == 0 for standing in await looked(sender)):
            return
        clock.forward(AGAIN_MOST_S)
    raise AssertionError("it is not sent")


async def looked(sender: Streams) -> list[StreamStanding]:
    for item in sender.streams:
        await sender._look(item)
    return list(sender.standings.values())


async def test_everything_arrives_once_and_in_order_where_nothing_fails(log: Log, clock: Clock, harness: Harness) -> None:
    size = await grown(log, 23)
    sender = streams(log, clock, stream(harness.made(clock)))
    await sent(sender, clock)
    assert indexes(harness.lines) == list(range(size))
    size = await grown(log, 5)
    await sent(sender, clock)
    assert indexes(harness.lines) == list(range(size))
    assert sender.sent == {"soc": size}
    await sender.close()


@pytest.mark.parametrize("fault", list(Fault))
async def test_what_fails_is_sent_again_from_where_the_receiver_was(log: Log, clock: Clock, harness: Harness, fault: Fault) -> None:
    await grown(log, 9)
    sender = streams(log, clock, stream(harness.made(clock)))
    await sent(sender, clock)
    size = await grown(log, 16, wide=True)
    harness.fails(fault)
    for _ in range(3):
        clock.forward(AGAIN_MOST_S)
        await sender.step(sender.streams[0])
    stands = await log.read(lambda reads: position_of(reads.connection, "soc"))
    assert stands is not None
    assert stands.upto < size
    if fault is not Fault.HALF or not isinstance(harness, HttpHarness):  # there a part of each batch is acknowledged
        assert stands.upto == 9
        assert stands.failures == 3
    harness.fails(None)
    await sent(sender, clock)
    accounted(indexes(harness.lines), range(size))
    await sender.close()


async def test_a_receiver_that_stalls_holds_up_neither_the_log_nor_another_stream(
    log: Log, clock: Clock, harness: Harness, tmp_path: Path
) -> None:
    other = FolderHarness(tmp_path / "other")
    harness.fails(Fault.STALLS)
    sender = streams(log, clock, stream(harness.made(clock), "slow"), stream(other.made(clock), "soc"))
    size = await grown(log, 5)
    waiting = asyncio.create_task(sender.step(sender.streams[0]))
    await sender.step(sender.streams[1])
    assert indexes(other.lines) == list(range(size))
    await log.append(a_record())
    if not isinstance(harness, FolderHarness):
        assert not waiting.done()
    await waiting
    harness.fails(None)
    await sender.close()


async def test_two_processes_send_nothing_twice_and_one_takes_over_from_one_that_died(
    open_log: Callable[[], Awaitable[Log]], clock: Clock, harness: Harness
) -> None:
    logs = [await open_log(), await open_log()]
    size = await grown(logs[0], 30)
    both = [streams(log, clock, stream(harness.made(clock), most=3), holder=f"w{n}") for n, log in enumerate(logs)]
    while any(await asyncio.gather(*(one.step(one.streams[0]) for one in both))):
        pass
    assert indexes(harness.lines) == list(range(size))
    holder = next(n for n, one in enumerate(both) if one.sent.get("soc"))
    size = await grown(logs[0], 4)
    await both[1 - holder].step(both[1 - holder].streams[0])
    assert len(harness.lines) == size - 4, "the other has the lease"
    clock.forward(LEASE_MS / 1000 + 1)
    await sent(both[1 - holder], clock)
    assert indexes(harness.lines) == list(range(size))
    for one, its_log in zip(both, logs, strict=True):
        await one.close()
        await its_log.close()


async def test_who_lost_the_lease_while_it_sent_moves_nothing(
    open_log: Callable[[], Awaitable[Log]], clock: Clock, harness: Harness
) -> None:
    logs = [await open_log(), await open_log()]
    size = await grown(logs[0], 6)
    slow, quick = (streams(log, clock, stream(harness.made(clock)), holder=f"w{n}") for n, log in enumerate(logs))
    receiver = slow.streams[0].receiver
    send = receiver.send

    async def overtaken(batch):  # type: ignore[no-untyped-def]
        clock.forward(LEASE_MS / 1000 + 1)
        await quick.step(quick.streams[0])
        return await send(batch)

    receiver.send = overtaken  # type: ignore[method-assign]
    assert not await slow.step(slow.streams[0])
    assert slow.sent == {}
    assert indexes(harness.lines) == [*range(size), *range(size)]
    stands = await logs[0].read(lambda reads: position_of(reads.connection, "soc"))
    assert stands is not None
    assert (stands.upto, stands.holder) == (size, "w1")
    for one, its_log in zip((slow, quick), logs, strict=True):
        await one.close()
        await its_log.close()


async def test_a_record_leaves_once_a_checkpoint_covers_it_and_as_the_question_says(
    log: Log, clock: Clock, harness: Harness
) -> None:
    await grown(log, 3)
    await log.append(a_record(kind=RecordKind.ADMIN, facts={"word": "enrolled"}, customer=None, conversation=None))
    sender = streams(log, clock, stream(harness.made(clock), question="kind:admin word:enrolled"))
    await sender.step(sender.streams[0])
    assert harness.lines == []
    assert sender.standings["soc"].behind == 4
    await log.publish(force=True)
    await sent(sender, clock)
    assert indexes(harness.lines) == [3]
    await sender.close()


# Over HTTP alone


@pytest.fixture
async def http(log: Log) -> AsyncIterator[HttpHarness]:
    async with http_harness(log.signers.head.signers) as made:
        yield made


async def test_a_record_that_the_receiver_refuses_stops_its_stream_until_an_operator_skips_it(
    log: Log, clock: Clock, http: HttpHarness, caplog: pytest.LogCaptureFixture
) -> None:
    size = await grown(log, 40)
    http.statuses = {17: 422}
    sender = streams(log, clock, stream(http.made(clock), most=16))
    for _ in range(20):
        await sender.step(sender.streams[0])
        clock.forward(AGAIN_MOST_S)
    accounted(indexes(http.lines), range(17))
    assert "stream_refused" in caplog.text
    assert '"record": 17' in caplog.text
    stands = await log.read(lambda reads: position_of(reads.connection, "soc"))
    assert stands is not None
    assert (stands.upto, stands.error) == (17, "record 17: status 422")
    assert not await log.write(lambda connection: skip(connection, "soc", 16)), "it does not stand there"
    assert await log.write(lambda connection: skip(connection, "soc", 17))
    await sent(sender, clock)
    accounted(indexes(http.lines), [n for n in range(size) if n != 17])
    await sender.close()


@pytest.mark.parametrize(
    ("says", "upto"),
    [(b'{"accepted": 3}', 3), (b'{"accepted": 8}', 0), (b'{"accepted": -1}', 0), (b'{"errors": true}', 0), (b"taken", 7)],
)
async def test_an_answer_acknowledges_what_it_says_and_never_more_than_was_sent(
    log: Log, clock: Clock, http: HttpHarness, says: bytes, upto: int
) -> None:
    await grown(log, 7)
    http.says = says
    sender = streams(log, clock, stream(http.made(clock)))
    await sender.step(sender.streams[0])
    stands = await log.read(lambda reads: position_of(reads.connection, "soc"))
    assert stands is not None
    assert stands.upto == upto
    await sender.close()


async def test_retry_after_is_honoured_by_every_process_and_a_batch_keeps_its_id(log: Log, clock: Clock, http: HttpHarness) -> None:
    await grown(log, 7)
    http.fails(Fault.CUT)
    sender = streams(log, clock, stream(http.made(clock)))
    await sender.step(sender.streams[0])
    http.fails(None)
    http.statuses, http.headers = {0: 429}, {"retry-after": "500"}
    clock.forward(AGAIN_MOST_S)
    await sender.step(sender.streams[0])
    http.statuses = {}
    clock.forward(499)
    other = streams(log, clock, stream(http.made(clock)), holder="two")
    for one in (sender, other):
        await one.step(one.streams[0])
    assert len(http.requests) == 1
    clock.forward(2)
    await other.step(other.streams[0])
    first, second = (headers for headers, _ in http.requests)
    assert first["idempotency-key"] == second["idempotency-key"]
    assert first["tellergate-records"] == "0-6"
    assert first["content-type"] == "application/x-ndjson"
    await sender.close()
    await other.close()


async def test_a_stream_that_falls_behind_is_an_alarm_and_its_lag_is_told(
    log: Log, clock: Clock, http: HttpHarness, caplog: pytest.LogCaptureFixture
) -> None:
    await grown(log, 5)
    http.fails(Fault.AWAY)
    sender = streams(log, clock, stream(http.made(clock)))
    with caplog.at_level(logging.WARNING, "tellergate.streams"):
        await sender.step(sender.streams[0])
        assert caplog.text == ""
        clock.forward(301)
        await sender.step(sender.streams[0])
        await sender.step(sender.streams[0])
    assert caplog.text.count('"alarm": "stream_behind"') == 1
    standing = sender.standings["soc"]
    assert (standing.behind, standing.behind_s, standing.error) == (5, 301.0, "ServerDisconnectedError")
    http.fails(None)
    await sent(sender, clock)
    assert sender.standings["soc"].behind_s == 0
    await sender.close()


async def test_a_leaf_that_is_not_what_was_signed_never_leaves(log: Log, clock: Clock, http: HttpHarness, tmp_path: Path) -> None:
    await grown(log, 3)
    sql(
        tmp_path / "log",
        DatabaseName.LOG,
        "update leaves set leaf = :leaf where idx = 1",
        leaf=json.dumps({"kind": "read"}).encode(),
    )
    sender = streams(log, clock, stream(http.made(clock)))
    with pytest.raises(LogCorrupt):
        await sender.step(sender.streams[0])
    assert http.lines == []
    await sender.close()
