"""What each method of the protocol does: the tools of a customer are listed, and called by the call pipeline.

Stateless in both revisions: a conversation is that of the customer's sign-in with this client, or the one that the request names in
`_meta`, so that any process answers any request.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import mcp_types as mcp
import orjson
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server

from gateway.calls.catalogue import schema_hash
from gateway.calls.output import output_text, result_item
from gateway.domain.errors import MESSAGES, Code, Fault, RequestFault, Unavailable
from gateway.domain.principal import Principal
from gateway.domain.request import CallRequest, NativeCall, Trace
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus
from gateway.doors.mcp_api.tools import HASH, tool_of
from gateway.doors.rest import Door
from gateway.store.conversations import EnsureConversation
from gateway.store.items import ItemStore

CONVERSATION = "tellergate/conversation"
"""In `_meta` of a request: the conversation in which it is to happen. Of an answer: the one in which it did."""

CALL = "tellergate/call"
"""In `_meta` of a result: which call it was, and what became of it; for the host, not for the model."""

PRINCIPAL = "tellergate.principal"
"""In a request's scope: for whom it was authenticated."""

TOOLS_KEPT_MS = 60_000
"""So long a client may keep the list: what a customer grants changes seldom, and each call is checked anyway."""

_CONVERSATION_ID = re.compile("conv_[0-9a-f]{24}")
_CALL_ID = re.compile("call_[0-9a-f]{28}")
_CONFIRMATION = "confirmation"
_WAIT = timedelta(seconds=25)
_LOOK_S = 0.25

INSTRUCTIONS = (
    "Functions of a bank, for one customer. Each call is checked against what the customer said and allowed. References in results are "
    "valid in this conversation alone. A call that needs the customer's confirmation is done once they confirm it on the bank's page."
)

