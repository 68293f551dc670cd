"""The background verification finds what is done to a stored log within one round: each row of what must be found about the store."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from audit.erasure import erase
from audit.leaf import EndState, RecordKind
from audit.log import Log
from audit.merkle import leaf_hash
from audit.migration import prepare
from audit.query import Why
from audit.store.auditors_index import advance
from audit.store.find import columns_of
from audit.store.reads import LogCorrupt
from audit.store.tables import leaves
from audit.verification import LOOK_S, PIECE, ROUND_S, StoreVerifier, stored_verification
from gateway.app.databases import HISTORIES, DatabaseName
from gateway.oversight.background_verification import LATE_S, BackgroundVerification
from tests.support.databases import Dump, Kept, dump, in_a_thread, on_database, places, restore, sql
from tests.trail import Clock, Random, a_record, an_end, an_intent, clock, open_trail

__all__ = ["clock"]

WHY = Why(auditor="eve", purpose="request", case_id="E-1")

RECORDS = 2 * PIECE + 40
"""Two full pieces, each of which fills a tile, and some more."""


async def fill(log: Log) -> None:
    """Reads of several customers, intents with an end, without one, and one that was reconciled; checkpoints in between; an index."""
    for n in range(3):
        intent = await log.append(an_intent(call_id=f"call_i{n}", policy=None))
        if n == 1:
            await log.append(an_end(intent.index, intent.leaf_hash, call_id=f"call_i{n}", policy=None))
        if n == 2:
            unknown = (RecordKind.UNKNOWN, EndState.OUTCOME_UNKNOWN)
            await log.append(an_end(intent.index, intent.leaf_hash, *unknown, call_id=f"call_i{n}", policy=None))
            await log.append(an_end(intent.index, intent.leaf_hash, RecordKind.RECONCILED, call_id=f"call_i{n}", policy=None))
    await log.publish()
    rest = RECORDS - log.size()
    await asyncio.gather(*(log.append(a_record(customer=f"C-{n % 5}", policy=None), timeout_ms=10_000) for n in range(rest)))
    await log.publish(force=True)
    while await log.write(lambda connection: advance(connection, 500)):
        pass


async def a_round(log: Log, verifier: StoreVerifier | None = None) -> list[str]:
    """What a whole round finds, begun now."""
    verifier = verifier or StoreVerifier(log)
    found: list[str] = []
    for _ in range(40):
        found += [item.what for item in await verifier.step()]
        if verifier.known is not None and verifier.known.last is not None and verifier.is_resting:
            return found
    raise AssertionError("the round does not end")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dump, Dump]:
    """A filled log's folder, and what its databases hold."""
    folder = tmp_path_factory.mktemp("made") / "log"

    async def make() -> None:
        log = await open_trail(folder, Clock(), Random())
        await fill(log)
        await log.close()

    in_a_thread(make())
    return folder, dump(folder, DatabaseName.LOG), dump(folder, DatabaseName.KEYS)


@pytest.fixture
async def filled(made: tuple[Path, Dump, Dump], tmp_path: Path, clock: Clock) -> AsyncIterator[Log]:
    """A copy of it, which each test may harm."""
    folder, of_log, of_keys = made
    shutil.copytree(folder, tmp_path / "log")
    if Kept.kind == "postgresql":
        for part, rows in ((DatabaseName.LOG, of_log), (DatabaseName.KEYS, of_keys)):
            database = places(tmp_path / "log").open(part, name="tests")
            await prepare(database, HISTORIES[part], may_upgrade=False)
            await database.close()
            restore(tmp_path / "log", part, rows)
        sql(tmp_path / "log", DatabaseName.LOG, "select setval('checkpoints_id_seq', 100)")
    log = await open_trail(tmp_path / "log", clock, Random(b"later"))
    yield log
    await log.close()


async def test_a_log_that_nobody_touched_is_good_and_says_up_to_where(filled: Log, clock: Clock) -> None:
    assert await a_round(filled) == []
    known = await stored_verification(filled)
    assert known is not None
    assert known.last is not None
    assert (known.last.size, known.last.ended_s, known.last.findings) == (RECORDS, int(clock().timestamp()), [])


def alarms(caplog: pytest.LogCaptureFixture, code: str) -> list[dict[str, object]]:
    """The lines of this alarm so far."""
    said = [json.loads(item.message) for item in caplog.records if item.name == "tellergate.verification"]
    return [item for item in said if item["alarm"] == code]


NOT_LED = "the leaves do not lead to the signed root"
TILE = "tile 0/0 is not what its leaves give"
CHECKPOINT = "a published checkpoint is not what the leaves lead to"
INDEX = "the auditors' index does not find this record"
TOO_MANY = "the auditors' index names records that it should not"
INTENTS = "the table of intents is not what the log says"
INTENT = "an intent's row is not what the log says"
COLUMN = "a searchable column says something else than its leaf"
MISSING = "a leaf is missing or not bytes"

