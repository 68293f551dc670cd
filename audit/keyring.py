"""The port of secret keys: by purpose, with key ids, several per purpose. One signs, authenticates and seals; the older ones verify
and open on.

A purpose's keys come from a `KeyStorage` (files: `audit.key_files`). What needs a key takes the `KeyRing` of its purpose and never the
key's bytes, so that a storage may keep them in a device.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from audit.checkpoint import KeyType

ID_BYTES = 8
NONCE_BYTES = 12
TAG_BYTES = 16

_SEALED = b"\x01"
"""First byte of what `KeyRing.seal` makes: this version, before the key's id. What has none was sealed before keys had ids."""

_ID_LABEL = b"tellergate/key-id/v1\x00"


class KeyRefused(Exception):
    """A key is absent, damaged, readable by others or of another kind. The text names it and says what to do; it holds no key."""


class SignerUnavailable(Exception):
    """What holds the key does not answer: nothing was signed, sealed or opened."""


class KeyKind(StrEnum):
    """What a key is for, and its algorithm. Tree heads and permits are Ed25519 (RFC 8032) or ML-DSA-44 (FIPS 204), nothing else."""

    ED25519 = "ed25519"
    MLDSA44 = "ml-dsa-44"
    MAC = "hmac-sha256"
    SEAL = "aes-256-gcm"
    SIV = "aes-256-siv"

    @property
    def signs(self) -> bool:
        return self in (KeyKind.ED25519, KeyKind.MLDSA44)

    @property
    def secret_bytes(self) -> int:
        """How many random bytes such a key is made of (the seed of a signing key)."""
        return 64 if self is KeyKind.SIV else 32


@dataclass(frozen=True, slots=True)
class KeyPurpose:
    """One duty of keys. `file`: below the data folder. `lost`: what cannot be done any more without them. `evidence`: what they sign must
    verify for as long as somebody keeps it. `wraps`: they seal other keys, and a device never gives them away.
    """

    name: str
    kind: KeyKind
    file: str
    lost: str
    evidence: bool = False
    wraps: bool = False


class Signer(Protocol):
    """Something that signs with one private key, which it need not give away.

    Durability: none. Concurrency: any thread. Retry: safe. Errors: SignerUnavailable.
    """

    @property
    def type(self) -> KeyType: ...

    @property
    def public(self) -> bytes:
        """The raw public key: 32 bytes for Ed25519, 1312 for ML-DSA-44."""

    @property
    def waits(self) -> bool:
        """Whether `sign` waits for a device: who holds a lock has it signed before."""

    def sign(self, message: bytes) -> bytes:
        """The raw signature: RFC 8032, or FIPS 204 with the empty context. May wait for a device: not for an event loop."""

    async def sign_beside(self, message: bytes) -> bytes:
        """The same for an event loop, which goes on while a device is waited for."""


