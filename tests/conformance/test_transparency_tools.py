"""Other people's tools accept what our bundles hold: pymerkle and sigstore, in an environment of their own; and we the signed note that the
documentation of Go's `sumdb/note` publishes.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from audit import verify
from audit.checkpoint import KeyType, Note, NoteInvalid, VerifierKey, verify_note
from audit.log import Log
from audit.query import Query, Why
from tests.support import clients
from tests.support.bundles import exported, leaves_of, lines, unpack
from tests.trail import Clock, a_record, activate_rules, clock, log, open_log

__all__ = ["clock", "log", "open_log"]

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    f"{GO_TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_the_note_that_go_publishes_is_read_as_go_reads_it() -> None:
    note, key = Note.parse(GO_NOTE.encode()), VerifierKey.parse(GO_KEY)
    verify_note(note, [key])
    assert (note.text, key.encode(), note.encode()) == (GO_TEXT, GO_KEY, GO_NOTE)
    text, signatures = verify.read_note(GO_NOTE.encode())
    alone = verify.parse_key(GO_KEY)
    alone.verify(verify.signature_by(alone, signatures), text)
    other = GO_NOTE.replace("answer", "anzwer").encode()
    with pytest.raises(NoteInvalid):
        verify_note(Note.parse(other), [key])
    text, signatures = verify.read_note(other)
    with pytest.raises(verify.Finding):
        alone.verify(verify.signature_by(alone, signatures), text)


def listed(rows: Sequence[bytes]) -> Mapping[str, list[str]]:
    """The proofs of a list, by their number."""
    return {number: hashes for number, *hashes in (row.decode().split() for row in rows)}


async def test_pymerkle_and_sigstore_accept_what_a_bundle_holds(log: Log, clock: Clock, tmp_path: Path) -> None:
    await activate_rules(log)
    for number in range(36):
        await log.append(a_record(call_id=f"call_{number}", customer=f"C-{number % 2}"))
        if number % 3 == 0:
            clock.forward(2)
            assert await log.publish() is not None
    why = Why(auditor="auditor-1", purpose="yearly review", case_id="case-7")
    selection = unpack(await exported(log, why, query=Query(customer="C-1")))
    (checkpoint,) = [selection[name] for name in sorted(selection) if name.startswith("checkpoints/")][-1:]
    leaves = leaves_of(unpack(await exported(log, why)))[: int(checkpoint.split(b"\n")[1])]
    (key,) = [key for key in log.log_keys() if key.type is KeyType.ED25519]
    inclusion, consistency = listed(lines(selection, "proofs")), listed(lines(selection, "consistency"))
    roots = {
        old: verify.consistent(int(old), len(leaves), [verify.hash_of(item) for item in path]) for old, path in consistency.items()
    }
    states = {old: base64.b64encode(found[0]).decode() for old, found in roots.items() if found is not None}
    given = {
        "leaves": [base64.b64encode(leaf).decode() for leaf in leaves],
        "root": checkpoint.decode().split("\n")[2],
        "inclusion": inclusion,
        "states": states,
        "checkpoint": checkpoint.decode(),
        "key": {"public": base64.b64encode(key.public).decode(), "id": base64.b64encode(key.id).decode()},
    }
    (tmp_path / "given.json").write_text(json.dumps(given))
    saw = clients.drive("transparency", str(tmp_path / "given.json"))
    assert len(inclusion) > 18
    assert len(consistency) > 10
    assert saw["pymerkle"] == {"root": True, "inclusion": [len(inclusion), 0], "states": len(consistency)}
    assert saw["sigstore"] == {
        "checkpoint": [log.origin, len(leaves), []],
        "signers": [log.origin] * 2,
        "signature": [1, 0],
        "inclusion": [len(inclusion), 0],
    }
