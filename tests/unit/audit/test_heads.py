"""Heads are signed after their commit: a signed head that was rolled back could never be contradicted. Faults in pairs."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from audit.checkpoint import Checkpoint, Note, NoteInvalid, sign_note, verify_checkpoint
from audit.inspection import verify_store
from audit.keyring import SignerUnavailable
from audit.keys import named
from audit.log import Log, LogUnavailable
from audit.memory_keys import FileSigner
from audit.merkle import subtree_root
from audit.migration import LOG_HISTORY, prepare
from audit.query import Query, Why, page
from audit.store.reads import LogCorrupt
from audit.store.tables import log_tables
from audit.store.writes import read_head
from audit.terms import LOOKS
from gateway.app.databases import DatabaseName, open_log
from tests.support.databases import on_database, places, sql
from tests.trail import ORIGIN, Clock, Random, a_record, at_the_commit, open_trail

WHY = Why(auditor="auditor-1", purpose="complaint", case_id="case-7")


class Signed:
    """Every tree that the log's key signed, by whatever name."""

    def __init__(self) -> None:
        self.trees: list[tuple[int, bytes]] = []
        self.fails = False
        self._sign = FileSigner.sign

    def sign(self, signer: FileSigner, message: bytes) -> bytes:
        if self.fails:
            raise SignerUnavailable
        lines = message.decode(errors="replace").split("\n")
        if lines[0] in (ORIGIN, f"{ORIGIN}/head") and len(lines) == 4:
            parsed = Checkpoint.parse(message.decode())
            self.trees.append((parsed.size, parsed.root))
        return self._sign(signer, message)

    async def contradicted(self, log: Log) -> list[int]:
        """Sizes of signed trees that the log, as it went on, is not a continuation of."""
        size, _ = await log.head()
        hashes = [item.hash for item in await log.read_long(lambda reads: list(reads.leaves(0, size)))]
        return [known for known, root in self.trees if known > size or subtree_root(hashes[:known]) != root]


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> Signed:
    watched = Signed()

    def sign(signer: FileSigner, message: bytes) -> bytes:
        return watched.sign(signer, message)

    monkeypatch.setattr(FileSigner, "sign", sign)
    return watched


def stored_note(folder: Path) -> str:
    head = on_database(folder, DatabaseName.LOG, read_head)
    assert head is not None
    return head.note


def size_of(note: str) -> int:
    return int(note.split("\n")[1])


@pytest.mark.parametrize("happened", [False, True])
async def test_a_commit_that_fails_leaves_no_signed_head_that_the_log_contradicts(
    signed: Signed, log: Log, clock: Clock, happened: bool
) -> None:
    await log.append(a_record(policy=None))

    async def broken(commit: Callable[[], Awaitable[Any]]) -> None:
        if happened:
            await commit()
        raise OperationalError("COMMIT", None, OSError("disk"))

    with at_the_commit(log, broken), pytest.raises(LogUnavailable):
        await log.append(a_record(policy=None, call_id="lost"), timeout_ms=10_000)
    await log.append(a_record(policy=None, call_id="after"))
    clock.forward(1)
    await log.publish()
    assert log.size() == (3 if happened else 2)
    assert await signed.contradicted(log) == []
    assert len(signed.trees) > 2


@pytest.mark.parametrize("published", [False, True])
async def test_when_signing_fails_after_a_commit_the_next_one_signs_it_or_writes_nothing(
    signed: Signed, log: Log, clock: Clock, tmp_path: Path, published: bool
) -> None:
    """What was committed stays committed; nothing is added to a head that cannot be signed."""
    await log.append(a_record(policy=None))
    await log.append(a_record(policy=None))
    signed.fails = True
    with pytest.raises(LogUnavailable):
        await log.append(a_record(policy=None))
    assert size_of(stored_note(tmp_path / "log")) == 1
    signed.fails = False
    clock.forward(1)
    if published:
        await log.publish()
        assert size_of(stored_note(tmp_path / "log")) == log.size() == 2
    else:
        await log.append(a_record(policy=None))
        assert (size_of(stored_note(tmp_path / "log")), log.size()) == (2, 3)
    assert (await signed.contradicted(log), await verify_store(log)) == ([], [])


@pytest.mark.parametrize("signs_before_it_dies", [False, True])
async def test_a_process_that_dies_between_commit_and_signature_is_made_good_by_the_next_start(
    signed: Signed, open_log: Callable[[], Awaitable[Log]], tmp_path: Path, signs_before_it_dies: bool
) -> None:
    died = await open_log()
    await died.append(a_record(policy=None))
    if signs_before_it_dies:
        await died.publish(force=True)
    assert size_of(stored_note(tmp_path / "log")) == (1 if signs_before_it_dies else 0)
    started = await open_log()
    assert size_of(stored_note(tmp_path / "log")) == started.size() == 1
    await started.append(a_record(policy=None))
    await died.append(a_record(policy=None))
    assert (await signed.contradicted(started), await verify_store(died)) == ([], [])
    for log in (started, died):
        await log.close()


