"""What the stand-alone verifier refuses, one broken rule at a time, signed by whoever could sign it."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import verify
from audit.checkpoint import LOW_ORDER, Checkpoint, KeyType, SigningKey, VerifierKey, sign_checkpoint, sign_note
from audit.disclosure import commitment, disclosure
from audit.keys import named
from audit.leaf import canonical
from audit.log import Log
from tests.support.bundles import Members, bundled, leaves_of, pack, rewritten, signed, unpack
from tests.trail import ORIGIN, a_record, activate_rules, an_end, an_intent

pytestmark = pytest.mark.usefixtures("both_verifiers")


@pytest.fixture
async def filled(log: Log) -> Log:
    await activate_rules(log)
    await log.append(a_record())
    intent = await log.append(an_intent())
    await log.append(an_end(intent.index, intent.leaf_hash))
    return log


def findings(raw: bytes, trust: bytes | None = None) -> list[str]:
    return [f"{verdict}: {what}" for verdict, what in verify.verify(raw, trust=trust).findings]


def breach(index: int, rule: str) -> str:
    verdict, what = verify.RULES[rule]
    return f"{verdict}: 5. record {index}: {rule}: {what}"


async def a_bundle(log: Log) -> Members:
    return unpack(await bundled(log))


async def test_every_member_counts_even_those_that_are_only_read_by_people(filled: Log) -> None:
    members = await a_bundle(filled)
    for name in members:
        changed = {**members, name: members[name] + b" "}
        assert findings(pack(changed)) != [], name
        assert findings(pack({member: members[member] for member in members if member != name})) != [], name
    assert findings(pack({**members, "more.txt": b""})) == ["integrity: 3. the members are not those of the manifest"]


def change_leaf(old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    def change(leaves: list[bytes]) -> list[bytes]:
        assert old in leaves[1]
        return [leaves[0], leaves[1].replace(old, new, 1), *leaves[2:]]

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda leaves: leaves, []),
        (change_leaf(b'"v":1', b'"v":2'), ["fields"]),
        (change_leaf(b'"v":1', b'"v":true'), ["fields"]),
        (change_leaf(b'"customer_seq":1', b'"customer_seq":true'), ["fields"]),
        (change_leaf(b'"v":1', b'"v": 1'), ["form"]),
        (change_leaf(b'"kind":"read"', b'"kind":"read","kind":"read"'), ["form"]),
        (change_leaf(b'"kind":"read"', b'"kind":"write"'), ["fields"]),
        (change_leaf(b'"decide":81', b'"decide":8.5'), ["fields"]),
        (change_leaf(b'"decide":81', b'"decide":9007199254740992'), ["fields"]),
        (change_leaf(b'"v":1,', b'"v":1,"vv":1,'), ["fields"]),
        (change_leaf(b'"log":"bank', b'"log":"Bank'), ["log"]),
    ],
)
async def test_a_log_that_breaks_its_own_rules_is_found_although_every_signature_is_good(
    filled: Log, change: Callable[[list[bytes]], list[bytes]], expected: list[str]
) -> None:
    members = await a_bundle(filled)
    leaves = leaves_of(members)
    found = findings(rewritten(filled, members, change(leaves)))
    assert [line.split(": ")[2] for line in found if "record 1:" in line] == expected
    assert bool(found) == bool(expected)


async def test_an_end_must_name_the_leaf_of_its_intent(filled: Log) -> None:
    members = await a_bundle(filled)
    leaves = leaves_of(members)
    leaves[2] = leaves[2].replace(b'"decide":81', b'"decide":82')
    assert findings(rewritten(filled, members, leaves)) == [breach(3, "end")]


async def test_reconciled_without_unknown_is_a_second_story(filled: Log) -> None:
    members = await a_bundle(filled)
    leaves = leaves_of(members)
    leaves[3] = leaves[3].replace(b'"kind":"outcome"', b'"kind":"reconciled"')
    assert findings(rewritten(filled, members, leaves)) == [breach(3, "end")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": 2}, "order: 4. the last checkpoint is not the manifest's"),
        ({"records": 2}, "completeness: 6. there are fewer or more records than the manifest says"),
        ({"origin": "other.example/log"}, "authenticity: 3. the manifest is of another log than the trust policy"),
        (
            {"created": "2026-11-24T11:00:00.000000Z"},
            "freshness: 8. the checkpoint was older than 60 s when the bundle was made: a frozen log",
        ),
        (
            {"created": "2026-11-24T09:00:00.000000Z"},
            "freshness: 8. the checkpoint was older than 60 s when the bundle was made: a frozen log",
        ),
        ({"whole": False}, "integrity: 6. record 0 has no proof"),
        ({"v": 1}, "integrity: 3. a bundle of another version than this verifier's"),
        ({"v": True}, "integrity: a whole number was expected"),
        ({"size": 4.0}, "integrity: an object was expected, of ASCII names, and whole numbers below 2**53"),
        ({"records": True}, "integrity: a whole number was expected"),
        ({"disclosures": "0"}, "integrity: a whole number was expected"),
        ({"disclosures": 1}, "disclosure: 9. there are fewer or more disclosures of these records than the manifest says"),
        ({"after": 1}, "order: 4. this bundle continues checkpoint 1: give the one that you verified, --after-checkpoint"),
        ({"after": 9}, "integrity: 3. the manifest does not say which records these are"),
        ({"whole": 1}, "integrity: 3. the manifest does not say which records these are"),
        ({"complete_customer": "nobody"}, "completeness: 5. the bundle claims all records of customer 'nobody' and has none"),
        ({"created": "yesterday"}, "integrity: 8. the manifest does not say when it was made"),
    ],
)
async def test_a_manifest_that_does_not_fit_is_found(filled: Log, changes: dict[str, Any], expected: str) -> None:
    assert findings(signed(filled, await a_bundle(filled), **changes)) == [expected]


async def test_a_whole_log_lacks_no_leaf_at_its_end(filled: Log) -> None:
    members = await a_bundle(filled)
    members["leaves/000000.txt"] = b"".join(members["leaves/000000.txt"].splitlines(keepends=True)[:-1])
    assert findings(signed(filled, members, records=3)) == [
        "completeness: 6. there are fewer or more records than the manifest says"
    ]


async def test_leaves_of_a_whole_log_must_lead_to_the_signed_root(filled: Log) -> None:
    members = await a_bundle(filled)
    members["leaves/000000.txt"] = members["leaves/000000.txt"].replace(b'"type":{"public":"ITAV"}', b'"type":{"public":"ITAX"}', 1)
    assert findings(signed(filled, members)) == ["integrity: 6. the records do not lead to checkpoint 4"]


async def test_both_signatures_of_a_checkpoint_are_needed(filled: Log) -> None:
    members = await a_bundle(filled)
    (name,) = [name for name in members if name.startswith("checkpoints/")]
    text, _, tail = members[name].decode().partition("\n\n")
    lines = tail.splitlines()
    for line in lines:
        alone = {**members, name: f"{text}\n\n{line}\n".encode()}
        assert [finding.split(":")[0] for finding in findings(signed(filled, alone))] == ["authenticity"]
    for position in range(2):
        label, blob = lines[position].rsplit(" ", 1)
        raw = bytearray(base64.b64decode(blob))
        raw[-1] ^= 1
        forged = [*lines]
        forged[position] = f"{label} {base64.b64encode(raw).decode()}"
        bad = {**members, name: (f"{text}\n\n" + "".join(f"{line}\n" for line in forged)).encode()}
        assert "does not verify" in findings(signed(filled, bad))[0]
    doubled = {**members, name: f"{text}\n\n{tail}{lines[0]}\n".encode()}
    assert "doubled" in findings(signed(filled, doubled))[0]


async def test_a_checkpoint_of_another_log_or_under_anothers_name_is_refused(filled: Log) -> None:
    members = await a_bundle(filled)
    (name,) = [name for name in members if name.startswith("checkpoints/")]
    other = sign_checkpoint(Checkpoint("other.example/log", 4, bytes(32)), filled.signers.log_keys(ORIGIN), 1)
    assert findings(signed(filled, {**members, name: other.encode().encode()})) == ["authenticity: 4. not a checkpoint of this log"]
    moved = {**members, "checkpoints/0000000000000002.note": members[name]}
    assert findings(signed(filled, moved)) == ["integrity: 4. a checkpoint under another's name"]
    empty = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), filled.signers.log_keys(ORIGIN), 1)
    nothing = {**members, "checkpoints/0000000000000000.note": empty.encode().encode()}
    assert findings(signed(filled, nothing)) == ["integrity: 4. a checkpoint under another's name"]


async def test_a_manifest_with_a_strangers_signature_is_refused(filled: Log) -> None:
    members = await a_bundle(filled)
    key = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    stranger = SigningKey(VerifierKey("stranger", KeyType.ED25519, key.public_key().public_bytes_raw()), key.sign)
    text = members["manifest.note"].decode().split("\n")[0] + "\n"
    note = sign_note(text, [named(f"{ORIGIN}/exports", filled.signers.exports), stranger])
    raw = pack({**members, "manifest.note": note.encode().encode()})
    assert findings(raw) == ["integrity: 3. the manifest bears a signature of an unknown key"]


async def test_a_trust_policy_that_cannot_be_trusted_is_refused(filled: Log) -> None:
    members = await a_bundle(filled)
    raw, policy = pack(members), json.loads(members["trust.json"])
    assert findings(raw, trust=canonical({**policy, "extra": "ignored"})) == []
    faults: tuple[dict[str, Any], ...] = (
        {"log": []},
        {"exports": []},
        {"log": policy["log"][:1]},
        {"log": policy["log"][1:]},
        {"log": [policy["log"][0].replace("+", "+0", 1), policy["log"][1]]},
        {"log": "text"},
        {"origin": 3},
        {"v": 2},
        {"v": True},
    )
    for changes in faults:
        with pytest.raises(verify.InputUnreadable, match="trust"):
            findings(raw, trust=canonical({**policy, **changes}))
        own = {**members, "trust.json": canonical({**policy, **changes})}
        assert findings(signed(filled, own)) != [], changes


@pytest.mark.parametrize("raw", [b"", b"PK", b"PK\x05\x06" + bytes(18), verify.directory([], 0), bytes(100), b"PK\x03\x04" * 20])
def test_what_is_no_bundle_is_a_finding_and_no_crash(raw: bytes) -> None:
    assert [finding.split(":")[0] for finding in findings(raw)] == ["integrity"]


@pytest.mark.parametrize("name", ["../up", "/root", "a//b", "a/../b", ".hidden", "a\\b", "a b", "é"])
def test_a_member_that_could_lead_out_of_the_folder_is_refused(name: str) -> None:
    header = verify.local_header(name, b"")
    entry = verify.Entry(name, 0, 0, 0, "")
    assert findings(header + verify.directory([entry], len(header))) == [
        "integrity: 1. a member whose name could lead out of the folder"
    ]


async def test_a_note_that_is_not_canonical_is_refused(filled: Log) -> None:
    members = await a_bundle(filled)
    (name,) = [name for name in members if name.startswith("checkpoints/")]
    for changed in (members[name] + b"\n", members[name].replace("— ".encode(), "—  ".encode()), members[name][:-1]):
        assert findings(signed(filled, {**members, name: changed})) != []


@pytest.mark.parametrize("line", [b"0 %b", b"00 %b", b"4 %b", b"-1 %b"])
async def test_a_line_more_cannot_hide_among_the_leaves(filled: Log, line: bytes) -> None:
    """Even if the manifest is signed for the number of different leaves."""
    members = await a_bundle(filled)
    lines = members["leaves/000000.txt"].splitlines(keepends=True)
    members["leaves/000000.txt"] = b"".join([line % lines[0].split(b" ", 1)[1], *lines])
    assert findings(signed(filled, members)) == ["order: 6. records are not in the order of their index"]


async def test_a_disclosure_must_have_the_name_of_its_place(filled: Log) -> None:
    members = await a_bundle(filled)
    leaves = leaves_of(members)
    text = disclosure(bytes(16), "other", "GB00-1")
    known = json.loads(leaves[1])["arguments"]["account"]["commitment"]
    leaves[1] = leaves[1].replace(known.encode(), commitment(text).encode())
    members["disclosures/000000.txt"] = f"1 arguments.account {text}\n".encode()
    assert findings(rewritten(filled, members, leaves, disclosures=1)) == [
        "disclosure: 9. a disclosure of record 1 is not what the record commits to"
    ]


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("y", sorted(LOW_ORDER))
def test_keys_of_low_order_are_refused(y: bytes, sign: int) -> None:
    public = y[:31] + bytes([y[31] | sign])
    key = verify.Key("name", 1, public)
    text = f"name+{key.id.hex()}+{base64.b64encode(bytes([1]) + public).decode()}"
    with pytest.raises(verify.Finding, match="cannot be used"):
        verify.parse_key(text)


def test_base64_with_stray_bits_is_refused() -> None:
    assert verify.unb64("eHg=") == b"xx"
    with pytest.raises(verify.Finding, match="canonical"):
        verify.unb64("eHh=")
