"""The servers that the benchmarks load: a bare FastAPI no-op, or a gateway in development mode with load-test customers."""

import asyncio
import contextlib
import json
import socket
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import uvicorn
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request, Response

from adapters.core import Identified, ReferenceKind
from gateway.doors.rest import in_front
from gateway.identity import Presented
from gateway.issuer import LocalIssuer
from gateway.main import Gateway, grant, open_gateway, utc_now
from gateway.references import KEY_BYTES, References
from gateway.serving import build_app, settle_the_interpreter
from gateway.settings import development
from gateway.stages import Asked, NativeCall, Trace
from gateway.vault import private_file


async def noop(request: Request) -> Response:
    await request.body()
    return Response(b'{"nothing":true}', media_type="application/json")


def noop_app() -> FastAPI:
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False})
    app.add_api_route("/noop", noop, methods=["POST"])
    return app


async def prepare(gateway: Gateway, data: Path, count: int) -> list[dict[str, str]]:
    """Load-test customers with a mandate, a conversation, a token and references to their two accounts."""
    issuer = LocalIssuer(data, development=True)
    references = References(private_file(data / "keys" / "references.key", KEY_BYTES))
    key = Ed25519PrivateKey.from_private_bytes(private_file(data / "keys" / "mandates.key", 32))
    now = utc_now()
    made = []
    for customer in gateway.bank.seed_load(count):
        accounts = [account.id for account in await gateway.bank.accounts(customer)]
        await grant(gateway.book, gateway.bank, key, customer, now)
        conversation = await gateway.book.open_conversation(customer, now)
        issued = [
            references.issue(customer, conversation, Identified(ReferenceKind.ACCOUNT, account), now.date()) for account in accounts
        ]
        token = issuer.token(customer, agent="bench", strong=True)
        await one_call(gateway, issuer, customer, conversation, issued[0])
        made.append({"token": token, "conversation": conversation, "debit": issued[0], "credit": issued[1]})
    return made


async def one_call(gateway: Gateway, issuer: LocalIssuer, customer: str, conversation: str, account: str) -> None:
    """A first balance: the customers of the load are known ones, with a data key and a pseudonym in the trail."""
    token = issuer.token(customer, agent="bench", strong=True)
    presented = Presented(f"Bearer {token}", (), "POST", "/v1/function-calls")
    principal = await gateway.door.identity.authenticate(presented, utc_now())
    native = NativeCall("first", "get_account_balance", {"account": account})
    asked = Asked("responses", conversation, "turn", None, (native,), Trace("0" * 31 + "1"))
    (answered,) = await gateway.way.take(principal, asked)
    if answered.status != "done":
        raise RuntimeError(f"the load cannot begin: {answered.code}")


def watch_steps(gateway: Gateway) -> dict[str, dict[str, list[int]]]:
    """Note the steps of every hundredth call or so, whatever else telemetry does."""
    noted: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    telemetry = gateway.way._parts.telemetry
    answered = telemetry.answered

    def watched(received, outcome, function):  # type: ignore[no-untyped-def]
        answered(received, outcome, function)
        if received.call_id[-1] == "0" and received.call_id[-2] in "01":
            for step, us in received.steps.timings_us().items():
                noted[function][step].append(us)

    telemetry.answered = watched
    return noted


async def serve(what: str, folder: Path, customers: int) -> None:
    ready: dict[str, object] = {}
    noted: dict[str, dict[str, list[int]]] = {}
    if what == "noop":
        app, gateway = noop_app(), None
    else:
        gateway = await open_gateway(development(folder))
        ready["customers"] = await prepare(gateway, folder, customers)
        noted = watch_steps(gateway)
        app = in_front(build_app(gateway), gateway.door)
    settle_the_interpreter()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    ready["port"] = listening.getsockname()[1]
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", access_log=False, log_level="warning", server_header=False, proxy_headers=False
    )
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
        runner.run(serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
