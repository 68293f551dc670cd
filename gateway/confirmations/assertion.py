"""A passkey's assertion (WebAuthn Level 3 section 7.2): how it arrives, why it is refused, what is kept of it. Pure.

The signature itself is verified by `passkeys`, and again, by other code, by `audit.evidence`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Protocol

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.ports import Passkey
from gateway.domain.strict_json import JsonError, Parsed, loads
from gateway.identity.compact import Malformed, decode, encode

MAX_PART_BYTES = 4096
"""Of each part of an assertion."""

USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP = 0x01, 0x04, 0x08, 0x10
"""Flags of the authenticator data (section 6.1)."""


class NotConfirmedReason(StrEnum):
    """Why nothing was confirmed. Closed and stable; for the customer's own device and for the trail, never for a model."""

    MALFORMED = "malformed"
    UNKNOWN_PASSKEY = "unknown_passkey"
    COOLING_OFF = "cooling_off"
    CHALLENGE = "wrong_challenge"
    ORIGIN = "wrong_origin"
    CROSS_ORIGIN = "cross_origin"
    RELYING_PARTY = "wrong_relying_party"
    USER_ABSENT = "user_absent"
    USER_NOT_VERIFIED = "user_not_verified"
    SIGNATURE = "bad_signature"
    COUNTER = "counter_not_grown"
    TOKEN = "token_of_another_intent"  # noqa: S105  # a code, no secret
    TOKEN_WEAK = "token_without_strong_sign_in"  # noqa: S105
    TOKEN_EARLIER = "token_of_an_earlier_sign_in"  # noqa: S105
    REVOKED = "token_revoked"
    NO_PASSKEYS = "passkeys_not_configured"
    NO_TOKENS = "tokens_not_taken"


WORDS: dict[NotConfirmedReason, str] = {
    NotConfirmedReason.MALFORMED: "the assertion is not a WebAuthn AuthenticationResponseJSON",
    NotConfirmedReason.UNKNOWN_PASSKEY: "the passkey is not one that is enrolled here for this customer",
    NotConfirmedReason.COOLING_OFF: "the passkey was enrolled a short while ago and cannot confirm yet",
    NotConfirmedReason.CHALLENGE: "the assertion is over another challenge",
    NotConfirmedReason.ORIGIN: "the assertion was made on an origin that is not allowed",
    NotConfirmedReason.CROSS_ORIGIN: "the assertion was made inside a page of another origin",
    NotConfirmedReason.RELYING_PARTY: "the assertion is for another relying party",
    NotConfirmedReason.USER_ABSENT: "the authenticator does not say that somebody was present",
    NotConfirmedReason.USER_NOT_VERIFIED: "the authenticator does not say that it verified the user",
    NotConfirmedReason.SIGNATURE: "the signature does not hold",
    NotConfirmedReason.COUNTER: "the authenticator's counter did not grow: it may have been cloned",
    NotConfirmedReason.TOKEN: "the token's authorization details do not name exactly this intent",
    NotConfirmedReason.TOKEN_WEAK: "the token does not come from a sign-in with two factors",
    NotConfirmedReason.TOKEN_EARLIER: "the token's sign-in is older than what it would confirm",
    NotConfirmedReason.REVOKED: "the issuer says that the token does not stand any more",
    NotConfirmedReason.NO_PASSKEYS: "this gateway is not set up for passkeys",
    NotConfirmedReason.NO_TOKENS: "this gateway takes no confirmation by token, by passkey alone",
}


class NotConfirmed(RequestFault):
    """Nothing was confirmed, and nothing happened. The message says what to look at, and nothing of what was sent."""

    def __init__(self, reason: NotConfirmedReason) -> None:
        super().__init__(Fault.NOT_CONFIRMED, f"not confirmed ({reason.value}): {WORDS[reason]}")
        self.reason = reason

    @property
    def recorded(self) -> str:
        return f"{self.fault.value}_{self.reason.value}"


@dataclass(frozen=True, slots=True)
class AssertionRules:
    """For whom assertions are made, and where: the relying party's id, and exactly these origins. None of them renders a model's text."""

    relying_party: str
    origins: frozenset[str]


@dataclass(frozen=True, slots=True)
class Assertion:
    """An AuthenticationResponseJSON (section 5.1), decoded. Nothing of it is verified."""

    credential: str
    client_data: bytes
    authenticator_data: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class VerifiedAssertion:
    """An assertion that holds, by which passkey. `sign_count` is the authenticator's; `origin` where it was made."""

    assertion: Assertion
    passkey: Passkey
    sign_count: int
    origin: str


