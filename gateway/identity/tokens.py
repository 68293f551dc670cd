"""An access token becomes a Principal: the customer, and the agent that acts for them (RFC 9068, RFC 8693 `act`).

Verified here beyond a signature: the type `at+jwt`, a known `kid`, one of the pinned algorithms, no key twice, every claim that the
gateway relies on present and of its type, and the binding of the token to who presents it. A verified token is kept until it expires
or its key goes.
"""

import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gateway.domain.errors import Fault
from gateway.domain.principal import BEARER, DPOP, Credentials, NotAuthenticated, Principal, TokenStatus, invalid_token
from gateway.domain.strict_json import Parsed
from gateway.identity.certificate import thumbprint
from gateway.identity.compact import Malformed, media_type, numeric_date, parse
from gateway.identity.dpop import Proofs
from gateway.identity.jwks import KeySource
from gateway.identity.keys import PublicKey

ACR_STRONG = "urn:tellergate:acr:two-factor"
MAX_TOKEN_BYTES = 16 * 1024
"""Room for authorization details that repeat an intent (RFC 9396)."""

CLOCK_SKEW_S = 5
LIFETIME_S = 86_400
SUBJECT_CHARS = 64
"""Of `sub`: what every database takes, wherever a customer or an officer stands in it. A longer one would be a 500 later."""

NAME_CHARS = 255
"""Of an agent, a client and whatever else has a name."""

_SCOPE_CHARS = 4096
_CACHE_ENTRIES = 100_000
_TYPE = "at+jwt"
_SCHEMES = {"bearer": BEARER, "dpop": DPOP}
_CONFIRMATIONS = frozenset({"jkt", "x5t#S256"})


class TokenBinding(StrEnum):
    """What an access token must be bound to. What a token says of itself is checked in any case."""

    OPTIONAL = "optional"
    ANY = "any"
    DPOP = "dpop"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are taken: exact `iss`, our audience in `aud`, keys by `kid`, asymmetric algorithms; which `acr` is two factors."""

    issuer: str
    audience: str
    keys: KeySource
    algorithms: frozenset[str]
    strong: frozenset[str] = frozenset({ACR_STRONG})
    clock_skew_s: int = CLOCK_SKEW_S
    lifetime_s: int = LIFETIME_S
    """The longest that a token may say to be valid, from `iat` to `exp`."""
    segment_claim: str = ""
    """The claim that names a customer's segment; empty: none does."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token whose own words were checked. `jkt`, `x5t`: what it is bound to (RFC 9449 section 6, RFC 8705 section 3.1)."""

    principal: Principal
    kid: str
    key: PublicKey
    jkt: str | None
    x5t: str | None


