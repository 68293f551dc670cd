"""Signed notes, checkpoints and both kinds of signature."""

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from audit.checkpoint import (
    LOW_ORDER,
    Checkpoint,
    KeyType,
    Note,
    NoteInvalid,
    Signature,
    SigningKey,
    VerifierKey,
    cosigned_message,
    sign_checkpoint,
    sign_note,
    verify_checkpoint,
    verify_note,
)

ORIGIN = "bank.example/log"
CHECKPOINT = Checkpoint(ORIGIN, 42, b"\x05" * 32)

# The example of Go's golang.org/x/mod/sumdb/note documentation.
PETER = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def ed25519(name: str = ORIGIN, seed: bytes = b"\x01" * 32) -> SigningKey:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey(VerifierKey(name, KeyType.ED25519, key.public_key().public_bytes_raw()), key.sign)


def mldsa44(name: str = ORIGIN, seed: bytes = b"\x02" * 32) -> SigningKey:
    key = MLDSA44PrivateKey.from_seed_bytes(seed)
    return SigningKey(VerifierKey(name, KeyType.MLDSA44, key.public_key().public_bytes_raw()), key.sign)


BOTH = [ed25519(), mldsa44()]
KEYS = [item.key for item in BOTH]


def test_a_note_of_another_implementation_verifies() -> None:
    verify_note(Note.parse(PETER_NOTE.encode()), [PETER])
    with pytest.raises(NoteInvalid):
        verify_note(Note.parse(PETER_NOTE.replace("answer", "Answer").encode()), [PETER])


def test_a_checkpoint_verifies_under_both_keys_and_tells_its_time() -> None:
    note = Note.parse(sign_checkpoint(CHECKPOINT, BOTH, 1_700_000_000).encode().encode())
    verified = verify_checkpoint(note, ORIGIN, KEYS)
    assert (verified.checkpoint, verified.time_s) == (CHECKPOINT, 1_700_000_000)


def test_the_mldsa_message_is_the_subtree_structure() -> None:
    assert cosigned_message("w", Checkpoint("log", 3, b"\x09" * 32), 5) == (
        b"subtree/v1\n\x00" + b"\x01w" + b"\x00" * 7 + b"\x05" + b"\x03log" + b"\x00" * 8 + b"\x00" * 7 + b"\x03" + b"\x09" * 32
    )


@pytest.mark.parametrize("keys", [BOTH[:1], BOTH[1:]], ids=["only Ed25519", "only ML-DSA-44"])
def test_every_required_key_must_have_signed(keys: list[SigningKey]) -> None:
    with pytest.raises(NoteInvalid, match="absent"):
        verify_checkpoint(sign_checkpoint(CHECKPOINT, keys, 1), ORIGIN, KEYS)


def test_no_keys_verify_nothing() -> None:
    note = sign_checkpoint(CHECKPOINT, BOTH, 1)
    with pytest.raises(NoteInvalid, match="no key"):
        verify_checkpoint(note, ORIGIN, [])
    with pytest.raises(NoteInvalid, match="no key"):
        verify_note(note, [])


def test_signatures_of_strangers_are_ignored_and_doubled_ones_refused() -> None:
    note = sign_checkpoint(CHECKPOINT, [*BOTH, ed25519("stranger", b"\x07" * 32)], 1)
    verify_checkpoint(note, ORIGIN, KEYS)
    doubled = replace(note, signatures=(*note.signatures, note.signatures[0]))
    with pytest.raises(NoteInvalid, match="doubled"):
        verify_checkpoint(doubled, ORIGIN, KEYS)


