"""Keys whose bytes this process holds: of files, and those that no device has a mechanism for."""

import hmac
from collections.abc import Sequence
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from audit.checkpoint import KeyType
from audit.keyring import KeyKind, KeyRefused

T = TypeVar("T")

HEAD_LABEL = b"tellergate/head/v1"


class FileSigner:
    """A `Signer` over a private key in this process."""

    waits = False

    def __init__(self, key: Ed25519PrivateKey | MLDSA44PrivateKey) -> None:
        self._key = key
        self.type = KeyType.ED25519 if isinstance(key, Ed25519PrivateKey) else KeyType.MLDSA44
        self.public = key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    async def sign_beside(self, message: bytes) -> bytes:
        return self.sign(message)


class FileSecret:
    """A `SecretKey` in this process."""

    def __init__(self, kind: KeyKind, secret: bytes) -> None:
        """KeyRefused for a wrong length."""
        if kind.signs or len(secret) != kind.secret_bytes:
            raise KeyRefused(f"a key of {kind.value} has {kind.secret_bytes} bytes")
        # A sealing key also vouches for heads: by a key derived from it, so that one key never serves two algorithms
        self._mac_key = hmac.digest(secret, HEAD_LABEL, "sha256") if kind is KeyKind.SEAL else secret
        self._gcm = AESGCM(secret) if kind is KeyKind.SEAL else None
        self._siv = AESSIV(secret) if kind is KeyKind.SIV else None

    def mac(self, message: bytes) -> bytes:
        if self._siv is not None:
            raise TypeError("a key of references authenticates nothing else")
        return hmac.digest(self._mac_key, message, "sha256")

    def encrypt(self, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        return _of_kind(self._gcm).encrypt(nonce, plain, bound)

    async def encrypt_beside(self, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        return self.encrypt(nonce, plain, bound)

    def decrypt(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        return _of_kind(self._gcm).decrypt(nonce, sealed, bound)

    async def decrypt_beside(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        return self.decrypt(nonce, sealed, bound)

    def encrypt_same(self, plain: bytes, bound: Sequence[bytes]) -> bytes:
        return _of_kind(self._siv).encrypt(plain, list(bound))

    def decrypt_same(self, sealed: bytes, bound: Sequence[bytes]) -> bytes:
        return _of_kind(self._siv).decrypt(sealed, list(bound))


def _of_kind(cipher: T | None) -> T:
    if cipher is None:
        raise TypeError("a key of another kind")
    return cipher
