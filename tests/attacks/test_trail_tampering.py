"""Attacks on the trail: whatever is done to an export or to the store is never accepted silently."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from audit import verify
from audit.checkpoint import Checkpoint, Note, sign_checkpoint
from audit.export import trust_policy
from audit.inspection import verify_store
from audit.leaf import EndState, RecordKind
from audit.log import Log
from audit.merkle import leaf_hash, subtree_root
from audit.query import Query, Why
from audit.store.reads import LogCorrupt
from gateway.app.databases import DatabaseName
from tests.support.bundles import Members, bundled, exported, lines, pack, signed, unpack
from tests.support.databases import dump, restore, sql, sqlite_only
from tests.support.options import long_or
from tests.trail import ORIGIN, Clock, Random, a_record, activate_rules, an_end, an_intent, open_trail

_TYPED = sqlite_only("a column of PostgreSQL holds what it was declared for")

WHY = Why(auditor="auditor-1", purpose="yearly review", case_id="case-7")


@dataclass(frozen=True)
class Trail:
    """A whole export and a selection of it, with the keys that the attacker would love to have."""

    log: Log
    clock: Clock
    folder: Path
    whole: bytes
    selection: bytes
    trust: bytes
    earlier: bytes
    """A checkpoint that an auditor kept."""


async def make_trail(folder: Path) -> Trail:
    clock = Clock()
    log = await open_trail(folder, clock, Random())
    await activate_rules(log)
    for number in range(3):
        await log.append(a_record(call_id=f"call_{number}", customer=f"C-{number % 2}"))
    earlier = await log.publish()
    intent = await log.append(an_intent(call_id="call_7"))
    await log.append(an_end(intent.index, intent.leaf_hash, call_id="call_7"))
    unknown = await log.append(an_intent(call_id="call_8"))
    await log.append(an_end(unknown.index, unknown.leaf_hash, RecordKind.UNKNOWN, EndState.OUTCOME_UNKNOWN, call_id="call_8"))
    await log.append(an_end(unknown.index, unknown.leaf_hash, RecordKind.RECONCILED, call_id="call_8"))
    whole = await exported(log, WHY, reveal=True)
    selection = await exported(log, WHY, query=Query(customer="C-0"), reveal=True)
    assert earlier is not None
    return Trail(log, clock, folder, whole, selection, trust_policy(log), earlier.encode())


@pytest.fixture
async def trail(tmp_path: Path) -> Trail:
    return await make_trail(tmp_path / "log")


def accepted(trail: Trail, raw: bytes, *, pinned: bool = True) -> bool:
    return verify.verify(raw, trust=trail.trust, pinned=trail.earlier if pinned else None).good


async def test_the_exports_themselves_are_good(trail: Trail) -> None:
    for raw in (trail.whole, trail.selection):
        report = verify.verify(raw, trust=trail.trust, pinned=trail.earlier)
        assert report.findings == []
        assert {name: report.verdict(name) for name in verify.VERDICTS} == dict.fromkeys(verify.VERDICTS, "good")
    assert report.facts["intents"] == {}
    assert verify.verify(trail.whole).facts["intents"] == {"executed": 2}
    await trail.log.close()


@pytest.mark.long
async def test_every_byte_of_the_file_counts(trail: Trail) -> None:
    """Each byte of a selection is flipped, and every byte of the whole export's structure."""
    for raw in (trail.selection, trail.whole):
        survived = [at for at in range(0, len(raw), long_or(1, 5)) if _flipped_is_accepted(trail, raw, at)]
        assert survived == []
    await trail.log.close()


def _flipped_is_accepted(trail: Trail, raw: bytes, at: int) -> bool:
    changed = bytearray(raw)
    changed[at] ^= 1 << (at % 8)
    return accepted(trail, bytes(changed), pinned=False)


