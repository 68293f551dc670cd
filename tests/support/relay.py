"""A relay between a client and a server of HTTP/1.1 that does to an exchange whatever a network may.

It takes a whole request, so that it knows what it is, and then does what the plan of that request says, byte by byte.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

GARBAGE = b"\x16\x03\x01 HTTP/9.9 \xff\r\nnot: a response\r\n\r\n{"
BROKEN = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\n<h1>502</"


@dataclass(frozen=True)
class Plan:
    """`what`: cut_request, cut_answer, hold_request, hold_answer, double, garbage, broken, smuggle. `at`: the byte where it happens.

    `is_done`: whether the request reaches the server all the same. `comes`: when the rest of a held request does: never, or once the
    test says so, "early" or "late". `times`: how often it happens to one key; then all goes well.
    """

    what: str = "pass"
    at: int = 0
    is_done: bool = False
    is_reset: bool = False
    comes: str = "never"
    times: int = 1


@dataclass
class Exchange:
    """What was seen of one key: the requests, and what is left of its plan."""

    plan: Plan
    left: int
    bodies: list[bytes] = field(default_factory=list)


@dataclass
class Relay:
    upstream: int
    plans: list[Plan] = field(default_factory=list)
    """Each new key takes the next one; without any, all goes well."""
    for_questions: Callable[[str], Plan | None] = lambda _path: None
    seen: dict[str, Exchange] = field(default_factory=dict)
    released: dict[str, asyncio.Event] = field(default_factory=lambda: {"early": asyncio.Event(), "late": asyncio.Event()})
    """What is held of requests goes on once its event is set."""
    held: dict[str, int] = field(default_factory=lambda: {"early": 0, "late": 0})
    sizes: list[tuple[int, int]] = field(default_factory=list)
    """Bytes of the request and of the answer, of each instruction that went well."""
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the client; an exchange that went well leaves it open for the next."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                while await self._exchange(reader, writer):
                    pass
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await message(reader)
        path = request.split(b" ", 2)[1].decode()
        plan = self._plan_of(request) if path == "/v1/submit" else self.for_questions(path) or Plan()
        match plan.what:
            case "pass":
                answer = await self._upstream(request)
                if path == "/v1/submit":
                    self.sizes.append((len(request), len(answer)))
                writer.write(answer)
                await writer.drain()
                return True
            case "cut_request":
                await self._part_of_request(request[: plan.at], plan)
            case "cut_answer":
                await self._send(writer, (await self._upstream(request))[: plan.at])
            case "hold_request":
                await self._held(reader, request, plan)
            case "hold_answer":
                await self._send(writer, (await self._upstream(request))[: plan.at])
                await reader.read()
            case "double":
                answers = await asyncio.gather(self._upstream(request), self._upstream(request))
                await self._send(writer, b"".join(answers))
                return True
            case "garbage" | "broken":
                answer = await self._upstream(request) if plan.is_done else b""
                await self._send(writer, answer[: plan.at] + (GARBAGE if plan.what == "garbage" else BROKEN))
        self._cut(writer, plan)
        return False

    def _plan_of(self, request: bytes) -> Plan:
        key = header(request, b"idempotency-key").decode()
        if key not in self.seen:
            plan = self.plans.pop(0) if self.plans else Plan()
            self.seen[key] = Exchange(plan, plan.times)
        exchange = self.seen[key]
        exchange.bodies.append(request.partition(b"\r\n\r\n")[2])
        exchange.left -= 1
        return exchange.plan if exchange.left >= 0 else Plan()

    async def _upstream(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write(request)
            return await message(reader)
        finally:
            writer.close()

    async def _part_of_request(self, part: bytes, plan: Plan) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        await self._send(writer, part)
        self._cut(writer, plan)

    async def _held(self, reader: asyncio.StreamReader, request: bytes, plan: Plan) -> None:
        """Part of the request, until the client gave up; the rest too late, or never."""
        upstream, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        await self._send(writer, request[: plan.at])
        await reader.read()
        if plan.comes != "never":
            self.held[plan.comes] += 1
            await self.released[plan.comes].wait()
            await self._send(writer, request[plan.at :])
            await message(upstream)
            self.held[plan.comes] -= 1
        self._cut(writer, plan)

    async def _send(self, writer: asyncio.StreamWriter, part: bytes) -> None:
        writer.write(part)
        await writer.drain()

    def _cut(self, writer: asyncio.StreamWriter, plan: Plan) -> None:
        if plan.is_reset:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()


@asynccontextmanager
async def relay(upstream: int, plans: Sequence[Plan] = ()) -> AsyncIterator[tuple[Relay, int]]:
    """A relay to this port of loopback, and its own port."""
    made = Relay(upstream, list(plans))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, backlog=512)
    try:
        yield made, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(made.tasks):
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)


async def message(reader: asyncio.StreamReader) -> bytes:
    """One whole message: its head, and as many bytes of body as it says."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(int(header(head, b"content-length") or b"0"))


def header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        given, _, value = line.partition(b":")
        if given.lower() == name:
            return value.strip()
    return b""
