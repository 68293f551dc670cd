"""Serves any `CoreBank` over the wire of this package: a core in a process of its own, or the proxy before one.

Owns who may ask (one bearer credential) and what crosses; what is asked and done is the core's. Keeps nothing.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from ssl import SSLContext
from typing import Any, TypeVar

from aiohttp import web

from adapters.core import CoreAnswer, CoreBank, CoreUnavailable, ExecutionPermit, Instruction, PermitRefused
from adapters.cores.remote import wire
from adapters.cores.remote.codec import Json, WireError
from adapters.cores.remote.wire import CoreFault, Operation
from adapters.questions import Question, knowing

BODY_WAIT_S = 5.0
"""How long the body of a request may take to arrive."""

IDLE_S = 60.0
"""How long an idle connection is kept: longer than the client keeps it."""

Read = TypeVar("Read")

PermitReader = Callable[[str, bytes], ExecutionPermit]
"""Reads an encoded permit over canonical bytes, and may verify it. PermitRefused for what is none."""


class CoreServer:
    """Answers requests. `permits` is asked before the core sees an instruction; the core verifies by itself all the same."""

    def __init__(self, core: CoreBank, *, credential: str, permits: PermitReader) -> None:
        self._core = core
        self._credential = sha256(f"Bearer {credential}".encode()).digest()
        self._permits = permits
        self._operations = {question.path: question for question in (*wire.QUESTIONS.values(), wire.STATUS_OF_KEY)}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request. What is not answered here at all (a defect of the core) is a 500 without a frame."""
        number = request.headers.get(wire.REQUEST, "")
        number = number if wire.REQUEST_FORM.fullmatch(number) else ""
        key: str | None = None
        try:
            body = await self._body(request)
            if not number:
                raise _RequestRefused(CoreFault.MALFORMED)
            if request.path == wire.SUBMIT_PATH:
                instruction = _read(wire.instruction_of, body)
                key = instruction.key
                answer = wire.ANSWER_TO_INSTRUCTION.encode(await self._submit(request, instruction, body))
            elif request.path == wire.TOGETHER_PATH:
                answer = await self._together(_read(wire.questions_of, body))
            else:
                operation = self._operations[request.path]
                arguments = _read(operation.arguments, body)
                key = arguments["key"] if operation is wire.STATUS_OF_KEY else None
                answer = await self._ask(operation, arguments)
        except _RequestRefused as refused:
            return _response(wire.refused(number, key, refused.fault), wire.STATUS[refused.fault])
        return _response(wire.answered(number, key, answer), 200)

    async def _body(self, request: web.BaseRequest) -> bytes:
        """The bounded body of an authorised request for something that there is."""
        given = request.headers.getall("Authorization", [])
        if len(given) != 1 or not hmac.compare_digest(sha256(given[0].encode("utf-8", "replace")).digest(), self._credential):
            raise _RequestRefused(CoreFault.UNAUTHORIZED)
        if request.path not in (wire.SUBMIT_PATH, wire.TOGETHER_PATH) and request.path not in self._operations:
            raise _RequestRefused(CoreFault.NOT_FOUND)
        if request.method != "POST":
            raise _RequestRefused(CoreFault.METHOD_NOT_ALLOWED)
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_WAIT_S):
                async for part in request.content.iter_any():
                    size += len(part)
                    if size > wire.MAX_REQUEST_BYTES:
                        raise _RequestRefused(CoreFault.TOO_LARGE)
                    parts.append(part)
        except TimeoutError:
            raise _RequestRefused(CoreFault.TOO_SLOW) from None
        except (ConnectionError, web.RequestPayloadError):  # the client is gone; nobody reads this
            raise _RequestRefused(CoreFault.MALFORMED) from None
        return b"".join(parts)

    async def _submit(self, request: web.BaseRequest, instruction: Instruction, body: bytes) -> CoreAnswer:
        if request.headers.getall(wire.KEY, []) != [instruction.key]:
            raise _RequestRefused(CoreFault.MALFORMED)
        try:
            permit = self._permits(request.headers.get(wire.PERMIT, ""), body)
            return await self._core.submit(instruction, permit)
        except PermitRefused:
            raise _RequestRefused(CoreFault.PERMIT_REFUSED) from None
        except CoreUnavailable:
            raise _RequestRefused(CoreFault.UNAVAILABLE) from None

    async def _ask(self, operation: Operation, arguments: dict[str, object]) -> Json:
        found = await _answer(getattr(self._core, operation.name)(**arguments))
        if isinstance(found, CoreFault):
            raise _RequestRefused(found)
        return operation.answer.encode(found)

    async def _together(self, questions: Sequence[Question[Any]]) -> Json:
        """Each as if it were asked alone; a core that can asks its own bank for all of them at once."""
        try:
            core = knowing(self._core, await self._core.together(questions))
        except CoreUnavailable:
            raise _RequestRefused(CoreFault.UNAVAILABLE) from None
        return [wire.answer_of(question, await _answer(question.ask(core))) for question in questions]


class _RequestRefused(Exception):
    def __init__(self, fault: CoreFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def _read(reader: Callable[[bytes], Read], body: bytes) -> Read:
    try:
        return reader(body)
    except WireError:
        raise _RequestRefused(CoreFault.MALFORMED) from None


async def _answer(asked: Awaitable[object]) -> object:
    """The core's answer, or the fault that it comes to."""
    try:
        return await asked
    except ValueError:
        return CoreFault.INVALID
    except CoreUnavailable:
        return CoreFault.UNAVAILABLE


def _response(body: bytes, status: int) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json", headers={"Server": "tellergate"})


async def listen(server: CoreServer, host: str, port: int, *, tls: SSLContext | None = None) -> tuple[web.ServerRunner, int]:
    """Listen at this address; 0 takes a free port, which is told. Close it with `cleanup`, which lets running requests end."""
    runner = web.ServerRunner(web.Server(server.handle, keepalive_timeout=IDLE_S, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=1024, ssl_context=tls)
    await site.start()
    return runner, int(runner.addresses[0][1])