class AssertionVerifier(Protocol):
    """Holds assertions against what was asked. Pure but for the cryptography; NotConfirmed for anything that does not hold."""

    @property
    def rules(self) -> AssertionRules: ...

    def verify(self, assertion: Assertion, passkey: Passkey, challenge: bytes, at: datetime) -> VerifiedAssertion: ...


def read_assertion(value: Parsed) -> Assertion:
    """NotConfirmed MALFORMED unless it is one. What a browser's later version adds is ignored."""
    response = value.get("response") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(response, dict) or value.get("type") != "public-key":
        raise NotConfirmed(NotConfirmedReason.MALFORMED)
    if value.get("id") != value.get("rawId"):
        raise NotConfirmed(NotConfirmedReason.MALFORMED)
    return Assertion(
        credential=encode(_bytes(value.get("id"))),
        client_data=_bytes(response.get("clientDataJSON")),
        authenticator_data=_bytes(response.get("authenticatorData")),
        signature=_bytes(response.get("signature")),
    )


def chosen(passkeys: Sequence[Passkey], assertion: Assertion) -> Passkey:
    """The one of a customer's passkeys by which an assertion was made."""
    made_by = next((passkey for passkey in passkeys if passkey.credential == assertion.credential), None)
    if made_by is None:
        raise NotConfirmed(NotConfirmedReason.UNKNOWN_PASSKEY)
    return made_by


def check(assertion: Assertion, passkey: Passkey, rules: AssertionRules, challenge: bytes, at: datetime) -> VerifiedAssertion:
    """All of section 7.2 but the signature, in its order."""
    if passkey.credential != assertion.credential:
        raise NotConfirmed(NotConfirmedReason.UNKNOWN_PASSKEY)
    if at < passkey.active_from:
        raise NotConfirmed(NotConfirmedReason.COOLING_OFF)
    origin = _check_client_data(assertion.client_data, rules, challenge)
    sign_count = _check_authenticator_data(assertion.authenticator_data, rules)
    if (sign_count or passkey.sign_count) and sign_count <= passkey.sign_count:
        raise NotConfirmed(NotConfirmedReason.COUNTER)
    return VerifiedAssertion(assertion, passkey, sign_count, origin)


def kept(verified: VerifiedAssertion, intent: bytes, rules: AssertionRules) -> bytes:
    """What proves it: canonical JSON that `audit.evidence` verifies with the intent alone."""
    body = {
        "version": 1,
        "method": "passkey",
        "intent_sha256": sha256(intent).hexdigest(),
        "rp_id": rules.relying_party,
        "origin": verified.origin,
        "credential": verified.passkey.credential,
        "public_key": encode(verified.passkey.public_key),
        "client_data": encode(verified.assertion.client_data),
        "authenticator_data": encode(verified.assertion.authenticator_data),
        "signature": encode(verified.assertion.signature),
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _check_client_data(client_data: bytes, rules: AssertionRules, challenge: bytes) -> str:
    try:
        data = loads(client_data, max_bytes=MAX_PART_BYTES)
    except JsonError:
        raise NotConfirmed(NotConfirmedReason.MALFORMED) from None
    if not isinstance(data, dict) or data.get("type") != "webauthn.get":
        raise NotConfirmed(NotConfirmedReason.MALFORMED)
    if data.get("challenge") != encode(challenge):
        raise NotConfirmed(NotConfirmedReason.CHALLENGE)
    origin = data.get("origin")
    if not isinstance(origin, str) or origin not in rules.origins:
        raise NotConfirmed(NotConfirmedReason.ORIGIN)
    if data.get("crossOrigin", False) is not False or "topOrigin" in data:
        raise NotConfirmed(NotConfirmedReason.CROSS_ORIGIN)
    return origin


def _check_authenticator_data(authenticator_data: bytes, rules: AssertionRules) -> int:
    if len(authenticator_data) < 37:
        raise NotConfirmed(NotConfirmedReason.MALFORMED)
    if authenticator_data[:32] != sha256(rules.relying_party.encode()).digest():
        raise NotConfirmed(NotConfirmedReason.RELYING_PARTY)
    flags = authenticator_data[32]
    if not flags & USER_PRESENT:
        raise NotConfirmed(NotConfirmedReason.USER_ABSENT)
    if not flags & USER_VERIFIED:
        raise NotConfirmed(NotConfirmedReason.USER_NOT_VERIFIED)
    if flags & BACKED_UP and not flags & BACKUP_ELIGIBLE:
        raise NotConfirmed(NotConfirmedReason.MALFORMED)
    return int.from_bytes(authenticator_data[33:37], "big")


def _bytes(value: Parsed) -> bytes:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_PART_BYTES:
        raise NotConfirmed(NotConfirmedReason.MALFORMED)
    try:
        return decode(value)
    except Malformed:
        raise NotConfirmed(NotConfirmedReason.MALFORMED) from None