async def test_a_start_that_cannot_sign_does_not_start(signed: Signed, open_log: Callable[[], Awaitable[Log]]) -> None:
    log = await open_log()
    await log.append(a_record(policy=None))
    await log.close()
    signed.fails = True
    with pytest.raises(LogUnavailable):
        await open_log()
    signed.fails = False
    again = await open_log()
    assert again.size() == 1
    await again.close()


async def test_nobody_else_s_head_is_ever_signed(log: Log, open_log: Callable[[], Awaitable[Log]], tmp_path: Path) -> None:
    """Whoever writes to the database and holds no key adds a record, and a head over it, and waits for the log to sign that."""
    await log.append(a_record(policy=None))
    await log.append(a_record(policy=None))
    hashes = [item.hash for item in await log.read(lambda reads: list(reads.leaves(0, 2)))]
    sql(tmp_path / "log", DatabaseName.LOG, "update head set size = 1, root = :root, peaks = :root", root=hashes[0])
    for act in (log.append(a_record(policy=None)), log.publish(force=True), log.head(), open_log()):
        with pytest.raises(LogCorrupt):
            await act
    sql(tmp_path / "log", DatabaseName.LOG, "update head set mac = null")
    with pytest.raises(LogCorrupt):
        await open_log()


async def test_a_head_is_no_checkpoint(log: Log, tmp_path: Path) -> None:
    await log.append(a_record(policy=None))
    await log.publish(force=True)
    note = stored_note(tmp_path / "log")
    assert note.startswith(f"{ORIGIN}/head\n1\n")
    with pytest.raises(NoteInvalid):
        verify_checkpoint(Note.parse(note.encode()), ORIGIN, log.log_keys()[:1])


async def test_each_installation_has_an_origin_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    origins = []
    for name in ("one", "two", "one"):
        where = places(tmp_path / name)
        log = await open_log(where, writer_id="w1", clock=Clock())
        await log.append(a_record(policy=None))
        checkpoint = await log.publish(force=True)
        assert str(checkpoint).startswith(f"{log.origin}\n")
        origins.append(log.origin)
        await log.close()
    assert origins[0] == origins[2] != origins[1]
    with pytest.raises(LogCorrupt, match="another origin"):
        await open_trail(tmp_path / "one", Clock(), Random())


async def test_an_older_log_opens_after_its_upgrade_and_goes_on(tmp_path: Path) -> None:
    """As version 0001 wrote it: no origin, a head that was signed in its own transaction, indexes of the append."""
    where = places(tmp_path / "log")
    log = await open_trail(tmp_path / "log", Clock(), Random())
    for number in range(300):
        await log.append(a_record(policy=None, call_id=f"call_{number}"))
    looked = (await page(log, Query(customer="C-1001"), WHY)).record
    size, root = await log.head()
    older = sign_note(Checkpoint(ORIGIN, size, root).text(), [named(ORIGIN, log.signers.head)]).encode()
    await log.close()
    on_database(tmp_path / "log", DatabaseName.LOG, lambda connection: as_0001(connection, older))
    with pytest.raises(Exception, match="revision 0001"):
        await open_log(where, writer_id="w1", clock=Clock(), may_upgrade=False)
    database = where.open(DatabaseName.LOG, name="upgrade")
    assert await prepare(database, LOG_HISTORY, may_upgrade=True) == "0001"
    await database.close()
    log = await open_log(where, writer_id="w1", clock=Clock(), may_upgrade=False)
    assert (log.origin, await log.head()) == (ORIGIN, (size, root))
    assert size_of(stored_note(tmp_path / "log")) == size
    assert [item.index for item in (await page(log, Query(kinds=LOOKS, about="C-1001"), WHY)).found] == [looked]
    await log.append(a_record(policy=None))
    await log.publish(force=True)
    assert await verify_store(log) == []
    await log.close()


@pytest.mark.parametrize("change", ["replace(note, char(10) || '300' || char(10), char(10) || '299' || char(10))", "'none'"])
async def test_an_older_head_that_was_changed_is_not_signed_again(tmp_path: Path, change: str) -> None:
    await test_an_older_log_opens_after_its_upgrade_and_goes_on(tmp_path)
    sql(tmp_path / "log", DatabaseName.LOG, f"update head set mac = null, note = {change}")
    with pytest.raises(LogCorrupt):
        await open_trail(tmp_path / "log", Clock(), Random())


def as_0001(connection: Connection, note: str) -> None:
    """Undo what came after, which no command does."""
    first = {"leaves", "sealed", "intents", "tiles", "head", "checkpoints"}
    for table in sorted(log_tables.tables.keys() - first):
        connection.exec_driver_sql(f"DROP TABLE {table}")
    for column in ("origin", "mac"):
        connection.exec_driver_sql(f"ALTER TABLE head DROP COLUMN {column}")
    connection.exec_driver_sql("ALTER TABLE leaves DROP COLUMN about")
    connection.exec_driver_sql("CREATE INDEX leaves_time ON leaves (time)")
    connection.exec_driver_sql("CREATE INDEX leaves_trace ON leaves (trace) WHERE trace IS NOT NULL")
    connection.exec_driver_sql("UPDATE log_version SET version_num = '0001'")
    connection.exec_driver_sql("UPDATE head SET note = '{}'".format(note.replace("'", "''")))
