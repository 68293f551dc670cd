"""Proofs of possession (RFC 9449): all checks of section 4.3, server nonces of section 8 and 9, and each proof taken once."""

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from audit.keyring import KeyRing
from gateway.domain.errors import Fault
from gateway.domain.principal import DPOP, Credentials, NotAuthenticated
from gateway.domain.strict_json import Parsed
from gateway.identity.compact import Compact, Malformed, encode, media_type, numeric_date, parse
from gateway.identity.keys import PublicKey, has_private_part, public_key, thumbprint

MAX_PROOF_BYTES = 4096
_TYPE = "dpop+jwt"

_CACHED_KEYS = 20_000
_CACHED_URLS = 1024


class SeenProofs(Protocol):
    """Which proofs were taken, for all workers of the gateway.

    Durability: until `expires_s`, in every process. Concurrency: of two callers with the same proof exactly one is the first. Retry:
    no. Unavailable when it does not answer: the request is then refused.
    """

    async def first_use(self, jti_hash: bytes, key: str, expires_s: int) -> bool:
        """Note the proof and tell whether it is new. `jti_hash`: SHA-256 of its id; `key`: thumbprint of who made it."""


class Nonces:
    """Server nonces without a table: an HMAC over a slot of `lifetime_s`, by a key that all workers share.

    One is good in its own slot and the next, so for `lifetime_s` at least and twice that at most.
    """

    def __init__(self, keys: KeyRing, lifetime_s: int) -> None:
        self._keys = keys
        self._lifetime_s = lifetime_s
        self._current = (-1, "")

    def current(self, now_s: float) -> str:
        slot = int(now_s) // self._lifetime_s
        if self._current[0] != slot:
            self._current = (slot, _nonce(self._keys.mac(_named(slot))))
        return self._current[1]

    def is_good(self, nonce: str, now_s: float) -> bool:
        slot = int(now_s) // self._lifetime_s
        if hmac.compare_digest(nonce.encode(), self.current(now_s).encode()):
            return True
        good = (code for number in (slot, slot - 1) for code in self._keys.macs(_named(number)))
        return any(hmac.compare_digest(nonce.encode(), _nonce(code).encode()) for code in good)


def _named(slot: int) -> bytes:
    return b"tellergate/dpop-nonce/v1\x00" + slot.to_bytes(8, signed=True)


def _nonce(code: bytes) -> str:
    return encode(code[:16])


@dataclass(frozen=True, slots=True, kw_only=True)
class DpopRules:
    """`age_s`, `clock_skew_s`: how old a proof may be, and how far ahead. `nonces` None: none are asked for."""

    seen: SeenProofs
    algorithms: frozenset[str]
    age_s: int = 60
    clock_skew_s: int = 5
    nonces: Nonces | None = field(default=None, repr=False)


