"""npm `@modelcontextprotocol/inspector` by its command line, in both revisions: what is listed, called, and held for the customer."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.test_mcp_clients import BOTH, CALL, CONVERSATION, OLDER, WORDS, Host, hosting, paid
from tests.support.assisted import wait_until
from tests.support.node_peers import ran
from tests.support.teller import confirmed, payment

PROGRAM = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
TOOL_IS_ERROR = 5
"""Its exit code for an answer that is an error of the tool."""


@pytest.mark.parametrize("revision", BOTH)
async def test_the_inspector_lists_calls_and_is_told_where_the_customer_confirms(tmp_path: Path, revision: str) -> None:
    async with hosting(tmp_path / "data") as host:
        token = host.token()  # of one sign-in, and so of one conversation

        async def inspected(method: str, tool: str | None = None, arguments: dict[str, Any] | None = None) -> tuple[int, Any]:
            era = "legacy" if revision == OLDER else "modern"
            command = [PROGRAM, "--cli", f"{host.url}/mcp", "--transport", "http", "--quiet", "--protocol-era", era]
            command += ["--header", f"Authorization: Bearer {token}", "--method", method]
            command += [] if tool is None else ["--tool-name", tool, "--tool-args-json", json.dumps(arguments or {})]
            code, printed = await ran(*command, package="@modelcontextprotocol/inspector", HOME=str(tmp_path))
            return code, json.loads(printed)

        code, listed = await inspected("tools/list")
        names = {tool["name"] for tool in listed["tools"]}
        assert (code, names) == (0, {function.name for function in await host.gateway.door.offered("alice")})
        code, accounts = await inspected("tools/call", "list_accounts")
        assert code == 0
        found = accounts["structuredContent"]["accounts"]
        debit = next(item["account"] for item in found if (item["currency"], item["status"]) == ("GBP", "open"))
        _, saved = await inspected("tools/call", "list_beneficiaries", {"account": debit})
        payee = next(item["beneficiary"] for item in saved["structuredContent"]["beneficiaries"] if "Harbour" in item["name"])
        assert await host.says(accounts["_meta"][CONVERSATION], WORDS) == 200
        paying = asyncio.create_task(inspected("tools/call", "initiate_transfer", payment(debit, payee, "20.00")))
        if revision == OLDER:
            code, held = await paying
            waits = held["_meta"][CALL]
            assert (code, held["isError"], waits["status"]) == (TOOL_IS_ERROR, True, "held")
            assert waits["confirm_at"].endswith(waits["confirmation_id"])
        confirmation = await wait_until(partial(waiting, host))
        assert paid(host) == []
        await confirmed(host.gateway, confirmation)
        assert len(paid(host)) == 1
        if revision != OLDER:  # it takes the call for a task, and waits with the customer
            code, done = await paying
            assert (code, done["_meta"][CALL]["status"]) == (0, "done")


async def waiting(host: Host) -> str | None:
    """The confirmation that waits for the customer."""
    own = host.token(agent=None, scope="confirm")
    async with httpx.AsyncClient() as http:
        told = (await http.get(f"{host.url}/v1/confirmations", headers={"authorization": f"Bearer {own}"})).json()
    return next((str(item["id"]) for item in told["data"]), None)
