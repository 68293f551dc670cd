"""The Model Context Protocol's own sign-in: its SDKs' OAuth clients before the real OpenID provider and a whole gateway process."""

import asyncio
import base64
import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata

from gateway.client import AsyncTellergateClient, DpopKey, TellergateClient, TellergateError
from tests.support.node_peers import driven
from tests.support.oidc import REDIRECT, Oidc, b64, provider
from tests.support.oidc import Client as SignedIn
from tests.support.postgres import free_port
from tests.support.waiting import WAITS_S
from tests.support.window import window

CALL = {"type": "function_call", "call_id": "c1", "name": "list_accounts", "arguments": "{}"}


class Kept:
    """What the SDK's client keeps: the registration that the bank made of it, and its tokens."""

    def __init__(self, registered: OAuthClientInformationFull) -> None:
        self.registered = registered
        self.tokens: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull:
        return self.registered

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise AssertionError("the bank knows this client already")


def audience_of(token: str) -> str:
    claims = token.split(".")[1]
    told: dict[str, str] = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return told["aud"]


async def test_the_sdks_own_oauth_clients_find_the_issuer_and_sign_their_user_in(tmp_path: Path) -> None:
    """From nothing but the URL: 401, the metadata of this resource, those of the issuer, the code flow with PKCE and the resource."""
    (tmp_path / "window").mkdir()
    public = f"http://127.0.0.1:{free_port()}"
    with provider(tmp_path) as oidc:
        changes = {"port": urlsplit(public).port, "public_url": public, "audience": public, "binding": "optional", "mcp": True}
        with window(tmp_path / "window", oidc, **changes) as gateway:
            unknown = httpx.post(f"{gateway.url}/mcp", json={})
            where = f'resource_metadata="{public}/.well-known/oauth-protected-resource"'
            challenge = unknown.headers["www-authenticate"]
            assert (unknown.status_code, where in challenge, 'scope="function_calls"' in challenge) == (401, True, True)
            wanted: list[dict[str, list[str]]] = []
            came: list[str] = []

            async def opened(url: str) -> None:
                wanted.append(parse_qs(urlsplit(url).query))
                came.append(await signed_in(oidc, url))

            async def back() -> AuthorizationCodeResult:
                told = {name: values[0] for name, values in parse_qs(urlsplit(came[-1]).query).items()}
                return AuthorizationCodeResult(code=told["code"], state=told.get("state"), iss=told.get("iss"))

            about: dict[str, Any] = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none", "scope": "function_calls"}
            kept = Kept(OAuthClientInformationFull(client_id="plain", issuer=oidc.issuer, **about))
            auth = OAuthClientProvider(f"{gateway.url}/mcp", OAuthClientMetadata(**about), kept, opened, back)
            async with (
                httpx2.AsyncClient(auth=auth, timeout=WAITS_S) as http,
                Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client,
            ):
                listed = await client.call_tool("list_accounts", {})
            assert listed.structured_content is not None
            assert listed.structured_content["accounts"]
            (asked,) = wanted
            assert (len(came), asked["scope"][0].split()[0], asked["resource"]) == (1, "function_calls", [public])
            own, of_another = kept.tokens.access_token, "https://other.example"
            for token, taken in ((own, True), (oidc.sign_in(as_client="plain", audience=of_another).access, False)):
                assert audience_of(token) == (public if taken else of_another)
                headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
                answered = httpx.post(f"{gateway.url}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
                assert answered.status_code == (200 if taken else 401)
            saw = await driven(partial(signed_in, oidc), gateway.url, REDIRECT, program="oauth.mjs")
            assert {name: audience_of(seen["token"]) for name, seen in saw.items()} == {"sdk": public, "client": public}
            assert {seen["accounts"] for seen in saw.values()} == {len(listed.structured_content["accounts"])}


async def signed_in(oidc: Oidc, url: str) -> str:
    """Where the browser comes back to: this provider signs in whom the hint names."""
    async with httpx.AsyncClient() as browser:
        asked = await browser.get(f"{url}&login_hint=alice")
        for _ in range(10):
            if asked.headers["location"].startswith(REDIRECT):
                break
            asked = await browser.get(httpx.URL(oidc.issuer).join(asked.headers["location"]))
        led_to: str = asked.headers["location"]
        return led_to


def test_a_bound_token_is_taken_with_its_proof_alone(tmp_path: Path) -> None:
    """RFC 9449: a client of this protocol that can prove it holds the key of its token is asked for a nonce, and for `/mcp` itself."""
    (tmp_path / "window").mkdir()
    public = f"http://127.0.0.1:{free_port()}"
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    with provider(tmp_path) as oidc:
        changes = {"port": urlsplit(public).port, "public_url": public, "audience": public, "binding": "dpop", "mcp": True}
        with window(tmp_path / "window", oidc, **changes) as gateway:
            client, url = oidc.sign_in(audience=public), f"{gateway.url}/mcp"
            ath = b64(hashlib.sha256(client.access.encode()).digest())

            def asked(scheme: str, **claims: Any) -> httpx.Response:
                headers = {"authorization": f"{scheme} {client.access}", "accept": "application/json, text/event-stream"}
                proof = {"dpop": client.proof("POST", url, ath=ath, **claims)} if scheme == "DPoP" else {}
                answered = httpx.post(url, json=ping, headers={**headers, **proof})
                if "dpop-nonce" in answered.headers:
                    client.nonces[urlsplit(url).netloc] = answered.headers["dpop-nonce"]
                return answered

            assert asked("Bearer").status_code == 401
            first = asked("DPoP")
            assert (first.status_code, "use_dpop_nonce" in first.headers["www-authenticate"]) == (401, True)
            assert asked("DPoP").json()["result"] == {}
            assert asked("DPoP", htu=f"{gateway.url}/v1/function-calls").status_code == 401
            _by_our_own_client(gateway.url, client)


def _by_our_own_client(url: str, signed_in: SignedIn) -> None:
    """`gateway.client` makes the proofs, and is told of the nonce by the first answer."""
    key = signed_in.key.private_key
    assert isinstance(key, EllipticCurvePrivateKey)
    with TellergateClient(url, token=signed_in.access, dpop=DpopKey(key)) as bound:
        assert bound.get_call(bound.execute_function_calls(bound.create_conversation().id, [CALL], turn_id="1").results[0].call_id)

    async def awaited() -> None:
        async with AsyncTellergateClient(url, token=signed_in.access, dpop=DpopKey(key)) as awaiting:
            assert (await awaiting.create_conversation()).id

    asyncio.run(awaited())
    for stolen in (None, DpopKey(Ed25519PrivateKey.generate())):
        with TellergateClient(url, token=signed_in.access, dpop=stolen) as thief, pytest.raises(TellergateError) as refused:
            thief.create_conversation()
        assert refused.value.status == 401