_FUNCTION = "(select id from terms where name = 'function')"

TAMPERED: Sequence[tuple[str, set[str]]] = [
    # A record of the last piece, which no tile covers, is changed; and one of the first.
    (f"update leaves set hash = zeroblob(32) where idx = {RECORDS - 1}", {"the stored hash is not the leaf's"}),
    ("delete from leaves where idx = 300", {MISSING, INDEX}),
    (f"delete from leaves where idx = {RECORDS - 1}", {MISSING}),
    ("update leaves set call = 'call_other' where idx = 100", {COLUMN, INDEX}),
    ("update leaves set function = null where idx = 100", {COLUMN}),
    ("update leaves set time = '2020-01-01T00:00:00.000000Z' where idx = 100", {COLUMN, INDEX}),
    (f"delete from postings where idx = 100 and term in {_FUNCTION}", {INDEX}),
    ("insert into postings (term, idx) values (999999, 100)", {TOO_MANY}),
    ("update time_blocks set earliest = '2029-01-01T00:00:00.000000Z' where block = 0", {INDEX}),
    ("update outcomes set outcome = 'executed' where idx = 0", {INDEX}),
    ("delete from intents where idx = 1", {INTENTS}),
    ("update intents set end_state = 'executed' where idx = 0", {INTENT}),
    ("update intents set end_state = null where idx = 1", {INTENT}),
    ("update intents set call = 'call_other' where idx = 0", {INTENT}),
    ("insert into intents (idx, hash, call, time) values (200, zeroblob(32), 'c', 't')", {INTENTS}),
    ("update sealed set blob = zeroblob(64) where idx = 0", {"the sealed blob is not the one of its leaf"}),
    ("delete from sealed where idx = 0", {"what a record keeps sealed is gone, and no erasure says so"}),
    ("update tiles set hashes = zeroblob(8192) where level = 0 and idx = 1", {"tile 0/1 is not what its leaves give"}),
    ("update checkpoints set root = zeroblob(32) where id = 1", {CHECKPOINT}),
]


@pytest.mark.parametrize(("statement", "wanted"), TAMPERED, ids=[statement.replace(" ", "-")[:40] for statement, _ in TAMPERED])
async def test_a_row_that_was_changed_is_found(filled: Log, tmp_path: Path, statement: str, wanted: set[str]) -> None:
    assert sql(tmp_path / "log", DatabaseName.LOG, statement)
    found = set(await a_round(filled))
    assert wanted <= found, found


def rewritten(tmp_path: Path, index: int, change: Callable[[dict[str, object]], None]) -> None:
    """A leaf says something else, and its hash and columns go along: only the tree knows."""

    def work(connection: Connection) -> int:

        stored = connection.execute(select(leaves.c.leaf).where(leaves.c.idx == index)).scalar_one()
        fields = json.loads(stored)
        change(fields)
        leaf = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        changed = {"leaf": leaf, "hash": leaf_hash(leaf), **columns_of(fields)}
        return connection.execute(update(leaves).where(leaves.c.idx == index).values(**changed)).rowcount

    assert on_database(tmp_path / "log", DatabaseName.LOG, work) == 1


@pytest.mark.parametrize(("index", "wanted"), [(100, {TILE, NOT_LED, CHECKPOINT}), (RECORDS - 1, {NOT_LED, CHECKPOINT})])
async def test_a_record_that_was_rewritten_with_all_that_stands_beside_it_is_found(
    filled: Log, tmp_path: Path, index: int, wanted: set[str]
) -> None:
    rewritten(tmp_path, index, lambda fields: fields.update(writer="w2"))
    assert wanted <= set(await a_round(filled))


async def test_two_records_that_were_swapped_are_found(filled: Log, tmp_path: Path) -> None:
    for old, new in ((100, -1), (101, 100), (-1, 101)):
        assert sql(tmp_path / "log", DatabaseName.LOG, f"update leaves set idx = {new} where idx = {old}")
    assert {TILE, NOT_LED} <= set(await a_round(filled))


async def test_a_record_that_was_inserted_is_found(filled: Log, tmp_path: Path) -> None:
    """There is room for one at the end alone: in between, those behind it would move up, as if they were swapped."""
    names = "leaf, hash, time, kind, function, decision, end_state"
    assert sql(
        tmp_path / "log",
        DatabaseName.LOG,
        f"insert into leaves (idx, {names}) select {RECORDS}, {names} from leaves where idx = 40",
    )
    assert "there is evidence of records beyond the head: was the tail cut?" in await a_round(filled)


async def test_what_was_erased_is_no_finding(filled: Log) -> None:
    await erase(filled, "C-1", WHY)
    assert await a_round(filled) == []


