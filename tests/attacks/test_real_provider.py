"""Tokens of a real OpenID provider against the real gateway process: what a thief, a replay, a dead issuer and a revocation come to."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from gateway.app.development.local_issuer import LocalIssuer
from tests.support import databases
from tests.support.oidc import TWO_FACTORS, Client, Oidc, jwt, provider
from tests.support.window import Window, code, wait_until, window

PATH = "/v1/functions?shape=mcp"


@pytest.fixture(scope="module")
def oidc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oidc]:
    with provider(tmp_path_factory.mktemp("oidc")) as running:
        yield running


@pytest.fixture(scope="module")
def served(oidc: Oidc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    with window(tmp_path_factory.mktemp("window"), oidc) as running:
        yield running


@pytest.fixture(scope="module")
def client(oidc: Oidc, served: Window) -> Client:
    """A client that was told a nonce, with a token of two factors for the whole module."""
    made = oidc.sign_in()
    assert served.send(made, "GET", PATH).status_code == 200
    return made


def challenge(answered: httpx.Response) -> str:
    return answered.headers["www-authenticate"]


def test_a_bound_token_with_a_fresh_proof_is_taken_after_a_nonce(oidc: Oidc, served: Window) -> None:
    fresh = oidc.sign_in()
    first = served.send(fresh, "GET", PATH, retry=False)
    assert (first.status_code, code(first)) == (401, "use_dpop_nonce")
    assert challenge(first).startswith('DPoP realm="tellergate", error="use_dpop_nonce", algs="ES256 ')
    assert first.headers["dpop-nonce"]
    second = served.send(fresh, "GET", PATH, retry=False)
    assert second.status_code == 200
    assert second.headers["dpop-nonce"] == first.headers["dpop-nonce"]


def test_without_a_token_both_schemes_are_offered(served: Window) -> None:
    answered = httpx.get(served.url + PATH)
    metadata = f'resource_metadata="{served.url}/.well-known/oauth-protected-resource"'
    own = 'realm="tellergate", scope="function_calls", algs="ES256 PS256 EdDSA Ed25519"'
    assert challenge(answered) == f'DPoP {own}, {metadata}, Bearer realm="tellergate", {metadata}'


def test_the_metadata_names_the_issuer(oidc: Oidc, served: Window) -> None:
    told = httpx.get(f"{served.url}/.well-known/oauth-protected-resource").json()
    assert (told["resource"], told["authorization_servers"]) == (served.url, [oidc.issuer])


def test_a_stolen_token_is_of_no_use_without_its_key(served: Window, client: Client) -> None:
    thief = Client(access=client.access, nonces=client.nonces)
    answered = served.send(thief, "GET", PATH)
    assert (answered.status_code, code(answered)) == (401, "invalid_dpop_proof")
    as_bearer = served.send(client, "GET", PATH, scheme="Bearer")
    assert (as_bearer.status_code, code(as_bearer)) == (401, "invalid_token")
    assert challenge(as_bearer).startswith('Bearer realm="tellergate", error="invalid_token"')
    assert ', DPoP realm="tellergate", algs=' in challenge(as_bearer)


def test_a_proof_is_taken_once(served: Window, client: Client) -> None:
    proof = client.proof("GET", served.url + PATH)
    assert served.send(client, "GET", PATH, proofs=[proof]).status_code == 200
    for _ in range(2):
        again = served.send(client, "GET", PATH, proofs=[proof])
        assert (again.status_code, code(again)) == (401, "invalid_dpop_proof")
        assert 'error="invalid_dpop_proof"' in challenge(again)


def test_a_proof_shown_many_times_at_once_is_taken_once(served: Window, client: Client) -> None:
    proof = client.proof("GET", served.url + PATH)

    async def all_at_once() -> list[int]:
        async with httpx.AsyncClient() as http:
            headers = {"authorization": f"DPoP {client.access}", "dpop": proof}
            answers = await asyncio.gather(*(http.get(served.url + PATH, headers=headers) for _ in range(20)))
            return sorted(answered.status_code for answered in answers)

    assert asyncio.run(all_at_once()) == [200, *[401] * 19]


def proof_of(served: Window, client: Client, **changes: Any) -> list[str]:
    return [client.proof("GET", served.url + PATH, **changes)]


def signed_by_another(proof: str) -> str:
    header, claims = (json.loads(decoded(proof, part)) for part in (0, 1))
    return jwt(header, claims, ECKey.generate_key("P-256"))


def decoded(token: str, part: int) -> bytes:
    return base64.urlsafe_b64decode(token.split(".")[part] + "==")


@pytest.fixture
def shared(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Settings of two gateway processes on one database, with one key of nonces."""
    data = tmp_path / "data"
    return {
        name: {"data": str(data), "database": databases.postgresql(data), "public_url": "http://127.0.0.1:1"}
        for name in ("one", "other")
    }


