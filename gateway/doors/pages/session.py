"""The confirm page's sign-in: challenges that are ours and good once, and the short session that follows. No table: seals by one key.

All workers share the key. A session is for one customer and one confirmation, or (None) for the customer's own pages, and for nothing
else: the seals of the one never open the other.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol

from audit.keyring import KeyRing
from gateway.domain.strict_json import JsonError, loads
from gateway.identity.compact import Malformed, decode, encode

SIGN_IN = timedelta(minutes=2)
"""How long a challenge to sign in is good."""

SESSION = timedelta(minutes=5)
_MAC = 32


class SingleUse(Protocol):
    """What was used already, for all workers: as `identity.dpop.SeenProofs`."""

    async def first_use(self, jti_hash: bytes, key: str, expires_s: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Session:
    """Who signed in, for which confirmation (None: for their own pages), until when (seconds since 1970)."""

    customer: str
    confirmation: str | None
    expires_s: int


class SessionSeal:
    """Makes and opens what only the gateway can make."""

    def __init__(self, keys: KeyRing, seen: SingleUse) -> None:
        self._keys = keys
        self._seen = seen

    def challenge(self, confirmation: str | None, now: datetime) -> bytes:
        """A new challenge to sign in for this confirmation."""
        made = secrets.token_bytes(16) + int((now + SIGN_IN).timestamp()).to_bytes(8, "big")
        return made + self._keys.mac(_bound(b"sign-in", confirmation, made))

    def is_ours(self, challenge: bytes, confirmation: str | None, now: datetime) -> bool:
        """Whether we made it for this confirmation, and it is not too old. It may have been used."""
        made, mac = challenge[:-_MAC], challenge[-_MAC:]
        if len(made) != 24 or not self._keys.is_mac(_bound(b"sign-in", confirmation, made), mac):
            return False
        return now.timestamp() < int.from_bytes(made[16:], "big")

    async def use(self, challenge: bytes) -> bool:
        """Whether this is its first use, over all workers. Unavailable when nobody can tell."""
        expires_s = int.from_bytes(challenge[16:24], "big")
        return await self._seen.first_use(sha256(challenge).digest(), "confirm-page", expires_s)

    def cookie(self, customer: str, confirmation: str | None, now: datetime) -> str:
        """The value of a session's cookie."""
        expires_s = int((now + SESSION).timestamp())
        made = f"{encode(customer.encode())}.{expires_s}"
        return f"{made}.{encode(self._keys.mac(_bound(b'session', confirmation, made.encode())))}"

    def session(self, cookie: str | None, confirmation: str | None, now: datetime) -> Session | None:
        """The session of a cookie; None for anything but one of ours, for this confirmation, that still runs."""
        made, _, mac = (cookie or "").rpartition(".")
        codes = self._keys.macs(_bound(b"session", confirmation, made.encode()))
        if not any(hmac.compare_digest(mac.encode(), encode(code).encode()) for code in codes):
            return None
        customer, expires = made.split(".")
        if now.timestamp() >= int(expires):
            return None
        return Session(decode(customer).decode(), confirmation, int(expires))


def _bound(purpose: bytes, confirmation: str | None, over: bytes) -> bytes:
    """What is authenticated says what it is for, as well: a length before each part, so that no part runs into the next."""
    bound = (b"own-pages", b"") if confirmation is None else (b"confirm-page", confirmation.encode())
    return b"tellergate/seal/v2\x00" + b"".join(len(part).to_bytes(4, "big") + part for part in (purpose, *bound, over))


def signed_challenge(client_data: bytes) -> bytes:
    """The challenge that a sign-in's client data names; empty for none. Nothing of it is verified."""
    try:
        parsed = loads(client_data, max_bytes=4096)
        named = parsed.get("challenge") if isinstance(parsed, dict) else None
        return decode(named) if isinstance(named, str) else b""
    except (JsonError, Malformed):
        return b""
