"""Assertions of passkeys are verified here, by py_webauthn (the extra `confirm`), after our own checks have said what is wrong."""

from dataclasses import dataclass
from datetime import datetime

from webauthn import verify_authentication_response
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
)

from gateway.confirmations.assertion import Assertion, AssertionRules, NotConfirmed, NotConfirmedReason, VerifiedAssertion, check
from gateway.domain.ports import Passkey
from gateway.identity.compact import decode


@dataclass(frozen=True, slots=True)
class WebAuthnVerifier:
    """The `Verifier` of `assertion`."""

    rules: AssertionRules

    def verify(self, assertion: Assertion, passkey: Passkey, challenge: bytes, at: datetime) -> VerifiedAssertion:
        checked = check(assertion, passkey, self.rules, challenge, at)
        try:
            verify_authentication_response(
                credential=_as_credential(assertion),
                expected_challenge=challenge,
                expected_rp_id=self.rules.relying_party,
                expected_origin=sorted(self.rules.origins),
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError):  # ValueError: of cryptography, for a signature or a key of no form
            raise NotConfirmed(NotConfirmedReason.SIGNATURE) from None
        return checked


def _as_credential(assertion: Assertion) -> AuthenticationCredential:
    return AuthenticationCredential(
        id=assertion.credential,
        raw_id=decode(assertion.credential),
        response=AuthenticatorAssertionResponse(
            client_data_json=assertion.client_data,
            authenticator_data=assertion.authenticator_data,
            signature=assertion.signature,
        ),
    )
