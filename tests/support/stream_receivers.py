"""Receivers of streams, real ones: an HTTP server, a syslog server over TLS, a folder. Each can fail in the ways that receivers do.

Of what arrived each keeps every whole line in its order, also those that it then did not acknowledge.
"""

import asyncio
import contextlib
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from aiohttp import web

from adapters.tls import client_tls
from audit.keyring import Signer
from gateway.oversight.receivers.files import FolderReceiver
from gateway.oversight.receivers.http import HttpReceiver
from gateway.oversight.receivers.syslog import SyslogReceiver
from gateway.oversight.streams import StreamReceiver
from tests.support.certificates import Authority, Issued
from tests.support.waiting import WAITS_S

SHORT_S = 0.4
"""So long a receiver is waited for where one stalls."""


class Fault(StrEnum):
    AWAY = "away"
    """Nobody is there."""
    STALLS = "stalls"
    """It takes the connection, and nothing else."""
    CUT = "cut"
    """It takes what was sent, and the connection breaks before it says so."""
    HALF = "half"
    """It takes half of it, and ends in order."""


class KilledAt(StrEnum):
    """When a sender is killed: its receiver has read a batch, and has it or not, and answers nothing."""

    UNTAKEN = "untaken"
    TAKEN = "taken"


class Harness(Protocol):
    """A receiver under test. `lines`: whole lines as they arrived."""

    lines: list[bytes]

    def fails(self, fault: Fault | None) -> None:
        """From now on so; None: it works."""

    def made(self, clock: Callable[[], datetime]) -> StreamReceiver:
        """Our end of it."""


def indexes(lines: Sequence[bytes]) -> list[int]:
    """Of lines of the format `json`."""
    return [json.loads(line)["index"] for line in lines]


def accounted(arrived: Sequence[int], expected: Sequence[int]) -> None:
    """Each at least once, nothing else, and none before an earlier one."""
    assert list(dict.fromkeys(arrived)) == list(expected)