class SecretKey(Protocol):
    """A symmetric key, which it need not give away. TypeError for what its kind does not do. Concurrency: any thread. `encrypt` and
    `decrypt` of a purpose that `wraps` may wait for a device; the rest is computation. Errors: SignerUnavailable.
    """

    def mac(self, message: bytes) -> bytes:
        """HMAC-SHA-256, 32 bytes."""

    def encrypt(self, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        """AES-256-GCM with the tag behind."""

    def decrypt(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        """InvalidTag for what this key did not encrypt, bound to this."""

    async def encrypt_beside(self, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        """As `encrypt`, for an event loop."""

    async def decrypt_beside(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        """As `decrypt`, for an event loop."""

    def encrypt_same(self, plain: bytes, bound: Sequence[bytes]) -> bytes:
        """AES-256-SIV (RFC 5297): the same in, the same out."""

    def decrypt_same(self, sealed: bytes, bound: Sequence[bytes]) -> bytes:
        """InvalidTag for what this key did not encrypt, bound to this."""


@dataclass(frozen=True, slots=True)
class RingKey:
    """One key of a purpose. `id`: a digest of the public key, or a check value. `made_s`, `begins_s`: seconds since 1970; it is used to
    make something from `begins_s` on, until the next one begins. A signing key without `signer` is retired: it verifies alone.
    `statement`: the rotation to it, signed by the key before it and by itself; empty for none.
    """

    id: bytes
    made_s: int
    begins_s: int
    public: bytes = b""
    signer: Signer | None = None
    secret: SecretKey | None = None
    statement: str = ""


def signing_key_id(kind: KeyKind, public: bytes) -> bytes:
    """The id of a signing key: 8 bytes of SHA-256 over its kind and public key."""
    return hashlib.sha256(_ID_LABEL + kind.value.encode() + b"\x00" + public).digest()[:ID_BYTES]


def secret_key_id(kind: KeyKind, secret: bytes) -> bytes:
    """The id of a symmetric key: 8 bytes of a check value, HMAC-SHA-256 by the key; it tells nothing of 256 random bits."""
    return hmac.digest(secret, _ID_LABEL + kind.value.encode(), "sha256")[:ID_BYTES]


class KeyStorage(Protocol):
    """Where the keys of an installation are kept.

    Durability: what `make`, `rotate` and `retire` did is durable on return, whole or not at all. Concurrency: any number of processes
    read; those that change one purpose wait for each other. These calls read and write files, or ask a device: not for an event loop
    that serves. Retry: `rotate` makes another key. Errors: KeyRefused.
    """

    async def answers(self) -> None:
        """Whether what holds the keys is there, for who asks on an event loop. SignerUnavailable."""

    def close(self) -> None:
        """Let go of it. Nothing is asked afterwards."""

    def load(self, purpose: KeyPurpose) -> Sequence[RingKey]:
        """Every key of this purpose, at least one, in the order in which they begin."""

    def version(self, purpose: KeyPurpose) -> object:
        """Something cheap that changes when `load` would answer otherwise."""

    def make(self, purpose: KeyPurpose) -> bool:
        """The first key of this purpose; False where there is one already, which stays as it is."""

    def rotate(self, purpose: KeyPurpose, begins_s: int, endorse: Callable[[RingKey, RingKey], str]) -> RingKey:
        """Make a key that begins then, the last one yet. `endorse` gets the one before it and the new one, for its `statement`."""

    def retire(self, purpose: KeyPurpose, key_id: bytes, *, distrust: bool = False) -> None:
        """Destroy a key that is followed by another one that has begun. Of a signing key the public part stays, and verifies on, unless
        `distrust`: then nothing that it signed is believed. KeyRefused otherwise, and for distrust of an `evidence` purpose.
        """


class KeyRing:
    """The keys of one purpose, as this process knows them. A `Signer` itself, by the active key.

    Concurrency: any thread; `refresh` is for a thread beside the event loop, the rest is computation.
    """

    def __init__(self, purpose: KeyPurpose, storage: KeyStorage, now_s: Callable[[], float] = time.time) -> None:
        """KeyRefused as `KeyStorage.load`."""
        self.purpose = purpose
        self._storage = storage
        self._now_s = now_s
        self._version = storage.version(purpose)
        self._keys: Sequence[RingKey] = storage.load(purpose)

    @property
    def keys(self) -> Sequence[RingKey]:
        """All of them, in the order in which they begin; the last ones may not have begun."""
        return self._keys

    def refresh(self) -> bool:
        """Take over what was rotated since; whether anything was. KeyRefused, and the keys stay what they were."""
        version = self._storage.version(self.purpose)
        if version == self._version:
            return False
        self._keys = self._storage.load(self.purpose)
        self._version = version
        return True

    def looked_again(self) -> bool:
        """Whether there are keys that this process had not heard of, since it stood still, say. For who meets what none of its keys made:
        it costs a look at a file's date, and if that changed a read, where it is called.
        """
        try:
            return self.refresh()
        except KeyRefused:
            return False

    def active(self, at_s: float | None = None) -> RingKey:
        """The key that makes something now, or made it at that time."""
        keys = self._keys
        if len(keys) == 1:
            return keys[0]
        now_s = self._now_s() if at_s is None else at_s
        return next((key for key in reversed(keys) if key.begins_s <= now_s), keys[0])

    def usable(self) -> Sequence[RingKey]:
        """The active key first, then the others, the latest first: in which order something without an id is tried."""
        active = self.active()
        return (active, *(key for key in reversed(self._keys) if key is not active))

    def signer(self, at_s: float | None = None) -> Signer:
        """What signs now, or at that time, whatever is rotated meanwhile. SignerUnavailable for a key that was retired."""
        signer = self.active(at_s).signer
        if signer is None:
            raise SignerUnavailable("the key is retired: it verifies alone")
        return signer

    @property
    def type(self) -> KeyType:
        return KeyType.ED25519 if self.purpose.kind is KeyKind.ED25519 else KeyType.MLDSA44

    @property
    def public(self) -> bytes:
        return self.active().public

    @property
    def waits(self) -> bool:
        return self.signer().waits

    def publics(self, overlap_s: float | None = None) -> Sequence[bytes]:
        """The public keys, the active one first. `overlap_s`: without those whose successor began longer ago."""
        if len(self._keys) == 1:
            return [self._keys[0].public]
        now_s, begins = self._now_s(), {key.id: next_key.begins_s for key, next_key in pairwise(self._keys)}
        return [key.public for key in self.usable() if overlap_s is None or begins.get(key.id, now_s) >= now_s - overlap_s]

    def signers(self) -> Sequence[Signer]:
        """Each key that can sign, the active one first: for whoever may know only an older or a coming public key."""
        return [key.signer for key in self.usable() if key.signer is not None]

    def sign(self, message: bytes) -> bytes:
        """By the active key. SignerUnavailable."""
        return self.signer().sign(message)

    async def sign_beside(self, message: bytes) -> bytes:
        """As `sign`, for an event loop. SignerUnavailable."""
        return await self.signer().sign_beside(message)

    def mac(self, message: bytes) -> bytes:
        """By the active key: 32 bytes."""
        return _secret(self.active()).mac(message)

    def is_mac(self, message: bytes, code: bytes) -> bool:
        """Whether any of the keys made this code; in constant time for each."""
        return any(hmac.compare_digest(_secret(key).mac(message), code) for key in self.usable())

    def macs(self, message: bytes) -> Sequence[bytes]:
        """By each of the keys, the active one first: for codes that are compared in a form of their own."""
        return [_secret(key).mac(message) for key in self.usable()]

    def seal(self, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        """Version, key id, nonce and ciphertext. `nonce`: 12 random bytes."""
        key = self.active()
        head = _SEALED + key.id
        return head + nonce + _secret(key).encrypt(nonce, plain, bound)

    def unseal(self, sealed: bytes, bound: bytes) -> bytes:
        """InvalidTag for what none of the keys sealed, bound to this. What was sealed before keys had ids is nonce and ciphertext."""
        try:
            return self._unseal(sealed, bound)
        except InvalidTag:
            if not self.looked_again():
                raise
            return self._unseal(sealed, bound)

    def _unseal(self, sealed: bytes, bound: bytes) -> bytes:
        for key, part in self._tries(sealed):
            with suppress(InvalidTag):
                return _secret(key).decrypt(part[:NONCE_BYTES], part[NONCE_BYTES:], bound)
        raise InvalidTag

    async def seal_beside(self, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        """As `seal`, for an event loop: what waits for a device waits beside it. SignerUnavailable."""
        key = self.active()
        return _SEALED + key.id + nonce + await _secret(key).encrypt_beside(nonce, plain, bound)

    async def unseal_beside(self, sealed: bytes, bound: bytes) -> bytes:
        """As `unseal`, for an event loop. SignerUnavailable."""
        for looks in (True, False):
            for key, part in self._tries(sealed):
                with suppress(InvalidTag):
                    return await _secret(key).decrypt_beside(part[:NONCE_BYTES], part[NONCE_BYTES:], bound)
            if looks and not await asyncio.to_thread(self.looked_again):
                break
        raise InvalidTag

    def _tries(self, sealed: bytes) -> Iterator[tuple[RingKey, bytes]]:
        """Which keys may have sealed it, and the nonce and ciphertext that each would have made: the one that it names, then, as a nonce
        of the older form may happen to begin like a name, every other."""
        named = sealed[1 : 1 + ID_BYTES] if sealed.startswith(_SEALED) else b""
        tries = [(key, sealed[1 + ID_BYTES :]) for key in self._keys if key.id == named] + [(key, sealed) for key in self.usable()]
        return ((key, part) for key, part in tries if len(part) >= NONCE_BYTES + TAG_BYTES)

    def seal_same(self, plain: bytes, bound: Sequence[bytes]) -> bytes:
        """By the active key: the same in, the same out, until it is rotated. Without an id: it is short, and shown."""
        return _secret(self.active()).encrypt_same(plain, bound)

    def unseal_same(self, sealed: bytes, bound: Sequence[bytes]) -> bytes:
        """InvalidTag for what none of the keys sealed, bound to this."""
        for key in self.usable():
            try:
                return _secret(key).decrypt_same(sealed, bound)
            except InvalidTag:
                continue
        raise InvalidTag

    def sealed_by(self, sealed: bytes) -> bytes:
        """The id of the key that sealed it; empty for what was sealed before keys had ids."""
        named = sealed[1 : 1 + ID_BYTES] if sealed.startswith(_SEALED) else b""
        return named if any(key.id == named for key in self._keys) else b""


def _secret(key: RingKey) -> SecretKey:
    if key.secret is None:
        raise TypeError("a signing key")
    return key.secret


class SignedRows:
    """Signatures that stand beside what they sign, in a row: the key's id, then the signature. Signs and verifies by one ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def sign(self, data: bytes) -> bytes:
        """Key id and signature by the active key. SignerUnavailable."""
        signer = self._ring.signer()
        return signing_key_id(self._ring.purpose.kind, signer.public) + signer.sign(data)

    async def sign_beside(self, data: bytes) -> bytes:
        """As `sign`, for an event loop. SignerUnavailable."""
        signer = self._ring.signer()
        return signing_key_id(self._ring.purpose.kind, signer.public) + await signer.sign_beside(data)

    def verify(self, signature: bytes, data: bytes) -> None:
        """InvalidSignature unless a key of the ring made it. One without an id is older than ids: each key is tried."""
        named, bare = signature[:ID_BYTES], signature[ID_BYTES:]
        for key in self._ring.usable():
            if key.id == named and verifies(self._ring.purpose.kind, key.public, bare, data):
                return
            if verifies(self._ring.purpose.kind, key.public, signature, data):
                return
        raise InvalidSignature


def verifies(kind: KeyKind, public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether this is a signature over the message by that key: RFC 8032, or FIPS 204 with the empty context."""
    try:
        if kind is KeyKind.ED25519:
            if len(signature) != 64:
                return False
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        else:
            MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