@pytest.mark.long
async def test_a_file_cut_at_any_length_or_made_longer_is_refused(trail: Trail) -> None:
    lengths = range(0, len(trail.whole), long_or(1, 7))
    assert [length for length in lengths if accepted(trail, trail.whole[:length], pinned=False)] == []
    for more in (b"\x00", b"\n", b"PK\x05\x06" + bytes(18), trail.whole):
        assert not accepted(trail, trail.whole + more)
        assert not accepted(trail, more + trail.whole)
    await trail.log.close()


def repacked(raw: bytes, change: Callable[[Members], None], log: Log | None = None, **manifest: Any) -> bytes:
    """The bundle with changed members; with `log` the manifest is made anew and signed with the stolen export key."""
    members = unpack(raw)
    change(members)
    if log is None:
        return pack(members)
    counted = {"records": len(lines(members)), "disclosures": len(lines(members, "disclosures"))}
    return signed(log, members, **{**counted, **manifest})


def rows_edits(rows: Sequence[bytes]) -> list[list[bytes]]:
    """Every drop, neighbouring swap, duplicate and insertion of rows, and every tail that can be cut."""
    edits = [[*rows[:at], *rows[at + 1 :]] for at in range(len(rows))]
    edits += [[*rows[:at], rows[at + 1], rows[at], *rows[at + 2 :]] for at in range(len(rows) - 1)]
    edits += [[*rows[: at + 1], rows[at], *rows[at + 1 :]] for at in range(len(rows))]
    edits += [[*rows[:at], rows[-1], *rows[at:]] for at in range(len(rows) - 1)]
    edits += [list(rows[:length]) for length in range(len(rows))]
    return edits


@pytest.mark.long
@pytest.mark.parametrize(
    ("part", "folder"),
    [
        *(("selection", item) for item in ("leaves/", "proofs/", "consistency/", "disclosures/", "manifest.note", "policy/")),
        *(("whole", item) for item in ("leaves/", "checkpoints/")),
    ],
)
async def test_evidence_cannot_be_changed_even_with_the_export_key(trail: Trail, part: str, folder: str) -> None:
    """The zip is packed again and the manifest signed again with the stolen key, for every third byte of the evidence."""
    original = trail.selection if part == "selection" else trail.whole
    members = unpack(original)
    names = [name for name in members if name.startswith(folder)]
    assert names
    for name in names:
        for at in range(0, len(members[name]), long_or(3, 15)):

            def change(members: dict[str, bytes], name: str = name, at: int = at) -> None:
                content = bytearray(members[name])
                content[at] ^= 1 << (at % 7)
                members[name] = bytes(content)

            forged = repacked(original, change, None if name == "manifest.note" else trail.log)
            assert not accepted(trail, forged, pinned=False), (name, at)
    await trail.log.close()


@pytest.mark.parametrize("renumbered", [False, True])
@pytest.mark.parametrize("stolen_export_key", [False, True])
async def test_no_record_can_be_dropped_swapped_doubled_inserted_or_cut_off(
    trail: Trail, stolen_export_key: bool, renumbered: bool
) -> None:
    """Even with the export key, and even when the attacker numbers the rest anew."""
    rows = unpack(trail.whole)["leaves/000000.txt"].splitlines(keepends=True)
    for rearranged in rows_edits(rows):
        edited = rearranged
        if renumbered:
            edited = [b"%d %b" % (at, row.split(b" ", 1)[1]) for at, row in enumerate(rearranged)]

        def change(members: dict[str, bytes], edited: list[bytes] = edited) -> None:
            members["leaves/000000.txt"] = b"".join(edited)

        assert edited != rows
        assert not accepted(trail, repacked(trail.whole, change, trail.log if stolen_export_key else None), pinned=False)
    await trail.log.close()


