"""Erasing a person leaves every proof intact; a hold forbids it; a restored backup is cleaned before it serves."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from audit import verify
from audit.checkpoint import Note, verify_note
from audit.erasure import (
    Certificate,
    LegalHold,
    NothingToErase,
    erase,
    erase_due,
    holds,
    place_hold,
    release_hold,
    replay_destructions,
)
from audit.inspection import verify_store
from audit.keys import named
from audit.log import Log
from audit.opening import NotSealed
from audit.query import Query, Why, page, reveal
from gateway.app.databases import DatabaseName
from tests.support.bundles import bundled
from tests.support.databases import dump, restore, sqlite_only
from tests.trail import ORIGIN, Clock, a_record

WHY = Why(auditor="officer-1", purpose="erasure request", case_id="gdpr-3")


@pytest.fixture
async def filled(log: Log) -> Log:
    for n in range(6):
        await log.append(a_record(call_id=f"call_{n}", customer=f"C-{n % 2}", retention="P1Y" if n < 4 else "P7Y", policy=None))
    return log


def everything_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*.sqlite*")))


async def test_after_an_erasure_nothing_of_the_person_can_be_read_and_old_proofs_verify(filled: Log, tmp_path: Path) -> None:
    before, subject = (await filled.proof(1, 6)), (await filled.keys.subject_of("C-1"))
    assert (await reveal(filled, 1, WHY)).values["arguments.account"] == "GB00-1"
    certificate = await erase(filled, "C-1", WHY)
    for index in (1, 3, 5):
        with pytest.raises(NotSealed):
            await reveal(filled, index, WHY)
    assert (await reveal(filled, 0, WHY)).values["arguments.account"] == "GB00-1"
    assert (await filled.keys.subject_of("C-1")) is None
    assert (await filled.keys.classes_of(str(subject))) == []
    assert (await page(filled, Query(customer="C-1"), WHY)).found == []
    assert (await filled.proof(1, 6)) == before
    assert (await verify_store(filled)) == []
    assert verify.verify(await bundled(filled)).good
    assert (certificate.subject, certificate.destroyed, certificate.locked) == (subject, ["P1Y", "P7Y"], {})
    key = named(f"{ORIGIN}/exports", filled.signers.exports).key
    verify_note(Note.parse(certificate.note.encode()), [key])
    head, _, checkpoint = certificate.proof.partition(b"\n\n")
    size, root = checkpoint.decode().split("\n")[1:3]
    hashes = [verify.hash_of(item) for item in head.decode().split("\n")[2:]]
    stored = await filled.read(lambda reads: reads.leaf(certificate.index))
    assert stored is not None
    assert verify.included(stored.hash, certificate.index, int(size), hashes) == verify.hash_of(root)


@sqlite_only("rows of PostgreSQL wait for vacuum: said where keys are destroyed")
async def test_the_mapping_leaves_no_trace_on_disk(filled: Log, tmp_path: Path) -> None:
    await filled.append(a_record(customer="a-name-to-forget"))
    assert b"a-name-to-forget" in everything_on_disk(tmp_path / "log")
    await erase(filled, "a-name-to-forget", WHY)
    assert b"a-name-to-forget" not in everything_on_disk(tmp_path / "log")


async def test_a_customer_who_comes_back_is_a_new_person(filled: Log) -> None:
    old = await filled.keys.subject_of("C-1")
    await erase(filled, "C-1", WHY)
    entry = await filled.append(a_record(customer="C-1"))
    assert entry.customer_seq == 1
    assert (await filled.keys.subject_of("C-1")) not in (None, old)


async def test_classes_under_a_legal_minimum_are_kept_and_the_certificate_says_so(filled: Log) -> None:
    newest = await filled.read(lambda reads: reads.leaf(5))
    assert newest is not None
    written = datetime.fromisoformat(json.loads(newest.leaf)["time"])
    certificate = await erase(filled, "C-1", WHY, minimums={"P7Y": "P5Y", "P3Y": "P3Y"})
    assert (certificate.destroyed, certificate.locked) == (["P1Y"], {"P7Y": written.replace(year=written.year + 5)})
    assert f'"locked":{{"P7Y":"{written.year + 5}-' in certificate.note
    assert (await reveal(filled, 5, WHY)).values["arguments.account"] == "GB00-1"
    with pytest.raises(NotSealed):
        await reveal(filled, 1, WHY)
    assert (await filled.keys.subject_of("C-1")) is not None
    entry = await filled.append(a_record(customer="C-1", retention="P1Y"))
    assert (await reveal(filled, entry.index, WHY)).values["arguments.account"] == "GB00-1"
    assert await replay_destructions(filled) == 0, "what was sealed after the destruction stays"
    assert (await erase(filled, "C-1", WHY)).destroyed == ["P1Y", "P7Y"]
    assert (await filled.keys.subject_of("C-1")) is None


MINIMUM = {"P7Y": "P5Y"}


async def test_what_was_locked_goes_when_its_time_is_over(filled: Log, clock: Clock) -> None:
    subject = str(await filled.keys.subject_of("C-1"))
    until = (await erase(filled, "C-1", WHY, minimums=MINIMUM)).locked["P7Y"]
    clock.time = until - timedelta(seconds=1)
    assert await erase_due(filled, WHY, minimums=MINIMUM) == ([], [])
    clock.time = until + timedelta(seconds=1)
    await place_hold(filled, "C-1", "lawsuit", WHY)
    assert await erase_due(filled, WHY, minimums=MINIMUM) == ([], [subject])
    await release_hold(filled, "C-1", "lawsuit", WHY)
    (certificate,), held = await erase_due(filled, WHY, minimums=MINIMUM)
    assert (certificate.subject, certificate.destroyed, certificate.locked, held) == (subject, ["P7Y"], {}, [])
    assert await filled.keys.subject_of("C-1") is None
    with pytest.raises(NotSealed):
        await reveal(filled, 5, WHY)
    assert await erase_due(filled, WHY, minimums=MINIMUM) == ([], [])


async def test_who_comes_back_meanwhile_is_kept_from_their_newest_record_on(filled: Log, clock: Clock) -> None:
    until = (await erase(filled, "C-1", WHY, minimums=MINIMUM)).locked["P7Y"]
    clock.time = until - timedelta(days=1)
    await filled.append(a_record(customer="C-1", retention="P7Y", time=clock.time))
    clock.time = until + timedelta(days=1)
    (certificate,), _ = await erase_due(filled, WHY, minimums=MINIMUM)
    assert certificate.destroyed == []
    assert certificate.locked["P7Y"] > clock.time + timedelta(days=4 * 365)
    assert await filled.keys.subject_of("C-1") is not None


class NotThere(Exception):
    """What a store says that does not answer."""


class Elsewhere:
    """A store beside the log, which tells when it is asked."""

    def __init__(self, log: Log, fails: str = "") -> None:
        self.log, self.fails, self.told = log, fails, []  # type: ignore[var-annotated]

    async def check(self) -> None:
        self.told.append(("check", self.log.size(), await self.log.keys.subject_of("C-1") is not None))
        if self.fails == "check":
            raise NotThere

    async def remove(self) -> dict[str, int]:
        self.told.append(("remove", self.log.size(), await self.log.keys.subject_of("C-1") is not None))
        if self.fails == "remove":
            raise NotThere
        return {"calls": 2}


async def test_other_stores_are_cleaned_after_the_record_and_before_the_mapping_goes(filled: Log) -> None:
    size, other = filled.size(), Elsewhere(filled)
    certificate = await erase(filled, "C-1", WHY, elsewhere=other)
    assert other.told == [("check", size, True), ("remove", size + 1, True)]
    assert certificate.removed == {"calls": 2}
    assert '"removed":{"calls":2}' in certificate.note


@pytest.mark.parametrize(("fails", "records"), [("check", 0), ("remove", 1)])
async def test_a_store_that_fails_leaves_the_keys_and_it_can_be_done_again(filled: Log, fails: str, records: int) -> None:
    size = filled.size()
    with pytest.raises(NotThere):
        await erase(filled, "C-1", WHY, elsewhere=Elsewhere(filled, fails))
    assert filled.size() == size + records
    assert (await reveal(filled, 1, WHY)).values["arguments.account"] == "GB00-1"
    assert (await erase(filled, "C-1", WHY, elsewhere=Elsewhere(filled))).destroyed == ["P1Y", "P7Y"]


async def test_a_hold_forbids_erasure_until_it_is_released(filled: Log) -> None:
    await place_hold(filled, "C-1", "lawsuit-1", WHY)
    await place_hold(filled, "C-1", "lawsuit-2", WHY)
    assert (await holds(filled, "C-1")) == ["lawsuit-1", "lawsuit-2"]
    await release_hold(filled, "C-1", "lawsuit-1", WHY)
    size = filled.size()
    with pytest.raises(LegalHold):
        await erase(filled, "C-1", WHY)
    assert filled.size() == size
    assert (await reveal(filled, 1, WHY)).values["arguments.account"] == "GB00-1"
    await release_hold(filled, "C-1", "lawsuit-2", WHY)
    assert (await holds(filled, "C-1")) == (await holds(filled, "nobody")) == []
    await erase(filled, "C-1", WHY)


async def test_nobody_is_erased_twice_or_held_who_is_not_there(filled: Log) -> None:
    await erase(filled, "C-1", WHY)
    for act in (erase(filled, "C-1", WHY), erase(filled, "nobody", WHY), place_hold(filled, "nobody", "h", WHY)):
        with pytest.raises(NothingToErase):
            await act


async def test_a_restored_backup_is_cleaned_by_the_list_of_destructions(
    open_log: Callable[[], Awaitable[Log]], tmp_path: Path
) -> None:
    log = await open_log()
    for n in range(4):
        await log.append(a_record(customer=f"C-{n % 2}"))
    await log.close()
    backup = dump(tmp_path / "log", DatabaseName.LOG)
    log = await open_log()
    await erase(log, "C-1", WHY)
    await log.close()
    restore(tmp_path / "log", DatabaseName.LOG, backup)
    restored = await open_log()
    assert sorted(await restored.read(lambda reads: reads.sealed(range(4)))) == [0, 1, 2, 3]
    assert await replay_destructions(restored) == 2
    assert sorted(await restored.read(lambda reads: reads.sealed(range(4)))) == [0, 2]
    assert await replay_destructions(restored) == 0
    await restored.close()


async def test_another_process_forgets_destroyed_keys_when_it_refreshes(open_log: Callable[[], Awaitable[Log]]) -> None:
    server, command = (await open_log()), (await open_log())
    await server.append(a_record(customer="C-1"))
    old = (await server.keys.key_for("C-1", "P7Y")).subject
    await erase(command, "C-1", WHY)
    await server.append(a_record(customer="C-2"))
    await server.publish(force=True)
    assert (await server.keys.key_for("C-1", "P7Y")).subject != old
    await server.close()
    await command.close()


async def test_a_hold_that_is_placed_while_an_erasure_runs_comes_before_or_after_it(filled: Log) -> None:
    answers = await asyncio.gather(erase(filled, "C-1", WHY), place_hold(filled, "C-1", "late", WHY), return_exceptions=True)
    assert [type(answer) for answer in answers] in ([Certificate, NothingToErase], [LegalHold, int])
    assert (await filled.keys.subject_of("C-1") is None) == isinstance(answers[0], Certificate)
    others = await asyncio.gather(place_hold(filled, "C-0", "early", WHY), erase(filled, "C-0", WHY), return_exceptions=True)
    assert [type(answer) for answer in others] == [int, LegalHold]
