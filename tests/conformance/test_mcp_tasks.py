"""The extension `io.modelcontextprotocol/tasks`: a held payment as a task, by the official client, by the extension's own, and raw."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import httpx
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitResult, Result

from tests.conformance.test_mcp_clients import CALL, NEWER, OLDER, WORDS, Host, confirms, hosting, paid, result, wanted
from tests.support.node_peers import driven
from tests.support.teller import confirmed

TASKS = "io.modelcontextprotocol/tasks"
FOREIGN = f"call_{0:012x}{0:016x}"
"""A well-formed id of no call."""


class TaskBegun(Result):
    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    created_at: str
    last_updated_at: str
    ttl_ms: int | None
    poll_interval_ms: int


class TaskClient(ClientExtension):
    """The official package's own way to take another shape of result: it is polled until it has ended."""

    identifier = TASKS

    def __init__(self, ask: Any, confirming: Any) -> None:
        self.ask, self.confirming, self.saw = ask, confirming, list[Any]()

    def claims(self) -> Any:
        return (ResultClaim(model=TaskBegun, result_type="task", resolve=self.resolve),)

    async def resolve(self, begun: TaskBegun, _context: ClaimContext) -> CallToolResult:
        self.saw.append(begun)
        while True:
            told = (await self.ask("tasks/get", begun.task_id))["result"]
            self.saw.append(told)
            if told["status"] == "completed":
                return CallToolResult.model_validate(told["result"])
            await self.confirming(told)


@asynccontextmanager
async def asking(host: Host, *, opens_pages: bool = True, **claims: Any) -> AsyncIterator[Any]:
    """A method of the extension, raw: the JSON-RPC answer."""
    async with httpx.AsyncClient(base_url=host.url, headers={"authorization": f"Bearer {host.token(**claims)}"}) as http:

        async def ask(method: str, task: str, *, extensions: Any = None, revision: str = NEWER, **headers: str) -> dict[str, Any]:
            pages: dict[str, Any] = {"elicitation": {"url": {}}} if opens_pages else {}
            capabilities = {"extensions": {TASKS: {}} if extensions is None else extensions, **pages}
            prefix = "io.modelcontextprotocol/"
            meta = {f"{prefix}protocolVersion": revision, f"{prefix}clientCapabilities": capabilities}
            sent = {"accept": "application/json, text/event-stream", "mcp-protocol-version": revision, "mcp-method": method}
            params = {"taskId": task, "_meta": meta}
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            answered: dict[str, Any] = (await http.post("/mcp", json=body, headers={**sent, "mcp-name": task, **headers})).json()
            return answered

        yield ask


@asynccontextmanager
async def holding(host: Host, confirming: Any, user: Any = None) -> AsyncIterator[tuple[Client, TaskClient, dict[str, Any]]]:
    """A client of the extension, and the arguments of a payment that will be held."""
    async with (
        asking(host, opens_pages=user is not None) as ask,
        httpx2.AsyncClient(headers={"authorization": f"Bearer {host.token()}"}, timeout=60) as http,
    ):
        extension = TaskClient(ask, confirming)
        transport = streamable_http_client(f"{host.url}/mcp", http_client=http)
        async with Client(transport, extensions=[extension], elicitation_callback=user) as client:
            assert client.protocol_version == NEWER
            conversation, arguments = await wanted(client)
            assert await host.says(conversation, WORDS) == 200
            yield client, extension, arguments


async def never(_context: Any, _params: Any) -> ElicitResult:
    raise AssertionError("a task asks by its own state")