async def test_a_head_that_somebody_else_wrote_is_found(filled: Log, tmp_path: Path) -> None:
    assert sql(tmp_path / "log", DatabaseName.LOG, "update head set root = zeroblob(32)")
    assert await StoreVerifier(filled).step() != []


async def test_a_tail_that_was_cut_is_found_with_head_and_all(filled: Log, tmp_path: Path, clock: Clock) -> None:

    before = dump(tmp_path / "log", DatabaseName.LOG)
    await filled.append(a_record(policy=None))
    restore(tmp_path / "log", DatabaseName.LOG, before)
    assert "the stored log is shorter than what was committed: was the tail cut?" in await a_round(filled)


async def test_a_round_goes_on_where_another_process_left_it(filled: Log, tmp_path: Path, clock: Clock) -> None:
    """What it verified before is not verified again; while it works, nobody else does."""
    other = await open_trail(tmp_path / "log", clock, Random(b"other"))
    first, second = StoreVerifier(filled), StoreVerifier(other)
    clock.forward(LOOK_S)
    await first.step()
    clock.forward(40)
    await first.step()  # keeps the position of two pieces
    assert await second.step() == []
    assert second.known is not None
    assert second.known.round is not None
    assert (second.known.round.position, second.is_resting) == (2 * PIECE, True)
    clock.forward(200)
    await second.step()
    assert second.known.round is not None
    assert second.known.round.position == RECORDS
    assert await first.step() == []
    assert first.is_resting
    await other.close()


async def test_a_kept_position_that_somebody_else_wrote_is_found_and_nothing_is_passed_over(
    filled: Log, tmp_path: Path, clock: Clock
) -> None:
    verifier = StoreVerifier(filled)
    assert await a_round(filled, verifier) == []
    body = "replace(body, '\"size\": ', '\"size\": 1')"
    assert sql(tmp_path / "log", DatabaseName.LOG, f"update verification set body = {body}, until_s = 0")
    with pytest.raises(LogCorrupt):
        await stored_verification(filled)
    assert sql(tmp_path / "log", DatabaseName.LOG, "delete from postings where idx = 100")
    clock.forward(ROUND_S)
    found = await a_round(filled)
    assert found[0] == "what was kept of the background verification is not of this installation"
    assert INDEX in found


async def test_rounds_follow_one_another_while_the_log_grows(filled: Log, clock: Clock) -> None:
    verifier = StoreVerifier(filled)
    assert await a_round(filled, verifier) == []
    for _ in range(3):
        await filled.append(a_record(policy=None))
        await filled.publish(force=True)
        assert await verifier.step() == []  # not due yet
        clock.forward(ROUND_S)
        await verifier.step()
        while not verifier.is_resting:
            await filled.append(an_intent(policy=None))
            assert await verifier.step() == []
    assert verifier.known is not None
    assert verifier.known.last is not None
    assert verifier.known.last.size > RECORDS + 2


async def test_an_empty_log_is_good(tmp_path: Path, clock: Clock) -> None:
    log = await open_trail(tmp_path / "log", clock, Random())
    assert await a_round(log) == []
    await log.close()


async def test_a_finding_is_an_alarm_once_and_again_while_it_stays(
    filled: Log, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    background = BackgroundVerification(filled, StoreVerifier(filled))
    assert sql(tmp_path / "log", DatabaseName.LOG, "update leaves set function = null where idx >= 100 and idx < 103")
    for _ in range(4):
        await background.step()
    told = alarms(caplog, "log_not_as_signed")
    assert [(item["index"], item["further"]) for item in told] == [(100, 2)]
    clock.forward(301)
    for _ in range(2):
        await background.step()
    assert alarms(caplog, "log_not_as_signed") == told * 2


async def test_a_verification_that_never_ends_a_round_is_an_alarm(
    filled: Log, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else has the turn for ever."""
    assert await a_round(filled) == []
    assert sql(tmp_path / "log", DatabaseName.LOG, "update verification set holder = 'nobody', until_s = 99999999999")
    other = await open_trail(tmp_path / "log", clock, Random(b"other"))
    background = BackgroundVerification(other, StoreVerifier(other))
    for _ in range(2):
        await background.step()
        assert alarms(caplog, "log_not_verified") == []
        clock.forward(LATE_S / 2 + 1)
    await background.step()
    await background.step()
    assert [item["since_s"] for item in alarms(caplog, "log_not_verified")] == [LATE_S + 2]
    await other.close()


async def test_it_rests_three_times_as_long_as_it_works(filled: Log) -> None:
    """A slow machine, or a busy database, verifies more slowly; it never takes more than its share."""
    background = BackgroundVerification(filled, StoreVerifier(filled))
    assert background.pause_s() == 1.0  # nothing was begun
    await background.step()
    assert background.pause_s() == pytest.approx(max(1.0, background.took_s * 3))
    background.took_s = 2.0
    assert background.pause_s() == 6.0
