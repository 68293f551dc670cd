"""The guide's three hosts of the Model Context Protocol: without the customer's words a payment is refused, and with them it waits."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.test_mcp_clients import CALL, NEWER, WORDS, Host, hosting, wanted
from tests.support import clients, peers
from tests.support.children import running
from tests.support.guides import ROOT, Block, blocks
from tests.support.node_peers import newer_node
from tests.support.waiting import RUNS_S

PYTHON, AGENTS, VERCEL = (block for block in blocks(ROOT / "gateway" / "CLIENTS.md") if "tellergate/conversation" in block.text)


def environment(host: Host, name: str) -> dict[str, str]:
    """Of a host: an agent of its own, and so a conversation of its own."""
    tokens = {"AGENT_TOKEN": host.token(agent=name), "CUSTOMER_TOKEN": host.token(agent=None, scope="customer_words")}
    return {"GATEWAY": host.url, **tokens}


async def ran(host: Host, name: str, *command: str | Path, place: Path) -> dict[str, Any]:
    pipe = asyncio.subprocess.PIPE
    told = {**os.environ, **environment(host, name)}
    async with running(*command, WORDS, cwd=place, env=told, stdout=pipe, stderr=pipe) as process, asyncio.timeout(RUNS_S):
        printed, failed = await process.communicate()
    assert process.returncode == 0, failed.decode()[-2000:]
    saw: dict[str, Any] = json.loads(printed.decode().splitlines()[-1])
    return saw


def test_each_of_the_three_is_in_the_guide() -> None:
    pieces = ((PYTHON, "bank.list_tools()"), (AGENTS, "tool_meta_resolver"), (VERCEL, "createMCPClient"))
    assert all(isinstance(block, Block) and named in block.text for block, named in pieces)


async def test_the_bank_s_app_with_the_python_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosting(tmp_path / "data") as host:
        told = environment(host, "app")
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        piece: dict[str, Any] = {}
        exec(compile(PYTHON.text, "guide", "exec"), piece)  # the guide's own text
        async with host.client(NEWER, told["AGENT_TOKEN"]) as client:
            _, arguments = await wanted(client)
            unsaid = await client.call_tool("initiate_transfer", arguments)
            await piece["typed"](client, WORDS)
            held = await client.call_tool("initiate_transfer", arguments)
            assert unsaid.meta is not None
            assert held.meta is not None
            assert (unsaid.meta[CALL]["status"], held.meta[CALL]["status"]) == ("denied", "held")


async def test_a_host_with_the_agents_sdk(tmp_path: Path) -> None:
    python = await asyncio.to_thread(clients.environment, "agents")
    (tmp_path / "piece.py").write_text(AGENTS.text)
    async with hosting(tmp_path / "data") as host:
        place = clients.PEERS / "agents"
        saw = await ran(host, "agents", python / "bin" / "python", "words.py", tmp_path / "piece.py", place=place)
    assert saw == {"unsaid": "denied", "said": "confirmation_required"}


async def test_a_host_with_vercel_s_ai_sdk(tmp_path: Path) -> None:
    place = await asyncio.to_thread(peers.installed, "ai_sdk", "@ai-sdk/mcp", "words.mjs")
    node = await asyncio.to_thread(newer_node)
    program = VERCEL.text + (place / "words.mjs").read_text()
    async with hosting(tmp_path / "data") as host:
        saw = await ran(host, "vercel", node, "--input-type=module", "-e", program, "--", place=place)
    assert saw == {"unsaid": "denied", "said": "confirmation_required"}