class HttpHarness:
    """`statuses`: what is answered to a batch with this record. `says`: the body of its 200."""

    def __init__(self, signers: Callable[[], Sequence[Signer]]) -> None:
        self.lines: list[bytes] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.statuses: dict[int, int] = {}
        self.headers: dict[str, str] = {}
        self.says = b""
        self.url = ""
        self._fault: Fault | None = None
        self._signers = signers
        self._mended = asyncio.Event()
        self._killed: tuple[KilledAt | None, int] = (None, 0)
        self.reached = asyncio.Event()
        """A batch was read that is never answered."""
        self._let_go = asyncio.Event()

    def kills(self, moment: KilledAt | None, *, after: int) -> None:
        """The first batch that is read once so many records arrived is answered by nothing; its sender is to be killed. None:
        no more, and what waits is let go."""
        self._killed = (moment, after)
        self._let_go.set()
        self._let_go, self.reached = asyncio.Event(), asyncio.Event()

    def fails(self, fault: Fault | None) -> None:
        self._fault = fault
        if fault is None:
            self._mended.set()
        else:
            self._mended.clear()

    def made(self, clock: Callable[[], datetime]) -> StreamReceiver:
        return HttpReceiver(self.url, tls=None, keys=self._signers, clock=clock, timeout_s=SHORT_S)

    async def answer(self, request: web.Request) -> web.Response:
        if self._fault is Fault.AWAY and request.transport is not None:
            request.transport.abort()
        if self._fault is Fault.STALLS:
            await self._mended.wait()
            return web.Response(status=503)
        body = await request.read()
        lines = body.splitlines()
        moment, after = self._killed
        if moment is not None and len({*indexes(self.lines)}) >= after:
            self.lines += lines if moment is KilledAt.TAKEN else []
            self.reached.set()
            await self._let_go.wait()
            return web.Response(status=503)
        numbers = indexes(lines) if self.statuses else []
        if refused := [self.statuses[number] for number in numbers if number in self.statuses]:
            return web.Response(status=refused[0], headers=self.headers)
        self.requests.append(({name.lower(): value for name, value in request.headers.items()}, body))
        half = lines[: len(lines) // 2]
        self.lines += half if self._fault is Fault.HALF else lines
        if self._fault is Fault.HALF:
            return web.json_response({"accepted": len(half)})
        if self._fault is Fault.CUT and request.transport is not None:
            request.transport.abort()
        return web.Response(body=self.says, headers={"content-type": "application/json"})


@asynccontextmanager
async def http_harness(signers: Callable[[], Sequence[Signer]]) -> AsyncIterator[HttpHarness]:
    made = HttpHarness(signers)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/in", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    try:
        yield made
    finally:
        made.fails(None)
        await runner.cleanup()


class SyslogHarness:
    """A server with a thread, one connection at a time."""

    def __init__(self, authority: Authority, server: Issued, client: Issued | None) -> None:
        self.lines: list[bytes] = []
        self.messages: list[bytes] = []
        self.peers: list[str] = []
        self.authority = authority
        self.client = client
        self._fault: Fault | None = None
        self._mended = threading.Event()
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
        self._tls.load_cert_chain(server.certificate, server.key)
        self._tls.verify_mode = ssl.CERT_NONE if client is None else ssl.CERT_REQUIRED
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._ends = False
        self._thread = threading.Thread(target=self._serve, name="syslog", daemon=True)
        self._thread.start()

    def fails(self, fault: Fault | None) -> None:
        self._fault = fault
        if fault is None:
            self._mended.set()
        else:
            self._mended.clear()

    def made(self, clock: Callable[[], datetime]) -> StreamReceiver:
        tls = client_tls(self.authority.file)
        if self.client is not None:
            tls.load_cert_chain(self.client.certificate, self.client.key)
        return SyslogReceiver("127.0.0.1", self.port, tls, timeout_s=SHORT_S)

    def close(self) -> None:
        self._ends = True
        self._mended.set()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            pass
        self._thread.join(WAITS_S)
        self._listening.close()

    def _serve(self) -> None:
        while not self._ends:
            plain, _ = self._listening.accept()
            with plain, contextlib.suppress(OSError):
                if self._fault is Fault.AWAY or self._ends:
                    continue
                with self._tls.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False) as secured:
                    self._connection(secured)

    def _connection(self, secured: ssl.SSLSocket) -> None:
        if self._fault is Fault.STALLS:
            self._mended.wait(WAITS_S)
            return
        got, fault = b"", self._fault
        while part := secured.recv(65_536):
            got += part
            if fault is Fault.HALF:
                break
            if fault is Fault.CUT and b'"index"' in got:
                self._take(got)
                secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
        if fault is Fault.HALF:  # ends by itself, in order as far as TLS goes, with messages left unread
            self._take(got[: len(got) // 2])
            with contextlib.suppress(OSError):
                secured.settimeout(0)
                secured.unwrap()
            return
        self._take(got)
        secured.unwrap()

    def _take(self, got: bytes) -> None:
        for content in unframed(got):
            self.messages.append(content)
            self.lines.append(content[content.index(b"] ") + 2 :])


def unframed(octets: bytes) -> Iterator[bytes]:
    """The whole messages of octet counting (RFC 5425, 4.3), read by its grammar."""
    while found := re.match(rb"([1-9][0-9]*) ", octets):
        length = int(found[1])
        content = octets[found.end() : found.end() + length]
        if len(content) < length:
            return
        yield content
        octets = octets[found.end() + length :]
    assert re.fullmatch(rb"[0-9]*", octets), "what follows is no frame"


class FolderHarness:
    """A folder that is taken away, and lines that a crash cut short."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._fault = folder, None
        folder.mkdir(mode=0o700)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))

    @property
    def lines(self) -> list[bytes]:
        """Those that are whole; one that was cut short is no JSON."""
        found = []
        for path in self.files:
            for line in path.read_bytes().split(b"\n"):
                with contextlib.suppress(ValueError):
                    json.loads(line)
                    found.append(line)
        return found

    @lines.setter
    def lines(self, _lines: list[bytes]) -> None:
        raise NotImplementedError

    def fails(self, fault: Fault | None) -> None:
        away = self.folder.with_name("away")
        if fault is None and away.exists():
            away.rename(self.folder)
        elif fault is not None and self.folder.exists():
            if fault is Fault.HALF:
                for path in self.files[-1:]:
                    path.write_bytes(path.read_bytes() + b'{"index":99')
            self.folder.rename(away)

    def made(self, clock: Callable[[], datetime]) -> StreamReceiver:
        return FolderReceiver(self.folder, "soc", clock=clock, bytes_most=20_000)
