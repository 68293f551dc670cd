"""Sealing: the disclosures of a record under AES-256-GCM, beside the tree.

The leaf holds the SHA-256 of the sealed blob, so a blob cannot be exchanged; the blob's associated data holds the log, the subject,
the retention class, the kind and the time, so it cannot be opened as another record's. What a blob is bound to cannot include the
leaf's hash, since the leaf holds the blob's. After the key is destroyed the digest tells nothing: without it the
ciphertext is random.
"""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.disclosure import commitment
from audit.encoding import b64url
from audit.leaf import LeafInvalid

NONCE_BYTES = 12


class SealBroken(Exception):
    """A sealed blob does not open: another key, another record's, or changed bytes."""


@dataclass(frozen=True, slots=True)
class SealBinding:
    """What a blob belongs to. `subject` is the customer's pseudonym, or `-` for a record without a customer."""

    log: str
    subject: str
    retention: str
    kind: str
    time: str

    def encode(self) -> bytes:
        return "\n".join(("tellergate/seal/v1", self.log, self.subject, self.retention, self.kind, self.time)).encode()


def seal(key: AESGCM, nonce: bytes, payload: bytes, binding: SealBinding) -> bytes:
    """Nonce and ciphertext. `nonce`: 12 random bytes, never twice under one key (2**32 records per key are safe)."""
    return nonce + key.encrypt(nonce, payload, binding.encode())


def digest(blob: bytes) -> str:
    """What the leaf holds of a sealed blob."""
    return b64url(hashlib.sha256(blob).digest())


def unseal(key: AESGCM, blob: bytes, binding: SealBinding) -> dict[str, str]:
    """Path to disclosure, as `audit.leaf.Disclosed` made them. SealBroken if the blob does not open."""
    try:
        payload = key.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], binding.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken from error
    disclosed = {}
    for line in payload.decode().split("\n"):
        path, _, text = line.partition(" ")
        disclosed[path] = text
    return disclosed


def committed_in(leaf: object, path: str = "") -> dict[str, str]:
    """Path to commitment of every committed field of a leaf; the paths are those of the disclosures."""
    found: dict[str, str] = {}
    if isinstance(leaf, dict):
        for name, value in leaf.items():
            here = f"{path}.{name}" if path else name
            if isinstance(value, dict) and value.keys() == {"commitment"}:
                found[here.replace("sealed.fields.", "sealed.", 1)] = value["commitment"]
            else:
                found |= committed_in(value, here)
    return found


def check_disclosed(leaf: object, disclosed: dict[str, str]) -> None:
    """LeafInvalid unless every disclosure hashes to the commitment at its path."""
    committed = committed_in(leaf)
    for path, text in disclosed.items():
        if committed.get(path) != commitment(text):
            raise LeafInvalid("a disclosure that the leaf does not commit to")
