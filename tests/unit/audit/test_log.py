"""The log: what is appended is durable, numbered without gaps, provable, and ends once."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from audit.checkpoint import Note, verify_checkpoint
from audit.committer import IntentEnded
from audit.encoding import b64url
from audit.group import GroupWriter, WriterFull
from audit.keyring import KeyRefused
from audit.keys import KeyStore
from audit.leaf import EndState, LeafInvalid, Public, RecordKind
from audit.log import PERMIT_LIFETIME, Log, LogUnavailable, PermitDenied
from audit.merkle import verify_inclusion
from audit.permits import PermitInvalid
from audit.schema import validate
from audit.store.reads import LogCorrupt
from gateway.app.databases import DatabaseName
from tests.support.databases import Kept, discard, dump, sql, sqlite_only
from tests.trail import ORIGIN, Clock, a_record, an_end, an_intent, at_the_commit

OVER = b'{"key":"k1"}'


async def test_an_entry_is_durable_and_says_where_it_is(log: Log, tmp_path: Path) -> None:
    entry = await log.append(a_record())
    ((leaf, hashed),) = [(row["leaf"], row["hash"]) for row in dump(tmp_path / "log", DatabaseName.LOG)["leaves"]]
    found = validate(leaf)
    assert (entry.index, entry.leaf_hash, entry.customer_seq, entry.conversation_seq) == (0, hashed, 1, 1)
    assert (found["log"], found["writer"], found["customer_seq"]) == (ORIGIN, "w1", 1)


async def test_sequences_count_from_one_without_gaps_per_customer_and_conversation(log: Log) -> None:
    records = [a_record(customer=f"C-{n % 3}", conversation=f"conv_{n % 2}") for n in range(12)]
    for record in records:
        await log.keys.key_for(record.customer, record.retention)  # a new customer's first record may be overtaken
    entries = await asyncio.gather(*(log.append(record) for record in records))
    for who in range(3):
        assert [entry.customer_seq for n, entry in enumerate(entries) if n % 3 == who] == [1, 2, 3, 4]
    for where in range(2):
        assert [entry.conversation_seq for n, entry in enumerate(entries) if n % 2 == where] == [1, 2, 3, 4, 5, 6]
    alone = await log.append(a_record(kind=RecordKind.ADMIN, customer=None, conversation=None))
    assert (alone.customer_seq, alone.conversation_seq) == (None, None)


async def test_a_bad_record_fails_alone_and_leaves_no_gap(log: Log) -> None:
    await log.keys.key_for(a_record().customer, a_record().retention)
    records = [a_record(), a_record(call_id="a b"), an_end(99, bytes(32)), a_record()]
    answers = await asyncio.gather(*(log.append(record) for record in records), return_exceptions=True)
    assert isinstance(answers[1], LeafInvalid)
    assert isinstance(answers[2], IntentEnded)
    good = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert [(item.index, item.customer_seq) for item in good] == [(0, 1), (1, 2)]


async def test_the_log_goes_on_where_it_was_after_it_was_opened_again(open_log: Callable[[], Awaitable[Log]]) -> None:
    for size in range(1, 5):
        log = await open_log()
        entry = await log.append(a_record())
        assert (entry.index, entry.customer_seq, entry.conversation_seq) == (size - 1, size, size)
        await log.close()


async def test_two_processes_on_one_log_see_each_other(open_log: Callable[[], Awaitable[Log]]) -> None:
    one, other = (await open_log()), (await open_log())
    for n in range(4):
        entry = await (one, other)[n % 2].append(a_record())
        assert (entry.index, entry.customer_seq) == (n, n + 1)
    await other.append(a_record(customer="C-new"))
    assert (await one.append(a_record(customer="C-new"))).customer_seq == 2
    assert one.size() == 6
    assert (await one.proof(4, 5)).root == (await other.proof(4, 5)).root
    await one.close()
    await other.close()


async def test_every_leaf_has_a_proof_in_every_tree(log: Log) -> None:
    for _ in range(300):
        await log.append(a_record())
    for size in (1, 2, 3, 255, 256, 257, 300):
        for index in {0, size // 2, size - 1}:
            proof = await log.proof(index, size)
            verify_inclusion(proof.leaf_hash, index, size, proof.hashes, proof.root)
    for index, size in ((-1, 1), (1, 1), (0, 0), (0, 301)):
        with pytest.raises(ValueError, match="no such"):
            await log.proof(index, size)


async def test_an_intent_yields_one_permit_over_its_own_instruction(log: Log, clock: Clock) -> None:
    entry = await log.append(an_intent())
    permit = await log.permit(entry, OVER)
    verifier = log.permit_verifier()
    verifier.verify(permit, OVER, clock())
    leaf = (await log.entries_of("call_1"))[0].leaf
    assert validate(leaf)["instruction"] == {"commitment": b64url(permit.digest)}
    with pytest.raises(PermitInvalid):
        verifier.verify(permit, OVER, clock() + PERMIT_LIFETIME)
    with pytest.raises(PermitDenied):
        await log.permit(entry, OVER)


async def test_no_permit_for_another_instruction_and_none_afterwards(log: Log) -> None:
    entry = await log.append(an_intent())
    with pytest.raises(PermitDenied, match="another instruction"):
        await log.permit(entry, b'{"key":"k2"}')
    with pytest.raises(PermitDenied):
        await log.permit(entry, OVER)


async def test_no_permit_for_what_is_no_intent_of_this_process(open_log: Callable[[], Awaitable[Log]]) -> None:
    log = await open_log()
    read, intent = await log.append(a_record()), await log.append(an_intent())
    with pytest.raises(PermitDenied):
        await log.permit(read, OVER)
    await log.close()
    again = await open_log()
    with pytest.raises(PermitDenied):
        await again.permit(intent, OVER)
    await again.close()


@pytest.mark.parametrize("state", [EndState.EXECUTED, EndState.REJECTED_BY_CORE, EndState.NOT_ATTEMPTED])
async def test_an_intent_ends_exactly_once(log: Log, state: EndState) -> None:
    entry = await log.append(an_intent())
    assert [(open_intent.index, open_intent.end_state) for open_intent in (await log.open_intents())] == [(entry.index, None)]
    ends = [an_end(entry.index, entry.leaf_hash, state=state) for _ in range(5)]
    answers = await asyncio.gather(*(log.append(end) for end in ends), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == [*["IntentEnded"] * 4, "LogEntry"]
    assert (await log.open_intents()) == []
    for kind, other in ((RecordKind.UNKNOWN, EndState.OUTCOME_UNKNOWN), (RecordKind.RECONCILED, EndState.EXECUTED)):
        with pytest.raises(IntentEnded):
            await log.append(an_end(entry.index, entry.leaf_hash, kind, other))


async def test_an_unknown_outcome_stays_open_until_it_is_reconciled_once(log: Log) -> None:
    entry = await log.append(an_intent())
    with pytest.raises(IntentEnded):
        await log.append(an_end(entry.index, entry.leaf_hash, RecordKind.RECONCILED))
    await log.append(an_end(entry.index, entry.leaf_hash, RecordKind.UNKNOWN, EndState.OUTCOME_UNKNOWN))
    assert [open_intent.end_state for open_intent in (await log.open_intents())] == ["outcome_unknown"]
    with pytest.raises(IntentEnded):
        await log.append(an_end(entry.index, entry.leaf_hash))
    await log.append(an_end(entry.index, entry.leaf_hash, RecordKind.RECONCILED))
    with pytest.raises(IntentEnded):
        await log.append(an_end(entry.index, entry.leaf_hash, RecordKind.RECONCILED))
    assert (await log.open_intents()) == []


async def test_an_end_must_name_its_intent_by_index_and_hash(log: Log) -> None:
    read, intent = await log.append(a_record()), await log.append(an_intent())
    for index, hashed in ((read.index, read.leaf_hash), (intent.index, read.leaf_hash), (77, intent.leaf_hash)):
        with pytest.raises(IntentEnded):
            await log.append(an_end(index, hashed))


async def test_a_checkpoint_is_published_when_the_log_grew_or_was_silent_for_a_minute(log: Log, clock: Clock) -> None:
    assert await log.publish() is None
    assert (await log.checkpoint()) is None
    await log.append(a_record())
    note = await log.publish()
    assert note is not None
    verified = verify_checkpoint(Note.parse(note.encode()), ORIGIN, log.log_keys())
    assert verified.checkpoint.size == 1
    assert verified.checkpoint.root == (await log.proof(0)).root
    assert verified.time_s == int(clock().timestamp())
    assert await log.publish() is None
    clock.forward(59)
    assert await log.publish() is None
    clock.forward(1)
    silent = await log.publish()
    assert silent is not None
    assert silent != note
    assert (await log.checkpoint()) == silent


async def test_a_log_that_does_not_answer_in_time_is_unavailable_but_the_record_may_be_there(log: Log) -> None:

    async def slow(commit: Callable[[], Awaitable[Any]]) -> Any:
        await asyncio.sleep(0.15)
        return await commit()

    await log.append(a_record())
    with at_the_commit(log, slow):
        with pytest.raises(LogUnavailable, match="later"):
            await log.append(a_record(), timeout_ms=20)
        entry = await log.append(a_record(), timeout_ms=5000)
    assert (entry.index, entry.customer_seq) == (2, 3)


async def test_the_key_of_a_new_customer_is_made_within_the_time_of_the_append(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    write = GroupWriter._write

    async def slow(writer: GroupWriter[Any, Any], items: list[Any]) -> Sequence[Any]:
        await asyncio.sleep(0.2)
        return await write(writer, items)

    with monkeypatch.context() as patched:
        patched.setattr(GroupWriter, "_write", slow)
        began = asyncio.get_running_loop().time()
        with pytest.raises(LogUnavailable, match="later"):
            await log.append(a_record(), timeout_ms=20)
        assert asyncio.get_running_loop().time() - began < 0.2
    assert (await log.append(a_record())).index == 0


async def test_customers_who_come_at_once_get_their_keys_in_a_few_commits(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each had a lane, and a connection of a pool of fifteen, which the event loop itself waited for: sixteen stopped the gateway."""
    await log.append(a_record())
    write, groups = GroupWriter._write, itertools.count()

    async def counted(writer: GroupWriter[Any, Any], items: list[Any]) -> Sequence[Any]:
        next(groups)
        return await write(writer, items)

    monkeypatch.setattr(GroupWriter, "_write", counted)
    customers = [f"customer-{number}" for number in range(300)]
    entries = await asyncio.gather(*(log.append(a_record(customer=customer)) for customer in customers for _ in range(2)))
    assert sorted(entry.index for entry in entries) == list(range(1, 601))
    assert len({await log.subject_of(customer) for customer in customers}) == 300
    # a key is wrapped before its transaction, for a pseudonym that was looked up: on a server the questions come in one after the other
    assert next(groups) < (40 if Kept.kind == "sqlite" else 150), "and not 300"


