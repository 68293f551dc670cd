"""Servers that are asked to end by a signal: in order by the first, at once by the second; the trail is whole after both."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseLocations, open_log
from gateway.app.development.local_issuer import LocalIssuer
from gateway.cli import main
from tests.support import databases
from tests.support.assisted import function
from tests.support.forks import Forked
from tests.support.models import Reply, model_server
from tests.support.processes import start
from tests.support.waiting import wait_until

ENDS_S = 20
"""Less than the thirty seconds after which requests that do not end are broken off."""


class Server:
    """`tellergate serve` in a process of its own."""

    def __init__(self, process: Forked, url: str, data: Path) -> None:
        self.process, self.url, self.data = process, url, data
        host, port = urlsplit(url).hostname, urlsplit(url).port
        assert host is not None
        assert port is not None
        self.address = (host, port)

    def headers(self, customer: str, **claims: Any) -> dict[str, str]:
        token = LocalIssuer(self.data).token(customer, agent=None, strong=True, **claims)
        return {"authorization": f"Bearer {token}", "content-type": "application/json"}

    async def asked_to_end(self, by: signal.Signals) -> None:
        """Once it takes no more connections, it has heard it."""
        self.process.send_signal(by)
        await wait_until(lambda: self.process.poll() is not None or not self._listens())

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, ENDS_S)

    def _listens(self) -> bool:
        with closing(socket.socket()) as asking:
            return asking.connect_ex(self.address) == 0


@asynccontextmanager
async def serving(data: Path, *options: str) -> AsyncIterator[Server]:
    patient = ("--audit-wait-ms", "20000")  # a busy disk of a test machine is no finding
    command = [
        "serve",
        "--dev",
        "--data",
        str(data),
        "--database",
        databases.url(data),
        "--port",
        "0",
        "--json",
        *patient,
        *options,
    ]
    process, said = await asyncio.to_thread(start, *command)
    try:
        yield Server(process, said["url"], data)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class HalfRequest:
    """A request whose second half is sent when the test says so."""

    def __init__(self, server: Server) -> None:
        body = b'{"metadata":{}}'
        lines = ["POST /v1/threads HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in server.headers("alice", scope="threads").items()]
        self._socket = socket.create_connection(server.address)
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body[:5])
        self._rest = body[5:]

    def end(self) -> bytes:
        """The first bytes of its answer."""
        self._socket.settimeout(ENDS_S)
        self._socket.sendall(self._rest)
        return self._socket.recv(65536)

    def close(self) -> None:
        self._socket.close()


async def streamed(server: Server) -> tuple[httpx.AsyncClient, httpx.Response]:
    """A run that waits for its model, and its stream."""
    client = httpx.AsyncClient(base_url=f"{server.url}/v1", timeout=ENDS_S)
    asked = {"model": "m", "tools": [function("list_accounts")]}
    made = await client.post("/assistants", json=asked, headers=server.headers("dev-app", scope="assistants"))
    body = {"assistant_id": made.json()["id"], "stream": True, "thread": {"messages": [{"role": "user", "content": "Hello?"}]}}
    owner = server.headers("alice", scope="threads customer_words function_calls")
    request = client.build_request("POST", "/threads/runs", json=body, headers=owner)
    return client, await client.send(request, stream=True)


async def records(data: Path) -> tuple[list[str], int]:
    """The kinds of the log's records in their order, and how many the last checkpoint is over."""
    log = await open_log(DatabaseLocations(data, databases.url(data)), writer_id="test", clock=utc_now)
    try:
        size, _ = await log.head()
        entries = [await log.read(lambda reads, index=index: reads.leaf(index)) for index in range(size)]  # type: ignore[misc]
        note = await log.checkpoint()
        assert note is not None
        return [json.loads(entry.leaf)["kind"] for entry in entries if entry is not None], int(note.splitlines()[1])
    finally:
        await log.close()


async def whole(data: Path) -> list[str]:
    """The kinds of the records, after an end in order: the checkpoint is over every one, and the last says that it stopped."""
    kinds, size = await records(data)
    assert kinds[-1] == "log.stop"
    assert size == len(kinds)
    assert await asyncio.to_thread(main, ["audit", "verify", "--data", str(data), "--database", databases.url(data)]) == 0
    return kinds


async def test_the_first_signal_ends_in_order_and_the_second_at_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with model_server(lambda _body: Reply("Hello.", begin=asyncio.Event())) as model:
        async with serving(data, "--model-url", model.url) as server:
            client, stream = await streamed(server)
            with closing(HalfRequest(server)) as half:
                await wait_until(lambda: model.at_once == 1)
                await server.asked_to_end(signal.SIGTERM)
                events = (await stream.aread()).decode()
                assert '"the stream broke; ask for the run"' in events
                await client.aclose()
                assert server.process.poll() is None, "a request is under way"
                assert (await asyncio.to_thread(half.end)).startswith(b"HTTP/1.1 200")
            assert await server.ended() == 0
            await wait_until(lambda: model.at_once == 0)
        assert (await whole(data)).count("log.stop") == 1
        async with serving(data, "--model-url", model.url) as server:
            await wait_until(lambda: model.at_once == 1)  # the run was let go of, and goes on
            with closing(HalfRequest(server)):
                await server.asked_to_end(signal.SIGTERM)
                server.process.send_signal(signal.SIGTERM)
                assert await server.ended() == -signal.SIGTERM
        assert (await records(data))[0].count("log.stop") == 1
    async with serving(data) as server:
        await server.asked_to_end(signal.SIGINT)
        assert await server.ended() == 128 + signal.SIGINT
    assert (await whole(data)).count("log.stop") == 2
