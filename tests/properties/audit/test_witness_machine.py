"""One witness and a log that grows, forks, is cut and lies: whatever is submitted, what was cosigned is one history."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from audit.checkpoint import Checkpoint, KeyType, Note, verify_signature
from audit.witness.protocol import Submission, WitnessRefusal, cosignatures
from audit.witness.state import Witness
from audit.witness.store import SqliteWitnessStore
from tests.support.options import examples
from tests.support.witnessing import NOW_S, HashLog, witness_in

NUMBERS = st.integers(0, 12)


class WitnessMachine(RuleBasedStateMachine):
    """`branches`: histories that the log's keys sign, each a list of leaves; `cosigned`: in order, the leaves and the time."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.now_s = NOW_S
        self.branches = [HashLog().grow("0")]
        made = witness_in(Path(self.folder.name), *self.branches)
        self.witness = Witness(made.store, made.keys, lambda: self.now_s)
        self.cosigned: list[tuple[list[bytes], int]] = []
        self.grown = 0

    def branch(self, which: int) -> HashLog:
        return self.branches[which % len(self.branches)]

    @rule(which=NUMBERS, count=st.integers(1, 5))
    def grow(self, which: int, count: int) -> None:
        for _ in range(count):
            self.grown += 1
            self.branch(which).grow(f"leaf {self.grown}")

    @rule(which=NUMBERS, at=NUMBERS)
    @precondition(lambda self: len(self.branches) < 4)
    def fork_or_cut(self, which: int, at: int) -> None:
        self.grown += 1
        self.branches.append(self.branch(which).forked(at, f"fork {self.grown}"))

    @rule(by=st.integers(-100_000, 100_000))
    def clock_goes(self, by: int) -> None:
        self.now_s = max(1, self.now_s + by)

    @rule()
    def restart(self) -> None:
        store = self.witness.store
        assert isinstance(store, SqliteWitnessStore)
        store.close()
        self.witness = Witness(SqliteWitnessStore(Path(self.folder.name)), self.witness.keys, lambda: self.now_s)

    @rule(which=NUMBERS, old=st.none() | NUMBERS, size=st.none() | NUMBERS, proven_by=NUMBERS)
    def submit(self, which: int, old: int | None, size: int | None, proven_by: int) -> None:
        """A head of one branch, with a proof of the same or of another one."""
        log, liar = self.branch(which), self.branch(proven_by)
        last = self.cosigned[-1][0] if self.cosigned else []
        begins = len(last) if old is None else old
        new = min(len(log.leaves), len(log.leaves) if size is None else size)
        submitted = log.submission(begins, new)
        if proven_by % 3 == 0 and 0 < begins <= new <= len(liar.leaves):
            submitted = Submission(begins, liar.submission(begins, new).proof, submitted.note, submitted.checkpoint)
        leaves = log.leaves[:new]
        continues = begins == len(last) and leaves[: len(last)] == last and new >= begins
        try:
            answer = self.witness.add_checkpoint(submitted.encode()).encode()
        except WitnessRefusal:
            honest = submitted.proof == log.submission(begins, new).proof
            assert not (continues and honest), "a head that continues the last one is cosigned"
            return
        assert continues
        signed = cosignatures(answer, submitted.note, [key.key for key in self.witness.keys])
        times = {
            verify_signature(Note(submitted.note.text, signed), Checkpoint.parse(submitted.note.text), key.key)
            for key in self.witness.keys
            if key.key.type is not KeyType.ED25519
        }
        (time_s,) = times
        assert time_s is not None
        self.cosigned.append((leaves, time_s))

    @invariant()
    def one_history(self) -> None:
        for (before, earlier_s), (after, later_s) in zip(self.cosigned, self.cosigned[1:], strict=False):
            assert after[: len(before)] == before
            assert later_s >= earlier_s, "a smaller tree is never said to be the largest of a later time"

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            store = self.witness.store
            assert isinstance(store, SqliteWitnessStore)
            store.close()
            self.folder.cleanup()


def test_whatever_is_submitted_one_history_is_cosigned() -> None:
    run_state_machine_as_test(WitnessMachine, settings=settings(max_examples=examples(100), stateful_step_count=30))