Context = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class McpTools:
    """`confirm_at`: the URL of the bank's page before a confirmation's id; empty where there is none."""

    door: Door
    store: ItemStore
    confirm_at: str
    version: str

    def server(self) -> Server[Any]:
        """The package's server over these tools."""
        hint = CacheHint(ttl_ms=TOOLS_KEPT_MS, scope="private")
        return Server(
            "tellergate",
            version=self.version,
            title="Tellergate",
            instructions=INSTRUCTIONS,
            cache_hints={"tools/list": hint},
            on_list_tools=self.listed,
            on_call_tool=self.called,
        )

    async def listed(self, context: Context, _params: mcp.PaginatedRequestParams | None) -> mcp.ListToolsResult:
        """The functions that this customer granted, all on one page."""
        principal = _principal(context)
        offered = sorted(await self.door.offered(principal.customer), key=lambda function: function.name)
        meta: Any = {CONVERSATION: _conversation_of(principal)}
        return mcp.ListToolsResult(tools=[tool_of(function) for function in offered], _meta=meta)

    async def called(self, context: Context, params: mcp.CallToolRequestParams) -> mcp.CallToolResult | mcp.InputRequiredResult:
        """One call, on record whatever comes of it; or what became of one that waited for the customer."""
        principal = _principal(context)
        if params.request_state is not None:
            return await self._again(context, principal, params)
        conversation, is_theirs = _named(context, principal)
        if (changed := self._changed(context, params.name)) is not None:
            return changed
        request = CallRequest(
            shape="mcp",
            conversation_id=conversation,
            turn_id=secrets.token_hex(12),
            model=None,
            calls=(NativeCall(secrets.token_hex(12), params.name, orjson.dumps(params.arguments or {}).decode()),),
            trace=Trace(secrets.token_hex(16)),
        )
        try:
            try:
                (recorded,) = await self.door.pipeline.take(principal, request)
            except RequestFault as fault:
                if fault.fault is not Fault.NOT_FOUND or is_theirs:
                    raise
                await self.store.write(EnsureConversation(conversation, principal.customer, self.door.clock()))
                (recorded,) = await self.door.pipeline.take(principal, request)
        except RequestFault as fault:
            return _failed(fault.message)
        except Unavailable:
            return _failed(MESSAGES[Code.TEMPORARILY_UNAVAILABLE])
        return self._answer(context, recorded, conversation)

    async def _again(
        self, context: Context, principal: Principal, params: mcp.CallToolRequestParams
    ) -> mcp.CallToolResult | mcp.InputRequiredResult:
        """What became of a call whose customer was sent to the bank's page. What the host answers is a claim, and decides nothing."""
        call_id = params.request_state or ""
        conversation, _ = _named(context, principal)
        if _CALL_ID.fullmatch(call_id) is None:
            return _failed("requestState: must be what the earlier answer gave")
        try:
            recorded = await self._settled(principal.customer, call_id)
        except Unavailable:
            return _failed(MESSAGES[Code.TEMPORARILY_UNAVAILABLE])
        if recorded is None:
            return _failed("requestState: no such call")
        given = (params.input_responses or {}).get(_CONFIRMATION)
        is_left = isinstance(given, mcp.ElicitResult) and given.action != "accept"
        return self._answer(context, recorded, conversation, may_ask=not is_left)

    async def _settled(self, customer: str, call_id: str) -> Recorded | None:
        """Once the customer has spoken, or after a while as it stands."""
        with self.door.waits.one(customer) as has_room:
            until = self.door.clock() + (_WAIT if has_room else timedelta())
            while True:
                recorded = await self.door.became(customer, call_id)
                if recorded is None or not recorded.status.is_open or self.door.clock() >= until:
                    return recorded
                await asyncio.sleep(_LOOK_S)

    def _answer(
        self, context: Context, recorded: Recorded, conversation: str, *, may_ask: bool = True
    ) -> mcp.CallToolResult | mcp.InputRequiredResult:
        url = f"{self.confirm_at}{recorded.confirmation}" if self.confirm_at and recorded.confirmation else None
        if recorded.status is CallStatus.HELD and url is not None and may_ask and _takes_urls(context):
            asked = mcp.ElicitRequest(params=mcp.ElicitRequestURLParams(message=MESSAGES[Code.CONFIRMATION_REQUIRED], url=url))
            return mcp.InputRequiredResult(input_requests={_CONFIRMATION: asked}, request_state=recorded.call_id)
        told = {name: value for name, value in result_item(recorded).items() if name not in ("native_id", "reason")}
        meta: Any = {CONVERSATION: conversation, CALL: {**told, **({"confirm_at": url} if url else {})}}
        text = output_text(recorded)
        return mcp.CallToolResult(
            content=[mcp.TextContent(text=text)],
            structured_content=recorded.output,
            is_error=recorded.output is None,
            _meta=meta,
        )

    def _changed(self, context: Context, name: str) -> mcp.CallToolResult | None:
        """A client that pins definitions is not served by another one."""
        pinned = _meta(context).get(HASH)
        found = next((function for function in self.door.functions if function.name == name), None)
        if pinned is None or (found is not None and schema_hash(found) == pinned):
            return None
        return _failed("The definition of this tool has changed: list the tools again.")


def _principal(context: Context) -> Principal:
    request: Any = context.request
    principal: Principal = request.scope[PRINCIPAL]
    return principal


def _meta(context: Context) -> Mapping[str, Any]:
    found: Any = context.meta
    return found or {}


def _named(context: Context, principal: Principal) -> tuple[str, bool]:
    """In which conversation it happens, and whether the request names it."""
    named = _meta(context).get(CONVERSATION)
    if isinstance(named, str) and _CONVERSATION_ID.fullmatch(named):
        return named, named != _conversation_of(principal)
    return _conversation_of(principal), False


def _conversation_of(principal: Principal) -> str:
    """That of a customer's sign-in with this client and agent: the same for every token of it."""
    who = (principal.customer, principal.client, principal.agent or "", str(principal.authenticated_at_s))
    return f"conv_{hashlib.sha256(chr(0).join(('tellergate/mcp/v1', *who)).encode()).hexdigest()[:24]}"


def _takes_urls(context: Context) -> bool:
    """Whether this request can be answered by the wish that its user opens a page (2026-07-28)."""
    capabilities = context.session.client_capabilities
    if context.protocol_version < "2026-07-28" or capabilities is None or capabilities.elicitation is None:
        return False
    return capabilities.elicitation.url is not None


def _failed(message: str) -> mcp.CallToolResult:
    return mcp.CallToolResult(content=[mcp.TextContent(text=message)], is_error=True)
