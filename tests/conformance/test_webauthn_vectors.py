"""Test vectors of the W3C: Web Authentication Level 3, section 16, for the algorithms that are taken here.

Each holds the public key of its registration and one assertion, for the relying party example.org on https://example.org. None of the three
was made with the user verified, so that each also shows that such an assertion confirms nothing.
"""

from dataclasses import dataclass
from hashlib import sha256

import pytest

from audit import evidence
from tests.support.passkeys import rsa_cose


@dataclass(frozen=True)
class Vector:
    public_key: bytes
    challenge: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes


def vector(public_key: bytes, challenge: str, client_data: str, flags: str, signature: str) -> Vector:
    authenticator_data = "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b5" + flags + "00000000"
    parts = (bytes.fromhex(part) for part in (challenge, client_data, authenticator_data, signature))
    return Vector(public_key, *parts)


VECTORS = {
    "16.2 ES256": vector(
        bytes.fromhex(
            "a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61"
            "225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220"
        ),
        "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408",
        "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a"
        "5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d70"
        "6c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
        "19",
        "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11"
        "a1dd5d78c6e486013f937295ea13653e331e87",
    ),
    "16.10 RS256": vector(
        rsa_cose((2**1279 - 1) * (2**2203 - 1)),  # "constructed from the two smallest Mersenne primes 2^p - 1 such that p >= 1024"
        "295f59f5fa8fe62c5aca9e27626c78c8da376ae6d8cd2dd29aebad601e1bc4c5",
        "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224b56395a39667150356978617970346e"
        "596d7834794e6f33617562597a5333536d75757459423462784d55222c226f726967696e223a2268747470733a2f2f657861"
        "6d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
        "19",
        "01063d52d7c39b4d432fc7063c5d93e582bdcb16889cd71f888d67d880ea730a428498d3bc8e1ee11f2b1ecbe6c292b118c55ffa"
        "addefa8cad0a54dd137c51f1eec673f1bb6c4d1789d6826a222b22d0f585fc901fdc933212e579d199b89d672aa44891333e6a13"
        "55536025e82b25590256c3538229b55737083b2f6b9377e49e2472f11952f79fdd0da180b5ffd901b4049a8f081bb40711bef76c"
        "62aed943571f2d0575304cb549d68d8892f95086a30f93716aee818f8dc06e96c0d5e0ed4cfa9fd8773d90464b68cf140f798666"
        "6ff9c9e3302acd0535d60d769f465e2ab57ef8aabc89fccfef7ba32a64154a8b3d26be2298f470b8cc5377dbe3dfd4b0b45f8f01"
        "e63bde6cfc76b62771f9b70aa27cf40152cad93aa5acd784fd4b90f676e2ea828d0bf2400aebbaae4153e5838f537f88b6228346"
        "782a93a899be66ec77de45b3efcf311da6321c92e6b0cd11bfe653bf3e98cee8e341f02d67dbb6f9c98d9e8178090cfb5b70fbc6"
        "d541599ac794ae2f1d4de1286ec8de8c2daf7b1d15c8438e90d924df5c19045220a4c8438c1b979bbe016cf3d0eeec23c3999d48"
        "82cc645b776de930756612cdc6dd398160ff02a6",
    ),
    "16.11 EdDSA": vector(
        bytes.fromhex("a401010327200621582044e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832"),
        "895957e01c633a698348a2d8a31a54b7db27e8c1c43b2080d79ae2190267bfd2",
        "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a2269566c583442786a4f6d6d44534b4c59"
        "6f7870557439736e364d48454f7943413135726947514a6e763949222c226f726967696e223a2268747470733a2f2f6578616d70"
        "6c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
        "01",
        "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cfdfc48f85393bc0d40b011f0d6fecb097d6607525"
        "713223a0dc0d453993dae00b",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_the_signature_of_a_published_assertion_holds_and_of_a_changed_one_does_not(name: str) -> None:
    made = VECTORS[name]
    assert evidence.is_signed(made.public_key, made.authenticator_data, made.client_data, made.signature)
    for changed in (made.client_data[:-1] + b" ", made.client_data + b" ", b""):
        assert not evidence.is_signed(made.public_key, made.authenticator_data, changed, made.signature)
    grown = made.authenticator_data[:-1] + b"\x01"
    assert not evidence.is_signed(made.public_key, grown, made.client_data, made.signature)


@pytest.mark.parametrize("name", VECTORS)
def test_the_client_data_of_a_published_assertion_is_read_as_the_standard_says(name: str) -> None:
    made = VECTORS[name]
    assert evidence._check_client_data(made.client_data, made.challenge, ["https://example.org"]) == "https://example.org"
    for challenge, origins in ((sha256(b"").digest(), ["https://example.org"]), (made.challenge, ["https://example.com"])):
        with pytest.raises(evidence.EvidenceFinding):
            evidence._check_client_data(made.client_data, challenge, origins)


@pytest.mark.parametrize("name", VECTORS)
def test_a_published_assertion_without_a_verified_user_confirms_nothing(name: str) -> None:
    with pytest.raises(evidence.EvidenceFinding, match="verified"):
        evidence._check_authenticator_data(VECTORS[name].authenticator_data, "example.org")


@pytest.mark.parametrize("name", VECTORS)
def test_the_gateway_s_own_library_takes_the_published_assertion_too(name: str) -> None:
    webauthn = pytest.importorskip("webauthn", reason="webauthn is absent")
    from webauthn.helpers.structs import AuthenticationCredential, AuthenticatorAssertionResponse

    made = VECTORS[name]
    response = AuthenticatorAssertionResponse(
        client_data_json=made.client_data, authenticator_data=made.authenticator_data, signature=made.signature
    )
    found = webauthn.verify_authentication_response(
        credential=AuthenticationCredential(id="AA", raw_id=b"\x00", response=response),
        expected_challenge=made.challenge,
        expected_rp_id="example.org",
        expected_origin="https://example.org",
        credential_public_key=made.public_key,
        credential_current_sign_count=0,
    )
    assert found.new_sign_count == 0
    assert not found.user_verified
