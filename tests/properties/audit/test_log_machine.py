"""The log against a model of a few lines: whatever is appended, in whatever order, by two processes that come and go."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy.exc import OperationalError

from audit import verify
from audit.committer import IntentEnded, LogEntry
from audit.inspection import verify_store
from audit.leaf import EndState, Record, RecordKind
from audit.log import Log, LogUnavailable
from audit.merkle import leaf_hash, subtree_root, verify_inclusion
from tests.support.bundles import bundled
from tests.support.options import examples
from tests.trail import Clock, Random, a_record, an_end, an_intent, at_the_commit, open_trail

CUSTOMERS = st.sampled_from(["C-1", "C-2", "C-3"])
CONVERSATIONS = st.sampled_from(["conv_1", "conv_2", None])


class LogMachine(RuleBasedStateMachine):
    """The model: how often each sequence was used, and the state of each intent."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.random, self.clock = Random(), Clock()
        self.logs = [self.opened(), self.opened()]
        self.customers: Counter[str | None] = Counter()
        self.conversations: Counter[str | None] = Counter()
        self.entries: list[LogEntry] = []
        self.states: dict[int, EndState | None] = {}

    def opened(self) -> Log:
        return self.runner.run(open_trail(Path(self.folder.name) / "log", self.clock, self.random))

    def took(self, record: Record, entry: LogEntry) -> None:
        self.customers[record.customer] += 1
        self.conversations[record.conversation] += 1
        assert entry.index == len(self.entries)
        assert entry.customer_seq == self.customers[record.customer]
        assert entry.conversation_seq == (None if record.conversation is None else self.conversations[record.conversation])
        self.entries.append(entry)

    @rule(which=st.integers(0, 1), who=st.lists(st.tuples(CUSTOMERS, CONVERSATIONS), min_size=1, max_size=6))
    def append_together(self, which: int, who: list[tuple[str, str | None]]) -> None:
        records = [a_record(customer=customer, conversation=conversation, policy=None) for customer, conversation in who]

        async def all_at_once() -> list[LogEntry]:
            for record in records:
                await self.logs[which].keys.key_for(record.customer, record.retention)  # or a new customer's record is overtaken
            return await asyncio.gather(*(self.logs[which].append(item, timeout_ms=10_000) for item in records))

        for record, entry in zip(records, self.runner.run(all_at_once()), strict=True):
            self.took(record, entry)

    @rule(which=st.integers(0, 1), customer=CUSTOMERS)
    def intend(self, which: int, customer: str) -> None:
        record = an_intent(customer=customer, policy=None)
        entry = self.runner.run(self.logs[which].append(record, timeout_ms=10_000))
        self.took(record, entry)
        self.states[entry.index] = None

    @precondition(lambda self: self.states)
    @rule(
        which=st.integers(0, 1),
        data=st.data(),
        kind=st.sampled_from([RecordKind.OUTCOME, RecordKind.UNKNOWN, RecordKind.RECONCILED]),
    )
    def end(self, which: int, data: st.DataObject, kind: RecordKind) -> None:
        index = data.draw(st.sampled_from(sorted(self.states)))
        state = (
            EndState.OUTCOME_UNKNOWN
            if kind is RecordKind.UNKNOWN
            else data.draw(st.sampled_from([EndState.EXECUTED, EndState.NOT_ATTEMPTED]))
        )
        record = an_end(index, self.entries[index].leaf_hash, kind, state, policy=None)
        allowed = self.states[index] == (EndState.OUTCOME_UNKNOWN if kind is RecordKind.RECONCILED else None)
        try:
            entry = self.runner.run(self.logs[which].append(record, timeout_ms=10_000))
        except IntentEnded:
            assert not allowed
            return
        assert allowed
        self.took(record, entry)
        self.states[index] = state

    @rule(which=st.integers(0, 1), customer=CUSTOMERS, conversation=CONVERSATIONS, happened=st.booleans())
    def fault(self, which: int, customer: str, conversation: str | None, happened: bool) -> None:
        """A commit that raises: it failed and did not happen, or it failed and did happen."""
        log, record = self.logs[which], a_record(customer=customer, conversation=conversation, policy=None)
        self.runner.run(log.keys.key_for(customer, record.retention))

        async def broken(commit: Callable[[], Awaitable[Any]]) -> None:
            if happened:
                await commit()
            raise OperationalError("COMMIT", None, OSError("disk"))

        with at_the_commit(log, broken), pytest.raises(LogUnavailable):
            self.runner.run(log.append(record, timeout_ms=10_000))
        stored = self.runner.run(log.read(lambda reads: reads.leaf(len(self.entries))))
        assert (stored is not None) == happened
        if stored is not None:
            customer_seq = self.customers[customer] + 1
            conversation_seq = None if conversation is None else self.conversations[conversation] + 1
            self.took(record, LogEntry(stored.idx, stored.hash, customer_seq, conversation_seq))

    @rule(which=st.integers(0, 1))
    def reopen(self, which: int) -> None:
        self.runner.run(self.logs[which].close())
        self.logs[which] = self.opened()
        assert self.logs[which].size() == len(self.entries)

    @rule(which=st.integers(0, 1), seconds=st.sampled_from([0, 1, 60]))
    def publish(self, which: int, seconds: int) -> None:
        self.clock.forward(seconds)
        self.runner.run(self.logs[which].publish())

    @invariant()
    def open_intents_are_the_models(self) -> None:
        open_now = [index for index, state in self.states.items() if state in (None, EndState.OUTCOME_UNKNOWN)]
        assert [item.index for item in self.runner.run(self.logs[0].open_intents())] == sorted(open_now)

    def teardown(self) -> None:
        log = self.opened()
        hashes = [item.leaf_hash for item in self.entries]
        stored = self.runner.run(log.read(lambda reads: list(reads.leaves(0, log.size()))))
        assert [leaf_hash(item.leaf) for item in stored] == hashes
        assert self.runner.run(verify_store(log)) == []
        if hashes:
            assert self.runner.run(log.head()) == (len(hashes), subtree_root(hashes))
            for entry in self.entries[:: max(1, len(hashes) // 5)]:
                proof = self.runner.run(log.proof(entry.index))
                verify_inclusion(entry.leaf_hash, entry.index, proof.size, proof.hashes, proof.root)
            assert verify.verify(self.runner.run(bundled(log))).findings == []
        for item in (log, *self.logs):
            self.runner.run(item.close())
        self.runner.close()
        self.folder.cleanup()


LogMachine.TestCase.settings = settings(max_examples=examples(30), stateful_step_count=20, deadline=None)
TestLogMachine = LogMachine.TestCase
