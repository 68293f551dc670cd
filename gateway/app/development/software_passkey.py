"""A passkey in software, for development mode and tests: it confirms whatever it is told to. Whoever reads its file is the customer."""

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.app.key_files import private_file
from gateway.confirmations.assertion import USER_PRESENT, USER_VERIFIED
from gateway.domain.strict_json import Json
from gateway.identity.compact import encode

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (SEC 2)."""


class SoftwarePasskey:
    """One ES256 credential of one customer, whose key lies in the data folder. Its counter stays 0, as that of synced passkeys does."""

    def __init__(self, data: Path, customer: str) -> None:
        name = hashlib.sha256(customer.encode()).hexdigest()[:32]
        seed = private_file(data / "dev" / "passkeys" / f"{name}.key", 32)
        self._key = ec.derive_private_key(int.from_bytes(seed, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
        self.credential = encode(hashlib.sha256(b"tellergate/dev-passkey/v1\x00" + self.public_key).digest())

    @property
    def public_key(self) -> bytes:
        """The COSE_Key (RFC 9053 section 7.1.1)."""
        numbers = self._key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        return b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + x + b"\x22\x58\x20" + y

    def assertion(
        self, challenge: bytes, *, relying_party: str, origin: str, flags: int = USER_PRESENT | USER_VERIFIED, sign_count: int = 0
    ) -> dict[str, Json]:
        """An AuthenticationResponseJSON (WebAuthn Level 3 section 5.1), as a browser on `origin` would send it."""
        said: dict[str, Json] = {"type": "webauthn.get", "challenge": encode(challenge), "origin": origin, "crossOrigin": False}
        return self.over(json.dumps(said, separators=(",", ":")).encode(), relying_party, flags, sign_count)

    def over(self, client_data: bytes, relying_party: str, flags: int, sign_count: int) -> dict[str, Json]:
        """The same over any client data: for those who attack."""
        authenticator_data = hashlib.sha256(relying_party.encode()).digest() + bytes([flags]) + sign_count.to_bytes(4, "big")
        signature = self._key.sign(authenticator_data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        response: dict[str, Json] = {
            "clientDataJSON": encode(client_data),
            "authenticatorData": encode(authenticator_data),
            "signature": encode(signature),
        }
        results: dict[str, Json] = {}
        return {
            "id": self.credential,
            "rawId": self.credential,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": results,
        }
