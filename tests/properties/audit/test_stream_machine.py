"""A stream against a receiver that fails at any moment in any way, from processes that die and come back: each record is accounted for."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from audit.store.streams import StreamPosition, position_of, skip
from audit.streams.formats import StreamFormat
from gateway.oversight.streams import AGAIN_MOST_S, LEASE_MS, Stream, StreamBatch, StreamNotTaken, Streams
from tests.support.options import examples
from tests.trail import Clock, Random, a_record, open_trail

RECORDS_MOST = 5


class Dies(BaseException):
    """The process ends here."""


class ScriptedReceiver:
    """One receiver, whoever sends. `takes`: how many of a batch arrive; `then`: what the sender hears of it, a count or an error.
    `refuses`: records that it never takes."""

    def __init__(self) -> None:
        self.arrived: list[int] = []
        self.refuses: set[int] = set()
        self.takes: int | None = None
        self.then: BaseException | int | None = None

    async def send(self, batch: StreamBatch) -> int:
        indexes = [line.record.index for line in batch.lines]
        if self.refuses & {*indexes}:
            raise StreamNotTaken("status 422", refused=True)
        some = indexes if self.takes is None else indexes[: self.takes]
        self.arrived += some
        if isinstance(self.then, BaseException):
            raise self.then
        return len(some) if self.then is None else self.then

    async def close(self) -> None:
        """Nothing is open."""


class StreamMachine(RuleBasedStateMachine):
    """Two processes over one log. The model: what was published, what an operator skipped, and how far the cursor was."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock, self.random = Clock(), Random()
        self.log = self.runner.run(open_trail(Path(self.folder.name) / "log", self.clock, self.random))
        self.receiver = ScriptedReceiver()
        self.born = 0
        self.processes = [self.process(), self.process()]
        self.published, self.upto, self.skipped = 0, 0, set[int]()

    def process(self) -> Streams:
        self.born += 1
        made = Stream(name="soc", format=StreamFormat.JSON, receiver=self.receiver, from_beginning=True, records_most=RECORDS_MOST)
        return Streams(log=self.log, streams=[made], holder=f"p{self.born}", version="1", clock=self.clock, jitter=lambda: 1.0)

    def position(self) -> StreamPosition | None:
        return self.runner.run(self.log.read(lambda reads: position_of(reads.connection, "soc")))

    @rule(count=st.integers(1, 7), is_published=st.booleans())
    def append(self, count: int, is_published: bool) -> None:
        for _ in range(count):
            self.runner.run(self.log.append(a_record(policy=None)))
        if is_published:
            self.runner.run(self.log.publish(force=True))
            self.published = self.log.size()

    @rule(which=st.integers(0, 1))
    def send(self, which: int) -> None:
        self.receiver.takes, self.receiver.then = None, None
        self.runner.run(self.processes[which].step(self.processes[which].streams[0]))

    @rule(
        which=st.integers(0, 1),
        takes=st.integers(0, RECORDS_MOST),
        then=st.sampled_from(["says so", "fails", "one more than there were", "less than one"]),
    )
    def fail(self, which: int, takes: int, then: str) -> None:
        """Part of it arrives, all of it, or nothing, and the sender hears that, or an error, or a lie that cannot be."""
        heard: dict[str, BaseException | int | None] = {
            "says so": None,
            "fails": StreamNotTaken("ServerDisconnectedError"),
            "one more than there were": RECORDS_MOST + 1,
            "less than one": -1,
        }
        self.receiver.takes, self.receiver.then = takes, heard[then]
        self.runner.run(self.processes[which].step(self.processes[which].streams[0]))

    @rule(which=st.integers(0, 1), takes=st.integers(0, RECORDS_MOST))
    def die(self, which: int, takes: int) -> None:
        """A process ends while it sends, or just so, with its lease; another one begins."""
        self.receiver.takes, self.receiver.then = takes, Dies()
        with contextlib.suppress(Dies):
            self.runner.run(self.processes[which].step(self.processes[which].streams[0]))
        self.processes[which] = self.process()

    @rule(which=st.integers(0, 1))
    def stop(self, which: int) -> None:
        self.runner.run(self.processes[which].close())
        self.processes[which] = self.process()

    @rule(seconds=st.sampled_from([1, 5, 30, LEASE_MS // 1000 + 1, int(AGAIN_MOST_S)]))
    def wait(self, seconds: int) -> None:
        self.clock.forward(seconds)

    @rule(index=st.integers(0, 40))
    def refuse(self, index: int) -> None:
        """From now on the receiver never takes this record."""
        if index not in self.receiver.arrived:
            self.receiver.refuses.add(index)

    @precondition(lambda self: self.receiver.refuses)
    @rule(at_cursor=st.booleans(), index=st.integers(0, 40))
    def skip_record(self, at_cursor: bool, index: int) -> None:
        """An operator's word moves the cursor by the one record where it stands, and by nothing else."""
        stands = self.position()
        if at_cursor and stands is not None:
            index = stands.upto
        if stands is not None and stands.upto == index and not stands.failures:
            return  # the command refuses
        done = self.runner.run(self.log.write(lambda connection: skip(connection, "soc", index)))
        assert done is (stands is not None and stands.upto == index)
        if done:
            self.skipped.add(index)

    @invariant()
    def what_is_behind_the_cursor_arrived(self) -> None:
        stands = self.position()
        if stands is None:
            return
        assert self.upto <= stands.upto <= self.published, "it never goes back, and never beyond a checkpoint"
        self.upto = stands.upto
        first = list(dict.fromkeys(self.receiver.arrived))
        assert {*range(stands.upto)} <= {*first} | self.skipped
        assert first == sorted(first), "none arrives before an earlier one"
        assert not {*first} & self.receiver.refuses

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        self.receiver.takes, self.receiver.then, self.receiver.refuses = None, None, set()
        self.runner.run(self.log.publish(force=True))
        self.published, sender = self.log.size(), self.processes[0]
        for _ in range(4 + self.published):
            self.clock.forward(AGAIN_MOST_S + LEASE_MS / 1000)
            while self.runner.run(sender.step(sender.streams[0])):
                pass
        self.what_is_behind_the_cursor_arrived()
        assert self.published in (self.upto, 0)
        assert {*self.receiver.arrived} | self.skipped == {*range(self.published)}
        self.runner.run(self.log.close())
        self.runner.close()
        self.folder.cleanup()


def test_whatever_fails_every_record_is_accounted_for() -> None:
    run_state_machine_as_test(StreamMachine, settings=settings(max_examples=examples(60), stateful_step_count=30, deadline=None))