async def test_a_commit_that_failed_or_happened_after_all_leaves_the_log_whole(log: Log) -> None:
    """Both faults: failed and did not happen; failed and did happen."""
    await log.append(a_record())
    for happened in (False, True):

        async def broken(commit: Callable[[], Awaitable[Any]], happened: bool = happened) -> None:
            if happened:
                await commit()
            raise OperationalError("COMMIT", None, OSError("disk"))

        size = (await log.proof(0)).size
        with at_the_commit(log, broken), pytest.raises(LogUnavailable, match="may have happened"):
            await log.append(a_record())
        entry = await log.append(a_record())
        assert entry.index == size + happened
        assert entry.customer_seq == entry.index + 1


async def test_a_database_that_does_not_take_the_write_is_unavailable_and_the_log_goes_on(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_asked: object, **_beside: object) -> None:
        raise OperationalError("insert", None, OSError("database or disk is full"))

    await log.append(a_record())
    with monkeypatch.context() as patched:
        patched.setattr("audit.committer.write_group", full)
        answers = await asyncio.gather(log.append(a_record()), log.append(a_record()), return_exceptions=True)
    assert [type(answer) for answer in answers] == [LogUnavailable, LogUnavailable]
    entry = await log.append(a_record())
    assert (entry.index, entry.customer_seq) == (1, 2)


