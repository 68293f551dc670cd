"""A server of the core's wire that answers whatever its script says, well or badly, over sockets or TLS."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext

from adapters.cores.remote import wire
from adapters.cores.remote.codec import Json
from tests.support.relay import header, message


@dataclass(frozen=True)
class Request:
    head: bytes
    body: bytes

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def number(self) -> str:
        return header(self.head, b"tellergate-request").decode()

    @property
    def key(self) -> str | None:
        return header(self.head, b"idempotency-key").decode() or None


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[bool]]
"""Writes an answer; whether the connection goes on."""


def http(body: bytes, status: int = 200, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%s\r\n%s" % (status, len(body), head, body)


def well(value: Json) -> Answer:
    """The right frame around this value."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(wire.answered(request.number, request.key, value)))
        return True

    return answer


def fault(code: wire.CoreFault) -> Answer:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(wire.refused(request.number, request.key, code), wire.STATUS[code]))
        return True

    return answer


def raw(made: Callable[[Request], bytes], *, goes_on: bool = False) -> Answer:
    """These bytes, whatever they are."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(made(request))
        return goes_on

    return answer


CUT = raw(lambda _request: b"")
"""Nothing, and the connection is closed."""


async def silence(_request: Request, _writer: asyncio.StreamWriter) -> bool:
    """Nothing, for longer than anybody waits."""
    await asyncio.sleep(60)
    return False


@dataclass
class Scripted:
    answers: list[Answer]
    """The last one is repeated."""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    listening: asyncio.Server | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                while True:
                    head, _, body = (await message(reader)).partition(b"\r\n\r\n")
                    self.requests.append(Request(head, body))
                    answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                    if not await answer(self.requests[-1], writer):
                        break
                    await writer.drain()
            finally:
                writer.close()


@asynccontextmanager
async def scripted(answers: Sequence[Answer], tls: SSLContext | None = None) -> AsyncIterator[tuple[Scripted, str]]:
    """Such a server on loopback, and its base URL. With `tls`, a connection is one whose handshake ended well."""
    made = Scripted(list(answers))
    server = made.listening = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield made, f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(made.tasks):
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
