"""`tellergate sandbox-bank`, `core-proxy` and `keys`: what runs on the core's side of the wire."""

import argparse
import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import uvloop

from adapters.cores.remote.bounds import ClientBounds
from adapters.cores.remote.server import CoreServer, PermitReader, listen
from audit.keyring import KeyRing
from gateway.app.clock import utc_now
from gateway.app.cores import (
    Core,
    UnsafeNoPermits,
    behind_http,
    permit_verifier,
    read_permit,
    server_tls,
    trust_of,
    verified_permit,
)
from gateway.app.databases import open_log
from gateway.app.development.embedded_bank import banking_days, embedded
from gateway.app.key_files import credential
from gateway.app.keys import WEBHOOK
from gateway.app.stopping import asked_to_stop
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.commands.locations import key_files, locations
from gateway.commands.printing import GOOD, USAGE, failed, print_json
from gateway.oversight.webhooks import public_key

PROXY_BOUNDS = ClientBounds(question_s=1.5, instruction_s=8.0)
"""Less than the gateway waits by default, so that what the proxy finds out still reaches it."""


def sandbox_bank(options: argparse.Namespace) -> int:
    """Serve the sandbox bank until interrupted."""
    permits = permit_verifier(options.permit_key) if options.permit_key else UnsafeNoPermits()
    token = credential(options.credential_file, make=True)
    options.data.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[tuple[Core, PermitReader]]:
        core = embedded(options.data / "bank.sqlite", clock=utc_now, permits=permits)
        chore = None if core.sandbox is None else asyncio.create_task(banking_days(core.sandbox))
        try:
            yield core, read_permit
        finally:
            if chore is not None:
                chore.cancel()
            await core.close()

    return _served(options, token, opened())


def core_proxy(options: argparse.Namespace) -> int:
    """Serve a core to the gateway until interrupted: questions, and instructions with a permit."""
    permits = permit_verifier(options.permit_key)
    token = credential(options.credential_file, make=True)
    if token == credential(options.bank_credential_file):
        raise UnsafeSettings("the proxy takes another credential than the bank does: who asks the proxy must not reach the bank")

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[tuple[Core, PermitReader]]:
        core = behind_http(options.bank_url, options.bank_credential_file, clock=utc_now, bounds=PROXY_BOUNDS)
        try:
            yield core, verified_permit(permits, utc_now)
        finally:
            await core.close()

    return _served(options, token, opened())


def permit_key(options: argparse.Namespace) -> int:
    """Print, or write, what verifies the permits of a folder's log."""

    async def run() -> str:
        log = await open_log(locations(options), writer_id="command", clock=utc_now)
        try:
            return trust_of(log)
        finally:
            await log.close()

    options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    trust = asyncio.run(run())
    if options.out is None:
        print(trust)
    else:
        options.out.write_text(trust)
    return GOOD


def _served(
    options: argparse.Namespace, token: str, opened: contextlib.AbstractAsyncContextManager[tuple[Core, PermitReader]]
) -> int:
    tls = server_tls(options.host, options.tls_cert, options.tls_key)

    async def run() -> int:
        stopped = asyncio.Event()
        with asked_to_stop(stopped.set) as request:
            await serving(stopped)
        return request.status

    async def serving(stopped: asyncio.Event) -> None:
        async with opened as (core, permits):
            server = CoreServer(core.bank, credential=token, permits=permits)
            runner, port = await listen(server, options.host, options.port, tls=tls)
            url = f"{'https' if tls else 'http'}://{options.host}:{port}"
            if options.json:
                print_json({"url": url, "credential_file": str(options.credential_file)})
            else:
                print(f"listens on {url}; who asks needs the credential in {options.credential_file}", flush=True)
            try:
                await stopped.wait()
            finally:
                await runner.cleanup()

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # lines of JSON, by the same rule as telemetry
    return uvloop.run(run())


def webhook_public_key(options: argparse.Namespace) -> int:
    """Print the key with which a receiver of webhooks verifies them."""
    if not (options.data / "keys").is_dir():
        return failed(f"there is no gateway in {options.data}; give the folder of `tellergate serve`", USAGE)
    key = public_key(KeyRing(WEBHOOK, key_files(options)).public)
    if options.json:
        print_json({"public_key": key})
    else:
        print(key)
    return GOOD
