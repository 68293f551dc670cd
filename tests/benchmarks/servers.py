"""The servers that the benchmarks load: a bare FastAPI no-op, or a gateway in development mode with load-test customers.

    python -m tests.benchmarks.servers noop|bearer|dpop|new FOLDER CUSTOMERS [DATABASE]
    python -m tests.benchmarks.servers remote|floor FOLDER CUSTOMERS BANK

`remote` is a gateway over a core behind HTTP at this URL, `floor` is `tests/support/floor.py` before the same; the customers are those of
FOLDER's `customers.json`, the bank's credential its `core.token`. `dpop` is a gateway with an issuer of its own kind on loopback, whose
tokens are bound to one client's key. `new` is as `bearer`, with customers who have not called yet.
"""

import asyncio
import contextlib
import json
import socket
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request, Response
from joserfc.jwk import ECKey
from opentelemetry.metrics import NoOpMeterProvider

from adapters.core import Identified, ReferenceKind
from adapters.cores.remote.bounds import ClientBounds
from audit.keyring import KeyRing
from gateway.app.clock import utc_now
from gateway.app.cores import behind_http
from gateway.app.development.customers import grant
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.settings import development
from gateway.app.front import Front
from gateway.app.gateway import Gateway
from gateway.app.keys import DPOP_NONCES, file_keys
from gateway.app.serving import build_app, in_front, settle_the_interpreter
from gateway.app.settings import DEV_AUDIENCE
from gateway.app.tls import server_config
from gateway.domain.request import CallRequest, NativeCall, Trace
from gateway.domain.stages import Received, Recorded
from gateway.identity.compact import encode
from gateway.identity.dpop import Nonces
from gateway.identity.keys import public_key
from tests.support.floor import AUDIENCE, ISSUER, floor_app
from tests.support.keys import mandate_signer, references_of
from tests.support.oidc import jwt
from tests.support.opening import open_gateway
from tests.support.teller import bank_of, principal

PUBLIC_URL = "http://127.0.0.1:1"
"""What proofs are made for, whatever the port."""


async def noop(request: Request) -> Response:
    await request.body()
    return Response(b'{"nothing":true}', media_type="application/json")


def bare(app: "Application") -> uvicorn.Config:
    """As anybody would serve it."""
    return uvicorn.Config(
        app, loop="uvloop", http="httptools", access_log=False, log_level="warning", server_header=False, proxy_headers=False
    )


def noop_app() -> FastAPI:
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False})
    app.add_api_route("/noop", noop, methods=["POST"])
    return app


Tokens = Callable[[str], str]
"""The access token of a customer."""


async def prepare(
    gateway: Gateway, data: Path, customers: Sequence[str], tokens: Tokens, *, known: bool = True
) -> list[dict[str, str]]:
    """Load-test customers with a mandate, a conversation, a token and references to their two accounts. `known`: each has called once,
    and so has a data key and a pseudonym in the trail; otherwise the first alone."""
    references = references_of(data)
    key = mandate_signer(data)
    now = utc_now()
    made: list[dict[str, str]] = []
    for customer in customers:
        accounts = [account.id for account in await gateway.core.accounts(customer)]
        await grant(gateway.book, gateway.core, key, customer, now)
        conversation = await gateway.book.open_conversation(customer, now)
        issued = [
            references.issue(customer, conversation, Identified(ReferenceKind.ACCOUNT, account), now.date()) for account in accounts
        ]
        if known or not made:
            await one_call(gateway, customer, conversation, issued[0])
        made.append({"token": tokens(customer), "conversation": conversation, "debit": issued[0], "credit": issued[1]})
    return made


async def one_call(gateway: Gateway, customer: str, conversation: str, account: str) -> None:
    """A first balance."""
    native = NativeCall("first", "get_account_balance", {"account": account})
    asked = CallRequest("responses", conversation, "turn", None, (native,), Trace("0" * 31 + "1"))
    (answered,) = await gateway.pipeline.take(principal(customer, agent="bench"), asked)
    if answered.status != "done":
        raise RuntimeError(f"the load cannot begin: {answered.code}")


def watch_steps(gateway: Gateway) -> dict[str, dict[str, list[int]]]:
    """Note the steps of every hundredth call or so, whatever else telemetry does."""
    noted: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    telemetry = gateway.pipeline._parts.telemetry
    tell = telemetry.answered

    def watched(received: Received, answered: Recorded, function: str | None) -> None:
        tell(received, answered, function)
        if received.call_id[-1] == "0" and received.call_id[-2] in "01":
            for step, us in received.steps.timings_us().items():
                noted[function or "unknown"][step].append(us)

    telemetry.answered = watched  # type: ignore[method-assign]
    return noted


