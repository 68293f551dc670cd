"""The bank's people sign in by its OpenID provider: authorization code with PKCE, `state` and `nonce`, and an ID token that is verified.

Of the provider's answer only the ID token counts (OpenID Connect Core section 3.1.3.7); its access token is thrown away.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

from gateway.domain.duties import StaffRole
from gateway.domain.errors import Unavailable
from gateway.domain.staff import SUBJECT_MOST, StaffMember
from gateway.domain.strict_json import Parsed
from gateway.identity.code_flow import authorization_url, challenge, code_of
from gateway.identity.compact import Malformed, media_type, numeric_date, parse
from gateway.identity.fetching import Fetcher, NoAnswer, basic_credentials
from gateway.identity.jwks import OPENID, KeySource, metadata_url

MAX_ID_TOKEN_BYTES = 16 * 1024
SIGN_IN_S = 600
"""From its beginning to its end."""

_METADATA_S = 300.0
_TYPES = frozenset({"", "jwt"})
_URL_MOST = 8192


class SignInRefusal(StrEnum):
    """Why somebody was not signed in. Told to them, without a word of what their provider said."""

    DECLINED = "declined"
    STATE = "state"
    ID_TOKEN = "id_token"  # noqa: S105  # a code, no secret
    NOT_FRESH = "not_fresh"
    NO_ROLE = "no_role"


class NotSignedIn(Exception):
    """Nobody is signed in. `why` says what was wrong."""

    def __init__(self, why: SignInRefusal) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class SignInRules:
    """`origin`: ours, where the browser comes back. `roles`: which values of `roles_claim` make which role. `strong`: which `acr` says
    that two factors were used. Times are seconds."""

    issuer: str
    client: str
    secret: str = field(repr=False)
    origin: str
    roles_claim: str
    roles: Mapping[str, StaffRole]
    strong: tuple[str, ...]
    algorithms: frozenset[str]
    clock_skew_s: int
    longest_s: int
    """How old a sign-in at the provider may be."""

    @property
    def redirect_uri(self) -> str:
        return f"{self.origin}/signed-in"


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """What the browser that began must bring back. `fresh`: the provider is to ask for both factors anew."""

    state: str
    nonce: str
    verifier: str
    begun_s: int
    fresh: bool


class StaffSignIn:
    """A relying party of one provider. Concurrent use is safe. Unavailable while the provider does not answer as it must."""

    def __init__(self, rules: SignInRules, fetcher: Fetcher, keys: KeySource) -> None:
        self._rules = rules
        self._fetcher = fetcher
        self._keys = keys
        self._known: tuple[Mapping[str, Parsed], float] = ({}, 0.0)

    async def begin(self, now: datetime, *, fresh: bool) -> tuple[str, PendingSignIn]:
        """Where to send the browser, and what it must bring back."""
        rules, endpoint = self._rules, await self._endpoint("authorization_endpoint", now)
        verifier = secrets.token_urlsafe(48)
        pending = PendingSignIn(secrets.token_urlsafe(24), secrets.token_urlsafe(24), verifier, int(now.timestamp()), fresh)
        asked = {
            "scope": "openid",
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
            "max_age": "0" if fresh else str(rules.longest_s),
            **({"acr_values": " ".join(rules.strong)} if rules.strong else {}),
            **({"prompt": "login"} if fresh else {}),
        }
        return authorization_url(endpoint, rules.client, rules.redirect_uri, asked), pending

    async def finish(self, pending: PendingSignIn, query: str, now: datetime) -> StaffMember:
        """Who signed in. `query`: of the address to which the browser came back. NotSignedIn, Unavailable."""
        rules = self._rules
        code = _code(pending, rules, query, now)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": rules.redirect_uri,
            "code_verifier": pending.verifier,
        }
        try:
            told = await self._fetcher.post(
                await self._endpoint("token_endpoint", now), form, basic_credentials(rules.client, rules.secret)
            )
        except NoAnswer as error:
            if str(error).startswith("status 4"):  # the code was used, is too old, or is not ours
                raise NotSignedIn(SignInRefusal.DECLINED) from None
            raise Unavailable("issuer_unavailable") from None
        token = told.get("id_token")
        try:
            return await self._verified(token if isinstance(token, str) else "", pending, now)
        except Malformed:
            raise NotSignedIn(SignInRefusal.ID_TOKEN) from None

    async def _verified(self, token: str, pending: PendingSignIn, now: datetime) -> StaffMember:
        rules, parsed = self._rules, parse(token, max_bytes=MAX_ID_TOKEN_BYTES)
        kid, claims = parsed.header.get("kid"), parsed.payload
        is_ours = media_type(parsed.header.get("typ")) in _TYPES and parsed.algorithm in rules.algorithms
        key = await self._keys.find(kid) if is_ours and isinstance(kid, str) else None
        if key is None or not key.verifies(parsed, rules.algorithms):
            raise Malformed("not signed by a key of the issuer")
        if claims.get("iss") != rules.issuer or claims.get("aud") not in (rules.client, [rules.client]):
            raise Malformed("of another issuer, or for others too")
        nonce = claims.get("nonce")
        if claims.get("azp", rules.client) != rules.client or not isinstance(nonce, str) or not _same(nonce, pending.nonce):
            raise Malformed("for another client, or another sign-in")
        now_s = now.timestamp()
        soon_s, issued, signed_in = now_s + rules.clock_skew_s, numeric_date(claims, "iat"), numeric_date(claims, "auth_time")
        if (
            now_s >= numeric_date(claims, "exp")
            or issued > soon_s
            or signed_in > soon_s
            or issued < pending.begun_s - rules.clock_skew_s
        ):
            raise Malformed("not of now")
        strong = claims.get("acr") in rules.strong
        if now_s - signed_in > rules.longest_s:
            raise NotSignedIn(SignInRefusal.NOT_FRESH)
        if pending.fresh and (not strong or signed_in < pending.begun_s - rules.clock_skew_s):
            raise NotSignedIn(SignInRefusal.NOT_FRESH)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MOST or not subject.isprintable():
            raise Malformed("a subject that is missing or too long")
        roles = roles_of(claims.get(rules.roles_claim), rules.roles)
        if not roles:
            raise NotSignedIn(SignInRefusal.NO_ROLE)
        return StaffMember(subject, roles, strong, signed_in)

    async def _endpoint(self, name: str, now: datetime) -> str:
        known, fetched_s = self._known
        if not known or now.timestamp() - fetched_s > _METADATA_S:
            try:
                known = await self._fetcher.get(metadata_url(self._rules.issuer, OPENID))
            except NoAnswer:
                raise Unavailable("issuer_unavailable") from None
            if known.get("issuer") != self._rules.issuer:
                raise Unavailable("issuer_unavailable")
            self._known = (known, now.timestamp())
        endpoint = known.get(name)
        if not isinstance(endpoint, str) or urlsplit(endpoint).scheme != urlsplit(self._rules.issuer).scheme:
            raise Unavailable("issuer_unavailable")
        return endpoint


def roles_of(claim: Parsed, mapping: Mapping[str, StaffRole]) -> frozenset[StaffRole]:
    """The roles that a claim makes: a list of strings, or one string of words. Anything else makes none."""
    values = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(mapping[value] for value in values if isinstance(value, str) and value in mapping)


def _code(pending: PendingSignIn, rules: SignInRules, query: str, now: datetime) -> str:
    """The code, of an answer to exactly this sign-in. NotSignedIn."""
    age_s = now.timestamp() - pending.begun_s
    members = parse_qs(query, keep_blank_values=True) if len(query) <= _URL_MOST else {}
    if not -rules.clock_skew_s <= age_s <= SIGN_IN_S or any(len(values) != 1 for values in members.values()):
        raise NotSignedIn(SignInRefusal.STATE)
    if not _same(members.get("state", [""])[0], pending.state) or members.get("iss", [rules.issuer]) != [rules.issuer]:
        raise NotSignedIn(SignInRefusal.STATE)  # RFC 9207: of another issuer
    code = code_of(f"{rules.redirect_uri}?{query}", pending.state)
    if code is None:
        raise NotSignedIn(SignInRefusal.DECLINED)
    return code


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
