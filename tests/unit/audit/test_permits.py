"""No permit, no effect; one permit covers one intent and one instruction."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import NoteInvalid
from audit.encoding import b64url, unb64url
from audit.permits import CLOCK_SKEW, Covered, LogPermitVerifier, Permit, PermitInvalid, decode, instruction_digest, issue
from tests.trail import ORIGIN, START

KEY = Ed25519PrivateKey.from_private_bytes(b"\x03" * 32)
OVER = b'{"key":"k1","order":"transfer"}'
SALT = b"\x09" * 16
LIFETIME = timedelta(seconds=30)
PERMIT = issue(Covered(ORIGIN, 7, b"\x04" * 32, SALT, instruction_digest(SALT, OVER)), START, LIFETIME, KEY.sign)
VERIFIER = LogPermitVerifier(lambda: [KEY.public_key().public_bytes_raw()], ORIGIN)


def test_a_permit_covers_its_instruction_until_it_expires() -> None:
    for later in (-CLOCK_SKEW, timedelta(), LIFETIME - timedelta(microseconds=1)):
        VERIFIER.verify(PERMIT, OVER, START + later)
    for wrong in (LIFETIME, -CLOCK_SKEW - timedelta(microseconds=1)):
        with pytest.raises(PermitInvalid, match="expired"):
            VERIFIER.verify(PERMIT, OVER, START + wrong)


@pytest.mark.parametrize("over", [OVER + b" ", OVER[:-1], b"", b"\xff", OVER.replace(b"k1", b"k2")])
def test_a_permit_covers_no_other_instruction(over: bytes) -> None:
    with pytest.raises(PermitInvalid, match="another instruction"):
        VERIFIER.verify(PERMIT, over, START)


@pytest.mark.parametrize(
    "changes",
    [
        {"log": "other.example/log"},
        {"index": 8},
        {"index": -1},
        {"index": 2**64},
        {"leaf_hash": b"\x05" * 32},
        {"leaf_hash": b"\x04" * 31},
        {"salt": b"\x0a" * 16},
        {"salt": b"\x0a" * 16, "digest": instruction_digest(b"\x0a" * 16, OVER)},
        {"digest": b"\x00" * 32},
        {"issued": START - timedelta(seconds=1)},
        {"expires": START + timedelta(days=1)},
        {"signature": b""},
        {"signature": bytes(64)},
    ],
)
def test_a_permit_with_any_part_changed_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PermitInvalid):
        VERIFIER.verify(replace(PERMIT, **changes), OVER, START)


def test_a_permit_for_another_instruction_is_refused_even_with_its_own_digest() -> None:
    other = replace(PERMIT, digest=instruction_digest(SALT, b"{}"))
    with pytest.raises(PermitInvalid, match="does not verify"):
        VERIFIER.verify(other, b"{}", START)


def test_something_else_is_no_permit() -> None:
    class Lookalike:
        index = 7

    lookalike: Any = Lookalike()
    with pytest.raises(PermitInvalid, match="not a permit"):
        VERIFIER.verify(lookalike, OVER, START)


def test_a_permit_of_another_key_is_refused() -> None:
    other: Permit = issue(
        Covered(ORIGIN, 7, b"\x04" * 32, SALT, PERMIT.digest),
        START,
        LIFETIME,
        Ed25519PrivateKey.from_private_bytes(b"\x08" * 32).sign,
    )
    with pytest.raises(PermitInvalid, match="does not verify"):
        VERIFIER.verify(other, OVER, START)


def test_a_permit_of_another_log_under_the_same_key_is_refused() -> None:
    other = issue(Covered("other.example/log", 7, b"\x04" * 32, SALT, PERMIT.digest), START, LIFETIME, KEY.sign)
    with pytest.raises(PermitInvalid, match="another log"):
        VERIFIER.verify(other, OVER, START)


def test_a_verifier_with_a_key_of_low_order_is_refused() -> None:
    with pytest.raises(NoteInvalid):
        LogPermitVerifier(lambda: [bytes(32)], ORIGIN)


def test_a_permit_crosses_to_another_process_and_comes_back() -> None:
    text = PERMIT.encode()
    assert len(text) <= 1024
    assert decode(text) == PERMIT
    VERIFIER.verify(decode(text), OVER, START)


def test_every_byte_of_an_encoded_permit_counts() -> None:
    raw = unb64url(PERMIT.encode())
    for at in range(len(raw)):
        for flip in (0x01, 0x80):
            with pytest.raises(PermitInvalid):
                VERIFIER.verify(decode(b64url(raw[:at] + bytes([raw[at] ^ flip]) + raw[at + 1 :])), OVER, START)
        for changed in (raw[:at], raw[:at] + raw[at + 1 :], raw[:at] + b"\x00" + raw[at:]):
            with pytest.raises(PermitInvalid):
                VERIFIER.verify(decode(b64url(changed)), OVER, START)


def test_every_character_of_an_encoded_permit_counts() -> None:
    text = PERMIT.encode()
    for at, character in enumerate(text):
        for other in {"A", "B", "_", "-", "/", "+", "=", "\n", "\u00e9"} - {character}:
            with pytest.raises(PermitInvalid):
                VERIFIER.verify(decode(text[:at] + other + text[at + 1 :]), OVER, START)


@pytest.mark.parametrize("text", ["", "A", "=", "A" * 1025, PERMIT.encode() + "=", PERMIT.encode() + "A", " " + PERMIT.encode()])
def test_no_other_spelling_is_a_permit(text: str) -> None:
    with pytest.raises(PermitInvalid, match="malformed"):
        decode(text)


def test_a_decoded_permit_covers_what_it_covered_and_no_longer() -> None:
    permit = decode(PERMIT.encode())
    for over, origin, now in (
        (OVER + b" ", ORIGIN, START),
        (OVER, "other.example/log", START),
        (OVER, ORIGIN, START + LIFETIME),
    ):
        with pytest.raises(PermitInvalid):
            LogPermitVerifier(lambda: [KEY.public_key().public_bytes_raw()], origin).verify(permit, over, now)
