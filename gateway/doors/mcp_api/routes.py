"""`POST /mcp` (Streamable HTTP), with a token of the scope `function_calls`. One JSON answer for each request; there are no sessions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import SCOPE_CALLS, Principal
from gateway.doors.mcp_api.calls import PRINCIPAL
from gateway.doors.mcp_api.faults import as_json_rpc, message_of
from gateway.doors.mcp_api.server import McpTools
from gateway.doors.rest import Door


class McpDoor:
    """The protocol's transport behind this gateway's own authentication, rates and bounds. `run` is to be entered while it is served."""

    def __init__(self, tools: McpTools, public_url: str) -> None:
        self._manager = StreamableHTTPSessionManager(tools.server(), json_response=True, stateless=True)
        self._origin = urlsplit(public_url)

    def mount(self, app: FastAPI, door: Door) -> None:
        """Put the route into the application."""

        @app.post("/mcp", include_in_schema=False)
        async def model_context_protocol(request: Request) -> Response:
            """The Model Context Protocol."""
            response = await door.answer(request, self.answer, SCOPE_CALLS, protects=True)
            return response if isinstance(response, _Passed) else as_json_rpc(response)

        app.router.routes.insert(0, app.router.routes.pop())  # found at once: to pass all other routes costs a call 90 us

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        async with self._manager.run():
            yield

    async def answer(self, _door: Door, request: Request, principal: Principal) -> Response:
        """RequestFault FOREIGN_REQUEST for a browser's request of another page (the protocol asks for it)."""
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin)[:2] != self._origin[:2]:
            raise RequestFault(Fault.FOREIGN_REQUEST, "a page of another origin may not ask")
        message = await message_of(request)
        request.scope[PRINCIPAL] = principal
        return _Passed(self._manager.handle_request, message)


class _Passed(Response):
    """What the transport answers to a message that was read, with the headers that were given to this."""

    def __init__(self, handle: ASGIApp, message: bytes) -> None:
        super().__init__()
        self.raw_headers = []
        self._handle = handle
        self._message: bytes | None = message

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self.raw_headers, (b"cache-control", b"no-store")]}
            await send(message)

        async def read_already() -> Message:
            message, self._message = self._message, None
            return await receive() if message is None else {"type": "http.request", "body": message, "more_body": False}

        await self._handle(scope, read_already, with_headers)
