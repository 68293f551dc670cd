"""A token is taken only if everything about it is right; whatever is wrong, the answer is the same."""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from sqlalchemy import String, Text

from adapters.function import Level
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import Credentials, Principal
from gateway.domain.strict_json import Parsed
from gateway.identity import ACR_STRONG, AccessTokens, Issuer, TokenBinding
from gateway.identity.jwks import FixedKeys
from gateway.identity.keys import PublicKey, public_key
from gateway.identity.tokens import NAME_CHARS, SUBJECT_CHARS
from gateway.store.tables import METADATA

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
KEY = OKPKey.generate_key("Ed25519", {"kid": "k1"})
OTHER = OKPKey.generate_key("Ed25519", {"kid": "k1"})
RSA = RSAKey.generate_key(2048, {"kid": "r1"})
EC = ECKey.generate_key("P-256", {"kid": "e1"})
KEYS: Mapping[str, PublicKey] = {
    str(key.kid): public_key(cast(dict[str, Parsed], key.as_dict(private=False))) for key in (KEY, RSA, EC)
}
ISSUER = Issuer("https://bank.example", "tellergate", FixedKeys(KEYS), frozenset({"Ed25519", "PS256", "ES256"}))
RSA_PEM = RSA.as_pem(private=False)
HEADER = {"typ": "at+jwt", "alg": "Ed25519", "kid": "k1"}
CLAIMS: dict[str, Any] = {
    "iss": "https://bank.example",
    "aud": "tellergate",
    "sub": "alice",
    "client_id": "app",
    "scope": "function_calls",
    "iat": NOW_S,
    "exp": NOW_S + 600,
    "auth_time": NOW_S - 10,
    "act": {"sub": "assistant"},
}


def signed(claims: Any = CLAIMS, header: Any = HEADER, key: Any = KEY) -> str:
    """A JWS as an attacker would write it: nothing of its header is checked."""
    segments = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    text = ".".join(b64(segment) for segment in segments)
    if isinstance(key, bytes):
        return f"{text}.{b64(hmac.digest(key, text.encode(), 'sha256'))}"
    return (
        f"{text}.{b64(JWSRegistry.algorithms[header['alg'] if isinstance(header, dict) else 'Ed25519'].sign(text.encode(), key))}"
    )