@pytest.mark.parametrize("opens_pages", [False, True])
async def test_a_held_payment_is_a_task_that_ends_once_the_customer_has_spoken(tmp_path: Path, opens_pages: bool) -> None:
    async with hosting(tmp_path / "data") as host:

        async def confirming(told: dict[str, Any]) -> None:
            assert paid(host) == []
            page = told["_meta"][CALL]["confirm_at"]
            if opens_pages:
                assert told["inputRequests"]["confirmation"]["params"]["url"] == page
                async with asking(host) as ask:  # what a host says of its user confirms nothing
                    assert (await ask("tasks/update", told["taskId"]))["result"]["resultType"] == "complete"
                    assert (await ask("tasks/get", told["taskId"]))["result"]["status"] == "input_required"
            else:
                assert "inputRequests" not in told
            await confirmed(host.gateway, page.rsplit("/", 1)[1])

        async with holding(host, confirming, never if opens_pages else None) as (client, extension, arguments):
            done = await client.call_tool("initiate_transfer", arguments)
            begun, waiting, ended = extension.saw
            assert (result(done)["status"], len(paid(host))) == ("ACSC", 1)
            state = "input_required" if opens_pages else "working"
            assert (begun.status, waiting["status"], ended["status"]) == (state, state, "completed")
            assert begun.task_id == done.meta[CALL]["call_id"] if done.meta else False
            assert begun.created_at == waiting["createdAt"] == ended["createdAt"] <= ended["lastUpdatedAt"]
            assert (begun.ttl_ms, begun.poll_interval_ms) == (None, 2_000)
            assert "confirm_at" not in str(ended["result"]["content"])


async def test_a_task_that_is_given_up_still_waits_for_the_customer_and_a_declined_one_is_a_refused_result(tmp_path: Path) -> None:
    async with (
        hosting(tmp_path / "data") as host,
        asking(host, opens_pages=False) as ask,
        httpx.AsyncClient(base_url=host.url) as http,
    ):
        own = {"authorization": f"Bearer {host.token(agent=None, scope='confirm')}"}

        async def confirming(told: dict[str, Any]) -> None:
            cancelled = await ask("tasks/cancel", told["taskId"])
            assert (cancelled["result"]["resultType"], "taskId" in cancelled["result"]) == ("complete", False)
            assert (await ask("tasks/get", told["taskId"]))["result"]["status"] == "working"
            waits = told["_meta"][CALL]["confirmation_id"]
            declined = await http.post(f"/v1/confirmations/{waits}", json={"decline": True}, headers=own)
            assert declined.json()["state"] == "declined"

        async with holding(host, confirming) as (client, _, arguments):
            refused = await client.call_tool("initiate_transfer", arguments)
            assert refused.meta is not None
            assert (refused.is_error, refused.meta[CALL]["status"]) == (True, "denied")
            assert "declined" in str(refused.content)
            assert paid(host) == []


async def test_tasks_are_their_customer_s_alone_and_only_for_clients_that_declare_them(tmp_path: Path) -> None:
    async with hosting(tmp_path / "data") as host, asking(host) as ask, asking(host, customer="bruno") as other:
        checked: list[str] = []

        async def confirming(told: dict[str, Any]) -> None:
            for method in ("tasks/get", "tasks/update", "tasks/cancel"):
                foreign = await other(method, told["taskId"])
                assert foreign["error"] == (await other(method, FOREIGN))["error"], "that there is one is not told"
                assert foreign["error"]["code"] == -32602
                for wrong in ("", "call_", "../calls", FOREIGN.upper()):
                    assert (await ask(method, wrong))["error"]["code"] == -32602, wrong
                undeclared = (await ask(method, told["taskId"], extensions={}))["error"]
                assert (undeclared["code"], undeclared["data"]) == (-32021, {"requiredCapabilities": {"extensions": {TASKS: {}}}})
                assert (await ask(method, told["taskId"], **{"mcp-name": FOREIGN}))["error"]["code"] == -32020
                assert (await ask(method, told["taskId"], revision=OLDER))["error"]["code"] == -32601
                checked.append(method)
            await confirmed(host.gateway, told["_meta"][CALL]["confirmation_id"])

        async with holding(host, confirming) as (client, _, arguments):
            await client.call_tool("initiate_transfer", arguments)
            assert len(checked) == 3


async def test_the_extension_s_own_client_for_javascript_opens_the_page_once_and_ends_with_the_task(tmp_path: Path) -> None:
    """It checks each shape against the extension's schema."""
    async with hosting(tmp_path / "data") as host:
        opened: list[int] = []
        own, opening = host.token(agent=None, scope="customer_words"), partial(confirms, host, opened)
        saw = await driven(opening, host.url, host.token(), own, package="@modelcontextprotocol/ext-tasks", program="tasks.mjs")
        assert saw["paid"] == {"kind": "task", "isError": False, "status": "done"}
        assert (saw["said"], saw["opened"], saw["asked"], opened, len(paid(host))) == (200, 1, "elicitation", [0], 1)
        assert (saw["states"][0], saw["states"][-1]) == ("input_required", "completed")
