"""The issuer's keys (RFC 7517), found by its metadata (RFC 8414, OpenID Connect Discovery) and kept for a bounded time.

Keys are fetched again before they are stale, and for a key id that is not known, at most once in `retry_s`: a flood of made-up ids
costs the issuer nothing. While the issuer is down its known keys serve until they are `most_s` old; then nothing is accepted.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from gateway.domain.alarms import Alarm
from gateway.domain.errors import Unavailable
from gateway.domain.strict_json import Parsed
from gateway.identity.compact import Malformed
from gateway.identity.fetching import Fetcher, NoAnswer
from gateway.identity.keys import PublicKey, public_key

MAX_KEYS = 64

OPENID, OAUTH = "openid-configuration", "oauth-authorization-server"
"""Well-known documents: OpenID Connect Discovery section 4 and RFC 8414 section 3."""

_LOG = logging.getLogger("tellergate.identity")


class KeySource(Protocol):
    """The keys that verify access tokens. Concurrent use is safe."""

    def current(self, kid: str) -> PublicKey | None:
        """Of the keys that are held and not too old. The same object as long as the key is the same."""

    async def find(self, kid: str) -> PublicKey | None:
        """As `current`, and asks the issuer if need be. None: it has no such key. Unavailable: what is held is too old to be believed."""


class FixedKeys:
    """Keys that never change: those of the local issuer."""

    def __init__(self, keys: Mapping[str, PublicKey]) -> None:
        self._keys = dict(keys)

    def current(self, kid: str) -> PublicKey | None:
        return self._keys.get(kid)

    async def find(self, kid: str) -> PublicKey | None:
        return self._keys.get(kid)


@dataclass(frozen=True, slots=True)
class Ages:
    """Seconds: after how long keys are fetched again, how old they may become, and how long to wait between two questions."""

    refresh_s: float = 300
    most_s: float = 3600
    retry_s: float = 10


class RemoteKeys:
    """Keys of a `fetch` that may fail with NoAnswer. One fetch at a time, in a task that no caller's end cancels."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Mapping[str, PublicKey]]],
        ages: Ages,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._ages = ages
        self._monotonic = monotonic
        self._keys: Mapping[str, PublicKey] = {}
        self._fetched_at = -math.inf
        self._asked_at = -math.inf
        self._running: asyncio.Task[None] | None = None

    def current(self, kid: str) -> PublicKey | None:
        age = self._monotonic() - self._fetched_at
        if age > self._ages.refresh_s:
            self._asking()  # in the background
        return self._keys.get(kid) if age <= self._ages.most_s else None

    async def find(self, kid: str) -> PublicKey | None:
        key = self.current(kid)
        if key is None and (asking := self._asking()) is not None:
            await asyncio.shield(asking)
        if self._monotonic() - self._fetched_at > self._ages.most_s:
            raise Unavailable("issuer_unavailable")
        return self._keys.get(kid)

    def are_held(self) -> bool:
        """Whether there are keys that may still be used."""
        return bool(self._keys) and self._monotonic() - self._fetched_at <= self._ages.most_s

    async def run(self) -> None:
        """Keep the keys fresh although nobody asks for one: else a key that was rotated away would serve whoever comes first."""
        while True:
            self.current("")
            await asyncio.sleep(min(self._ages.retry_s, self._ages.refresh_s))

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _asking(self) -> "asyncio.Task[None] | None":
        """The fetch that runs, or a new one; None if the last began less than `retry_s` ago."""
        if self._running is None and self._monotonic() - self._asked_at >= self._ages.retry_s:
            self._asked_at = self._monotonic()
            self._running = asyncio.ensure_future(self._refresh())
        return self._running

    async def _refresh(self) -> None:
        begun = self._monotonic()
        try:
            fetched = await self._fetch()
        except NoAnswer as error:
            age_s = None if math.isinf(self._fetched_at) else int(begun - self._fetched_at)
            _LOG.log(*Alarm.ISSUER_KEYS_NOT_FETCHED.line(why=str(error), held_s=age_s))
        else:
            # a key that is still the same stays the same object, so that the tokens it verified stay verified
            kept = {kid: self._keys[kid] for kid in fetched if _is_same(self._keys.get(kid), fetched[kid])}
            self._keys = {**fetched, **kept}
            self._fetched_at = begun
        finally:
            self._running = None


def _is_same(one: PublicKey | None, other: PublicKey) -> bool:
    return one is not None and (one.thumbprint, one.algorithm) == (other.thumbprint, other.algorithm)


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    """Fetches an issuer's keys from `jwks_uri`, or from where its metadata says."""

    fetcher: Fetcher
    issuer: str
    jwks_uri: str = ""
    metadata: str = OPENID

    async def __call__(self) -> Mapping[str, PublicKey]:
        return usable_keys(await self.fetcher.get(self.jwks_uri or await self._discovered()))

    async def _discovered(self) -> str:
        found = await self.fetcher.get(metadata_url(self.issuer, self.metadata))
        uri = found.get("jwks_uri")
        if found.get("issuer") != self.issuer or not isinstance(uri, str):
            raise NoAnswer("metadata of another issuer, or without jwks_uri")
        return uri


def metadata_url(issuer: str, document: str) -> str:
    """Where an issuer's metadata lies: RFC 8414 puts the name before the issuer's path, OpenID Connect behind it."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    path = f"/.well-known/{document}{path}" if document == OAUTH else f"{path}/.well-known/{document}"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def usable_keys(document: Mapping[str, Parsed]) -> Mapping[str, PublicKey]:
    """The signature keys of a JWK set by their id. What cannot be used is left out and told; NoAnswer if it is no JWK set."""
    members = document.get("keys")
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise NoAnswer("not a JWK set, or too large")
    listed = [member for member in members if isinstance(member, dict) and _is_for_signatures(member)]
    ids = Counter(member["kid"] for member in listed if isinstance(member.get("kid"), str))
    keys = {}
    for member in listed:
        kid = member.get("kid")
        if not isinstance(kid, str) or ids[kid] > 1:
            _LOG.log(*Alarm.ISSUER_KEY_REFUSED.line(why="no id of its own"))
            continue
        try:
            keys[kid] = public_key(member)
        except Malformed as error:
            _LOG.log(*Alarm.ISSUER_KEY_REFUSED.line(why=str(error)))
    return keys


def _is_for_signatures(member: Mapping[str, Parsed]) -> bool:
    operations = member.get("key_ops")
    return member.get("use", "sig") == "sig" and (not isinstance(operations, list) or "verify" in operations)