@pytest.mark.parametrize("length", range(1, 10))
async def test_a_shorter_log_signed_again_with_every_key_is_found_by_a_pinned_checkpoint_only(trail: Trail, length: int) -> None:
    """The honest limit, and the remedy: the bank itself cuts the tail and signs consistently."""
    rows = unpack(trail.whole)["leaves/000000.txt"].splitlines(keepends=True)[:length]
    leaves = [row.split(b" ", 1)[1].rstrip(b"\n") for row in rows]
    root = subtree_root([leaf_hash(leaf) for leaf in leaves])
    note = sign_checkpoint(Checkpoint(ORIGIN, length, root), trail.log.signers.log_keys(ORIGIN), int(trail.log.now().timestamp()))
    last = await trail.log.publish(force=True)
    assert last is not None

    def change(members: dict[str, bytes]) -> None:
        members["leaves/000000.txt"] = b"".join(rows)
        members["disclosures/000000.txt"] = b""
        for name in [name for name in members if name.startswith("checkpoints/")]:
            del members[name]
        members[f"checkpoints/{length:016d}.note"] = note.encode().encode()

    shorter = repacked(trail.whole, change, trail.log, size=length)
    assert verify.verify(shorter, trust=trail.trust).good
    assert any("pinned" in item for item in verify.verify(shorter, trust=trail.trust).notes)
    found = verify.verify(shorter, trust=trail.trust, pinned=last.encode()).findings
    assert found == [("order", "4. the pinned checkpoint is ahead of this log, or of another history")]
    await trail.log.close()


async def test_a_bundle_signed_with_other_keys_is_found_by_a_trust_policy_of_ones_own(trail: Trail, tmp_path: Path) -> None:
    other = await open_trail(tmp_path / "other", Clock(), Random(b"other"))
    await activate_rules(other)
    await other.append(a_record())
    forged = await bundled(other)
    report = verify.verify(forged)
    assert report.good
    assert any("fingerprints" in note for note in report.notes)
    assert [verdict for verdict, _ in verify.verify(forged, trust=trail.trust).findings] == ["authenticity"]
    await other.close()
    await trail.log.close()


async def test_a_disclosure_cannot_be_changed_or_moved(trail: Trail) -> None:
    lines = unpack(trail.whole)["disclosures/000000.txt"].splitlines()
    first, second = lines[0].split(b" "), lines[1].split(b" ")
    for forged in (
        b" ".join((first[0], first[1], second[2])),
        b" ".join((first[0], second[1], first[2])),
        b" ".join((b"2", first[1], first[2])),
        b" ".join((first[0], b"arguments.type", first[2])),
        b" ".join((first[0], b"no.where", first[2])),
    ):

        def change(members: dict[str, bytes], forged: bytes = forged) -> None:
            members["disclosures/000000.txt"] = forged + b"\n"

        assert not accepted(trail, repacked(trail.whole, change, trail.log), pinned=False), forged
    await trail.log.close()


async def test_an_effect_that_ends_twice_is_found_even_if_the_log_took_it(trail: Trail) -> None:
    """The log refuses a second end state; here its own table is changed so that it does not."""
    sql(trail.folder, DatabaseName.LOG, "update intents set end_state = null")
    stored = await trail.log.read(lambda reads: reads.leaf(4))
    assert stored is not None
    await trail.log.append(an_end(4, stored.hash, state=EndState.NOT_ATTEMPTED, call_id="call_7"))
    raw = await bundled(trail.log)
    assert [what.split(": ")[1] for _, what in verify.verify(raw).findings] == ["end"]
    assert "end" in {item.rule for item in (await verify_store(trail.log))}
    await trail.log.close()


async def test_an_intent_left_open_is_found(trail: Trail) -> None:
    await trail.log.append(an_intent(call_id="call_9"))
    assert verify.verify(await bundled(trail.log)).facts["intents"] == {"executed": 2, "open": 1}
    trail.clock.forward(901)
    found = verify.verify(await bundled(trail.log)).findings
    assert [verdict for verdict, _ in found] == ["completeness"]
    await trail.log.close()


async def test_a_frozen_log_is_found(trail: Trail) -> None:
    stale = Note.parse(trail.earlier)

    late = {"created": "2026-11-24T10:01:01.000000Z"}
    assert len(stale.signatures) == 2
    assert [verdict for verdict, _ in verify.verify(signed(trail.log, unpack(trail.whole), **late)).findings] == ["freshness"]
    await trail.log.close()


