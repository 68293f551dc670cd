"""The auditor's verifier and py_webauthn agree: on what holds, and that one changed byte of anything does not."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import evidence
from gateway.confirmations.assertion import AssertionRules, NotConfirmed, VerifiedAssertion, kept, read_assertion
from gateway.domain.proposal import canonical, challenge
from tests.support.passkeys import NOW, ORIGIN, RP_ID, Authenticator, intent_of

pytest.importorskip("webauthn", reason="webauthn is absent")
from gateway.confirmations.passkeys import WebAuthnVerifier  # after the skip
from tests.support.options import examples

RULES = AssertionRules(RP_ID, frozenset({ORIGIN}))
INTENT = canonical(intent_of())
DEVICES = {name: Authenticator(name) for name in ("ES256", "EdDSA", "RS256")}
ASSERTED = {name: device.assertion(challenge(INTENT), flags=0x1D) for name, device in DEVICES.items()}


def by_gateway(intent: bytes, assertion: dict[str, Any], algorithm: str) -> VerifiedAssertion | None:
    try:
        return WebAuthnVerifier(RULES).verify(read_assertion(assertion), DEVICES[algorithm].passkey(), challenge(intent), NOW)
    except NotConfirmed:
        return None


def by_auditor(intent: bytes, kept_: dict[str, Any]) -> bool:
    """The evidence as the gateway would have kept it, had it taken the assertion."""
    try:
        evidence.verify(intent, kept_, RP_ID, [ORIGIN])
    except evidence.EvidenceFinding:
        return False
    return True


def kept_of(intent: bytes, assertion: dict[str, Any], algorithm: str) -> dict[str, Any]:
    found = VerifiedAssertion(read_assertion(assertion), DEVICES[algorithm].passkey(), 0, ORIGIN)
    body: dict[str, Any] = json.loads(kept(found, intent, RULES))
    return body


@pytest.mark.parametrize("algorithm", DEVICES)
def test_both_take_what_was_signed(algorithm: str) -> None:
    assert by_gateway(INTENT, ASSERTED[algorithm], algorithm) is not None
    assert by_auditor(INTENT, kept_of(INTENT, ASSERTED[algorithm], algorithm))


@settings(max_examples=examples(120))
@given(
    algorithm=st.sampled_from(sorted(DEVICES)),
    part=st.sampled_from(["intent", "clientDataJSON", "authenticatorData", "signature"]),
    position=st.integers(0, 10_000),
    bits=st.integers(1, 255),
)
def test_any_other_byte_of_anything_is_refused_by_both(algorithm: str, part: str, position: int, bits: int) -> None:
    intent, assertion = INTENT, ASSERTED[algorithm]
    if part == "intent":
        intent = flipped(intent, position, bits)
    else:
        response = assertion["response"]
        raw = flipped(unpadded(response[part]), position, bits)
        assertion = assertion | {"response": response | {part: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}}
    assert by_gateway(intent, assertion, algorithm) is None
    assert not by_auditor(intent, kept_of(intent, assertion, algorithm))
    assert not by_auditor(intent, kept_of(INTENT, assertion, algorithm))


@settings(max_examples=examples(60))
@given(algorithm=st.sampled_from(sorted(DEVICES)), position=st.integers(0, 10_000), bits=st.integers(1, 255))
def test_any_other_byte_of_the_key_is_refused_by_the_auditor(algorithm: str, position: int, bits: int) -> None:
    body = kept_of(INTENT, ASSERTED[algorithm], algorithm)
    raw = flipped(DEVICES[algorithm].public_key, position, bits)
    body["public_key"] = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert not by_auditor(INTENT, body)


@given(st.binary(max_size=120))
def test_no_bytes_but_a_key_are_one(raw: bytes) -> None:
    with pytest.raises(evidence.EvidenceFinding):
        evidence.public_key(raw)


def flipped(raw: bytes, position: int, bits: int) -> bytes:
    at = position % len(raw)
    return raw[:at] + bytes([raw[at] ^ bits]) + raw[at + 1 :]


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
