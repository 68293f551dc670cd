"""What a person signs with their key before a command acts: exactly what is done, by whom, when, and never twice the same. Pure.

It stands in the trail with its signature, so that it can be verified for as long as somebody keeps their public key.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.domain.approvals import canonical
from gateway.domain.duties import Duty

_DOMAIN = b"tellergate/statement/v1\n"
"""Before what is signed, so that no signature of another kind is one of a statement."""


@dataclass(frozen=True, slots=True)
class StaffStatement:
    """`subject`: what it is done to, as plain members. `nonce`: random, in hexadecimal."""

    duty: Duty
    subject: Mapping[str, object]
    by: str
    at: datetime
    nonce: str

    def text(self) -> str:
        """Canonical JSON, in which it stands on record."""
        members = {
            "duty": self.duty.value,
            "subject": dict(self.subject),
            "by": self.by,
            "at": self.at.isoformat(),
            "nonce": self.nonce,
        }
        return canonical(members)


def signed_bytes(text: str) -> bytes:
    """What the signature is over (RFC 8032, Ed25519)."""
    return _DOMAIN + text.encode()


def verified_statement(text: str, signature: bytes, key: Ed25519PublicKey) -> Mapping[str, object] | None:
    """The members of a statement that this key signed in its canonical spelling; None for anything else."""
    try:
        key.verify(signature, signed_bytes(text))
        members = json.loads(text)
    except (InvalidSignature, ValueError):
        return None
    return members if isinstance(members, dict) and canonical(members) == text else None
