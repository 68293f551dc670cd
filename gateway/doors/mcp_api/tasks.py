"""The extension `io.modelcontextprotocol/tasks` (2026-07-28): a call that waits for the customer as a task that ends once they have spoken.

A task is the call itself and has its id, so that any process answers for it and nothing more is kept. Pure.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import mcp_types as mcp
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER
from mcp_types.jsonrpc import HEADER_MISMATCH, METHOD_NOT_FOUND, MISSING_REQUIRED_CLIENT_CAPABILITY

TASKS = "io.modelcontextprotocol/tasks"

FIRST_REVISION = "2026-07-28"

POLL_MS = 2_000

Context = ServerRequestContext[Any, Any]
Asks = Mapping[str, mcp.ElicitRequest]


class TaskParams(mcp.RequestParams):
    """Of `tasks/get`, `tasks/update` and `tasks/cancel`. What else an update brings is what a host says, and decides nothing."""

    task_id: str


def takes_tasks(context: Context) -> bool:
    """Whether this request declares the extension."""
    capabilities = context.session.client_capabilities
    if context.protocol_version < FIRST_REVISION or capabilities is None:
        return False
    return TASKS in (capabilities.extensions or {})


def check_asked(context: Context, params: TaskParams) -> None:
    """MCPError for another revision, without the extension, or where a header names another task than the body: what stands between
    may have decided by the header."""
    if context.protocol_version < FIRST_REVISION:
        raise MCPError(code=METHOD_NOT_FOUND, message="Method not found", data=context.method)
    if not takes_tasks(context):
        needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        message = f"Missing required client capability: declare the extension {TASKS}"
        raise MCPError(code=MISSING_REQUIRED_CLIENT_CAPABILITY, message=message, data=needed)
    request: Any = context.request
    if request.headers.get(MCP_NAME_HEADER) != params.task_id:
        raise MCPError(code=HEADER_MISMATCH, message=f"{MCP_NAME_HEADER}: must be the body's taskId")


def created(call_id: str, message: str, asks: Asks, meta: Mapping[str, Any]) -> dict[str, Any]:
    """`CreateTaskResult`. `asks`: what the client is to open, where it can."""
    return {**_task(call_id, _waiting(asks), message), "resultType": "task", "_meta": dict(meta)}


def waiting(call_id: str, message: str, asks: Asks, meta: Mapping[str, Any]) -> dict[str, Any]:
    """`GetTaskResult` of a task that goes on."""
    wishes = {key: wish.model_dump(mode="json", by_alias=True, exclude_none=True) for key, wish in asks.items()}
    shown = {"inputRequests": wishes} if asks else {}
    return {**_task(call_id, _waiting(asks), message), **shown, "resultType": "complete", "_meta": dict(meta)}


def completed(call_id: str, result: mcp.CallToolResult, at: datetime) -> dict[str, Any]:
    """`GetTaskResult` of one that has ended: also what was refused is a result, and no failure of the protocol."""
    told = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {**_task(call_id, "completed", None, at), "result": told, "resultType": "complete"}


def _waiting(asks: Asks) -> str:
    return "input_required" if asks else "working"


def _task(call_id: str, status: str, message: str | None, updated: datetime | None = None) -> dict[str, Any]:
    """`updated`: of one that has ended, when it was found so. It is not forgotten while the trail has the call."""
    begun = datetime.fromtimestamp(int(call_id.removeprefix("call_")[:12], 16) / 1000, UTC)
    told = {} if message is None else {"statusMessage": message}
    times = {"createdAt": begun.isoformat(), "lastUpdatedAt": (updated or begun).isoformat()}
    return {"taskId": call_id, "status": status, **told, **times, "ttlMs": None, "pollIntervalMs": POLL_MS}