class Proofs:
    """Takes or refuses the proof of a request whose access token is good and bound to a key."""

    def __init__(self, rules: DpopRules) -> None:
        self._rules = rules
        self._keys: OrderedDict[str, PublicKey] = OrderedDict()
        self._urls: OrderedDict[str, str | None] = OrderedDict()

    def nonce(self, now: datetime) -> str | None:
        return None if self._rules.nonces is None else self._rules.nonces.current(now.timestamp())

    async def check(self, presented: Credentials, token: str, bound_to: str, now: datetime) -> None:
        """NotAuthenticated INVALID_DPOP_PROOF or USE_DPOP_NONCE. The cheap checks come first, the table last."""
        try:
            proof = self._made_by(presented, bound_to)
            issued = numeric_date(proof.payload, "iat")
        except Malformed:
            raise _refused() from None
        claims, now_s = proof.payload, now.timestamp()
        jti = claims.get("jti")
        if (
            claims.get("htm") != presented.method
            or not self._is_for(claims.get("htu"), presented.url)
            or claims.get("ath") != token_hash(token)
            or not isinstance(jti, str)
            or not 0 < len(jti) <= 256
            or not now_s - self._rules.age_s <= issued <= now_s + self._rules.clock_skew_s
        ):
            raise _refused()
        self._check_nonce(claims, now)
        jti_hash = hashlib.sha256(jti.encode(errors="surrogatepass")).digest()
        if not await self._rules.seen.first_use(jti_hash, bound_to, issued + self._rules.age_s + 1):
            raise _refused()

    def _made_by(self, presented: Credentials, bound_to: str) -> Compact:
        """The one proof, signed by the key that the token is bound to; or Malformed."""
        if len(presented.proofs) != 1:
            raise Malformed("not one proof")
        proof = parse(presented.proofs[0], max_bytes=MAX_PROOF_BYTES)
        jwk = proof.header.get("jwk")
        if (
            media_type(proof.header.get("typ")) != _TYPE
            or proof.algorithm not in self._rules.algorithms
            or not isinstance(jwk, dict)
        ):
            raise Malformed("not a proof")
        if not self._key(jwk, bound_to).verifies(proof, self._rules.algorithms):
            raise Malformed("not signed by its key")
        return proof

    def _key(self, jwk: Mapping[str, Parsed], bound_to: str) -> PublicKey:
        # the thumbprint is compared before the key is parsed, and only keys that tokens are bound to are kept
        if not hmac.compare_digest(thumbprint(jwk).encode(), bound_to.encode()):
            raise Malformed("another key")
        if has_private_part(jwk):  # public_key refuses it too, but a kept key is not parsed again
            raise Malformed("a private key")
        key = self._keys.get(bound_to)
        if key is None:
            key = self._keys[bound_to] = public_key({name: value for name, value in jwk.items() if name not in ("kid", "alg")})
            if len(self._keys) > _CACHED_KEYS:
                self._keys.popitem(last=False)
        return key

    def _is_for(self, htu: Parsed, url: str) -> bool:
        if not isinstance(htu, str):
            return False
        if url not in self._urls:
            self._urls[url] = normalised(url)
            if len(self._urls) > _CACHED_URLS:
                self._urls.popitem(last=False)
        expected = self._urls[url]
        return expected is not None and (htu == expected or normalised(htu) == expected)

    def _check_nonce(self, claims: Mapping[str, Parsed], now: datetime) -> None:
        nonces, nonce = self._rules.nonces, claims.get("nonce")
        if nonces is not None and not (isinstance(nonce, str) and nonces.is_good(nonce, now.timestamp())):
            message = "the proof must carry the nonce of the DPoP-Nonce header"
            raise NotAuthenticated(Fault.USE_DPOP_NONCE, message, scheme=DPOP)


def _refused() -> NotAuthenticated:
    """One answer for every flaw of a proof."""
    return NotAuthenticated(Fault.INVALID_DPOP_PROOF, "the DPoP proof is not valid for this request and this token", scheme=DPOP)


def token_hash(token: str) -> str:
    """`ath`: base64url of the SHA-256 of the access token's ASCII (RFC 9449 section 4.2)."""
    return encode(hashlib.sha256(token.encode()).digest())


_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]")
_PORTS = {"http": 80, "https": 443}


def normalised(url: str) -> str | None:
    """A URL without query and fragment, by the syntax and the scheme (RFC 3986 section 6.2.2 and 6.2.3); None: not one of http."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc:
        return None
    named = f"[{host}]" if ":" in host else host
    where = named if port in (None, _PORTS[parts.scheme]) else f"{named}:{port}"
    return f"{parts.scheme}://{where}{_without_dots(re.sub('%[0-9A-Fa-f]{2}', _spelt_once, parts.path))}"


def _spelt_once(escape: "re.Match[str]") -> str:
    character = chr(int(escape[0][1:], 16))
    return character if _UNRESERVED.fullmatch(character) else escape[0].upper()


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
        if segment in (".", "..") and number == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)