def respelt(token: str) -> str:
    """The same bytes with another last character: 64 bytes leave four bits of it unused."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[alphabet.index(token[-1]) ^ 1]
    assert base64.urlsafe_b64decode(token[-86:] + "==") == base64.urlsafe_b64decode(token[-86:-1] + other + "==")
    return token[:-1] + other


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def presented(authorization: str | None, **changes: Any) -> Credentials:
    return replace(Credentials(authorization, (), "POST", "https://window.example/v1/function-calls"), **changes)


async def authenticate(token: str, now: datetime = NOW, **changes: Any) -> Principal:
    tokens = AccessTokens(replace(ISSUER, **changes), binding=TokenBinding.OPTIONAL)
    return await tokens.authenticate(presented(f"Bearer {token}"), now)


async def test_a_good_token_is_its_customer_and_agent() -> None:
    principal = await authenticate(signed())
    assert (principal.customer, principal.agent, principal.client) == ("alice", "assistant", "app")
    assert principal.scopes == frozenset({"function_calls"})
    assert (await authenticate(signed({**CLAIMS, "aud": ["other", "tellergate"]}))).customer == "alice"
    assert (await authenticate(signed(header={**HEADER, "typ": "application/at+jwt"}))).customer == "alice"
    assert (await authenticate(signed(header={**HEADER, "alg": "PS256", "kid": "r1"}, key=RSA))).customer == "alice"
    assert (await authenticate(signed(header={**HEADER, "alg": "ES256", "kid": "e1"}, key=EC))).customer == "alice"
    without = {name: value for name, value in CLAIMS.items() if name != "act"}
    assert (await authenticate(signed(without))).agent is None


RIGHT: dict[str, str] = {
    "a type in capitals (RFC 7515 section 4.1.9)": signed(header={**HEADER, "typ": "AT+JWT"}),
    "a type in full, in capitals": signed(header={**HEADER, "typ": "Application/At+Jwt"}),
    "times with fractions (RFC 7519 section 2)": signed(
        {**CLAIMS, "iat": NOW_S - 0.5, "exp": NOW_S + 599.9, "auth_time": NOW_S - 9.5}
    ),
    "a fraction of a second before now": signed({**CLAIMS, "nbf": NOW_S + 0.25}),
    "four thousand characters of scopes": signed({**CLAIMS, "scope": "function_calls " + "urn:bank:scope:long " * 200}),
    "a day exactly": signed({**CLAIMS, "exp": NOW_S + 86_400}),
    "a subject of 64 characters": signed({**CLAIMS, "sub": "\u00e9" * 64}),
    "a client and an agent of 255 characters": signed({**CLAIMS, "client_id": "a" * 255, "act": {"sub": "b" * 255}}),
    "signed in within the skew": signed({**CLAIMS, "auth_time": NOW_S + 5}),
}


@pytest.mark.parametrize("name", RIGHT)
async def test_what_the_standards_allow_is_taken(name: str) -> None:
    principal = await authenticate(RIGHT[name])
    assert "function_calls" in principal.scopes
    assert isinstance(principal.expires_at_s, int)
    assert principal.authenticated_at_s <= NOW_S + 5


async def test_a_fraction_makes_no_token_last_longer() -> None:
    token = signed({**CLAIMS, "exp": NOW_S + 1.9})
    assert (await authenticate(token, NOW + timedelta(seconds=0.9))).expires_at_s == NOW_S + 1
    with pytest.raises(RequestFault):
        await authenticate(token, NOW + timedelta(seconds=1))


WRONG: dict[str, str] = {
    "another issuer": signed({**CLAIMS, "iss": "https://evil.example"}),
    "an issuer with a slash more": signed({**CLAIMS, "iss": "https://bank.example/"}),
    "another audience": signed({**CLAIMS, "aud": "another"}),
    "expired": signed({**CLAIMS, "exp": NOW_S}),
    "valid for longer than a day": signed({**CLAIMS, "exp": NOW_S + 86_401}),
    "issued a day ago for more than a day": signed({**CLAIMS, "iat": NOW_S - 86_400, "exp": NOW_S + 60}),
    "signed in later than now": signed({**CLAIMS, "auth_time": NOW_S + 60}),
    "a time with an exponent beyond all times": signed(json.dumps(CLAIMS).replace(str(NOW_S + 600), "1e300").encode()),
    "a time before all times": signed({**CLAIMS, "auth_time": -1}),
    "a time that is true": signed({**CLAIMS, "iat": True}),
    "a time that is text": signed({**CLAIMS, "exp": str(NOW_S + 600)}),
    "a type of another family": signed(header={**HEADER, "typ": "text/at+jwt"}),
    "a subject of 65 characters": signed({**CLAIMS, "sub": "a" * 65}),
    "a client of 256 characters": signed({**CLAIMS, "client_id": "a" * 256}),
    "a subject with a NUL": signed({**CLAIMS, "sub": "ali\u0000ce"}),
    "an agent with a NUL": signed({**CLAIMS, "act": {"sub": "\u0000"}}),
    "scopes without end": signed({**CLAIMS, "scope": "a " * 3_000}),
    "issued in the future": signed({**CLAIMS, "iat": NOW_S + 60}),
    "not yet valid": signed({**CLAIMS, "nbf": NOW_S + 60}),
    "an ID token's type": signed(header={**HEADER, "typ": "JWT"}),
    "no type": signed(header={"alg": "Ed25519", "kid": "k1"}),
    "no key id": signed(header={"typ": "at+jwt", "alg": "Ed25519"}),
    "an unknown key id": signed(header={**HEADER, "kid": "k2"}),
    "signed by another key of the same id": signed(key=OTHER),
    "an HMAC under the public key": signed(header={**HEADER, "alg": "HS256", "kid": "r1"}, key=RSA_PEM),
    "an algorithm that is not pinned": signed(header={**HEADER, "alg": "RS256", "kid": "r1"}, key=RSA),
    "the algorithm of another type of key": signed(header={**HEADER, "kid": "r1"}),
    "a key that it brings itself": signed(
        header={"typ": "at+jwt", "alg": "Ed25519", "jwk": OTHER.as_dict(private=False)}, key=OTHER
    ),
    "a key that it brings under a known id": signed(header={**HEADER, "jwk": OTHER.as_dict(private=False)}, key=OTHER),
    "an address of keys under a known id": signed(header={**HEADER, "jku": "https://evil.example/jwks"}, key=OTHER),
    "an address of a certificate": signed(header={**HEADER, "x5u": "https://evil.example/x5u"}, key=OTHER),
    "a critical extension": signed(header={**HEADER, "crit": ["exp"], "exp": 1}),
    "an unencoded payload": signed(header={**HEADER, "b64": False, "crit": ["b64"]}),
    "a key id that is a number": signed(header={**HEADER, "kid": 1}),
    "a header key twice": signed(header=json.dumps(HEADER).encode()[:-1] + b', "kid": "k1"}'),
    "padded segments": ".".join(part + "=" * (-len(part) % 4) for part in signed().split(".")),
    "a signature spelt otherwise": respelt(signed()),
    "bound to something that is not known here": signed({**CLAIMS, "cnf": {"kid": "x"}}),
    "bound to something known and something not": signed({**CLAIMS, "cnf": {"jkt": "x", "jwk": {}}}),
    "bound to nothing": signed({**CLAIMS, "cnf": {}}),
    "a binding that is no object": signed({**CLAIMS, "cnf": None}),
    "bound to a key, shown as a bearer": signed({**CLAIMS, "cnf": {"jkt": "a" * 43}}),
    "bound to a certificate, shown without": signed({**CLAIMS, "cnf": {"x5t#S256": "a" * 43}}),
    "an ID token": signed({"iss": "https://bank.example", "sub": "alice", "aud": "app", "iat": NOW_S, "exp": NOW_S + 600}),
    "unsigned": signed(header={**HEADER, "alg": "none"}, key=b"").rsplit(".", 1)[0] + ".",
    "without its signature": signed().rsplit(".", 1)[0] + ".",
    "with another payload": ".".join(
        [signed().split(".")[0], b64(json.dumps({**CLAIMS, "sub": "bruno"}).encode()), signed().split(".")[2]]
    ),
    "a duplicate claim": signed(json.dumps(CLAIMS).encode().replace(b'"sub": "alice"', b'"sub": "alice", "sub": "bruno"')),
    "a payload that is no object": signed(b"[]"),
    "a chain of agents": signed({**CLAIMS, "act": {"sub": "a", "act": {"sub": "b"}}}),
    "an agent that is no object": signed({**CLAIMS, "act": "assistant"}),
    "an agent without a subject": signed({**CLAIMS, "act": {}}),
    "a customer with a control character": signed({**CLAIMS, "sub": "ali\nce"}),
    "a fraction of a second": signed({**CLAIMS, "exp": NOW_S + 0.5}),
    "details that are no list": signed({**CLAIMS, "authorization_details": {"type": "tellergate_intent"}}),
    "true as a time": signed({**CLAIMS, "auth_time": True}),
    "too long": signed({**CLAIMS, "more": "a" * 17_000}),
    "no token at all": "x",
    "five parts": "a.b.c.d.e",
    **{f"without {name}": signed({k: v for k, v in CLAIMS.items() if k != name}) for name in CLAIMS if name != "act"},
}


@pytest.mark.parametrize("name", WRONG)
async def test_whatever_is_wrong_the_answer_is_the_same(name: str) -> None:
    with pytest.raises(RequestFault) as fault:
        await authenticate(WRONG[name])
    assert fault.value.fault is Fault.INVALID_TOKEN
    assert fault.value.message == "the access token is not valid here; obtain a new one"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "DPoP x", f"DPoP {signed()}", f"Bearer  {signed()}"]
)
async def test_another_scheme_is_no_bearer_token(header: str | None) -> None:
    with pytest.raises(RequestFault) as fault:
        await AccessTokens(ISSUER, binding=TokenBinding.OPTIONAL).authenticate(presented(header), NOW)
    assert fault.value.fault is (Fault.MISSING_TOKEN if header is None else Fault.INVALID_TOKEN)


async def test_a_cached_token_expires_all_the_same() -> None:
    tokens = AccessTokens(ISSUER, binding=TokenBinding.OPTIONAL)
    assert await tokens.authenticate(presented(f"Bearer {signed()}"), NOW)
    with pytest.raises(RequestFault):
        await tokens.authenticate(presented(f"Bearer {signed()}"), NOW + timedelta(seconds=600))


@pytest.mark.parametrize("binding", [TokenBinding.ANY, TokenBinding.DPOP, TokenBinding.CERTIFICATE])
async def test_where_a_binding_is_demanded_a_bearer_is_refused(binding: TokenBinding) -> None:
    with pytest.raises(RequestFault) as fault:
        await AccessTokens(ISSUER, binding=binding).authenticate(presented(f"Bearer {signed()}"), NOW)
    assert fault.value.fault is Fault.INVALID_TOKEN


async def test_clocks_may_differ_by_what_is_set_and_no_more() -> None:
    for claim in ("iat", "nbf"):
        assert await authenticate(signed({**CLAIMS, claim: NOW_S + 5}))
        with pytest.raises(RequestFault):
            await authenticate(signed({**CLAIMS, claim: NOW_S + 6}))
        assert await authenticate(signed({**CLAIMS, claim: NOW_S + 30}), clock_skew_s=30)


async def test_the_token_is_kept_only_where_the_issuer_can_be_asked_and_is_never_printed() -> None:
    class Asked:
        async def still_stands(self, principal: Principal) -> bool:
            return principal.token == signed()

    assert (await authenticate(signed())).token is None
    asked = AccessTokens(ISSUER, binding=TokenBinding.OPTIONAL, standing=Asked())
    for _ in ("fresh", "cached"):
        principal = await asked.authenticate(presented(f"Bearer {signed()}"), NOW)
        assert await asked.still_stands(principal)
        assert signed() not in repr(principal)


async def test_a_strong_session_grows_weak_with_time() -> None:
    principal = await authenticate(signed({**CLAIMS, "acr": ACR_STRONG}))
    assert principal.level(NOW, 300) is Level.L2
    assert principal.level(NOW + timedelta(seconds=290), 300) is Level.L2
    assert principal.level(NOW + timedelta(seconds=291), 300) is Level.L1
    for other in ("urn:other", ACR_STRONG + " ", [ACR_STRONG], True, None):
        assert (await authenticate(signed({**CLAIMS, "acr": other}))).level(NOW, 300) is Level.L1
    elsewhere = await authenticate(signed({**CLAIMS, "acr": "urn:other"}), strong=frozenset({"urn:other"}))
    assert elsewhere.level(NOW, 300) is Level.L2


@pytest.mark.parametrize("missing", [{"issuer": ""}, {"audience": ""}])
def test_without_an_issuer_or_an_audience_nothing_starts(missing: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="issuer and an audience"):
        AccessTokens(replace(ISSUER, **missing), binding=TokenBinding.OPTIONAL)


async def test_authorization_details_are_carried_as_they_are_and_never_printed() -> None:
    details = [{"type": "tellergate_intent", "intent": {"version": 1, "name": "Zoë"}}]
    principal = await verified(signed({**CLAIMS, "authorization_details": details}))
    assert json.loads(principal.authorization_details or "") == details
    assert "tellergate_intent" not in repr(principal)
    assert (await verified(signed())).authorization_details is None


async def test_a_client_that_asks_for_itself_needs_no_sign_in_and_is_never_strong() -> None:
    service = {k: v for k, v in CLAIMS.items() if k not in ("act", "auth_time")} | {"sub": "app", "acr": ACR_STRONG}
    principal = await verified(signed(service))
    assert principal.level(NOW, 300) is Level.L1
    for claims in (service | {"sub": "alice"}, service | {"act": {"sub": "assistant"}}):
        with pytest.raises(RequestFault):
            await verified(signed(claims))


async def verified(token: str) -> Principal:
    identity = AccessTokens(ISSUER, binding=TokenBinding.OPTIONAL)
    return await identity.authenticate(Credentials(f"Bearer {token}", (), "POST", "https://window.bank.example/"), NOW)


def test_whatever_a_token_names_has_room_in_every_table() -> None:
    people = ("customer", "subject", "engaged_by", "first_lift_by", "lifted_by", "approver")
    rooms = {**dict.fromkeys(people, SUBJECT_CHARS), "agent": NAME_CHARS, "owner": NAME_CHARS}
    seen = set()
    for table in METADATA.tables.values():
        for column in table.columns:
            if column.name in rooms and isinstance(column.type, String) and not isinstance(column.type, Text):
                assert column.type.length is not None
                assert column.type.length >= rooms[column.name], (table.name, column.name)
                seen.add(column.name)
    assert seen == set(rooms)
