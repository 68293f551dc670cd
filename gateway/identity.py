"""A bearer token becomes a Principal: the customer, and the agent that acts for them (RFC 9068, RFC 8693 `act`).

Verified here beyond what joserfc does: the type `at+jwt`, a known `kid`, the one pinned algorithm, no duplicate keys, every claim
that the gateway relies on present and of its type. A verified token is cached until it expires.
"""

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from adapters.function import Level
from gateway.errors import Fault, RequestFault
from gateway.strict_json import Json, JsonError, loads

SCOPE_CALLS = "function_calls"
SCOPE_WORDS = "customer_words"
ACR_STRONG = "urn:tellergate:acr:two-factor"
MAX_TOKEN_BYTES = 4096
CLOCK_SKEW_S = 5
_CACHE_ENTRIES = 100_000


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `agent` is None when the customer's own device holds the token (it then speaks as the customer)."""

    customer: str
    agent: str | None
    client: str
    scopes: frozenset[str]
    strong: bool
    authenticated_at_s: int
    expires_at_s: int
    channel: str

    def level(self, now: datetime, max_age_s: int) -> Level:
        """L2 for a two-factor session no older than `max_age_s`, else L1. A token never gives more (RTS on SCA Art. 5)."""
        fresh = now.timestamp() - self.authenticated_at_s <= max_age_s
        return Level.L2 if self.strong and fresh else Level.L1


class Identity(Protocol):
    """Where Principals come from. No I/O on the happy path; concurrent use is safe; nothing is retried."""

    def authenticate(self, authorization: str | None, now: datetime) -> Principal:
        """The Principal of an `Authorization` header. RequestFault MISSING_TOKEN or INVALID_TOKEN, the same for every cause."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are taken: exact `iss`, one of our audiences in `aud`, keys by `kid`, one algorithm."""

    issuer: str
    audience: str
    keys: KeySet
    algorithm: str


class BearerTokens:
    """Identity by signed JWT access tokens of one issuer."""

    def __init__(self, issuer: Issuer) -> None:
        if not issuer.issuer or not issuer.audience:
            raise ValueError("an issuer and an audience must be set: without them a token of anyone would do")
        self._issuer = issuer
        self._kids = {key.kid for key in issuer.keys.keys}
        self._verified: OrderedDict[bytes, Principal] = OrderedDict()

    def authenticate(self, authorization: str | None, now: datetime) -> Principal:
        if authorization is None:
            raise RequestFault(Fault.MISSING_TOKEN, "an Authorization header with a bearer token is needed")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_BYTES:
            raise _invalid()
        # keyed by digest: a dump of the cache is no bag of usable tokens
        digest = hashlib.sha256(token.encode()).digest()
        principal = self._verified.get(digest)
        if principal is None:
            principal = self._verify(token, now)
            self._verified[digest] = principal
            if len(self._verified) > _CACHE_ENTRIES:
                self._verified.popitem(last=False)
        if now.timestamp() >= principal.expires_at_s:
            self._verified.pop(digest, None)
            raise _invalid()
        return principal

    def _verify(self, token: str, now: datetime) -> Principal:
        try:
            header = _object(token.split(".", maxsplit=1)[0])
            if header.get("typ") != "at+jwt" or header.get("kid") not in self._kids:
                raise _invalid()
            signed = jws.deserialize_compact(token, self._issuer.keys, algorithms=[self._issuer.algorithm])
            claims = loads(signed.payload, max_bytes=MAX_TOKEN_BYTES)
        except (JoseError, ValueError):  # JsonError and binascii.Error are ValueErrors
            raise _invalid() from None
        if not isinstance(claims, dict):
            raise _invalid()
        return self._principal(claims, now)

    def _principal(self, claims: Mapping[str, Json], now: datetime) -> Principal:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._issuer.issuer or self._issuer.audience not in audiences:
            raise _invalid()
        now_s = now.timestamp()
        expires, issued = _integer(claims, "exp"), _integer(claims, "iat")
        if now_s >= expires or issued > now_s + CLOCK_SKEW_S:
            raise _invalid()
        if "nbf" in claims and _integer(claims, "nbf") > now_s + CLOCK_SKEW_S:
            raise _invalid()
        agent = None
        if "act" in claims:
            actor = claims["act"]
            if not isinstance(actor, dict) or "act" in actor:  # chains of agents are not served
                raise _invalid()
            agent = _string(actor, "sub")
        return Principal(
            customer=_string(claims, "sub"),
            agent=agent,
            client=_string(claims, "client_id"),
            scopes=frozenset(_string(claims, "scope").split()),
            strong=claims.get("acr") == ACR_STRONG,
            authenticated_at_s=_integer(claims, "auth_time"),
            expires_at_s=expires,
            channel=_string(claims, "channel") if "channel" in claims else "app",
        )


def require_scope(principal: Principal, scope: str) -> None:
    """RequestFault INSUFFICIENT_SCOPE unless the token carries `scope` (RFC 6750 section 3.1)."""
    if scope not in principal.scopes:
        raise RequestFault(Fault.INSUFFICIENT_SCOPE, f"the token lacks the scope {scope}")


def _invalid() -> RequestFault:
    return RequestFault(Fault.INVALID_TOKEN, "the bearer token is not valid here; obtain a new one")


def _object(segment: str) -> Mapping[str, Json]:
    value = loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)), max_bytes=MAX_TOKEN_BYTES)
    if not isinstance(value, dict):
        raise JsonError(Fault.INVALID_TOKEN, "not an object")
    return value


def _string(claims: Mapping[str, Json], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 256 or not value.isprintable():
        raise _invalid()
    return value


def _integer(claims: Mapping[str, Json], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _invalid()
    return value