async def test_an_honest_writer_does_not_go_on_after_the_tail_was_cut(trail: Trail) -> None:
    """Leaves and head are set back to a head that was signed once; what was sealed with the lost records is still there.

    Whoever removes that too is found by a pinned checkpoint only: see the next test.
    """
    (old,) = dump(trail.folder, DatabaseName.LOG)["head"]
    await trail.log.append(a_record(customer="C-0"))
    await trail.log.close()
    sql(trail.folder, DatabaseName.LOG, "delete from leaves where idx >= :size", size=old["size"])
    sql(
        trail.folder,
        DatabaseName.LOG,
        "update head set size = :size, root = :root, peaks = :peaks, note = :note, mac = :mac, origin = :origin where id = :id",
        **old,
    )
    cut = await open_trail(trail.folder, trail.clock, Random(b"later"))
    assert cut.size() == old["size"]
    assert {item.what for item in (await verify_store(cut))} == {"there is evidence of records beyond the head: was the tail cut?"}
    alarm = a_record(kind=RecordKind.ADMIN, customer=None, conversation=None)
    with pytest.raises(LogCorrupt):
        await cut.append(a_record(customer="C-0"))
    with pytest.raises(LogCorrupt, match="tail"):
        await cut.append(alarm)
    await cut.close()


async def test_an_old_backup_that_was_restored_is_found_by_a_pinned_checkpoint(trail: Trail, tmp_path: Path) -> None:
    backup = dump(trail.folder, DatabaseName.LOG)
    await trail.log.append(a_record())
    kept = await trail.log.publish(force=True)
    assert kept is not None
    await trail.log.close()
    restore(trail.folder, DatabaseName.LOG, backup)
    restored = await open_trail(trail.folder, trail.clock, Random(b"later"))
    assert (await verify_store(restored)) == []
    for more in range(3):
        raw = await bundled(restored)
        assert verify.verify(raw, trust=trail.trust).good
        assert [verdict for verdict, _ in verify.verify(raw, trust=trail.trust, pinned=kept.encode()).findings] == ["order"], more
        await restored.append(a_record(call_id="call_again"))
    await restored.close()


@pytest.mark.parametrize(
    "damage",
    [
        "update leaves set leaf = cast(replace(leaf, 'bank-app', 'bank-APP') as blob) where idx = 2",
        "update leaves set leaf = (select leaf from leaves where idx = 3) where idx = 2",
        "delete from leaves where idx = 2",
        "update leaves set customer = null, customer_seq = null where idx = 2",
        "update leaves set customer = 'nobody' where idx = 2",
        "update leaves set time = '2025' || substr(time, 5) where idx = 2",
        "update leaves set policies = '' where idx = 2",
        "update leaves set hash = zeroblob(32) where idx = 2",
        "update leaves set customer_seq = customer_seq + 10 where customer_seq = 2",
        "update intents set end_state = null where idx = 4",
        "delete from intents where idx = 4",
        "update sealed set blob = zeroblob(100) where idx = 2",
        pytest.param("update leaves set leaf = cast(leaf as text) where idx = 2", marks=_TYPED),
        pytest.param("update sealed set blob = 'text' where idx = 2", marks=_TYPED),
        pytest.param("update checkpoints set peaks = 'text' where id = 1", marks=_TYPED),
        pytest.param("update checkpoints set note = cast(note as blob) where id = 1", marks=_TYPED),
        "update checkpoints set root = zeroblob(32) where id = 1",
        "update checkpoints set note = replace(note, 'bank', 'Bank') where id = 1",
    ],
)
async def test_whatever_is_done_to_the_store_is_found_in_place(trail: Trail, damage: str) -> None:
    assert (await verify_store(trail.log)) == []
    assert sql(trail.folder, DatabaseName.LOG, damage) >= 1
    assert (await verify_store(trail.log)) != []
    await trail.log.close()
