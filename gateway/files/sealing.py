"""The content of a file, sealed in frames, so that gigabytes pass through a process in pieces and nobody can cut, reorder or exchange one.

STREAM (Hoang, Reyhanitabar, Rogaway and Vizar, CRYPTO 2015, section 7) over AES-256-GCM: the nonce of a frame is its number in 11 bytes and
one byte that says whether it is the last; each content has a key of its own, so that no nonce comes twice.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FRAME_BYTES = 256 * 1024
"""Plain bytes of every frame but the last, which has between none and as many."""

_TAG_BYTES = 16
_NONCE_BYTES = 12


class ContentDamaged(Exception):
    """What is kept is not what was sealed, or not all of it, or its key was destroyed."""


@dataclass(frozen=True, slots=True)
class ContentKey:
    """The key of one content. `name`: of the content, which every frame is bound to."""

    name: str
    key: bytes

    def seal(self, number: int, plain: bytes, *, is_last: bool) -> bytes:
        return AESGCM(self.key).encrypt(_nonce(number, is_last=is_last), plain, self.name.encode())

    def open(self, number: int, sealed: bytes, *, is_last: bool) -> bytes:
        """ContentDamaged."""
        try:
            return AESGCM(self.key).decrypt(_nonce(number, is_last=is_last), sealed, self.name.encode())
        except InvalidTag:
            raise ContentDamaged(self.name) from None

    def wrapped(self, under: AESGCM) -> bytes:
        """This key under its owner's, to be kept."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + under.encrypt(nonce, self.key, _bound(self.name))


def new_key(name: str) -> ContentKey:
    return ContentKey(name, os.urandom(32))


def unwrapped(name: str, wrapped: bytes, under: AESGCM) -> ContentKey:
    """ContentDamaged: another key wrapped it, or another content's is wrapped."""
    try:
        return ContentKey(name, under.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _bound(name)))
    except InvalidTag:
        raise ContentDamaged(name) from None


async def framed(parts: AsyncIterator[bytes], size: int) -> AsyncIterator[tuple[bytes, bool]]:
    """The same bytes in pieces of this size, each with whether it is the last one, which may be shorter, or empty where there are none."""
    held = bytearray()
    async for part in parts:
        held += part
        while len(held) > size:  # never all that is there: the last one is told apart
            yield bytes(held[:size]), False
            del held[:size]
    yield bytes(held), True


SEALED_FRAME_BYTES = FRAME_BYTES + _TAG_BYTES


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(_NONCE_BYTES - 1, "big") + bytes([is_last])


def _bound(name: str) -> bytes:
    return b"tellergate file content " + name.encode()
