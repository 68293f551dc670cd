"""The real gateway process with an external issuer: `tellergate serve --dev --config FILE`, and how a client of it asks."""

import itertools
import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support import databases, forks
from tests.support.children import ending
from tests.support.oidc import TWO_FACTORS, Client, Oidc
from tests.support.waiting import WAITS_S


def wait_until(what: Callable[[], bool], seconds: float = WAITS_S) -> None:
    """Ask until it holds; a bound, not a pause."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.05)


_PENCE = itertools.count()
"""A new amount for each payment."""


@dataclass
class Window:
    """A gateway that runs. `url`: where it listens; `public_url`: what proofs are made for."""

    url: str
    public_url: str
    verify: ssl.SSLContext | bool = True
    conversations: dict[str, str] = field(default_factory=dict)

    def send(
        self,
        client: Client,
        method: str,
        path: str,
        body: object = None,
        *,
        scheme: str = "DPoP",
        token: str | None = None,
        proofs: list[str] | None = None,
        retry: bool = True,
        headers: dict[str, str] | None = None,
        **rest: Any,
    ) -> httpx.Response:
        """One request with a fresh proof, once more with the nonce that it is told of. `proofs`: these instead."""
        content = None if body is None else json.dumps(body).encode()
        for _ in range(2):
            sent = [("authorization", f"{scheme} {token or client.access}"), *(headers or {}).items()]
            made = [client.proof(method, self.public_url + path)] if proofs is None else proofs
            sent += [("dpop", proof) for proof in made] if scheme == "DPoP" else []
            with httpx.Client(verify=rest.get("verify", self.verify), timeout=WAITS_S) as http:
                answered = http.request(method, self.url + path, content=content, headers=sent)
            told = answered.headers.get("dpop-nonce")
            if told is not None:
                client.nonces[urlsplit(self.public_url).netloc] = told
            if not (retry and proofs is None and answered.status_code == 401 and code(answered) == "use_dpop_nonce"):
                break
        return answered

    def call(self, client: Client, name: str, arguments: object = None, **rest: Any) -> httpx.Response:
        """One function call of one request, in the client's own conversation."""
        conversation = self.conversations.get(client.access)
        if conversation is None:
            opened = self.send(client, "POST", "/v1/conversations", {}, **rest)
            if opened.status_code != 200:
                return opened
            conversation = self.conversations[client.access] = opened.json()["id"]
        item = {
            "type": "function_call",
            "call_id": f"c{time.monotonic_ns()}",
            "name": name,
            "arguments": json.dumps(arguments or {}),
        }
        body = {"shape": "responses", "conversation_id": conversation, "turn_id": "t", "calls": [item]}
        return self.send(client, "POST", "/v1/function-calls", body, **rest)

    def transfer(self, client: Client, **rest: Any) -> httpx.Response:
        """One unit between the customer's own accounts: needs two factors, no confirmation."""
        listed = self.call(client, "list_accounts", **rest)
        if listed.status_code != 200:
            return listed
        accounts = json.loads(listed.json()["outputs"][0]["output"])["result"]["accounts"]
        mine = [account["account"] for account in accounts if account["currency"] == "GBP" and account["status"] == "open"]
        value = f"1.{next(_PENCE) % 100:02d}"  # the same amount again would be a suspected duplicate
        wanted = {"from": mine[0], "to": mine[1], "amount": {"value": value, "currency": "GBP"}}
        return self.call(client, "initiate_transfer", wanted, **rest)


def code(answered: httpx.Response) -> str | None:
    """The code of a fault, or of the first result."""
    told = answered.json()
    found: str | None = told["error"]["code"] if "error" in told else told["results"][0]["code"]
    return found


@contextmanager
def window(folder: Path, oidc: Oidc, **changes: Any) -> Iterator[Window]:
    """A gateway process with the provider as its issuer and these settings changed; a setting that is None is left out."""
    settings = {
        "data": "data",
        "database": databases.url(folder / "data") or None,
        "port": 0,
        "audit_wait_ms": 20_000,
        "duplicate_window_s": 1,
        "issuer": oidc.issuer,
        "audience": oidc.audience,
        "token_algorithms": ["ES256"],
        "strong_acr": [TWO_FACTORS],
        "introspection_endpoint": f"{oidc.issuer}/token/introspection",
        "introspection_client": "window",
        "introspection_secret_file": str(oidc.secret_file),
        "keys_refresh_s": 1,
        "keys_retry_s": 1,
        **changes,
    }
    file = folder / "settings.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items() if value is not None))
    command = forks.command("serve", "--dev", "--config", str(file), "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        with ending(process):
            url = json.loads(process.stdout.readline())["url"]
            yield Window(url, settings.get("public_url") or url)
        assert process.returncode in (0, -15)
