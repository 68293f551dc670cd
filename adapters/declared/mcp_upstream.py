"""`McpUpstream`: tools of one MCP server behind declared functions. Needs the extra `mcp`.

No tool is called unless the server's list, read within the last minutes, has its definition as it is pinned. What a server says about its
tools reaches no model: names, descriptions and schemas are the manifest's. A result with `isError` is a status and no text.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal
from ssl import SSLContext
from typing import Any

from mcp import Client, MCPError
from mcp_types import INVALID_PARAMS, CallToolRequest, CallToolRequestParams, ListToolsRequest, PaginatedRequestParams
from pydantic import RootModel

from adapters.alarms import CoreAlarm
from adapters.core import CoreUnavailable
from adapters.declared.declarations import ToolPin, UpstreamAddress
from adapters.declared.mcp_exchange import FAILURES, ExchangeNote, McpServer
from adapters.declared.requests import UpstreamRequest
from adapters.declared.tools import ERROR, TOOLS_MOST, PinnedTools
from adapters.declared.upstream import MAX_ANSWER_BYTES, AnswerLost, NotSent, Response, Upstream

_PAGES_MOST = 20
_STALE = 3
"""So many intervals after the last comparison no tool is called before the next one."""

_LIST_S = 30.0
_EXACT_DIGITS = 15
_LOG = logging.getLogger("tellergate.upstream")


class _Raw(RootModel[dict[str, Any]]):
    """A result as it came, with what the package does not know of."""


class McpUpstream(Upstream):
    """As `Upstream`; its requests are calls of tools."""

    def __init__(
        self, address: UpstreamAddress, pins: Iterable[ToolPin], *, credential: str | None = None, tls: SSLContext | None = None
    ) -> None:
        """ValueError as for `Upstream`."""
        super().__init__(address, credential=credential, tls=tls)
        self._server = McpServer(address.url, credential, tls, connect_ms=address.connect_ms)
        self._tools = PinnedTools(pins)
        self._revision: str | None = None
        self._checking = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        await self._server.close()
        await super().close()

    async def check(self, deadline: float) -> None:
        """Compare the server's list with the pins. NotSent, with an alarm, where it cannot be read."""
        try:
            self._revision, listed = await _listed(self._server, deadline)
        except NotSent as error:
            _LOG.log(*CoreAlarm.UPSTREAM_TOOLS_UNREAD.line(cause=str(error)))
            raise
        for tool, cause in self._tools.compare(listed, self._now()):
            _LOG.log(*CoreAlarm.UPSTREAM_TOOL_CHANGED.line(tool=tool, cause=cause))

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(NotSent):
                async with self._checking:
                    await self.check(self._now() + self.address.instruction_ms / 1000)
            await asyncio.sleep(self.address.check_s)

    async def _exchange(self, request: UpstreamRequest, customer: str, key: str | None, deadline: float) -> Response:
        """Once. CoreUnavailable for a tool that is stopped; NotSent while no byte of the call went, Lost for what is no answer to it."""
        headers = self._headers(customer)
        await self._clear(request.target, deadline)
        arguments = _arguments(request.body or b"{}")
        meta = {} if key is None else {str(self.address.idempotency_header): key}
        params = CallToolRequestParams.model_validate({"name": request.target, "arguments": arguments, "_meta": meta or None})

        async def call(client: Client) -> Mapping[str, Any] | None:
            try:
                return (await client.session.send_request(CallToolRequest(params=params), _Raw)).root
            except MCPError as error:
                if error.error.code == INVALID_PARAMS:
                    return None
                raise

        noted = ExchangeNote(left_bytes=MAX_ANSWER_BYTES)
        try:
            result = await self._server.exchange(
                call, noted, headers=headers, revision=self._revision, deadline=deadline, is_fresh=key is not None
            )
        except FAILURES as error:
            raise (AnswerLost if noted.called else NotSent)(noted.cause(error)) from None
        return Response(400, b"") if result is None else _response(result)

    async def _clear(self, tool: str, deadline: float) -> None:
        """Let a call of this tool pass. CoreUnavailable for one that is stopped; NotSent where that is not known."""
        if self._is_stale():
            try:
                async with asyncio.timeout_at(deadline), self._checking:
                    if self._is_stale():
                        await self.check(deadline)
            except TimeoutError:
                raise NotSent("tools_not_read") from None
        cause = self._tools.why_not(tool)
        if cause is not None:
            raise CoreUnavailable(f"tool_{cause}")

    def _is_stale(self) -> bool:
        at = self._tools.compared_at
        return at is None or self._now() - at > _STALE * self.address.check_s


async def list_tools(url: str, *, credential: str | None, tls: SSLContext | None) -> list[Mapping[str, object]]:
    """The definitions that a server lists. NotSent with the cause."""
    server = McpServer(url, credential, tls, connect_ms=5_000)
    try:
        return (await _listed(server, asyncio.get_running_loop().time() + _LIST_S))[1]
    finally:
        await server.close()


async def _listed(server: McpServer, deadline: float) -> tuple[str, list[Mapping[str, object]]]:
    """The revision that was agreed on, and the definitions as they came. NotSent."""

    async def work(client: Client) -> tuple[str, list[Mapping[str, object]]]:
        listed: list[Mapping[str, object]] = []
        cursor: str | None = None
        for _ in range(_PAGES_MOST):
            asked = ListToolsRequest(params=None if cursor is None else PaginatedRequestParams(cursor=cursor))
            page = (await client.session.send_request(asked, _Raw)).root
            listed += page["tools"]
            cursor = page.get("nextCursor")
            if len(listed) > TOOLS_MOST:
                break
            if cursor is None:
                return client.protocol_version, listed
        raise RuntimeError("more tools than any")

    noted = ExchangeNote()
    try:
        return await server.exchange(work, noted, headers={}, revision=None, deadline=deadline, is_fresh=True)
    except FAILURES as error:
        raise NotSent(noted.cause(error)) from None


def _arguments(body: bytes) -> dict[str, object]:
    """The arguments as the package takes them. NotSent for a number that it would write as another one."""

    def exactly(text: str) -> float:
        if Decimal(repr(float(text))) != Decimal(text):
            raise NotSent("a number that a binary fraction does not hold")
        return float(text)

    arguments: dict[str, object] = json.loads(body, parse_float=exactly)
    return arguments


def _response(result: Mapping[str, Any]) -> Response:
    """What a result comes to: 200 with its structured content, or else its text; ERROR without a word. AnswerLost for a server that asks
    something back: whatever it wants to know, it is not told."""
    if result.get("resultType", "complete") != "complete":
        raise AnswerLost("asks_back")
    if result.get("isError") is True:
        return Response(ERROR, b"")
    structured = result.get("structuredContent")
    if structured is None:
        blocks = [block for block in result.get("content", ()) if isinstance(block, dict) and block.get("type") == "text"]
        structured = {"text": "\n".join(str(block.get("text", "")) for block in blocks)}
    try:
        return Response(200, json.dumps(_exact(structured), allow_nan=False).encode())
    except (ValueError, RecursionError):
        return Response(200, b"")


def _exact(value: object) -> object:
    """The value, with `{}` in place of a number that may have lost digits on its way: that is no value of any type."""
    if isinstance(value, float) and len(Decimal(repr(value)).as_tuple().digits) > _EXACT_DIGITS:
        return {}
    if isinstance(value, dict):
        return {name: _exact(item) for name, item in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list) else value
