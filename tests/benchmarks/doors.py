"""What the same question costs by each door, beside `/v1/function-calls`, in one run.

    python -m tests.benchmarks.doors [--json] [--asked N] [--callers N] [--rounds N]

A gateway on SQLite (`serve --dev`, with the door for agents of the Model Context Protocol) and a scripted model, each in a process of its
own. By each door one customer lists their accounts: a back end brings the call, a client of the Model Context Protocol calls the tool, or
a model behind a run asks for it and then says what it found, over the Assistants API, Chat Completions and Responses, whole and streamed.
Shown are the server's processor time for each, of its main thread and of the others, the median wait as the caller sees it, the durable
writes, and ratios to `/v1/function-calls`: medians over the rounds, in which the doors take turns. Bounded in count; asserts no time, and
that each question was answered.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import uvloop
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from rich.console import Console
from rich.table import Table

from gateway.app.development.local_issuer import LocalIssuer
from tests.benchmarks.call import ROOT, processor_ns
from tests.benchmarks.runs import RATES, commits, gateway_process, post, serve_model

WORDS = "What is on my accounts?"
FUNCTION = {"name": "list_accounts", "parameters": {"type": "object"}}
BASE = "function calls"
ALONE = 5
"""Questions one after the other, whose writes are counted."""

Ask = Callable[[], Awaitable[None]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--asked", type=int, default=160, help="by each door in each round")
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve_model, args=(theirs,), daemon=True)
    process.start()
    try:
        with tempfile.TemporaryDirectory(prefix="tellergate-") as folder:
            found = _measured(Path(folder), ours.recv(), (options.asked, options.callers, options.rounds))
    finally:
        process.terminate()
        process.join(20)
    print(json.dumps([asdict(cost) for cost in found])) if options.json else _show(found, options.rounds)
    return 0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one question by this door: microseconds of the server's processor, milliseconds until it was answered, durable writes. `ratio`:
    of processor, to that of `/v1/function-calls`."""

    door: str
    main_us: float
    others_us: float
    wait_ms: float
    writes: float
    ratio: float = 1.0


def _measured(folder: Path, model: str, load: tuple[int, int, int]) -> list[Cost]:
    settings = folder / "settings.toml"
    bounds = "audit_wait_ms = 20000\nwaits_per_customer = 10000\nruns_per_customer = 10000\n"
    settings.write_text(f"{RATES}{bounds}mcp = true\n")
    with gateway_process(ROOT, folder / "data", settings, model) as (url, process, data):
        return uvloop.run(_rounds(url, process, data, load))


async def _rounds(url: str, process: int, data: Path, load: tuple[int, int, int]) -> list[Cost]:
    asked, callers, rounds = load
    taken: dict[str, list[Cost]] = {}
    async with _doors(url, data) as doors:
        for number in range(rounds + 1):
            for name, ask in doors.items():
                cost = await _cost(name, ask, (process, data), (asked if number else callers, callers))  # the first warms up
                taken.setdefault(name, []).extend([cost] if number else [])
    return [_summary(taken[name], taken[BASE]) for name in taken]


async def _cost(name: str, ask: Ask, where: tuple[int, Path], load: tuple[int, int]) -> Cost:
    process, data = where
    how_many, callers = load
    waiting, waits = iter(range(how_many)), list[float]()

    async def caller() -> None:
        for _ in waiting:
            began = time.perf_counter()
            await ask()
            waits.append(time.perf_counter() - began)

    before = processor_ns(process)
    await asyncio.gather(*(caller() for _ in range(callers)))
    main_ns, others_ns = (late - early for early, late in zip(before, processor_ns(process), strict=True))
    each = (main_ns / how_many / 1000, others_ns / how_many / 1000, statistics.median(waits) * 1000)
    return Cost(name, *each, await _writes(ask, data))


async def _writes(ask: Ask, data: Path) -> float:
    """Of one question alone: many at once share some. A write-ahead log that began anew meanwhile tells nothing: once more."""
    while True:
        written = sum(commits(data).values())
        for _ in range(ALONE):
            await ask()
        if (more := sum(commits(data).values()) - written) >= 0:
            return more / ALONE


