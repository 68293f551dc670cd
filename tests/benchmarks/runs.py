"""Many runs at once: how many a second, and how long each takes, beside the bare model endpoint, in one run.

    python -m tests.benchmarks.runs [--json] [--runs N] [--rounds N]

A gateway on SQLite (`serve --dev`) and the scripted model of the tests, each in a process of its own. Every run asks the model twice: for a
function call that the gateway executes, and for an answer. All runs begin at once, each in a thread of its own, and are polled until they
end; the base is the same number of pairs of bare posts to the model, at once too. Ratios are medians over the rounds. Bounded in count;
asserts nothing about time, and that no run is lost.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from rich.console import Console
from rich.table import Table

from gateway.app.local_issuer import LocalIssuer
from tests.support.models import Reply, asks, model_server, turns
from tests.support.processes import started

BARE = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "What is on my accounts?"}]}
POLL_S = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=200, help="at once")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve_model, args=(theirs,), daemon=True)
    process.start()
    try:
        found = _measured(ours.recv(), options.runs, options.rounds)
    finally:
        process.terminate()
        process.join(20)
    print(json.dumps(found)) if options.json else _show(found)
    return 0 if found["lost"] == 0 else 1


def _serve_model(told: Connection) -> None:
    def answer(body: dict[str, Any]) -> Reply:
        offered = bool(body.get("tools"))
        return Reply(calls=(asks("list_accounts"),)) if offered and not turns(body) else Reply(text="You have three accounts. " * 4)

    async def serving() -> None:
        async with model_server(answer) as server:
            told.send(server.url)
            while True:
                await asyncio.sleep(1)
                server.seen.clear()

    uvloop.run(serving())


RATES = "".join(
    f"{name} = 1000000\n"
    for name in ("calls_per_minute", "thread_writes_per_minute", "requests_per_minute", "client_requests_per_minute")
)
"""Beyond what is measured."""


def _measured(model: str, count: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tellergate-") as folder:
        data = Path(folder) / "data"
        settings = Path(folder) / "settings.toml"
        settings.write_text(RATES + "audit_wait_ms = 20000\nwaits_per_customer = 10000\nruns_per_customer = 10000\n")
        command = (
            "serve",
            "--dev",
            "--data",
            str(data),
            "--port",
            "0",
            "--json",
            "--settings",
            str(settings),
            "--model-url",
            model,
        )
        with started(*command) as (_, said):
            return uvloop.run(_rounds(said["url"], model, LocalIssuer(data, development=True), count, rounds))


async def _rounds(url: str, model: str, issuer: LocalIssuer, count: int, rounds: int) -> dict[str, Any]:
    service = {"authorization": f"Bearer {issuer.token('bank', agent=None, scope='assistants')}"}
    own = issuer.token("alice", agent=None, strong=True, scope="threads customer_words function_calls")
    tool = {"type": "function", "function": {"name": "list_accounts"}}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as session:
        made = await _post(session, f"{url}/v1/assistants", {"model": "m", "tools": [tool]}, service)
        headers, taken = {"authorization": f"Bearer {own}"}, []
        for number in range(rounds + 1):
            size = count if number else 20  # the first warms up
            base = await _at_once([_bare(session, model) for _ in range(size)])
            ours = await _at_once([_run(session, f"{url}/v1/threads", made["id"], headers) for _ in range(size)])
            taken += [(base, ours)] if number else []
    lost = sum(state != "completed" for _, ours in taken for state in ours[2])
    return {
        "at_once": count,
        "rounds": rounds,
        "lost": lost,
        "runs_per_s": round(statistics.median(ours[0] for _, ours in taken), 1),
        "base_per_s": round(statistics.median(base[0] for base, _ in taken), 1),
        "throughput_ratio": round(statistics.median(ours[0] / base[0] for base, ours in taken), 3),
        "median_latency_ms": round(statistics.median(ours[1] for _, ours in taken) * 1000),
        "base_median_latency_ms": round(statistics.median(base[1] for base, _ in taken) * 1000),
        "latency_ratio": round(statistics.median(ours[1] / base[1] for base, ours in taken), 2),
    }


async def _at_once(work: list[Any]) -> tuple[float, float, list[str]]:
    """How many a second, the median seconds of one, and what each came to."""
    began = time.perf_counter()
    done = await asyncio.gather(*work)
    return (
        len(work) / (time.perf_counter() - began),
        statistics.median(effect[0] for effect in done),
        [effect[1] for effect in done],
    )


async def _bare(session: aiohttp.ClientSession, model: str) -> tuple[float, str]:
    began = time.perf_counter()
    for _ in range(2):
        async with session.post(f"{model}/chat/completions", json=BARE) as response:
            await response.read()
    return time.perf_counter() - began, "completed"


async def _run(session: aiohttp.ClientSession, threads: str, assistant: str, headers: dict[str, str]) -> tuple[float, str]:
    began = time.perf_counter()
    thread = {"messages": [{"role": "user", "content": "What is on my accounts?"}]}
    run = await _post(session, f"{threads}/runs", {"assistant_id": assistant, "thread": thread}, headers)
    while run["status"] in ("queued", "in_progress"):
        await asyncio.sleep(POLL_S)
        async with session.get(f"{threads}/{run['thread_id']}/runs/{run['id']}", headers=headers) as response:
            run = await response.json()
    return time.perf_counter() - began, run["status"]


async def _post(session: aiohttp.ClientSession, url: str, body: object, headers: dict[str, str]) -> dict[str, Any]:
    async with session.post(url, json=body, headers=headers) as response:
        told: dict[str, Any] = await response.json()
        if response.status != 200:
            raise RuntimeError(f"the load cannot go on: {told}")
        return told


def _show(found: dict[str, Any]) -> None:
    table = Table(title=f"{found['at_once']} runs at once, median of {found['rounds']} rounds")
    for name in ("", "runs", "bare posts", "ratio"):
        table.add_column(name, justify="left" if not name else "right")
    table.add_row("a second", str(found["runs_per_s"]), str(found["base_per_s"]), str(found["throughput_ratio"]))
    latencies = (str(found["median_latency_ms"]), str(found["base_median_latency_ms"]), str(found["latency_ratio"]))
    table.add_row("median latency, ms", *latencies)
    Console().print(table)
    Console().print(f"lost: {found['lost']}")


if __name__ == "__main__":
    raise SystemExit(main())
