"""A log whose newest records are lost goes on under another origin: what was asked, proven, exported, erased, sealed and rotated before
still is, and both verifiers say who may write where.
"""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from audit import verify
from audit.checkpoint import Checkpoint, NoteInvalid, sign_checkpoint
from audit.erasure import erase
from audit.export import trust_policy
from audit.inspection import verify_store
from audit.key_files import FileKeys
from audit.keys import LOG_PURPOSES
from audit.leaf import RecordKind, canonical
from audit.lineage import Lineage, Predecessor, read_lineage
from audit.log import Log, LogUnavailable
from audit.merkle import verify_inclusion
from audit.query import Query, Why, reveal
from audit.rotation_records import rotate
from audit.store.reads import LogCorrupt
from audit.store.timestamps import KeptTimestamp, keep_timestamp, latest_published
from audit.succession import KnownHead, SuccessionOrder, SuccessionRefused, known_head, succeed
from audit.verification import StoreVerifier
from gateway.app.databases import open_log as open_log_in
from tests.support.bundles import exported, leaves_of, rewritten, unpack
from tests.support.databases import places
from tests.support.options import examples
from tests.trail import ORIGIN, Clock, Random, a_record, activate_rules, an_end, an_intent, open_trail

pytestmark = pytest.mark.usefixtures("both_verifiers")

WHY = Why(auditor="auditor-1", purpose="yearly review", case_id="case-7")
SECOND = "bank.example/log-2"
TOLD = {"reason": "the newest backup is lost", "requested_by": "ada", "approved_by": "ben"}


async def a_lost_head(log: Log, clock: Clock, more: int = 3) -> KnownHead:
    """A head that the log would have had, signed by its keys, and has not."""
    size, _ = await log.head()
    lost = Checkpoint(log.origin, size + more, bytes([7]) * 32)
    at_s = int(clock().timestamp())
    return await known_head(log, sign_checkpoint(lost, log.signers.log_keys(log.origin, at_s), at_s).encode().encode())


async def succeeded(log: Log, clock: Clock, successor: str = SECOND) -> Log:
    size, root = await log.head()
    order = SuccessionOrder(successor, size, root, await a_lost_head(log, clock), TOLD)
    made, index = await succeed(log, order, lambda _connection: None)
    assert index == size
    return made


def good(raw: bytes, **own: Any) -> verify.Report:
    report = verify.verify(raw, **own)
    assert report.good, report.findings
    return report


async def test_a_successor_is_the_same_tree_and_all_of_it_goes_on(log: Log, clock: Clock) -> None:
    await activate_rules(log)
    sealed = await log.append(a_record(call_id="call_1"))
    intent = await log.append(an_intent(call_id="call_2"))
    clock.forward(2)
    await log.publish()
    before = trust_policy(log)
    await stamped(log)
    made = await succeeded(log, clock)
    size, _ = await made.head()
    assert made.origin == SECOND
    assert made.lineage == Lineage(SECOND, (Predecessor(ORIGIN, size - 1),))
    await made.append(an_end(intent.index, intent.leaf_hash, call_id="call_2"))
    after = await made.append(a_record(call_id="call_3"))
    clock.forward(2)
    kept = (await made.publish() or "").encode()
    assert kept.startswith(SECOND.encode())
    assert await verify_store(made) == []
    for index in (sealed.index, after.index):
        assert (await reveal(made, index, WHY)).values["arguments.account"] == "GB00-1"
    whole = await exported(made, WHY, reveal=True)
    trust = trust_policy(made)
    assert json.loads(trust)["predecessors"] == [{"origin": ORIGIN, "until": size - 1}]
    good(whole, trust=trust, pinned=kept)
    good(await exported(made, WHY, query=Query(customer="C-1001")), trust=trust)
    good(await exported(made, WHY, after=kept), trust=trust, after=kept)
    assert not verify.verify(whole, trust=before).good, "the old log ended"
    assert not verify.verify(
        whole, trust=json.dumps({k: v for k, v in json.loads(trust).items() if k != "predecessors"}).encode()
    ).good
    await made.transactions.close()


async def stamped(log: Log) -> None:
    """A time stamp over the latest checkpoint: what is in it does not matter here."""

    def keep(connection: Connection) -> None:
        published = latest_published(connection)
        assert published is not None
        keep_timestamp(connection, KeptTimestamp(published, "https://tsa.example", published.time_s, b"a token"))

    await log.write(keep)


async def test_the_record_says_what_is_known_of_the_lost(log: Log, clock: Clock) -> None:
    await activate_rules(log)
    lost = await a_lost_head(log, clock)
    size, root = await log.head()
    made, index = await succeed(log, SuccessionOrder(SECOND, size, root, lost, TOLD), lambda _connection: None)
    stored = await made.read(lambda reads: reads.leaf(index))
    assert stored is not None
    leaf = json.loads(stored.leaf)
    assert (leaf["log"], leaf["kind"]) == (SECOND, "admin")
    facts = leaf["facts"]
    assert facts["predecessor"] == ORIGIN
    assert (facts["size"], facts["root"]) == (size, root.hex())
    assert (facts["known_size"], facts["lost_from"], facts["lost_until"]) == (size + 3, size, size + 3)
    assert facts["known_note"] == lost.note
    assert facts["requested_by"] == "ada"
    await made.transactions.close()


