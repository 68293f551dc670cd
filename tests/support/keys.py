"""Keys for tests: in memory, of given bytes; and the active secret of a data folder's purpose, for who plays the gateway."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.key_format import key_of
from audit.keyring import KeyKind, KeyPurpose, KeyRefused, KeyRing, RingKey, SignedRows
from gateway.app.keys import MANDATES, REFERENCES, file_keys
from gateway.calls.references import References


class MemoryKeys:
    """`KeyStorage` for one process, as long as it lives."""

    def __init__(self, random: Callable[[int], bytes], now_s: Callable[[], float]) -> None:
        self._random, self._now_s = random, now_s
        self._kept: dict[str, list[RingKey]] = {}

    async def answers(self) -> None:
        """It is here."""

    def close(self) -> None:
        """It goes with the process."""

    def load(self, purpose: KeyPurpose) -> Sequence[RingKey]:
        if purpose.name not in self._kept:
            raise KeyRefused(f"{purpose.name}: there is no key")
        return list(self._kept[purpose.name])

    def version(self, purpose: KeyPurpose) -> object:
        return [(key.id, key.signer is None) for key in self._kept.get(purpose.name, ())]

    def make(self, purpose: KeyPurpose) -> bool:
        if purpose.name in self._kept:
            return False
        self._kept[purpose.name] = [self._new(purpose, 0)]
        return True

    def rotate(self, purpose: KeyPurpose, begins_s: int, endorse: Callable[[RingKey, RingKey], str]) -> RingKey:
        keys = self._kept[purpose.name]
        if begins_s <= keys[-1].begins_s:
            raise KeyRefused(f"{purpose.name}: the key before it begins later")
        key = self._new(purpose, begins_s)
        keys.append(replace(key, statement=endorse(keys[-1], key)))
        return keys[-1]

    def retire(self, purpose: KeyPurpose, key_id: bytes, *, distrust: bool = False) -> None:
        keys = self._kept[purpose.name]
        place = next((place for place, key in enumerate(keys) if key.id == key_id), None)
        if (distrust and purpose.evidence) or place is None or place + 1 == len(keys) or keys[place + 1].begins_s > self._now_s():
            raise KeyRefused(f"{purpose.name}: no such key, or it is in use")
        if purpose.kind.signs and not distrust:
            keys[place] = replace(keys[place], signer=None)
        else:
            del keys[place]

    def _new(self, purpose: KeyPurpose, begins_s: int) -> RingKey:
        made_s = int(self._now_s())
        return key_of(purpose, self._random(purpose.kind.secret_bytes), made_s=made_s, begins_s=begins_s)


def one_key(kind: KeyKind, secret: bytes) -> KeyRing:
    """A ring of this key alone."""
    purpose = KeyPurpose("tests", kind, "keys/tests.key", "nothing")
    storage = MemoryKeys(lambda _count: secret, lambda: 0.0)
    storage.make(purpose)
    return KeyRing(purpose, storage)


def mandate_signer(data: Path) -> SignedRows:
    """What signs mandates in the gateway of this folder."""
    return SignedRows(KeyRing(MANDATES, file_keys(data)))


def references_of(data: Path) -> References:
    """What issues references in the gateway of this folder."""
    return References(KeyRing(REFERENCES, file_keys(data)))


def private_half(ring: KeyRing) -> Ed25519PrivateKey:
    """The active signing key of a ring in files: for who shows what a thief of it can do."""
    signer = ring.signer()
    key = getattr(signer, "_key")  # noqa: B009 - nothing but tests reads it
    assert isinstance(key, Ed25519PrivateKey)
    return key
