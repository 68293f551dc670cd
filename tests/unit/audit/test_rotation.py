"""Statements of rotations: what both readers take, and that they refuse the same."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import verify
from audit.checkpoint import Checkpoint, KeyType, Note, NoteInvalid, VerifierKey, cosigned_message, verify_checkpoint
from audit.key_format import key_of
from audit.keyring import KeyPurpose, RingKey, SignerUnavailable
from audit.keys import HEAD, HEAD_PQ
from audit.rotation import Rotation, read_rotation, state_rotation
from tests.trail import ORIGIN

PURPOSES = (HEAD, HEAD_PQ)


def keys(purpose: KeyPurpose, count: int = 3) -> list[RingKey]:
    return [key_of(purpose, bytes([number + 1]) * 32, made_s=0, begins_s=number * 100) for number in range(count)]


def statement(purpose: KeyPurpose) -> str:
    old, new, _ = keys(purpose)
    return state_rotation(ORIGIN, purpose, ORIGIN, old, new)


def both(said: bytes) -> tuple[bool, bool]:
    """Whether the bank's reader takes it, and the auditor's."""
    try:
        read_rotation(said.decode(), ORIGIN)
        banks = True
    except (NoteInvalid, UnicodeDecodeError):
        banks = False
    try:
        verify.read_rotation(said, ORIGIN)
    except (verify.Finding, ValueError):
        return banks, False
    return banks, True


@pytest.mark.parametrize("purpose", PURPOSES, ids=lambda purpose: purpose.name)
def test_a_statement_says_which_key_follows_which_and_when(purpose: KeyPurpose) -> None:
    old, new, _ = keys(purpose)
    said = statement(purpose)
    rotation = read_rotation(said, ORIGIN)
    assert (rotation.purpose, rotation.begins_s) == (purpose.name, 100)
    assert (rotation.old.public, rotation.new.public) == (old.public, new.public)
    assert verify.read_rotation(said.encode(), ORIGIN) == (
        100,
        verify.Key(ORIGIN, rotation.old.type, old.public),
        verify.Key(ORIGIN, rotation.new.type, new.public),
    )
    with pytest.raises(NoteInvalid):
        read_rotation(said, "other.example/log")


@pytest.mark.parametrize("purpose", PURPOSES, ids=lambda purpose: purpose.name)
@given(data=st.data())
def test_no_changed_byte_is_taken_by_either_reader(purpose: KeyPurpose, data: st.DataObject) -> None:
    said = bytearray(statement(purpose).encode())
    said[data.draw(st.integers(0, len(said) - 1))] ^= data.draw(st.integers(1, 255))
    assert both(bytes(said)) == (False, False)


def forged(purpose: KeyPurpose, text: str, signers: list[RingKey]) -> bytes:
    """Under any text, by any keys: what a thief of these keys could sign."""
    lines = []
    for key in signers:
        assert key.signer is not None
        name = f"{ORIGIN}/rotation"
        ident = VerifierKey(name, key.signer.type, key.public).id
        label = b"" if key.signer.type is KeyType.ED25519 else b"tellergate/rotation/v1\n\x00"
        lines.append(f"— {name} {base64.b64encode(ident + key.signer.sign(label + text.encode())).decode()}\n")
    return (text + "\n" + "".join(lines)).encode()


@pytest.mark.parametrize("purpose", PURPOSES, ids=lambda purpose: purpose.name)
def test_both_readers_refuse_what_one_key_alone_or_a_third_one_signed(purpose: KeyPurpose) -> None:
    old, new, third = keys(purpose)
    vkeys = [VerifierKey(ORIGIN, KeyType.ED25519 if purpose is HEAD else KeyType.MLDSA44, key.public) for key in (old, new)]
    text = Rotation(purpose.name, 100, *vkeys).text(ORIGIN)
    assert both(forged(purpose, text, [old, new])) == (True, True)
    for signers in ([], [old], [new], [new, old], [old, old], [old, third], [third, new], [old, new, third]):
        assert both(forged(purpose, text, signers)) == (False, False), signers
    for wrong in (
        Rotation(purpose.name, 0, *vkeys).text(ORIGIN),
        Rotation(purpose.name, 10**16, *vkeys).text(ORIGIN),
        Rotation(purpose.name, 100, vkeys[0], vkeys[0]).text(ORIGIN),
        Rotation(purpose.name, 100, vkeys[0], VerifierKey("another", vkeys[1].type, vkeys[1].public)).text(ORIGIN),
        text.replace("\n100\n", "\n0100\n"),
        text.replace("\n100\n", "\n+100\n"),
        text + "more\n",
        text.replace("/rotation", "/head"),
    ):
        assert both(forged(purpose, wrong, [old, new])) == (False, False), wrong


def test_a_key_that_is_retired_or_another_kind_follows_nothing() -> None:
    old, new, _ = keys(HEAD)
    with pytest.raises(SignerUnavailable):
        state_rotation(ORIGIN, HEAD, ORIGIN, RingKey(old.id, 0, 0, public=old.public), new)
    mixed = forged(HEAD, statement(HEAD).rpartition("\n\n")[0] + "\n", [old, keys(HEAD_PQ)[1]])
    assert both(mixed) == (False, False)


def test_no_signature_over_a_rotation_is_one_over_a_checkpoint() -> None:
    """Whoever gets a rotation signed has no head signed by it, and the other way round."""
    old, new, _ = keys(HEAD_PQ)
    note = Note.parse(state_rotation(ORIGIN, HEAD_PQ, ORIGIN, old, new).encode())
    with pytest.raises(NoteInvalid):
        Checkpoint.parse(note.text)
    with pytest.raises(NoteInvalid):
        verify_checkpoint(note, ORIGIN, [VerifierKey(ORIGIN, KeyType.MLDSA44, old.public)])
    assert not cosigned_message(ORIGIN, Checkpoint(ORIGIN, 1, bytes(32)), 1).startswith(b"tellergate/rotation")
