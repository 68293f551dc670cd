"""The real OpenID provider of the tests (npm `oidc-provider`, in `tests/peers/oidc`): started on loopback, asked as clients ask it."""

import base64
import hashlib
import json
import os
import secrets
import shutil
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from tests.support import peers
from tests.support.certificates import Issued
from tests.support.waiting import WAITS_S

TWO_FACTORS = "urn:bank:two-factor"
SECRET = "window secret, with: signs & %"
REDIRECT = "https://app.example/cb"


@dataclass
class Client:
    """A client of the window: its own key, the tokens it got, the nonces it was told."""

    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    access: str = ""
    identity: str = ""
    nonces: dict[str, str] = field(default_factory=dict)

    def proof(self, method: str, url: str, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A DPoP proof of this client; `claims` None leaves one out. The nonce is the last that this origin told."""
        made = {"jti": secrets.token_urlsafe(12), "htm": method, "htu": url.split("?", maxsplit=1)[0], "iat": int(time.time())}
        if self.access and "/v1/" in url:
            made["ath"] = b64(hashlib.sha256(self.access.encode()).digest())
        if (nonce := self.nonces.get(urlsplit(url).netloc)) is not None:
            made["nonce"] = nonce
        made = {name: value for name, value in {**made, **claims}.items() if value is not None}
        head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.as_dict(private=False), **(header or {})}
        return jwt(head, made, self.key)


def jwt(header: dict[str, Any], claims: dict[str, Any], key: ECKey) -> str:
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(JWSRegistry.algorithms['ES256'].sign(text.encode(), key))}"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Oidc:
    """The provider. `other` is a second issuer with the same keys."""

    issuer: str
    other: str
    audience: str
    secret_file: Path
    verify: ssl.SSLContext | bool = True

    def sign_in(
        self,
        customer: str = "alice",
        *,
        as_client: str = "assistant",
        acr: str | None = TWO_FACTORS,
        audience: str | None = None,
        issuer: str | None = None,
        certificate: str | None = None,
        scope: str = "function_calls",
    ) -> Client:
        """The authorization code flow with PKCE, as an app does it; `certificate` (PEM) as a proxy before the issuer would tell it."""
        issuer, client = issuer or self.issuer, Client()
        resource, verifier = audience or self.audience, secrets.token_urlsafe(32)
        asked = {
            "client_id": as_client,
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "scope": f"openid {scope}",
            "resource": resource,
            "login_hint": customer,
            "code_challenge": b64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **({"acr_values": acr} if acr else {}),
        }
        with httpx.Client(timeout=WAITS_S, verify=self.verify) as http:
            answered = http.get(f"{issuer}/auth", params=asked)
            while not (where := answered.headers["location"]).startswith(REDIRECT):
                answered = http.get(httpx.URL(issuer).join(where))
            told = parse_qs(urlsplit(where).query)
            assert "code" in told, told
            form = {"grant_type": "authorization_code", "code": told["code"][0], "redirect_uri": REDIRECT, "client_id": as_client}
            form |= {"code_verifier": verifier, "resource": resource}
            headers = {"x-client-certificate": quote(certificate)} if certificate else {}
            for _ in range(2):  # the first proof has no nonce yet
                if as_client in ("assistant", "app"):
                    headers["dpop"] = client.proof("POST", f"{issuer}/token")
                granted = http.post(f"{issuer}/token", data=form, headers=headers)
                if "dpop-nonce" in granted.headers:
                    client.nonces[urlsplit(issuer).netloc] = granted.headers["dpop-nonce"]
                if granted.status_code == 200:
                    break
        assert granted.status_code == 200, granted.text
        client.access, client.identity = granted.json()["access_token"], granted.json()["id_token"]
        return client

    def revoke(self, client: Client, *, as_client: str = "assistant") -> None:
        answered = httpx.post(
            f"{self.issuer}/token/revocation", data={"token": client.access, "client_id": as_client}, verify=self.verify
        )
        assert answered.status_code == 200, answered.text

    def staff(self, name: str, *groups: str, acr: str = TWO_FACTORS) -> None:
        """Whoever of the bank's people signs in next is this one."""
        self.control("staff", name=name, groups=" ".join(groups), acr=acr)

    def control(self, action: str = "now", **down: str) -> dict[str, Any]:
        """`rotate` keys; `keys` and `introspection`: up or down. How often each was asked for."""
        told: dict[str, Any] = httpx.get(f"{self.issuer}/control/{action}", params=down, verify=self.verify).json()
        return told


@contextmanager
def provider(folder: Path, tls: Issued | None = None, authority: Path | None = None, *, staff_redirect: str = "") -> Iterator[Oidc]:
    """A provider that runs, and stops with the block; with `tls`, over TLS, believed by `authority`. `staff_redirect`: where the bank's
    people come back."""
    secret_file = folder / "window.secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(SECRET + "\n")
    command = [shutil.which("node") or "node", "provider.mjs"]
    environment = {**os.environ, "WINDOW_SECRET": SECRET, "STAFF_REDIRECT": staff_redirect}
    if tls is not None:
        environment |= {"PROVIDER_CERTIFICATE": str(tls.certificate), "PROVIDER_KEY": str(tls.key)}
    verify = True if authority is None else ssl.create_default_context(cafile=authority)
    place = peers.installed("oidc", "oidc-provider", "provider.mjs")
    with peers.served(command, place, environment) as said:
        yield Oidc(**said, secret_file=secret_file, verify=verify)
