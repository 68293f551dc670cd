"""Execution permits: no permit, no effect. Pure: no I/O, no clock, no randomness (salts and times are passed in).

A permit says: an intent over exactly these instruction bytes is durable at this index of this log, and may be sent until then. It
covers one intent. It never leaves for a caller or a model; callers get a log proof.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.checkpoint import check_ed25519_key
from audit.disclosure import SALT_BYTES, disclosure
from audit.encoding import b64url, unb64url
from audit.merkle import HASH_BYTES

CLOCK_SKEW = timedelta(seconds=2)
"""How far ahead of the verifier's clock a permit may have been issued."""

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)
_LABEL = b"tellergate/permit/v1\n\x00"
_SIGNATURE_BYTES = 64
_FIXED_BYTES = 8 + HASH_BYTES + SALT_BYTES + 32 + 8 + 8
_ORIGIN_MOST = 255
_ENCODED_MOST = 1024


class PermitInvalid(Exception):
    """The permit does not cover this. The text is a reason and holds no input."""


@dataclass(frozen=True, slots=True)
class Permit:
    """`digest` is `instruction_digest(salt, over)`, and stands in the intent's leaf too. Times are aware datetimes in UTC."""

    log: str
    index: int
    leaf_hash: bytes
    salt: bytes
    digest: bytes
    issued: datetime
    expires: datetime
    signature: bytes

    def encode(self) -> str:
        """What crosses to a core in another process: the signed message and its signature, URL-safe base64 without padding."""
        covered = Covered(self.log, self.index, self.leaf_hash, self.salt, self.digest)
        return b64url(_message(covered, self.issued, self.expires) + self.signature)


@dataclass(frozen=True, slots=True)
class Covered:
    """The intent that a permit is for."""

    log: str
    index: int
    leaf_hash: bytes
    salt: bytes
    digest: bytes


def decode(text: str) -> Permit:
    """The permit that `Permit.encode` wrote, still to be verified. PermitInvalid for any other spelling."""
    message = _bytes(text)
    at = len(_LABEL) + 2
    origin = message[at : at + int.from_bytes(message[at - 2 : at])]
    rest = message[at + len(origin) :]
    if not message.startswith(_LABEL) or len(rest) != _FIXED_BYTES + _SIGNATURE_BYTES or len(origin) > _ORIGIN_MOST:
        raise PermitInvalid("malformed")
    parts = []
    for width in (8, HASH_BYTES, SALT_BYTES, 32, 8, 8, _SIGNATURE_BYTES):
        parts.append(rest[:width])
        rest = rest[width:]
    index, leaf_hash, salt, digest, issued, expires, signature = parts
    try:
        return Permit(
            origin.decode(),
            int.from_bytes(index),
            leaf_hash,
            salt,
            digest,
            _EPOCH + int.from_bytes(issued) * _MICROSECOND,
            _EPOCH + int.from_bytes(expires) * _MICROSECOND,
            signature,
        )
    except (OverflowError, UnicodeDecodeError):
        raise PermitInvalid("malformed") from None


def _bytes(text: str) -> bytes:
    if len(text) > _ENCODED_MOST:
        raise PermitInvalid("malformed")
    try:
        return unb64url(text)
    except ValueError:
        raise PermitInvalid("malformed") from None


def instruction_digest(salt: bytes, over: bytes) -> bytes:
    """The commitment in the intent's leaf: SHA-256 over the RFC 9901 disclosure of the instruction. ValueError unless UTF-8."""
    return hashlib.sha256(disclosure(salt, "instruction", over.decode()).encode()).digest()


def issue(covered: Covered, issued: datetime, lifetime: timedelta, sign: Callable[[bytes], bytes]) -> Permit:
    """A permit from `issued` for `lifetime`. `sign` is Ed25519 over the given bytes."""
    expires = issued + lifetime
    return Permit(
        covered.log,
        covered.index,
        covered.leaf_hash,
        covered.salt,
        covered.digest,
        issued,
        expires,
        sign(_message(covered, issued, expires)),
    )


async def issue_beside(
    covered: Covered, issued: datetime, lifetime: timedelta, sign: Callable[[bytes], Awaitable[bytes]]
) -> Permit:
    """As `issue`, by what an event loop may wait for."""
    signature = await sign(_message(covered, issued, issued + lifetime))
    return issue(covered, issued, lifetime, lambda _message: signature)


class LogPermitVerifier:
    """Checks permits of one log. Holds no state: that an intent acts once is held by its idempotency key at the core."""

    def __init__(self, public_keys: Callable[[], Sequence[bytes]], origin: str) -> None:
        """`public_keys`: which may have signed a permit, 32 bytes of Ed25519 each; asked each time, since keys are rotated. NoteInvalid
        for one of low order.
        """
        self._public_keys = public_keys
        self._origin = origin
        for key in public_keys():
            _loaded(key)

    def verify(self, permit: Permit, over: bytes, now: datetime) -> None:
        """Return if `permit` is authentic, of this log, unexpired at `now`, and covers `over`; PermitInvalid otherwise."""
        if not isinstance(permit, Permit):
            raise PermitInvalid("not a permit")
        if permit.log != self._origin:
            raise PermitInvalid("a permit of another log")
        if not permit.issued - CLOCK_SKEW <= now < permit.expires:
            raise PermitInvalid("expired or not yet valid")
        if len(permit.salt) != SALT_BYTES or len(permit.leaf_hash) != HASH_BYTES or not 0 <= permit.index < 2**63:
            raise PermitInvalid("malformed")
        try:
            digest = instruction_digest(permit.salt, over)
        except ValueError as error:
            raise PermitInvalid("covers another instruction") from error
        if digest != permit.digest:
            raise PermitInvalid("covers another instruction")
        covered = Covered(permit.log, permit.index, permit.leaf_hash, permit.salt, permit.digest)
        message = _message(covered, permit.issued, permit.expires)
        if not any(_verifies(key, permit.signature, message) for key in self._public_keys()):
            raise PermitInvalid("the signature does not verify")


def _verifies(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        _loaded(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=16)
def _loaded(key: bytes) -> Ed25519PublicKey:
    """Every permit is verified by the same few keys. NoteInvalid for one of low order."""
    check_ed25519_key(key)
    return Ed25519PublicKey.from_public_bytes(key)


def _message(covered: Covered, issued: datetime, expires: datetime) -> bytes:
    log = covered.log.encode()
    times = ((issued - _EPOCH) // _MICROSECOND).to_bytes(8) + ((expires - _EPOCH) // _MICROSECOND).to_bytes(8)
    fixed = covered.index.to_bytes(8) + covered.leaf_hash + covered.salt + covered.digest
    return _LABEL + len(log).to_bytes(2) + log + fixed + times