def test_a_proof_that_one_process_took_is_refused_by_another(oidc: Oidc, shared: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    for name in shared:
        (tmp_path / name).mkdir()
    with window(tmp_path / "one", oidc, **shared["one"]) as one, window(tmp_path / "other", oidc, **shared["other"]) as other:
        roaming = oidc.sign_in()
        assert one.send(roaming, "GET", PATH).status_code == 200
        proof = roaming.proof("GET", one.public_url + PATH)
        assert one.send(roaming, "GET", PATH, proofs=[proof]).status_code == 200
        refused = other.send(roaming, "GET", PATH, proofs=[proof])
        assert (refused.status_code, code(refused)) == (401, "invalid_dpop_proof")
        assert other.send(roaming, "GET", PATH, retry=False).status_code == 200, "the nonce of one is the nonce of all"


def changed_proofs(served: Window, client: Client) -> dict[str, list[str]]:
    url, now, made = served.url + PATH, int(time.time()), partial(proof_of, served, client)
    return {
        "none at all": [],
        "two": [*made(), *made()],
        "two in one": [", ".join([*made(), *made()])],
        "for another address": made(htu="https://elsewhere.example/v1/functions"),
        "for another path": made(htu=served.url + "/v1/conversations"),
        "for another host of this port": made(htu=url.replace("127.0.0.1", "localhost")),
        "for another method": made(htm="POST"),
        "for the method in small letters": made(htm="get"),
        "of long ago": made(iat=now - 3600),
        "of the future": made(iat=now + 3600),
        "of no time": made(iat=None),
        "of a time that is text": made(iat=str(now)),
        "without an id": made(jti=None),
        "with an empty id": made(jti=""),
        "with an id that is too long": made(jti="x" * 257),
        "without a method": made(htm=None),
        "without an address": made(htu=None),
        "for no token": made(ath=None),
        "for another token": made(ath="x" * 43),
        "of another type": made(header={"typ": "jwt"}),
        "without an algorithm": made(header={"alg": "none"}),
        "by a shared secret": made(header={"alg": "HS256"}),
        "with the private key": made(header={"jwk": client.key.as_dict(private=True)}),
        "without a key": made(header={"jwk": None}),
        "with another key": made(header={"jwk": ECKey.generate_key("P-256").as_dict(private=False)}),
        "critical": made(header={"crit": ["x"], "x": 1}),
        "signed by another key": [signed_by_another(made()[0])],
        "not a token": ["x"],
    }


def test_a_proof_that_is_wrong_in_one_thing_is_refused(served: Window, client: Client) -> None:
    taken, url = [], served.url + PATH
    for name, proofs in changed_proofs(served, client).items():
        answered = served.send(client, "GET", PATH, proofs=proofs)
        if (answered.status_code, code(answered)) != (401, "invalid_dpop_proof"):
            taken.append((name, answered.text))
    assert taken == []
    for htu in (f"{served.url}/v1/./x/../%66unctions", f"{url}#here", url.replace("http:", "HTTP:")):
        assert served.send(client, "GET", PATH, proofs=proof_of(served, client, htu=htu)).status_code == 200, htu


@pytest.mark.parametrize("nonce", [None, "x", "", 1])
def test_a_proof_without_our_nonce_is_told_to_use_it(served: Window, client: Client, nonce: object) -> None:
    answered = served.send(client, "GET", PATH, proofs=[client.proof("GET", served.url + PATH, nonce=nonce)])
    assert (answered.status_code, code(answered)) == (401, "use_dpop_nonce")
    assert answered.headers["dpop-nonce"] == client.nonces[served.url.split("//")[1]]


def test_the_host_header_and_what_is_forwarded_change_nothing(served: Window, client: Client) -> None:
    evil = {
        "host": "evil.example",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        "forwarded": "host=evil.example",
    }
    assert served.send(client, "GET", PATH, headers=evil).status_code == 200
    for scheme in ("http", "https"):
        proof = client.proof("GET", f"{scheme}://evil.example{PATH}")
        assert code(served.send(client, "GET", PATH, headers=evil, proofs=[proof])) == "invalid_dpop_proof"


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_an_id_token_is_no_access_token(served: Window, client: Client, scheme: str) -> None:
    answered = served.send(client, "GET", PATH, token=client.identity, scheme=scheme)
    assert (answered.status_code, code(answered)) == (401, "invalid_token")


def test_a_token_that_nothing_binds_is_refused_where_binding_is_demanded(oidc: Oidc, served: Window) -> None:
    answered = served.send(oidc.sign_in(as_client="plain"), "GET", PATH, scheme="Bearer")
    assert (answered.status_code, code(answered)) == (401, "invalid_token")


def test_a_token_for_another_audience_or_of_another_issuer_is_refused(oidc: Oidc, served: Window) -> None:
    for other in (oidc.sign_in(audience="https://elsewhere.example"), oidc.sign_in(issuer=oidc.other)):
        answered = served.send(other, "GET", PATH)
        assert (answered.status_code, code(answered)) == (401, "invalid_token")


def test_the_local_issuer_of_development_mode_counts_for_nothing_beside_a_real_one(served: Window, tmp_path: Path) -> None:
    local = LocalIssuer(tmp_path).token("alice", agent="assistant", strong=True)
    answered = served.send(Client(access=local), "GET", PATH, scheme="Bearer")
    assert (answered.status_code, code(answered)) == (401, "invalid_token")


def test_a_stronger_sign_in_is_asked_for_and_then_passes(oidc: Oidc, served: Window) -> None:
    weak = oidc.sign_in(acr=None)
    asked = served.transfer(weak)
    assert (asked.status_code, code(asked)) == (200, "step_up_required")
    wanted = {"acr_values": TWO_FACTORS, "max_age": 300}
    assert asked.json()["results"][0]["challenge"] == wanted
    assert "challenge" not in asked.json()["outputs"][0]["output"]
    assert f'error="insufficient_user_authentication", acr_values="{TWO_FACTORS}", max_age=300' in challenge(asked)
    strong = oidc.sign_in(acr=wanted["acr_values"])  # type: ignore[arg-type]
    done = served.transfer(strong)
    assert (code(done), done.json()["results"][0]["status"], done.json()["results"][0]["challenge"]) == (None, "done", None)
    assert "www-authenticate" not in done.headers


def test_words_and_calls_have_scopes_of_their_own(oidc: Oidc, served: Window) -> None:
    words = oidc.sign_in(as_client="app", scope="customer_words")
    refused = served.send(words, "POST", "/v1/conversations", {})
    assert (refused.status_code, code(refused)) == (403, "insufficient_scope")
    assert 'DPoP realm="tellergate", error="insufficient_scope", scope="function_calls"' in challenge(refused)


def test_a_revoked_token_has_no_effect_and_reads_on_until_it_expires(oidc: Oidc, served: Window) -> None:
    leaver = oidc.sign_in()
    assert code(served.transfer(leaver)) is None
    oidc.revoke(leaver)
    refused = served.transfer(leaver)
    assert (refused.status_code, code(refused)) == (401, "invalid_token")
    assert served.call(leaver, "list_accounts").status_code == 200
    frozen = served.call(leaver, "request_human", {"topic": "I was robbed"})
    assert frozen.json()["results"][0]["status"] == "done"


def test_while_the_issuer_does_not_say_whether_a_token_stands_nothing_has_an_effect(
    oidc: Oidc, served: Window, client: Client
) -> None:
    oidc.control(introspection="down")
    try:
        refused = served.transfer(client)
        assert (refused.status_code, code(refused)) == (503, "temporarily_unavailable")
        assert served.call(client, "list_accounts").status_code == 200
        assert served.call(client, "request_human", {"topic": "help"}).status_code == 200
    finally:
        oidc.control(introspection="up")
    assert code(served.transfer(client)) is None


def test_made_up_key_ids_cost_the_issuer_next_to_nothing(oidc: Oidc, served: Window, client: Client) -> None:
    begun, before = time.monotonic(), oidc.control()["asked"]["keys"]
    claims = json.loads(decoded(client.access, 1))
    for number in range(60):
        forged = jwt({"typ": "at+jwt", "alg": "ES256", "kid": f"made-up-{number}"}, claims, client.key)
        answered = served.send(client, "GET", PATH, token=forged)
        assert (answered.status_code, code(answered)) == (401, "invalid_token")
    # metadata and keys, at most once a second
    assert oidc.control()["asked"]["keys"] - before <= 2 * (time.monotonic() - begun + 2)


def test_a_key_that_is_rotated_away_is_refused_once_it_is_known(oidc: Oidc, served: Window) -> None:
    old = oidc.sign_in()
    assert served.send(old, "GET", PATH).status_code == 200
    oidc.control("rotate")
    new = oidc.sign_in()
    wait_until(lambda: served.send(new, "GET", PATH).status_code == 200)
    refused = served.send(old, "GET", PATH)
    assert (refused.status_code, code(refused)) == (401, "invalid_token")


def test_while_the_issuer_is_down_its_keys_serve_until_they_are_too_old(oidc: Oidc, tmp_path: Path) -> None:
    with window(tmp_path, oidc, keys_age_s=4) as served:
        known = oidc.sign_in()
        assert served.send(known, "GET", PATH).status_code == 200
        oidc.control(keys="down")
        try:
            assert served.send(known, "GET", PATH).status_code == 200, "its keys are known"
            wait_until(lambda: served.send(known, "GET", PATH).status_code == 503)
            assert code(served.send(known, "GET", PATH)) == "temporarily_unavailable"
        finally:
            oidc.control(keys="up")
        wait_until(lambda: served.send(known, "GET", PATH).status_code == 200)


def test_an_issuer_that_was_never_there_is_no_issuer_of_anything(oidc: Oidc, tmp_path: Path) -> None:
    oidc.control(keys="down")
    try:
        with window(tmp_path, oidc) as served:
            refused = served.send(oidc.sign_in(), "GET", PATH)
            assert (refused.status_code, code(refused)) == (503, "temporarily_unavailable")
            assert served.send(oidc.sign_in(), "GET", PATH, token="x.y.z").status_code == 401
            oidc.control(keys="up")
            wait_until(lambda: served.send(oidc.sign_in(), "GET", PATH).status_code == 200)
    finally:
        oidc.control(keys="up")