async def test_nothing_is_done_where_nothing_is_lost_or_the_log_moved(log: Log, clock: Clock) -> None:
    await activate_rules(log)
    note = (await log.publish() or "").encode()
    for kept in (note, b"x", note.replace(ORIGIN.encode(), b"other.example/log"), b"x" * 40_000):
        with pytest.raises(SuccessionRefused):
            await known_head(log, kept)
    lost, (size, root) = await a_lost_head(log, clock), await log.head()
    for name in (ORIGIN, "", "with space", "x" * 250):
        with pytest.raises(SuccessionRefused, match="origin"):
            await succeed(log, SuccessionOrder(name, size, root, lost, TOLD), lambda _connection: None)
    await log.append(a_record())
    with pytest.raises(SuccessionRefused, match="grew"):
        await succeed(log, SuccessionOrder(SECOND, size, root, lost, TOLD), lambda _connection: None)
    assert log.origin == ORIGIN
    await log.append(a_record(call_id="call_2"))
    assert await verify_store(log) == []


async def test_who_still_writes_under_the_old_name_writes_nothing(
    log: Log, clock: Clock, open_log: Callable[[], Awaitable[Log]]
) -> None:
    await activate_rules(log)
    other = await open_log()
    await other.append(a_record())
    made = await succeeded(other, clock)
    with pytest.raises(LogCorrupt, match="another log"):
        await log.append(a_record(call_id="call_9"))
    with pytest.raises(LogCorrupt, match="another log"):
        await log.publish(force=True)
    assert await verify_store(made) == []
    await made.close()


class Story:
    """A log with a little traffic of every kind, which may be succeeded at any point."""

    def __init__(self, log: Log, clock: Clock, folder: Path) -> None:
        self.log, self.clock, self.folder = log, clock, folder
        self.calls = 0
        self.open: list[tuple[int, bytes, str]] = []
        self.sealed: list[int] = []
        self.erased: set[int] = set()
        self.succeeded = 0

    async def step(self, name: str) -> None:
        self.clock.forward(2)
        self.calls += 1
        await getattr(self, name)(f"call_{self.calls}")

    async def read(self, call: str) -> None:
        self.sealed.append((await self.log.append(a_record(call_id=call, time=self.clock()))).index)

    async def intend(self, call: str) -> None:
        entry = await self.log.append(an_intent(call_id=call, time=self.clock(), customer="C-2", conversation="conv_2"))
        self.open.append((entry.index, entry.leaf_hash, call))

    async def end(self, _call: str) -> None:
        if self.open:
            index, hashed, call = self.open.pop(0)
            ended = an_end(index, hashed, call_id=call, time=self.clock(), customer="C-2", conversation="conv_2")
            await self.log.append(ended)

    async def publish(self, _call: str) -> None:
        await self.log.publish(force=True)

    async def rotate(self, _call: str) -> None:
        for purpose in LOG_PURPOSES:
            rotate(FileKeys(self.folder / "log"), purpose, self.log.origin, int(self.clock().timestamp()) + 1)
        await self.log.take_over_rotations()
        self.clock.forward(2)

    async def erase(self, _call: str) -> None:
        if self.sealed:
            await erase(self.log, "C-1001", WHY)
            self.erased |= {*self.sealed}
            self.sealed.clear()

    async def succeed(self, _call: str) -> None:
        self.succeeded += 1
        self.log = await succeeded(self.log, self.clock, f"bank.example/log-{self.succeeded + 1}")

    async def reopen(self, _call: str) -> None:
        before = self.log.lineage
        await self.log.close()
        self.log = await open_log_in(
            places(self.folder / "log"), writer_id="w1", clock=self.clock, random=Random(b"%d" % self.calls)
        )
        assert self.log.lineage == before


STEPS = st.lists(st.sampled_from(["read", "intend", "end", "publish", "rotate", "erase", "succeed", "reopen"]), max_size=12)


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=STEPS, then=STEPS)
def test_whatever_comes_before_and_after_a_succession_holds(first: list[str], then: list[str]) -> None:
    async def told() -> None:
        with tempfile.TemporaryDirectory() as name:
            clock = Clock()
            story = Story(await open_trail(Path(name) / "log", clock, Random()), clock, Path(name))
            await activate_rules(story.log)
            for step in [*first, "succeed", *then, "reopen"]:
                await story.step(step)
            log = story.log
            assert await verify_store(log) == []
            await verified_in_the_background(log)
            for index in story.sealed:
                assert (await reveal(log, index, WHY)).values["arguments.account"] == "GB00-1"
            trust, kept = trust_policy(log), (await log.publish(force=True) or "").encode()
            clock.forward(1)
            good(await exported(log, WHY, reveal=True), trust=trust, pinned=kept)
            good(await exported(log, WHY, query=Query(kinds=(RecordKind.ADMIN,)), reveal=True), trust=trust)
            good(await exported(log, WHY, after=kept), trust=trust, after=kept)
            size, root = await log.head()
            for index in range(size):
                proof = await log.proof(index)
                verify_inclusion(proof.leaf_hash, index, size, proof.hashes, root)
            await log.close()

    asyncio.run(told())


