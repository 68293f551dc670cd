"""A receiver of webhooks, as a bank's back end would have one: a real server, which verifies with `cryptography` alone."""

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.support.waiting import WAITS_S


def verified(public_key: str, headers: Any, body: bytes) -> dict[str, Any]:
    """The event of a webhook of whose signatures one holds; InvalidSignature, or another error, otherwise."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    over = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for header in headers["webhook-signature"].split(" "):
        version, _, signature = header.partition(",")
        if version == "v1a":
            with suppress(InvalidSignature):
                key.verify(base64.b64decode(signature), over)
                event: dict[str, Any] = json.loads(body)
                assert event["id"] == headers["webhook-id"]
                return event
    raise InvalidSignature


@dataclass
class Receiver:
    """`faults`: what is answered first, before everything is taken: a status, `slow`, or `cut`."""

    public_key: str = ""
    faults: list[int | str] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    at_once: dict[str, int] = field(default_factory=dict)
    most_at_once: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        name = request.headers.get("webhook-id", "")
        self.asked.append((request.path, dict(request.headers), body))
        self.at_once[name] = self.at_once.get(name, 0) + 1
        self.most_at_once = max(self.most_at_once, self.at_once[name])
        try:
            return await self._fault(request, self.faults.pop(0)) if self.faults else self._take(request, body)
        finally:
            self.at_once[name] -= 1

    def _take(self, request: web.Request, body: bytes) -> web.Response:
        self.taken.append(verified(self.public_key, request.headers, body))
        return web.Response(status=204)

    async def _fault(self, request: web.Request, fault: int | str) -> web.StreamResponse:
        if fault == "slow":
            await self.released.wait()
        if fault == "cut" and request.transport is not None:
            request.transport.abort()
        elsewhere = {"location": "/elsewhere"} if isinstance(fault, int) and 300 <= fault < 400 else None
        return web.Response(status=fault if isinstance(fault, int) else 500, headers=elsewhere)


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[Receiver, str]]:
    """A receiver, and its URL on loopback."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield receiver, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        receiver.released.set()
        await runner.cleanup()


@contextmanager
def receiving_beside() -> Iterator[tuple[Receiver, str]]:
    """The same in a thread of its own, for tests without a loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="receiver")
    thread.start()

    async def enter() -> tuple[Receiver, str]:
        return await kept.__aenter__()

    async def leave() -> None:
        await kept.__aexit__(None, None, None)

    kept = receiving()
    try:
        yield asyncio.run_coroutine_threadsafe(enter(), loop).result(WAITS_S)
    finally:
        asyncio.run_coroutine_threadsafe(leave(), loop).result(WAITS_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAITS_S)
        loop.close()
