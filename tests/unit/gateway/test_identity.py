"""A token is taken only if everything about it is right; whatever is wrong, the answer is the same."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet, OctKey, OKPKey

from adapters.function import Level
from gateway.errors import Fault, RequestFault
from gateway.identity import ACR_STRONG, BearerTokens, Issuer
from gateway.issuer import LocalIssuer
from gateway.settings import UnsafeSettings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
KEY = OKPKey.generate_key("Ed25519", {"kid": "k1"})
OTHER = OKPKey.generate_key("Ed25519", {"kid": "k1"})
PUBLIC = OKPKey.import_key(KEY.as_dict(private=False))
ISSUER = Issuer("https://bank.example", "tellergate", KeySet([PUBLIC]), "Ed25519")
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


def signed(claims: Any = CLAIMS, header: dict[str, Any] = HEADER, key: Any = KEY) -> str:
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(header, payload, key, algorithms=["Ed25519", "HS256"])


def b64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def authenticate(token: str, now: datetime = NOW) -> Any:
    return BearerTokens(ISSUER).authenticate(f"Bearer {token}", now)


def test_a_good_token_is_its_customer_and_agent() -> None:
    principal = authenticate(signed())
    assert (principal.customer, principal.agent, principal.client) == ("alice", "assistant", "app")
    assert principal.scopes == frozenset({"function_calls"})
    assert authenticate(signed({**CLAIMS, "aud": ["other", "tellergate"]})).customer == "alice"
    without = {name: value for name, value in CLAIMS.items() if name != "act"}
    assert authenticate(signed(without)).agent is None


WRONG: dict[str, str] = {
    "another issuer": signed({**CLAIMS, "iss": "https://evil.example"}),
    "an issuer with a slash more": signed({**CLAIMS, "iss": "https://bank.example/"}),
    "another audience": signed({**CLAIMS, "aud": "another"}),
    "expired": signed({**CLAIMS, "exp": NOW_S}),
    "issued in the future": signed({**CLAIMS, "iat": NOW_S + 60}),
    "not yet valid": signed({**CLAIMS, "nbf": NOW_S + 60}),
    "an ID token's type": signed(header={**HEADER, "typ": "JWT"}),
    "no type": signed(header={"alg": "Ed25519", "kid": "k1"}),
    "no key id": signed(header={"typ": "at+jwt", "alg": "Ed25519"}),
    "an unknown key id": signed(header={**HEADER, "kid": "k2"}),
    "signed by another key of the same id": signed(key=OTHER),
    "an HMAC under the public key": signed(
        header={**HEADER, "alg": "HS256"}, key=OctKey.import_key(str(PUBLIC.as_dict()["x"]) * 2, {"kid": "k1"})
    ),
    "unsigned": f"{b64({**HEADER, 'alg': 'none'})}.{b64(CLAIMS)}.",
    "without its signature": signed().rsplit(".", 1)[0] + ".",
    "with another payload": ".".join([signed().split(".")[0], b64({**CLAIMS, "sub": "bruno"}), signed().split(".")[2]]),
    "a duplicate claim": signed(json.dumps(CLAIMS).encode().replace(b'"sub": "alice"', b'"sub": "alice", "sub": "bruno"')),
    "a payload that is no object": signed(b"[]"),
    "a chain of agents": signed({**CLAIMS, "act": {"sub": "a", "act": {"sub": "b"}}}),
    "an agent that is no object": signed({**CLAIMS, "act": "assistant"}),
    "an agent without a subject": signed({**CLAIMS, "act": {}}),
    "a customer with a control character": signed({**CLAIMS, "sub": "ali\nce"}),
    "a fraction of a second": signed({**CLAIMS, "exp": NOW_S + 0.5}),
    "true as a time": signed({**CLAIMS, "auth_time": True}),
    "too long": signed({**CLAIMS, "more": "a" * 5000}),
    "no token at all": "x",
    "five parts": "a.b.c.d.e",
    **{f"without {name}": signed({k: v for k, v in CLAIMS.items() if k != name}) for name in CLAIMS if name != "act"},
}


@pytest.mark.parametrize("name", WRONG)
def test_whatever_is_wrong_the_answer_is_the_same(name: str) -> None:
    with pytest.raises(RequestFault) as fault:
        authenticate(WRONG[name])
    assert fault.value.fault is Fault.INVALID_TOKEN
    assert fault.value.message == "the bearer token is not valid here; obtain a new one"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "DPoP x"])
def test_another_scheme_is_no_bearer_token(header: str | None) -> None:
    with pytest.raises(RequestFault) as fault:
        BearerTokens(ISSUER).authenticate(header, NOW)
    assert fault.value.fault is (Fault.MISSING_TOKEN if header is None else Fault.INVALID_TOKEN)


def test_a_cached_token_expires_all_the_same() -> None:
    tokens = BearerTokens(ISSUER)
    tokens.authenticate(f"Bearer {signed()}", NOW)
    with pytest.raises(RequestFault):
        tokens.authenticate(f"Bearer {signed()}", NOW + timedelta(seconds=600))


def test_a_strong_session_grows_weak_with_time() -> None:
    principal = authenticate(signed({**CLAIMS, "acr": ACR_STRONG}))
    assert principal.level(NOW, 300) is Level.L2
    assert principal.level(NOW + timedelta(seconds=290), 300) is Level.L2
    assert principal.level(NOW + timedelta(seconds=291), 300) is Level.L1
    assert authenticate(signed({**CLAIMS, "acr": "urn:other"})).level(NOW, 300) is Level.L1


@pytest.mark.parametrize("missing", [{"issuer": ""}, {"audience": ""}])
def test_without_an_issuer_or_an_audience_nothing_starts(missing: dict[str, str]) -> None:
    values = {"issuer": "https://bank.example", "audience": "tellergate", **missing}
    with pytest.raises(ValueError, match="issuer and an audience"):
        BearerTokens(Issuer(values["issuer"], values["audience"], KeySet([PUBLIC]), "Ed25519"))


def test_the_local_issuer_refuses_to_exist_outside_development_mode(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettings):
        LocalIssuer(tmp_path, development=False)
    assert not (tmp_path / "dev").exists()
