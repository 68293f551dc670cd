"""Keys of the log that are rotated while it goes on: old evidence verifies, from an old trust policy and from a new one, and who has only
an older key, or only a newer one, adds nothing.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit import verify
from audit.checkpoint import Checkpoint, Note, NoteInvalid, sign_checkpoint
from audit.export import trust_policy
from audit.inspection import verify_store
from audit.key_files import FileKeys
from audit.key_format import key_of
from audit.keyring import KeyPurpose, RingKey, SignerUnavailable
from audit.keys import CUSTOMERS, EXPORTS, HEAD, HEAD_PQ, LOG_PURPOSES, PERMITS, named
from audit.log import Log, LogUnavailable
from audit.permits import Covered, PermitInvalid, issue
from audit.query import Query, Why, reveal
from audit.rotation import state_rotation
from audit.rotation_records import rotate
from tests.support.bundles import exported, leaves_of, manifest_of, pack, signed, unpack
from tests.trail import ORIGIN, Clock, a_record, activate_rules, an_end, an_intent

pytestmark = pytest.mark.usefixtures("both_verifiers")

WHY = Why(auditor="auditor-1", purpose="yearly review", case_id="case-7")
LEAD_S = 10


def storage(folder: Path) -> FileKeys:
    return FileKeys(folder / "log")


def begin_next(folder: Path, clock: Clock, *purposes: KeyPurpose, lead_s: int = LEAD_S) -> None:
    for purpose in purposes:
        rotate(storage(folder), purpose, ORIGIN, int(clock().timestamp()) + lead_s)


def good(raw: bytes, **own: Any) -> verify.Report:
    report = verify.verify(raw, **own)
    assert report.good, report.findings
    return report


def kinds(log_bundle: bytes) -> list[str]:
    return [json.loads(leaf)["kind"] for leaf in leaves_of(unpack(log_bundle))]


async def test_evidence_holds_over_rotations_from_every_generation_of_trust(log: Log, clock: Clock, tmp_path: Path) -> None:
    """Two rotations of every key: bundles of each time verify under the trust policies and with the checkpoints of each time before."""
    await activate_rules(log)
    trusts, kept, bundles = [trust_policy(log)], [], []
    for turn in range(3):
        await log.append(a_record(call_id=f"call_{turn}"))
        clock.forward(2)
        note = await log.publish(force=True)
        assert note is not None
        kept.append(note.encode())
        bundles.append(await exported(log, WHY, reveal=True))
        if turn < 2:
            begin_next(tmp_path, clock, *LOG_PURPOSES)
            await log.publish(force=True)
            assert trust_policy(log) == trusts[-1], "they have not begun"
            clock.forward(LEAD_S)
            trusts.append(trust_policy(log))
    assert len(set(trusts)) == 3
    assert len({note.split(b"\n\n")[1].split(b" ")[2][:6] for note in kept}) == 3, "each was signed by another key"
    for number, raw in enumerate(bundles):
        for generation, trust in enumerate(trusts):
            if generation <= number:
                good(raw, trust=trust)
            for pinned in kept[: number + 1]:
                if generation <= number:
                    good(raw, trust=trust, pinned=pinned)
        good(raw)
    assert kinds(bundles[2]).count("key.rotate") == 2 * len(LOG_PURPOSES)
    selection = await exported(log, WHY, query=Query(call_id="call_0"), reveal=True)
    for trust in trusts:
        report = good(selection, trust=trust, pinned=kept[0])
        assert sum("was rotated" in note for note in report.notes) == 3
    for pinned in kept:
        tail = await exported(log, WHY, after=pinned)
        for trust in trusts:
            good(tail, trust=trust, after=pinned, pinned=pinned)
    assert await verify_store(log) == []
    assert await reveal(log, 1, WHY), "what was sealed under the first key opens"


async def test_a_rotation_is_on_record_before_a_new_key_signs_whoever_stopped_where(
    open_log: Callable[[], Awaitable[Log]], clock: Clock, tmp_path: Path
) -> None:
    """The command died after the files were written: the next publication, of whichever process, puts it on record once."""
    first, second = await open_log(), await open_log()
    await activate_rules(first)
    begin_next(tmp_path, clock, HEAD, HEAD_PQ)
    await first.publish(force=True)
    await second.publish(force=True)
    clock.forward(LEAD_S)
    raw = await exported(second, WHY)
    assert kinds(raw).count("key.rotate") == 2
    good(raw)
    await first.close()
    await second.close()
    again = await open_log()
    assert await verify_store(again) == []
    raw = await exported(again, WHY)
    assert kinds(raw).count("key.rotate") == 2
    good(raw)
    await again.close()


async def test_a_process_that_stood_still_while_a_key_began_goes_on(
    open_log: Callable[[], Awaitable[Log]], clock: Clock, tmp_path: Path
) -> None:
    """It published nothing meanwhile, and the other one wrote by keys that it has not heard of."""
    still, other = await open_log(), await open_log()
    await activate_rules(still)
    begin_next(tmp_path, clock, *LOG_PURPOSES)
    await other.publish(force=True)
    clock.forward(LEAD_S)
    for turn in range(2):
        await other.append(a_record(call_id=f"call_{turn}"))
    assert len(still.signers.head.keys) == 1
    await still.append(a_record(call_id="call_2"))
    assert await verify_store(still) == []
    await still.close()
    await other.close()


async def test_a_process_that_cannot_read_its_keys_again_publishes_nothing(log: Log, clock: Clock, tmp_path: Path) -> None:
    """It might sign by a key whose time is over. It comes back by itself."""
    await activate_rules(log)
    begin_next(tmp_path, clock, HEAD)
    path = storage(tmp_path).path(HEAD)
    path.chmod(0o644)
    clock.forward(60)
    with pytest.raises(LogUnavailable):
        await log.publish(force=True)
    path.chmod(0o600)
    assert await log.publish(force=True)
    assert await verify_store(log) == []


async def test_open_intents_and_permits_go_on_over_a_rotation(log: Log, clock: Clock, tmp_path: Path) -> None:
    await activate_rules(log)
    verifier = log.permit_verifier()
    over = b'{"key":"k1"}'
    held = await log.append(an_intent())
    before = await log.permit(held, over)
    begin_next(tmp_path, clock, PERMITS, CUSTOMERS)
    await log.publish(force=True)
    clock.forward(LEAD_S)
    later = await log.append(an_intent(call_id="call_2", conversation="conv_2"))
    after = await log.permit(later, over)
    for permit in (before, after):
        verifier.verify(permit, over, clock())
    await log.append(an_end(held.index, held.leaf_hash))
    await log.append(an_end(later.index, later.leaf_hash, call_id="call_2", conversation="conv_2"))
    old = log.signers.permits.keys[0].signer
    assert old is not None
    clock.forward(121)
    made_late = await log.append(an_intent(call_id="call_3", conversation="conv_3"))
    stolen = await log.permit(made_late, over)
    verifier.verify(stolen, over, clock())
    covered = Covered(stolen.log, stolen.index, stolen.leaf_hash, stolen.salt, stolen.digest)
    with pytest.raises(PermitInvalid):
        verifier.verify(issue(covered, clock(), timedelta(seconds=30), old.sign), over, clock())


async def rotated(log: Log, clock: Clock, folder: Path) -> tuple[bytes, bytes, list[Any]]:
    """A bundle from after a rotation, the trust policy from before, and the older signers."""
    await activate_rules(log)
    trust = trust_policy(log)
    older = [log.signers.head.signer(), log.signers.head_pq.signer(), log.signers.exports.signer()]
    await log.append(a_record())
    begin_next(folder, clock, HEAD, HEAD_PQ, EXPORTS)
    await log.publish(force=True)
    clock.forward(LEAD_S + 1)
    return await exported(log, WHY), trust, older


async def test_a_thief_of_older_keys_signs_nothing_that_is_taken_for_newer(log: Log, clock: Clock, tmp_path: Path) -> None:
    raw, trust, older = await rotated(log, clock, tmp_path)
    members = unpack(raw)
    name = max(name for name in members if name.startswith("checkpoints/"))
    checkpoint = Checkpoint.parse(Note.parse(members[name]).text)
    now_s = int(clock().timestamp())
    note = sign_checkpoint(checkpoint, [named(ORIGIN, older[0]), named(ORIGIN, older[1])], now_s)
    with pytest.raises(NoteInvalid):
        log.signers.verify(note, ORIGIN)
    forged = signed(log, {**members, name: note.encode().encode()})
    assert [verdict for verdict, _ in verify.verify(forged, trust=trust).findings] == ["authenticity"]
    back = sign_checkpoint(checkpoint, [named(ORIGIN, older[0]), named(ORIGIN, older[1])], now_s - 3600)
    dated = signed(log, {**members, name: back.encode().encode()})
    assert not verify.verify(dated, trust=trust).good, "one that is dated back is not fresh"


async def test_every_rotation_in_a_bundle_is_the_one_on_record(log: Log, clock: Clock, tmp_path: Path) -> None:
    raw, trust, _ = await rotated(log, clock, tmp_path)
    members = unpack(raw)
    names = sorted(name for name in members if name.startswith("rotations/"))
    assert len(names) == 3
    for name in names:
        without = signed(log, {member: body for member, body in members.items() if member != name})
        assert not verify.verify(without, trust=trust).good, name
        moved = {f"rotations/{9:016d}.note" if member == name else member: body for member, body in members.items()}
        elsewhere = signed(log, moved)
        assert not verify.verify(elsewhere, trust=trust).good, name
        doubled = signed(log, {**members, f"rotations/{9:016d}.note": members[name]})
        assert ("authenticity", "5. a rotation that is followed is not on record") in verify.verify(doubled, trust=trust).findings
    swapped = {**members, names[0]: members[names[1]], names[1]: members[names[0]]}
    assert not verify.verify(signed(log, swapped), trust=trust).good


async def test_a_second_key_after_the_same_one_is_refused(log: Log, clock: Clock, tmp_path: Path) -> None:
    """Two who both claim to follow: a bank with two histories, or a thief who rotates to a key of their own."""
    raw, trust, older = await rotated(log, clock, tmp_path)
    members = unpack(raw)
    old = log.signers.head.keys[0]
    own = key_of(HEAD, b"\x07" * 32, made_s=0, begins_s=int(clock().timestamp()) - 1)
    said = state_rotation(ORIGIN, HEAD, ORIGIN, RingKey(old.id, 0, 0, old.public, older[0]), own)
    forged = signed(log, {**members, f"rotations/{99:016d}.note": said.encode()})
    assert verify.verify(forged, trust=trust).findings == [("authenticity", "2. two keys follow the same one, or one follows two")]


async def test_old_keys_can_be_destroyed_and_old_evidence_holds(log: Log, clock: Clock, tmp_path: Path) -> None:
    raw, trust, _ = await rotated(log, clock, tmp_path)
    kept = storage(tmp_path)
    kept._now_s = lambda: clock().timestamp()
    for ring in (log.signers.head, log.signers.head_pq, log.signers.exports):
        kept.retire(ring.purpose, ring.keys[0].id)
    clock.forward(2)
    await log.append(a_record(call_id="call_2"))
    again = await exported(log, WHY)
    with pytest.raises(SignerUnavailable):
        log.signers.head.signer(0)
    for item in (raw, again):
        good(item, trust=trust)
        good(item, trust=trust_policy(log))
    assert await verify_store(log) == []
    assert manifest_of(unpack(again))["size"] > manifest_of(unpack(raw))["size"]
    assert pack(unpack(again)) == again