@dataclass
class BoundTokens:
    """An issuer of tokens that are bound to one client's key, with its keys on loopback."""

    issuing: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "bench"}))
    client: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    url: str = ""

    async def publish(self) -> None:
        """Serve the issuer's public key."""
        keys = {"keys": [{**self.issuing.as_dict(private=False), "kid": "bench", "alg": "ES256", "use": "sig"}]}
        app = web.Application()
        app.router.add_get("/jwks", lambda _request: _answer(keys))
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    def settings(self) -> dict[str, object]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "binding": "dpop",
            "strong_acr": ("two",),
            "public_url": PUBLIC_URL,
        }

    def token(self, customer: str) -> str:
        now = int(utc_now().timestamp())
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode(self.client.public_key().public_bytes_raw())}
        claims = {
            "iss": self.url,
            "aud": DEV_AUDIENCE,
            "sub": customer,
            "client_id": "bench",
            "scope": "function_calls",
            "acr": "two",
        }
        times = {"iat": now, "exp": now + 3600, "auth_time": now}
        bound = {"act": {"sub": "bench"}, "cnf": {"jkt": public_key(jwk).thumbprint}}
        return jwt({"typ": "at+jwt", "alg": "ES256", "kid": "bench"}, {**claims, **times, **bound}, self.issuing)


async def _answer(keys: object) -> web.Response:
    return web.json_response(keys)


Application = Callable[[Any, Any, Any], Awaitable[None]]
"""Of ASGI."""


async def the_floor(folder: Path, bank: str) -> tuple[FastAPI, list[dict[str, str]]]:
    """The floor before this bank, and its customers, each with a token and an account."""
    key, times = ECKey.generate_key("P-256", {"kid": "bench"}), {"iat": int(time.time()), "exp": int(time.time()) + 3600}
    core = behind_http(bank, folder / "core.token", clock=utc_now, bounds=ClientBounds())
    made = []
    for customer in json.loads((folder / "customers.json").read_bytes()):
        account, *_ = await core.bank.accounts(customer)
        token = jwt({"alg": "ES256", "kid": "bench"}, {"iss": ISSUER, "aud": AUDIENCE, "sub": customer, **times}, key)
        made.append({"token": token, "conversation": "", "debit": account.id, "credit": ""})
    await core.close()
    return floor_app(bank, (folder / "core.token").read_text().strip(), key, folder / "floor.log"), made


async def serve(what: str, folder: Path, customers: int, database: str) -> None:
    ready: dict[str, object] = {}
    noted: dict[str, dict[str, list[int]]] = {}
    gateway = None
    if what == "noop":
        app: Application = noop_app()
        config = bare(app)
    elif what == "floor":
        app, ready["customers"] = await the_floor(folder, database)
        config = bare(app)
    else:
        is_remote = what == "remote"
        settings, local = development(folder, database="" if is_remote else database), LocalIssuer(folder)
        if is_remote:
            settings = replace(settings, core_url=database, core_credential_file=folder / "core.token")
        # a busy disk is no finding
        settings = replace(settings, strong_session_s=3600, client_requests_per_minute=100_000_000, audit_wait_ms=20_000)
        tokens: Tokens = partial(local.token, agent="bench", strong=True)
        if what == "dpop":
            bound = BoundTokens()
            await bound.publish()
            settings, tokens = replace(settings, **bound.settings()), bound.token  # type: ignore[arg-type]
            ready["client"] = {"key": bound.client.private_bytes_raw().hex()}
        gateway = await open_gateway(settings)
        if what == "dpop":
            nonces = Nonces(KeyRing(DPOP_NONCES, file_keys(folder)), settings.dpop_nonce_s)
            ready["client"]["nonce"] = nonces.current(utc_now().timestamp())  # type: ignore[index]
        seeded = folder / "customers.json"
        load = json.loads(seeded.read_bytes()) if is_remote else bank_of(gateway).seed_load(customers)
        ready["customers"] = await prepare(gateway, folder, load, tokens, known=what != "new")
        noted = watch_steps(gateway)
        app = in_front(build_app(gateway), gateway)
        config = server_config(app, settings, Front(settings, NoOpMeterProvider().get_meter("bench").create_counter("refused")))
    settle_the_interpreter()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    ready["port"] = listening.getsockname()[1]
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    print(json.dumps(ready), flush=True)

    async def tell() -> None:
        await asyncio.to_thread(sys.stdin.readline)
        medians = {name: {step: statistics.median(us) for step, us in steps.items()} for name, steps in noted.items()}
        print(json.dumps(medians), flush=True)

    telling = asyncio.create_task(tell())
    await serving
    telling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await telling
    if gateway is not None:
        await gateway.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:] or [""]))
