"""RFC 3161 time stamps over checkpoints: what is asked of an authority, and an answer that counts once all of it was checked.

A time stamp is what a log's own keys cannot make: whoever steals them signs a log of their own, and has no token of an earlier day for it.
Needs the extra `timestamps`, which is imported where it is used.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec

from cryptography.x509 import Certificate, load_pem_x509_certificates

EXTRA = "timestamps"
TOKEN_MOST = 65_536
"""Bytes of an answer; usual ones have 2 to 8 KB."""

ROOTS_MOST = 2**20
_SHA256 = "2.16.840.1.101.3.4.2.1"


class TimestampInvalid(ValueError):
    """What is no time stamp of these bytes by an authority under these roots. The text says why in few words of ours."""


@dataclass(frozen=True, slots=True)
class TimestampAsked:
    """A request (TimeStampReq, RFC 3161 section 2.4.1) in DER, and the nonce that the answer must repeat."""

    body: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class TimestampTold:
    """What a token says that was checked: the moment, in UTC, and the authority's policy (an OID)."""

    time: datetime
    policy: str


def is_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("rfc3161_client") is not None


def read_roots(pem: bytes) -> Sequence[Certificate]:
    """The certificates of a PEM file, which authorities' certificates must lead to. ValueError where there is none."""
    if len(pem) > ROOTS_MOST:
        raise ValueError("no PEM file of certificates: it is too large")
    return load_pem_x509_certificates(pem)


def timestamp_request(content: bytes) -> TimestampAsked:
    """Ask for a stamp over the SHA-256 of these bytes, with a nonce, and with the authority's certificate in the answer."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    made = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).cert_request(cert_request=True).build()
    if made.nonce is None:
        raise TypeError("a request without a nonce")
    return TimestampAsked(made.as_bytes(), made.nonce)


def verify_timestamp(token: bytes, content: bytes, roots: Sequence[Certificate], nonce: int | None = None) -> TimestampTold:
    """What an answer (TimeStampResp) says of these bytes. TimestampInvalid unless it was granted, is of the SHA-256 of `content`, repeats
    the nonce where one is given, and is signed by a certificate for time stamps alone that led to one of the roots at its time."""
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response
    from rfc3161_client.tsp import PKIStatus

    if len(token) > TOKEN_MOST:
        raise TimestampInvalid("it is too long")
    builder = VerifierBuilder(roots=list(roots), nonce=nonce)
    try:
        answer = decode_timestamp_response(token)
        if answer.as_bytes() != token:
            raise TimestampInvalid("it is not in DER")
        if answer.status != PKIStatus.GRANTED:
            raise TimestampInvalid(f"it was not granted (status {answer.status})")
        imprint = answer.tst_info.message_imprint
        if imprint.hash_algorithm.dotted_string != _SHA256 or imprint.message != hashlib.sha256(content).digest():
            raise TimestampInvalid("it is of other bytes, or by another hash")
        builder.build().verify(answer, hashlib.sha256(content).digest())
        told = answer.tst_info
        return TimestampTold(told.gen_time, told.policy.dotted_string)
    except VerificationError as error:
        raise TimestampInvalid(_of_ours(str(error))) from None
    except TimestampInvalid:
        raise
    except Exception:  # noqa: BLE001  # a library that reads a stranger's bytes: of what it does not understand nothing is kept
        raise TimestampInvalid("it is no time stamp, or damaged") from None


def _of_ours(said: str) -> str:
    """The library's reason in a closed set of words: a text of its own may repeat what a stranger sent."""
    if "Nonce" in said:
        return "it does not repeat the nonce"
    if "EKU" in said or "Purpose" in said:
        return "its certificate is not one for time stamps alone"
    if "verifying certificates" in said:
        return "its signature does not lead to a root that is trusted, at its time"
    return "its certificate is not as it must be"