async def verified_in_the_background(log: Log) -> None:
    """A whole round of it."""
    background = StoreVerifier(log)
    for _ in range(60):
        assert await background.step() == []
        if background.known is not None and background.known.last is not None:
            return
    pytest.fail("the round did not end")


async def test_neither_verifier_takes_a_wrong_range_or_a_leaf_on_the_wrong_side(log: Log, clock: Clock) -> None:
    await activate_rules(log)
    await log.append(a_record(call_id="call_1"))
    made = await succeeded(log, clock)
    await made.append(a_record(call_id="call_2"))
    raw, trust = await exported(made, WHY), json.loads(trust_policy(made))
    until = trust["predecessors"][0]["until"]
    good(raw, trust=json.dumps(trust).encode())
    another = {"origin": "other.example/log", "until": 1}
    for wrong in (
        [],
        [{"origin": ORIGIN, "until": until - 1}],
        [{"origin": ORIGIN, "until": until + 1}],
        [{"origin": "other.example/log", "until": until}],
        [another, {"origin": ORIGIN, "until": until}],
    ):
        assert not verify.verify(raw, trust=json.dumps({**trust, "predecessors": wrong}).encode()).good, wrong
    unusable: object
    for unusable in (
        {},
        None,
        [ORIGIN],
        [{"origin": ORIGIN, "until": 0}],
        [{"origin": ORIGIN, "until": True}],
        [{"origin": ORIGIN, "until": "2"}],
        [{"origin": SECOND, "until": until}],
        [{"origin": ORIGIN, "until": until}, {"origin": ORIGIN, "until": until + 1}],
        [{"origin": ORIGIN, "until": until}, another],
        [{"origin": "a b", "until": until}],
        [{"origin": ORIGIN, "until": until, "more": 1}],
    ):
        with pytest.raises(verify.InputUnreadable):
            verify.verify(raw, trust=json.dumps({**trust, "predecessors": unusable}).encode())
    lies: list[tuple[int, dict[str, Any]]] = [
        (until - 1, {"log": SECOND}),
        (until + 1, {"log": ORIGIN}),
        (until, {"log": ORIGIN}),
        (until, {"kind": "log.start"}),
        *((until, {"facts": {name: value}}) for name, value in (("word", "x"), ("predecessor", SECOND), ("size", until + 1))),
        (until, {"facts": {"size": True}}),
    ]
    for at, lie in lies:
        told = verify.verify(forged(made, raw, at, lie), trust=json.dumps(trust).encode())
        assert any(f"record {at}: log:" in what for _, what in told.findings), (at, lie, told.findings)
    await made.transactions.close()


def forged(log: Log, raw: bytes, at: int, lie: dict[str, Any]) -> bytes:
    """The same bundle by a bank that wrote this record otherwise, and signed all of it."""
    leaves = list(leaves_of(unpack(raw)))
    leaf = json.loads(leaves[at])
    facts = {**leaf["facts"], **lie["facts"]} if "facts" in lie else leaf.get("facts")
    leaves[at] = canonical({**leaf, **lie, **({} if facts is None else {"facts": facts})})
    return rewritten(log, unpack(raw), leaves)


async def test_the_first_record_must_say_it_where_the_log_is_opened(log: Log, clock: Clock) -> None:
    await activate_rules(log)
    made = await succeeded(log, clock)
    with pytest.raises(LogCorrupt, match="another log"):
        await made.read(lambda reads: read_lineage(reads, 1, SECOND))
    with pytest.raises(LogCorrupt, match="another log"):
        await made.read(lambda reads: read_lineage(reads, 2, "third.example/log"))
    for note in ((ORIGIN, 3), ("other.example/log", 1)):
        at_s = int(clock().timestamp())
        said = sign_checkpoint(Checkpoint(*note, bytes(32)), made.signers.log_keys(note[0], at_s), at_s)
        with pytest.raises(NoteInvalid, match="never had"):
            made.lineage.verify(made.signers, said)
    await made.transactions.close()


async def test_a_transaction_that_fails_leaves_the_log_as_it_was(log: Log, clock: Clock) -> None:
    await activate_rules(log)
    size, root = await log.head()
    order = SuccessionOrder(SECOND, size, root, await a_lost_head(log, clock), TOLD)

    def fails(_connection: object) -> None:
        raise SQLAlchemyError("the disk is full")

    with pytest.raises(LogUnavailable):
        await succeed(log, order, fails)
    await log.append(a_record())
    assert await verify_store(log) == []