def _summary(taken: Sequence[Cost], base: Sequence[Cost]) -> Cost:
    def median(name: str, digits: int) -> float:
        return round(statistics.median(getattr(cost, name) for cost in taken), digits)

    ratios = [_processor(cost) / _processor(other) for cost, other in zip(taken, base, strict=True)]
    of = (median("main_us", 0), median("others_us", 0), median("wait_ms", 1), median("writes", 2))
    return Cost(taken[0].door, *of, ratio=round(statistics.median(ratios), 2))


def _processor(cost: Cost) -> float:
    return cost.main_us + cost.others_us


@contextlib.asynccontextmanager
async def _doors(url: str, data: Path) -> AsyncIterator[dict[str, Ask]]:
    """Each a way to ask once; an answer that has no accounts in it ends the measurement."""
    issuer, numbers = LocalIssuer(data), count()
    agent = {"authorization": f"Bearer {issuer.token('alice', agent='bench', strong=True)}"}
    own = {
        "authorization": f"Bearer {issuer.token('alice', agent=None, strong=True, scope='threads customer_words function_calls')}"
    }
    service = {"authorization": f"Bearer {issuer.token('dev-app', agent=None, scope='assistants')}"}
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=2))
        )
        conversation = (await post(session, f"{url}/v1/conversations", {}, agent))["id"]
        tool = {"type": "function", "function": FUNCTION}
        assistant = (await post(session, f"{url}/v1/assistants", {"model": "m", "tools": [tool]}, service))["id"]

        async def function_calls() -> None:
            item = {"type": "function_call", "call_id": f"c{next(numbers)}", "name": "list_accounts", "arguments": "{}"}
            body = {"shape": "responses", "conversation_id": conversation, "turn_id": "1", "calls": [item]}
            _told((await post(session, f"{url}/v1/function-calls", body, agent))["results"][0]["status"] == "done")

        async def streamed(path: str, body: dict[str, Any], last: bytes) -> None:
            async with session.post(f"{url}/v1{path}", json={**body, "stream": True}, headers=own) as response:
                _told(last in await response.read())

        async def run() -> None:
            thread = {"messages": [{"role": "user", "content": WORDS}]}
            await streamed("/threads/runs", {"assistant_id": assistant, "thread": thread}, b"event: thread.run.completed")

        chat = {"model": "m", "messages": [{"role": "user", "content": WORDS}], "tools": [tool]}
        responses = {"model": "m", "input": WORDS, "tools": [{"type": "function", **FUNCTION}]}

        async def whole_chat() -> None:
            told = await post(session, f"{url}/v1/chat/completions", chat, own)
            _told(told["tellergate"]["calls"][0]["status"] == "done")

        async def whole_response() -> None:
            _told((await post(session, f"{url}/v1/responses", responses, own))["status"] == "completed")

        async def by_mcp(mode: Any) -> Ask:
            """A client with connections that stay, as a host's does."""
            kept = httpx2.Limits(keepalive_expiry=2)
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=agent, timeout=60, limits=kept))
            client = await stack.enter_async_context(Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode))

            async def ask() -> None:
                _told((await client.call_tool("list_accounts", {})).structured_content is not None)

            return ask

        yield {
            BASE: function_calls,
            "MCP, 2026-07-28": await by_mcp("2026-07-28"),
            "MCP, 2025-11-25": await by_mcp("legacy"),
            "Chat Completions": whole_chat,
            "Chat Completions, streamed": lambda: streamed("/chat/completions", chat, b"data: [DONE]"),
            "Responses": whole_response,
            "Responses, streamed": lambda: streamed("/responses", responses, b"event: response.completed"),
            "a run, streamed": run,
        }


def _told(is_answered: bool) -> None:
    if not is_answered:
        raise RuntimeError("the load cannot go on: a question was not answered")


def _show(found: Sequence[Cost], rounds: int) -> None:
    table = Table(title=f"One function call by each door, median of {rounds} rounds")
    for name in ("", "processor us, main thread", "other threads", "times function calls", "wait ms", "durable writes"):
        table.add_column(name, justify="left" if not name else "right")
    for cost in found:
        table.add_row(cost.door, *map(str, (cost.main_us, cost.others_us, cost.ratio, cost.wait_ms, cost.writes)))
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
