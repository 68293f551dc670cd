"""What each method of the protocol does: the tools of a customer are listed, and called by the call pipeline."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import mcp_types as mcp
import orjson
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types.jsonrpc import INVALID_PARAMS

from gateway.calls.catalogue import schema_hash
from gateway.calls.output import output_text
from gateway.domain.errors import MESSAGES, Code, RequestFault, Unavailable
from gateway.domain.principal import Principal
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus
from gateway.doors.mcp_api import tasks
from gateway.doors.mcp_api.calls import (
    CALL,
    CONVERSATION,
    Context,
    McpCalls,
    conversation_of,
    meta_of,
    named,
    principal_of,
    told_of,
)
from gateway.doors.mcp_api.faults import told
from gateway.doors.mcp_api.resources import McpResources
from gateway.doors.mcp_api.tools import HASH, tool_of
from gateway.doors.rest import Door

TOOLS_KEPT_MS = 60_000
"""So long a client may keep the list: what a customer grants changes seldom, and each call is checked anyway."""

_CALL_ID = re.compile("call_[0-9a-f]{28}")
_CONFIRMATION = "confirmation"
_WAIT = timedelta(seconds=25)
_LOOK_S = 0.25

INSTRUCTIONS = (
    "Functions of a bank, for one customer. Each call is checked against what the customer said and allowed. References in results are "
    "valid in this conversation alone. A call that needs the customer's confirmation is done once they confirm it on the bank's page."
)

Answered = mcp.CallToolResult | mcp.InputRequiredResult | dict[str, Any]
"""As a mapping: a task, which the package has no type of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McpTools:
    """`confirm_at`: the URL of the bank's page before a confirmation's id; empty where there is none. `has_documents`: whether
    documents can be read here."""

    calls: McpCalls
    confirm_at: str
    version: str
    has_documents: bool

    @property
    def door(self) -> Door:
        return self.calls.door

    def server(self) -> Server[Any]:
        """The package's server over these tools."""
        hint = CacheHint(ttl_ms=TOOLS_KEPT_MS, scope="private")
        served = McpResources(self.calls)
        documents: dict[str, Any] = {
            "on_list_resources": served.listed,
            "on_list_resource_templates": served.templates,
            "on_read_resource": served.read,
        }
        server = Server[Any](
            "tellergate",
            version=self.version,
            title="Tellergate",
            instructions=INSTRUCTIONS,
            cache_hints={
                "tools/list": hint,
                "resources/list": hint,
                "resources/templates/list": hint,
                "resources/read": CacheHint(ttl_ms=0, scope="private"),
            },
            on_list_tools=self.listed,
            **(documents if self.has_documents else {}),
        )
        server.add_request_handler("tools/call", mcp.CallToolRequestParams, self.called)
        server.middleware.append(told)
        server.extensions = {tasks.TASKS: {}}
        server.add_request_handler("tasks/get", tasks.TaskParams, self.task)
        for method in ("tasks/update", "tasks/cancel"):
            server.add_request_handler(method, tasks.TaskParams, self.task_noted)
        return server

    async def listed(self, context: Context, _params: mcp.PaginatedRequestParams | None) -> mcp.ListToolsResult:
        """The functions that this customer granted, all on one page."""
        principal = principal_of(context)
        offered = sorted(await self.door.offered(principal.customer), key=lambda function: function.name)
        meta: Any = {CONVERSATION: conversation_of(principal)}
        return mcp.ListToolsResult(tools=[tool_of(function) for function in offered], _meta=meta)

    async def called(self, context: Context, params: mcp.CallToolRequestParams) -> Answered:
        """One call, on record whatever comes of it; or what became of one that waited for the customer."""
        principal = principal_of(context)
        if params.request_state is not None:
            return await self._again(context, principal, params)
        if (changed := self._changed(context, params.name)) is not None:
            return changed
        try:
            recorded = await self.calls.take(context, params.name, orjson.dumps(params.arguments or {}).decode())
        except RequestFault as fault:
            return _failed(fault.message)
        except Unavailable:
            return _failed(MESSAGES[Code.TEMPORARILY_UNAVAILABLE])
        return self._answer(context, recorded, named(context)[0])

    async def task(self, context: Context, params: tasks.TaskParams) -> dict[str, Any]:
        """How a call stands that waits for the customer, or its result."""
        recorded = await self._of_task(context, params)
        conversation, _ = named(context)
        if recorded.status.is_open:
            asks, meta = self._asks(context, recorded), self._meta_of(recorded, conversation)
            return tasks.waiting(recorded.call_id, _message(recorded), asks, meta)
        return tasks.completed(recorded.call_id, self._result(recorded, conversation), self.door.clock())

    async def task_noted(self, context: Context, params: tasks.TaskParams) -> dict[str, Any]:
        """What a host answers for its user, or that it gives up: noted, and no more. What waits is the customer's to confirm or decline;
        a decline that an agent made would stand on record as theirs, and keep them from asking for the same again."""
        await self._of_task(context, params)
        return {"resultType": "complete"}

    async def _of_task(self, context: Context, params: tasks.TaskParams) -> Recorded:
        """MCPError where it may not be asked for, or is no call of this customer's. Unavailable."""
        tasks.check_asked(context, params)
        if _CALL_ID.fullmatch(params.task_id) is not None:
            recorded = await self.door.became(principal_of(context).customer, params.task_id)
            if recorded is not None:
                return recorded
        raise MCPError(code=INVALID_PARAMS, message="taskId: no such task")

    async def _again(self, context: Context, principal: Principal, params: mcp.CallToolRequestParams) -> Answered:
        """What became of a call whose customer was sent to the bank's page. What the host answers is a claim, and decides nothing."""
        call_id = params.request_state or ""
        conversation, _ = named(context)
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

    def _answer(self, context: Context, recorded: Recorded, conversation: str, *, may_ask: bool = True) -> Answered:
        """`may_ask`: whether its user is still to be sent to the bank's page."""
        asks = self._asks(context, recorded)
        if recorded.status is CallStatus.HELD and may_ask:
            if tasks.takes_tasks(context):
                return tasks.created(recorded.call_id, _message(recorded), asks, self._meta_of(recorded, conversation))
            if asks:
                return mcp.InputRequiredResult(input_requests={**asks}, request_state=recorded.call_id)
        return self._result(recorded, conversation)

    def _asks(self, context: Context, recorded: Recorded) -> Mapping[str, mcp.ElicitRequest]:
        """The wish that the user opens the bank's page; none where there is no page, or the client opens none."""
        url = self._url(recorded)
        if recorded.status is not CallStatus.HELD or url is None or not _takes_urls(context):
            return {}
        wish = mcp.ElicitRequestURLParams(message=MESSAGES[Code.CONFIRMATION_REQUIRED], url=url)
        return {_CONFIRMATION: mcp.ElicitRequest(params=wish)}

    def _result(self, recorded: Recorded, conversation: str) -> mcp.CallToolResult:
        meta: Any = self._meta_of(recorded, conversation)
        return mcp.CallToolResult(
            content=[mcp.TextContent(text=output_text(recorded))],
            structured_content=recorded.output,
            is_error=recorded.output is None,
            _meta=meta,
        )

    def _meta_of(self, recorded: Recorded, conversation: str) -> Mapping[str, Any]:
        url = self._url(recorded)
        return {CONVERSATION: conversation, CALL: {**told_of(recorded), **({"confirm_at": url} if url else {})}}

    def _url(self, recorded: Recorded) -> str | None:
        return f"{self.confirm_at}{recorded.confirmation}" if self.confirm_at and recorded.confirmation else None

    def _changed(self, context: Context, name: str) -> mcp.CallToolResult | None:
        """A client that pins definitions is not served by another one."""
        pinned = meta_of(context).get(HASH)
        found = next((function for function in self.door.functions if function.name == name), None)
        if pinned is None or (found is not None and schema_hash(found) == pinned):
            return None
        return _failed("The definition of this tool has changed: list the tools again.")


def _message(recorded: Recorded) -> str:
    return MESSAGES[recorded.code or Code.CONFIRMATION_REQUIRED] if recorded.message is None else recorded.message


def _takes_urls(context: Context) -> bool:
    """Whether this request can be answered by the wish that its user opens a page (2026-07-28)."""
    capabilities = context.session.client_capabilities
    if context.protocol_version < "2026-07-28" or capabilities is None or capabilities.elicitation is None:
        return False
    return capabilities.elicitation.url is not None


def _failed(message: str) -> mcp.CallToolResult:
    return mcp.CallToolResult(content=[mcp.TextContent(text=message)], is_error=True)