def _down(*_asked: object) -> None:
    raise OperationalError("select", None, OSError("the server closed the connection"))


async def test_a_key_store_that_does_not_answer_makes_the_log_unavailable(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(KeyStore, "_new", _down)
        with pytest.raises(LogUnavailable, match="does not answer"):
            await log.append(a_record())
    assert (await log.append(a_record())).index == 0


async def test_a_full_queue_is_unavailable(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_writer: object, _item: object) -> None:
        raise WriterFull

    monkeypatch.setattr(GroupWriter, "submit", full)
    with pytest.raises(LogUnavailable, match="nothing was written"):
        await log.append(a_record())


async def test_reads_for_the_gateway(log: Log, clock: Clock) -> None:
    await log.append(a_record(call_id="call_a"))
    await log.append(a_record(call_id="call_b", time=clock() + timedelta(minutes=1)))
    assert [validate(item.leaf)["call"] for item in (await log.entries_of("call_b"))] == ["call_b"]


async def test_a_changed_checkpoint_is_not_taken_for_the_last_one(log: Log, tmp_path: Path) -> None:
    await log.append(a_record())
    await log.publish()
    sql(tmp_path / "log", DatabaseName.LOG, "update checkpoints set note = replace(note, '\n1\n', '\n2\n')")
    with pytest.raises(LogCorrupt, match="last checkpoint"):
        await log.publish()


DAMAGE = {
    "the head is gone": "delete from head",
    "an old head": "update head set size = 1, root = (select hash from leaves where idx = 0), peaks = root",
    "another root": "update head set root = x'" + "00" * 32 + "'",
    "another size": "update head set size = 2",
    "a changed note": "update head set note = replace(note, 'bank', 'Bank')",
    "another code": "update head set mac = x'" + "00" * 32 + "'",
    "no code": "update head set mac = null",
    "another origin": "update head set origin = 'bank.example/other'",
    "no origin": "update head set origin = null",
    "the last leaf is gone": "delete from leaves where idx = 2",
    "a leaf too many": "insert into leaves (idx, leaf, hash, time, kind) select 3, leaf, hash, time, kind from leaves limit 1",
    "other peaks": "update head set peaks = x'" + "00" * 64 + "'",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_a_damaged_log_does_not_open(open_log: Callable[[], Awaitable[Log]], tmp_path: Path, damage: str) -> None:
    log = await open_log()
    for _ in range(3):
        await log.append(a_record())
    await log.close()
    assert sql(tmp_path / "log", DatabaseName.LOG, damage) == 1
    with pytest.raises(LogCorrupt):
        await open_log()


@pytest.mark.parametrize(
    "damage",
    [
        "update leaves set leaf = cast(replace(leaf, 'bank-app', 'other') as blob) where idx = 1",
        pytest.param(
            "update leaves set leaf = cast(leaf as text) where idx = 1", marks=sqlite_only("a column of bytes holds bytes")
        ),
        "delete from leaves where idx = 1",
    ],
)
async def test_nothing_is_signed_over_changed_leaves(log: Log, tmp_path: Path, damage: str) -> None:
    for _ in range(3):
        await log.append(a_record())
    sql(tmp_path / "log", DatabaseName.LOG, damage)
    with pytest.raises(LogCorrupt):
        await log.publish()
    assert (await log.checkpoint()) is None


async def test_a_counter_that_was_changed_is_refused(open_log: Callable[[], Awaitable[Log]], tmp_path: Path) -> None:
    log = await open_log()
    for _ in range(3):
        await log.append(a_record())
    await log.close()
    sql(tmp_path / "log", DatabaseName.LOG, "update leaves set customer_seq = 9 where customer_seq = 3")
    again = await open_log()
    with pytest.raises(LogCorrupt):
        await again.append(a_record())
    assert again.size() == 3
    await again.close()


async def test_a_log_whose_rows_were_cut_while_it_runs_does_not_go_on(log: Log, tmp_path: Path) -> None:
    for _ in range(3):
        await log.append(a_record())
    sql(tmp_path / "log", DatabaseName.LOG, "delete from head")
    sql(tmp_path / "log", DatabaseName.LOG, "delete from leaves")
    with pytest.raises(LogCorrupt):
        await log.append(a_record())


@pytest.mark.parametrize("name", ["head.ed25519", "head.mldsa44", "permits.ed25519", "exports.ed25519", "customers.kek"])
async def test_a_log_with_a_key_file_that_others_may_read_does_not_open(
    open_log: Callable[[], Awaitable[Log]], tmp_path: Path, name: str
) -> None:
    await (await open_log()).close()
    (tmp_path / "log" / "audit" / "secrets" / name).chmod(0o640)
    with pytest.raises(KeyRefused, match=name):
        await open_log()


async def test_files_of_a_log_are_private_and_keys_are_never_made_twice(
    open_log: Callable[[], Awaitable[Log]], tmp_path: Path
) -> None:
    await (await open_log()).close()
    folder = tmp_path / "log" / "audit"
    assert {path.stat().st_mode & 0o077 for path in folder.rglob("*")} == {0}
    (folder / "secrets" / "head.ed25519").unlink()
    with pytest.raises(KeyRefused):
        await open_log()
    discard(tmp_path / "log", DatabaseName.LOG)
    with pytest.raises(KeyRefused, match="is there already"):
        await open_log()


async def test_public_text_with_odd_characters_survives(log: Log) -> None:
    text = '"\\\u0000\u001f\u007f\u2028\ud7ff\U0001f600é'
    await log.append(a_record(arguments={"text": Public(text)}))
    arguments = validate((await log.entries_of("call_1"))[0].leaf)["arguments"]
    assert arguments == {"text": {"public": text}}


async def test_a_process_that_lags_behind_publishes_what_the_other_committed(open_log: Callable[[], Awaitable[Log]]) -> None:
    one, other = (await open_log()), (await open_log())
    await one.append(a_record())
    await other.append(a_record())
    await other.publish()
    note = await one.publish(force=True)
    assert note is not None
    assert note.split("\n")[1] == "2"
    await one.close()
    await other.close()