@pytest.mark.parametrize("which", [0, 1], ids=["Ed25519", "ML-DSA-44"])
@pytest.mark.parametrize("position", [0, 7, 8, -1])
def test_a_changed_signature_or_time_does_not_verify(which: int, position: int) -> None:
    note = sign_checkpoint(CHECKPOINT, BOTH, 1)
    blob = bytearray(note.signatures[which].blob)
    blob[position] ^= 1
    changed = list(note.signatures)
    changed[which] = replace(changed[which], blob=bytes(blob))
    with pytest.raises(NoteInvalid, match="does not verify"):
        verify_checkpoint(replace(note, signatures=tuple(changed)), ORIGIN, KEYS)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    note = sign_checkpoint(replace(CHECKPOINT, origin="other.example/log"), BOTH, 1)
    with pytest.raises(NoteInvalid, match="another log"):
        verify_checkpoint(note, ORIGIN, KEYS)


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n42\n{base64.b64encode(b'x' * 32).decode()}\nextension\n",
        f"{ORIGIN}\n042\n{base64.b64encode(b'x' * 32).decode()}\n",
        f"{ORIGIN}\n-1\n{base64.b64encode(b'x' * 32).decode()}\n",
        f"{ORIGIN}\n٤٢\n{base64.b64encode(b'x' * 32).decode()}\n",
        f"{ORIGIN}\n42\n{base64.b64encode(b'x' * 31).decode()}\n",
        f"{ORIGIN}\n42\n{base64.b64encode(b'x' * 32).decode().rstrip('=')}\n",
        f"{ORIGIN}\n42\n{base64.b64encode(b'x' * 32).decode()}",
        f"\n42\n{base64.b64encode(b'x' * 32).decode()}\n",
    ],
    ids=["extension", "leading zero", "negative", "other digits", "short root", "no padding", "no newline", "no origin"],
)
def test_a_checkpoint_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        Checkpoint.parse(text)


GOOD = sign_note("text\n", [ed25519()]).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"text\n",
        b"text\n\n",
        GOOD.encode()[:-1],
        GOOD.encode() + b"\n",
        GOOD.encode() + b"x",
        GOOD.replace("text", "te\rxt").encode(),
        GOOD.replace("text", "te\x00xt").encode(),
        GOOD.replace("— ", "- ").encode(),
        GOOD.replace("— ", "—  ").encode(),
        GOOD.replace("=\n", "\n").encode(),
        GOOD.replace(ORIGIN, "with+plus").encode(),
        GOOD.encode().replace(b"text", b"\xff"),
        GOOD.encode() + GOOD.split("\n\n")[1].encode() * 16,
        b"x" * 70_000 + GOOD.encode(),
    ],
)
def test_a_note_that_is_not_canonical_is_refused(raw: bytes) -> None:
    Note.parse(GOOD.encode())
    with pytest.raises(NoteInvalid):
        Note.parse(raw)


def test_base64_with_stray_bits_is_refused() -> None:
    """`eHg=` and `eHh=` decode to the same bytes: only one of them is canonical."""
    note = Note("text\n", (Signature(ORIGIN, b"abcd", b"x" * 7),)).encode()
    assert note.count("eHg=") == 1
    Note.parse(note.encode())
    with pytest.raises(NoteInvalid, match="canonical"):
        Note.parse(note.replace("eHg=", "eHh=").encode())


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("y", sorted(LOW_ORDER))
def test_ed25519_keys_of_low_order_are_refused(y: bytes, sign: int) -> None:
    with pytest.raises(NoteInvalid, match="low order"):
        VerifierKey("name", KeyType.ED25519, y[:31] + bytes([y[31] | sign]))


def test_an_ed25519_key_that_is_not_reduced_is_refused() -> None:
    with pytest.raises(NoteInvalid):
        VerifierKey("name", KeyType.ED25519, (2**255 - 19 + 3).to_bytes(32, "little"))


@pytest.mark.parametrize("key", KEYS, ids=["Ed25519", "ML-DSA-44"])
def test_keys_survive_their_text_form_and_a_changed_one_is_refused(key: VerifierKey) -> None:
    assert VerifierKey.parse(key.encode()) == key
    for changed in (
        key.encode().replace("bank", "Bank"),
        key.encode()[:-1],
        key.encode().replace("+", "+0", 1),
        "name+abcd+AA==",
        "name",
    ):
        with pytest.raises(NoteInvalid):
            VerifierKey.parse(changed)


def test_the_list_of_low_order_points_is_that_of_the_curve() -> None:
    """Eight times such a point is the neutral element (RFC 8032 section 5.1); there are five such y, two of them also unreduced."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p

    def added(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
        (x1, y1), (x2, y2) = one, other
        cross = d * x1 * x2 * y1 * y2 % p
        return (x1 * y2 + x2 * y1) * pow(1 + cross, -1, p) % p, (y1 * y2 + x1 * x2) * pow(1 - cross, -1, p) % p

    def x_of(y: int) -> int:
        square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        root = pow(square, (p + 3) // 8, p)
        return root if root * root % p == square else root * pow(2, (p - 1) // 4, p) % p

    ys = {int.from_bytes(item, "little") % p for item in LOW_ORDER}
    assert len(ys) == 5
    assert len(LOW_ORDER) == 7
    for y in ys:
        point = (x_of(y), y)
        for _ in range(3):
            point = added(point, point)
        assert point == (0, 1)