class AccessTokens:
    """Identity by signed JWT access tokens of one issuer. `proofs` None: tokens that are bound to a key cannot be checked, so none is
    taken; `standing` None: the issuer is never asked again, and a token stands until it expires.
    """

    def __init__(
        self, issuer: Issuer, *, binding: TokenBinding, proofs: Proofs | None = None, standing: TokenStatus | None = None
    ) -> None:
        if not issuer.issuer or not issuer.audience:
            raise ValueError("an issuer and an audience must be set: without them a token of anyone would do")
        self._issuer = issuer
        self._binding = binding
        self._proofs = proofs
        self._standing = standing
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def authenticate(self, presented: Credentials, now: datetime) -> Principal:
        if presented.authorization is None:
            raise NotAuthenticated(Fault.MISSING_TOKEN, "an Authorization header with an access token is needed")
        named, _, token = presented.authorization.partition(" ")
        scheme = _SCHEMES.get(named.lower())
        if scheme is None or not token or len(token) > MAX_TOKEN_BYTES:
            raise invalid_token(scheme)
        # keyed by digest: a dump of the cache is no bag of usable tokens
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._verified.get(digest)
        if verified is None or self._issuer.keys.current(verified.kid) is not verified.key:
            self._verified.pop(digest, None)
            verified = self._verified[digest] = await self._verify(token, now, scheme)
            if len(self._verified) > _CACHE_ENTRIES:
                self._verified.popitem(last=False)
        if now.timestamp() >= verified.principal.expires_at_s:
            self._verified.pop(digest, None)
            raise invalid_token(scheme)
        if scheme is not verified.principal.scheme:  # a bound token as a bearer, or the other way round
            raise invalid_token(scheme)
        if verified.x5t is not None and not _is_of(presented.certificate, verified.x5t):
            raise invalid_token(scheme)
        if verified.jkt is not None:
            if self._proofs is None:
                raise invalid_token(scheme)
            await self._proofs.check(presented, token, verified.jkt, now)
        return verified.principal if self._standing is None else replace(verified.principal, token=token)

    async def still_stands(self, principal: Principal) -> bool:
        return self._standing is None or await self._standing.still_stands(principal)

    def nonce(self, now: datetime) -> str | None:
        return None if self._proofs is None else self._proofs.nonce(now)

    async def _verify(self, token: str, now: datetime, scheme: str) -> _Verified:
        try:
            parsed = parse(token, max_bytes=MAX_TOKEN_BYTES)
        except Malformed:
            raise invalid_token(scheme) from None
        header, kid = parsed.header, parsed.header.get("kid")
        if media_type(header.get("typ")) != _TYPE or not isinstance(kid, str) or parsed.algorithm not in self._issuer.algorithms:
            raise invalid_token(scheme)
        key = await self._issuer.keys.find(kid)
        if key is None or not key.verifies(parsed, self._issuer.algorithms):
            raise invalid_token(scheme)
        try:
            jkt, x5t = _confirmation(parsed.payload)
            principal = self._principal(parsed.payload, now, DPOP if jkt is not None else BEARER)
        except Malformed:
            raise invalid_token(scheme) from None
        if not _satisfies(self._binding, jkt, x5t):
            raise invalid_token(scheme)
        return _Verified(principal, kid, key, jkt, x5t)

    def _principal(self, claims: Mapping[str, Parsed], now: datetime, scheme: str) -> Principal:
        issuer, audience = self._issuer, claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != issuer.issuer or issuer.audience not in audiences:
            raise Malformed("of another issuer, or for another audience")
        now_s, issued, expires = now.timestamp(), numeric_date(claims, "iat"), numeric_date(claims, "exp")
        soon_s = now_s + issuer.clock_skew_s
        if now_s >= expires or issued > soon_s or expires - issued > issuer.lifetime_s:
            raise Malformed("not valid now, or for too long")
        if "nbf" in claims and numeric_date(claims, "nbf") > soon_s:
            raise Malformed("not valid yet")
        agent = None
        if "act" in claims:
            actor = claims["act"]
            if not isinstance(actor, dict) or "act" in actor:  # chains of agents are not served
                raise Malformed("not one actor")
            agent = _string(actor, "sub")
        subject, client = _string(claims, "sub", most=SUBJECT_CHARS), _string(claims, "client_id")
        # a client that asks for itself was never signed in (RFC 9068 section 2.2.1): 0 is too long ago for a strong session
        is_service = subject == client and agent is None and "auth_time" not in claims
        signed_in = 0 if is_service else numeric_date(claims, "auth_time")
        if signed_in > soon_s:
            raise Malformed("signed in later than now")
        return Principal(
            customer=subject,
            agent=agent,
            client=client,
            scopes=frozenset(_string(claims, "scope", most=_SCOPE_CHARS).split()),
            strong=_is_strong(claims.get("acr"), issuer.strong),
            authenticated_at_s=signed_in,
            expires_at_s=expires,
            channel=_string(claims, "channel") if "channel" in claims else "app",
            scheme=scheme,
            authorization_details=_details(claims),
            segment=_string(claims, issuer.segment_claim) if issuer.segment_claim and issuer.segment_claim in claims else None,
        )


def _details(claims: Mapping[str, Parsed]) -> str | None:
    """`authorization_details` (RFC 9396 section 9.1): a list, kept as text so that nothing can be changed in it."""
    if "authorization_details" not in claims:
        return None
    details = claims["authorization_details"]
    if not isinstance(details, list):
        raise Malformed("authorization details that are no list")
    return json.dumps(details, ensure_ascii=False, default=float)  # an intent holds no fractions


def _is_strong(acr: Parsed, strong: frozenset[str]) -> bool:
    return isinstance(acr, str) and acr in strong


def _confirmation(claims: Mapping[str, Parsed]) -> tuple[str | None, str | None]:
    """`cnf.jkt` and `cnf.x5t#S256` (RFC 7800). A confirmation that is not known here is one that was not checked: Malformed."""
    if "cnf" not in claims:
        return None, None
    confirmation = claims["cnf"]
    if not isinstance(confirmation, dict) or not confirmation or not _CONFIRMATIONS.issuperset(confirmation):
        raise Malformed("a confirmation that cannot be checked")
    jkt = _string(confirmation, "jkt") if "jkt" in confirmation else None
    x5t = _string(confirmation, "x5t#S256") if "x5t#S256" in confirmation else None
    return jkt, x5t


def _satisfies(binding: TokenBinding, jkt: str | None, x5t: str | None) -> bool:
    match binding:
        case TokenBinding.OPTIONAL:
            return True
        case TokenBinding.ANY:
            return jkt is not None or x5t is not None
        case TokenBinding.DPOP:
            return jkt is not None
        case TokenBinding.CERTIFICATE:
            return x5t is not None


def _is_of(certificate: bytes | None, x5t: str) -> bool:
    return certificate is not None and hmac.compare_digest(thumbprint(certificate).encode(), x5t.encode())


def _string(claims: Mapping[str, Parsed], name: str, *, most: int = NAME_CHARS) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise Malformed("a claim that is missing or of another type")
    return value
