"""Calls that the methods of this door hand to the pipeline: for whom, and in which conversation.

Stateless in both revisions: a conversation is that of the customer's sign-in with this client, or the one that the request names in
`_meta`, so that any process answers any request.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext

from gateway.calls.output import result_item
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import Principal
from gateway.domain.request import CallRequest, NativeCall, Trace
from gateway.domain.stages import Recorded
from gateway.domain.strict_json import Json
from gateway.domain.tools import ToolContext
from gateway.doors.rest import Door
from gateway.store.conversations import EnsureConversation
from gateway.store.items import ItemStore

CONVERSATION = "tellergate/conversation"
"""In `_meta` of a request: the conversation in which it is to happen. Of an answer: the one in which it did."""

CALL = "tellergate/call"
"""In `_meta` of a result: which call it was, and what became of it; for the host, not for the model."""

PRINCIPAL = "tellergate.principal"
"""In a request's scope: for whom it was authenticated."""

_CONVERSATION_ID = re.compile("conv_[0-9a-f]{24}")

Context = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True)
class McpCalls:
    door: Door
    store: ItemStore

    async def take(self, context: Context, function: str, arguments: str, tools: ToolContext | None = None) -> Recorded:
        """One call, on record whatever comes of it. RequestFault, Unavailable."""
        principal = principal_of(context)
        conversation, is_theirs = named(context)
        request = CallRequest(
            shape="mcp",
            conversation_id=conversation,
            turn_id=secrets.token_hex(12),
            model=None,
            calls=(NativeCall(secrets.token_hex(12), function, arguments),),
            trace=Trace(secrets.token_hex(16)),
            tools=tools,
        )
        try:
            (recorded,) = await self.door.pipeline.take(principal, request)
        except RequestFault as fault:
            if fault.fault is not Fault.NOT_FOUND or is_theirs:
                raise
            await self.store.write(EnsureConversation(conversation, principal.customer, self.door.clock()))
            (recorded,) = await self.door.pipeline.take(principal, request)
        return recorded


def principal_of(context: Context) -> Principal:
    request: Any = context.request
    principal: Principal = request.scope[PRINCIPAL]
    return principal


def meta_of(context: Context) -> Mapping[str, Any]:
    found: Any = context.meta
    return found or {}


def named(context: Context) -> tuple[str, bool]:
    """In which conversation it happens, and whether the request names it. RequestFault for a name that none has: elsewhere the
    customer said something else."""
    asked, own = meta_of(context).get(CONVERSATION), conversation_of(principal_of(context))
    if asked is None:
        return own, False
    if isinstance(asked, str) and _CONVERSATION_ID.fullmatch(asked):
        return asked, asked != own
    where = f"params._meta[{CONVERSATION}]"
    raise RequestFault(Fault.INVALID_REQUEST, f"{where}: must be the id of a conversation, conv_...", param=where)


def conversation_of(principal: Principal) -> str:
    """That of a customer's sign-in with this client and agent: the same for every token of it."""
    who = (principal.customer, principal.client, principal.agent or "", str(principal.authenticated_at_s))
    return f"conv_{hashlib.sha256(chr(0).join(('tellergate/mcp/v1', *who)).encode()).hexdigest()[:24]}"


def told_of(recorded: Recorded) -> dict[str, Json]:
    """What the host is told of a call, beside its answer."""
    return {name: value for name, value in result_item(recorded).items() if name not in ("native_id", "reason")}
