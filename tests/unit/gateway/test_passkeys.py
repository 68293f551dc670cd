"""What confirms, and what does not: one thing wrong at a time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from gateway.app.development.software_passkey import SoftwarePasskey
from gateway.confirmations import assertion as seam
from gateway.confirmations.assertion import AssertionRules, NotConfirmed, NotConfirmedReason, read_assertion
from gateway.domain.proposal import canonical, challenge, matches_details
from gateway.domain.strict_json import Parsed
from gateway.identity.compact import encode
from tests.support.passkeys import NOW, ORIGIN, RP_ID, Authenticator, intent_of

webauthn = pytest.importorskip("webauthn", reason="webauthn is absent")
RULES = AssertionRules(RP_ID, frozenset({ORIGIN}))
INTENT = canonical(intent_of())


def verified(assertion: dict[str, Any], device: Authenticator, **passkey: Any) -> seam.VerifiedAssertion:
    from gateway.confirmations.passkeys import WebAuthnVerifier

    return WebAuthnVerifier(RULES).verify(read_assertion(assertion), device.passkey(**passkey), challenge(INTENT), NOW)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_an_assertion_over_exactly_this_intent_confirms_it(algorithm: str) -> None:
    device = Authenticator(algorithm)
    found = verified(device.assertion(challenge(INTENT), sign_count=7), device, sign_count=6)
    assert (found.passkey.customer, found.sign_count, found.origin) == ("alice", 7, ORIGIN)


WRONG: dict[str, tuple[dict[str, Any], NotConfirmedReason]] = {
    "another challenge": ({"challenge": encode(b"x" * 32)}, NotConfirmedReason.CHALLENGE),
    "the challenge padded": ({"challenge": encode(challenge(INTENT)) + "="}, NotConfirmedReason.CHALLENGE),
    "another origin": ({"origin": "https://window.bank.example"}, NotConfirmedReason.ORIGIN),
    "the origin with a dot behind": ({"origin": ORIGIN + "."}, NotConfirmedReason.ORIGIN),
    "plain http": ({"origin": ORIGIN.replace("https", "http")}, NotConfirmedReason.ORIGIN),
    "no origin": ({"origin": None}, NotConfirmedReason.ORIGIN),
    "inside another page": ({"crossOrigin": True}, NotConfirmedReason.CROSS_ORIGIN),
    "inside another page, said otherwise": ({"crossOrigin": "yes"}, NotConfirmedReason.CROSS_ORIGIN),
    "under another top page": ({"topOrigin": "https://evil.example"}, NotConfirmedReason.CROSS_ORIGIN),
    "a registration": ({"type": "webauthn.create"}, NotConfirmedReason.MALFORMED),
    "another relying party": ({"rp_id": "evil.example"}, NotConfirmedReason.RELYING_PARTY),
    "a parent of the relying party": ({"rp_id": "example"}, NotConfirmedReason.RELYING_PARTY),
    "nobody there": ({"flags": 0x04}, NotConfirmedReason.USER_ABSENT),
    "nobody verified": ({"flags": 0x01}, NotConfirmedReason.USER_NOT_VERIFIED),
    "backed up without being able to": ({"flags": 0x15}, NotConfirmedReason.MALFORMED),
    "a counter that stands still": ({"sign_count": 5}, NotConfirmedReason.COUNTER),
    "a counter that went back": ({"sign_count": 4}, NotConfirmedReason.COUNTER),
    "a counter that went away": ({"sign_count": 0}, NotConfirmedReason.COUNTER),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_thing_wrong_confirms_nothing(name: str) -> None:
    changed, reason = WRONG[name]
    device = Authenticator()
    assertion = device.assertion(challenge(INTENT), **{"sign_count": 6, **changed})
    with pytest.raises(NotConfirmed) as refused:
        verified(assertion, device, sign_count=5)
    assert refused.value.reason is reason
    assert encode(challenge(INTENT)) not in refused.value.message


def test_another_key_and_another_algorithm_do_not_sign_for_it() -> None:
    device, other = Authenticator(), Authenticator()
    for wrong in (other, Authenticator("EdDSA"), Authenticator("RS256")):
        with pytest.raises(NotConfirmed) as refused:
            verified(wrong.assertion(challenge(INTENT)), device)
        assert refused.value.reason is NotConfirmedReason.SIGNATURE


def test_a_passkey_that_cools_off_confirms_nothing_yet() -> None:
    device = Authenticator()
    with pytest.raises(NotConfirmed) as refused:
        verified(device.assertion(challenge(INTENT)), device, active_from=NOW + timedelta(seconds=1))
    assert refused.value.reason is NotConfirmedReason.COOLING_OFF
    assert verified(device.assertion(challenge(INTENT)), device, active_from=NOW).origin == ORIGIN


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        {"type": "public-key"},
        {"id": 1},
        {"rawId": "other"},
        {"type": "password"},
        {"response": {"clientDataJSON": "é"}},
        {"response": {"signature": "AA=="}},
        {"response": {"signature": "A"}},
        {"response": {"authenticatorData": "AA"}},
        {"response": {"clientDataJSON": encode(b'{"type":"webauthn.get","type":"webauthn.get"}')}},
        {"response": {"clientDataJSON": encode(b"\xff")}},
        {"response": {"signature": "A" * 4097}},
    ],
    ids=repr,
)
def test_what_is_no_assertion_is_malformed(broken: Any) -> None:
    device = Authenticator()
    whole = device.assertion(challenge(INTENT))
    if broken and broken != {"type": "public-key"}:
        response = whole["response"] | broken.get("response", {})
        broken = whole | broken | {"response": response}
    with pytest.raises(NotConfirmed) as refused:
        verified(broken, device)
    assert refused.value.reason is NotConfirmedReason.MALFORMED


def test_the_assertion_of_one_of_several_passkeys_is_found_and_a_stranger_s_is_not() -> None:
    device, other = Authenticator(), Authenticator(credential=encode(b"credential-2"))
    read = read_assertion(other.assertion(challenge(INTENT)))
    assert seam.chosen([device.passkey(), other.passkey()], read) == other.passkey()
    with pytest.raises(NotConfirmed):
        seam.chosen([device.passkey()], read)


def test_details_are_those_of_this_intent_exactly_or_of_none() -> None:
    intent = intent_of()
    entry: dict[str, Any] = {"type": "tellergate_intent", "intent": intent}
    assert matches_details(INTENT, [{"type": "other"}, entry])
    wrong: list[Any] = [None, {}, [], [entry | {"type": "payment"}], [{**entry, "intent": None}], [{**entry, "intent": [intent]}]]
    changed: list[dict[str, Any]] = [
        {"version": True},
        {"version": 1.0},
        {"total": {"value": "1120.50", "currency": "GBP"}},
        {"extra": None},
    ]
    for details in [*wrong, *([{**entry, "intent": intent | item}] for item in changed)]:
        assert not matches_details(INTENT, details)


def test_the_software_passkey_signs_as_a_device_does_and_stays_the_same(tmp_path: Any) -> None:
    device = SoftwarePasskey(tmp_path, "alice")
    assertion = device.assertion(challenge(INTENT), relying_party=RP_ID, origin=ORIGIN)
    shown = replace(Authenticator().passkey(), credential=device.credential, public_key=device.public_key)
    from gateway.confirmations.passkeys import WebAuthnVerifier

    assert WebAuthnVerifier(RULES).verify(read_assertion(cast(Parsed, assertion)), shown, challenge(INTENT), NOW).sign_count == 0
    assert SoftwarePasskey(tmp_path, "alice").credential == device.credential
    assert SoftwarePasskey(tmp_path, "bob").credential != device.credential
    (key,) = [path for path in (tmp_path / "dev" / "passkeys").iterdir() if path.name.startswith("2bd806c97f0e00af")]
    assert key.stat().st_mode & 0o077 == 0
