"""What the model's port costs, beside bare posts of the same request to the same server, in one run.

    python -m tests.benchmarks.model [--json] [--rounds N] [--seconds S]

The server is the scripted one of the tests, in a process of its own; an answer is some twenty pieces of text. Asked by `ChatCompletions`,
by `Responses`, by the `openai` package's own streaming (what the port does without), and by aiohttp alone, which reads the bytes and
looks at none. Rounds take turns; a ratio is the median of the ratios of the rounds, of answers a second against the bare posts.
Bounded in count and time; asserts nothing about time.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
import openai
import uvloop
from rich.console import Console
from rich.table import Table

from gateway.runs import chat
from gateway.runs.answer import AnswerAssembly
from gateway.runs.endpoint import open_model
from gateway.runs.model import CallTurn, Item, MessageTurn, Model, Prompt, TextPart, ToolCall
from tests.support.models import Reply, in_turn, model_server

AT_ONCE = (32, 200)
ITEMS: tuple[Item, ...] = (
    MessageTurn("user", (TextPart("What is on my account, and what did I pay for rent this year?"),)),
    CallTurn(
        ((ToolCall("call_1", "get_account_balance", '{"account":"acc_1"}'), '{"balance":{"value":"1810.50","currency":"GBP"}}'),)
    ),
    MessageTurn("assistant", (TextPart("You have £1,810.50. Rent was £9,600 in twelve payments of £800 each. " * 4),)),
    MessageTurn("user", (TextPart("And last year?"),)),
)
PROMPT = Prompt("m", "You are the assistant of a bank. Be brief and exact. " * 10, ITEMS)
REPLY = Reply("Last year it was £9,000, in twelve payments of £750 each, on the first day of each month. " * 2, fragments=20)

Ask = Callable[[], Awaitable[None]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        found = uvloop.run(run(ours.recv(), options.rounds, options.seconds))
    finally:
        process.terminate()
        process.join(20)
    if options.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0


def serve(told: Connection) -> None:
    """The server, until its process is ended."""

    async def serving() -> None:
        async with model_server(in_turn(REPLY)) as server:
            told.send(server.url)
            while True:
                await asyncio.sleep(1)
                server.seen.clear()

    uvloop.run(serving())


async def run(url: str, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    chat_model = open_model(url, "chat", None, timeout_ms=60_000, idle_ms=60_000, retries=0)
    responses = open_model(url, "responses", None, timeout_ms=60_000, idle_ms=60_000, retries=0)
    package = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    body: dict[str, Any] = chat.request(PROMPT)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as session:

        async def bare() -> None:
            async with session.post(f"{url}/chat/completions", json=body) as response:
                await response.read()

        async def packaged() -> None:
            async for _ in await package.chat.completions.create(**body):
                pass

        ways: dict[str, Ask] = {
            "bare posts": bare,
            "ChatCompletions": lambda: answered(chat_model),
            "Responses": lambda: answered(responses),
            "the package's streaming": packaged,
        }
        taken: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for number in range(rounds + 1):
            for callers in AT_ONCE:
                for name, ask in ways.items():
                    measured = await load(ask, callers, seconds if number else 0.2)
                    if number:  # the first round warms up
                        taken.setdefault((name, callers), []).append(measured)
    await chat_model.close()
    await responses.close()
    await package.close()
    bases = {callers: taken["bare posts", callers] for callers in AT_ONCE}
    return {
        f"{name}, {callers} at once": {
            "answers_per_s": round(statistics.median(rate for rate, _ in pair)),
            "processor_us": round(statistics.median(us for _, us in pair)),
            "ratio": round(statistics.median(rate / base for (rate, _), (base, _) in zip(pair, bases[callers], strict=True)), 3),
        }
        for (name, callers), pair in taken.items()
    }


async def answered(model: Model) -> None:
    assembly = AnswerAssembly(lambda: "call_000000000000000000000000")
    async with aclosing(model.answer(PROMPT)) as pieces:
        async for piece in pieces:
            assembly.feed(piece)
    if assembly.answer().text != REPLY.text:
        raise RuntimeError("the load cannot go on: another answer")


async def load(ask: Ask, callers: int, seconds: float) -> tuple[float, float]:
    """Answers a second, and microseconds of this process's processor for each."""
    began, used = time.perf_counter(), time.process_time()
    ends_at = began + seconds

    async def caller() -> int:
        count = 0
        while time.perf_counter() < ends_at:
            await ask()
            count += 1
        return count

    count = sum(await asyncio.gather(*(caller() for _ in range(callers))))
    return count / (time.perf_counter() - began), (time.process_time() - used) * 1e6 / count


def show(found: dict[str, dict[str, float]]) -> None:
    table = Table("how", "answers/s", "processor us", "of the bare posts")
    for name, match in found.items():
        table.add_row(name, str(match["answers_per_s"]), str(match["processor_us"]), str(match["ratio"]))
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
