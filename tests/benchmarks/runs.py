"""Many runs at once: how many a second, and how long each takes, beside the bare model endpoint, in one run.

    python -m tests.benchmarks.runs [--json] [--runs N] [--rounds N] [--against REVISION]

A gateway on SQLite (`serve --dev`) and the scripted model of the tests, each in a process of its own. Every run asks the model twice: for a
function call that the gateway executes, and for an answer. All runs begin at once, each in a thread of its own, and are polled until they
end; the base is the same number of pairs of bare posts to the model, at once too. Then runs one after the other, streamed: how long until
the first text and until the end, and how many durable writes each took, as its databases' write-ahead logs have them. Beside them stands
the server's processor time for each run, of its main thread and of the others, polls included. Ratios are medians over the rounds.
`--against` has another revision of this repository do the same in turn. Bounded in count; asserts nothing about time, and that no run is
lost.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from rich.console import Console
from rich.table import Table

from gateway.app.development.local_issuer import LocalIssuer
from tests.benchmarks.call import ROOT, checked_out, processor_ns
from tests.support.models import Reply, asks, model_server, turns

BARE = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "What is on my accounts?"}]}
POLL_S = 0.05
ALONE = 20
"""Runs of a round, one after the other."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=200, help="at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", metavar="REVISION", help="another version, by any name that git knows")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve_model, args=(theirs,), daemon=True)
    process.start()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="tellergate-") as folder,
            checked_out(options.against, Path(folder) / "other") as other,
        ):
            trees = {"this": ROOT, **({} if other is None else {"before": other})}
            found = _measured(Path(folder), trees, ours.recv(), options.runs, options.rounds)
    finally:
        process.terminate()
        process.join(20)
    print(json.dumps(found)) if options.json else _show(found, options.runs, options.rounds)
    return 0 if not any(version["lost"] for version in found.values()) else 1


def serve_model(told: Connection) -> None:
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


@dataclass(frozen=True, slots=True)
class _Served:
    """A gateway of one revision, with its assistant."""

    url: str
    process: int
    data: Path
    assistant: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Round:
    """Of one gateway. `ours` and `base`: runs a second, the median seconds, and what each came to. Of those alone: seconds until the
    first text and until the end. Nanoseconds of processor, and durable writes, of a run."""

    ours: tuple[float, float, list[str]]
    base: tuple[float, float, list[str]]
    main_ns: float
    others_ns: float
    first_s: float
    alone_s: float
    base_alone_s: float
    writes: dict[str, float]


def _measured(folder: Path, trees: dict[str, Path], model: str, count: int, rounds: int) -> dict[str, Any]:
    settings = folder / "settings.toml"
    settings.write_text(RATES + "audit_wait_ms = 20000\nwaits_per_customer = 10000\nruns_per_customer = 10000\n")
    with contextlib.ExitStack() as stack:
        served = {
            name: stack.enter_context(gateway_process(tree, folder / f"data-{name}", settings, model))
            for name, tree in trees.items()
        }
        return uvloop.run(_rounds(served, model, count, rounds))


@contextlib.contextmanager
def gateway_process(tree: Path, data: Path, settings: Path, model: str) -> Iterator[tuple[str, int, Path]]:
    """Its address, process and folder."""
    where = ("--data", str(data), "--port", "0", "--config", str(settings))
    command = [sys.executable, "-m", "gateway.cli", "serve", "--dev", "--json", *where, "--model-url", model]
    log = data.with_suffix(".log").open("w")
    paths = {**os.environ, "PYTHONPATH": str(tree)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=tree, env=paths)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process.pid, data
    finally:
        process.terminate()
        process.wait(20)
        log.close()


async def _rounds(gateways: dict[str, tuple[str, int, Path]], model: str, count: int, rounds: int) -> dict[str, Any]:
    taken: dict[str, list[_Round]] = {name: [] for name in gateways}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=2)) as session:
        served = {name: await _prepared(session, *gateway) for name, gateway in gateways.items()}
        for number in range(rounds + 1):
            for name, gateway in served.items():
                measured = await _round(session, gateway, model, count if number else 20)  # the first warms up
                taken[name] += [measured] if number else []
    return {name: _summary(count, taken[name]) for name in taken}


async def _prepared(session: aiohttp.ClientSession, url: str, process: int, data: Path) -> _Served:
    issuer = LocalIssuer(data)
    service = {"authorization": f"Bearer {issuer.token('dev-app', agent=None, scope='assistants')}"}
    own = issuer.token("alice", agent=None, strong=True, scope="threads customer_words function_calls")
    tool = {"type": "function", "function": {"name": "list_accounts"}}
    made = await post(session, f"{url}/v1/assistants", {"model": "m", "tools": [tool]}, service)
    return _Served(url, process, data, made["id"], {"authorization": f"Bearer {own}"})


async def _round(session: aiohttp.ClientSession, gateway: _Served, model: str, count: int) -> _Round:
    base = await _at_once([_bare(session, model) for _ in range(count)])
    before = processor_ns(gateway.process)
    ours = await _at_once([_run(session, gateway) for _ in range(count)])
    main_ns, others_ns = ((late - early) / count for early, late in zip(before, processor_ns(gateway.process), strict=True))
    bare_alone = [await _bare(session, model) for _ in range(ALONE)]
    written = commits(gateway.data)
    alone = [await _streamed(session, gateway) for _ in range(ALONE)]
    return _Round(
        ours,
        base,
        main_ns,
        others_ns,
        first_s=statistics.median(first for first, _ in alone),
        alone_s=statistics.median(whole for _, whole in alone),
        base_alone_s=statistics.median(seconds for seconds, _ in bare_alone),
        writes={name: (now - written.get(name, 0)) / ALONE for name, now in commits(gateway.data).items()},
    )


def commits(data: Path) -> dict[str, int]:
    """By database: the commits that its write-ahead log holds (SQLite's file format, section 4): frames that say how large the file is."""
    found = {}
    for path in sorted(data.rglob("*-wal")):
        content = path.read_bytes()
        size, salts = struct.unpack(">I", content[8:12])[0], content[16:24]
        heads = (content[at : at + 24] for at in range(32, len(content), size + 24))
        found[path.name.removesuffix("-wal")] = sum(head[8:16] == salts and head[4:8] != bytes(4) for head in heads)
    return found


def _summary(count: int, taken: list[_Round]) -> dict[str, Any]:
    def median(of: Any, digits: int) -> float:
        return round(statistics.median(of(one) for one in taken), digits)

    return {
        "at_once": count,
        "rounds": len(taken),
        "lost": sum(state != "completed" for one in taken for state in one.ours[2]),
        "runs_per_s": median(lambda one: one.ours[0], 1),
        "base_per_s": median(lambda one: one.base[0], 1),
        "throughput_ratio": median(lambda one: one.ours[0] / one.base[0], 3),
        "median_latency_ms": median(lambda one: one.ours[1] * 1000, 0),
        "base_median_latency_ms": median(lambda one: one.base[1] * 1000, 0),
        "latency_ratio": median(lambda one: one.ours[1] / one.base[1], 2),
        "main_us": median(lambda one: one.main_ns / 1000, 0),
        "others_us": median(lambda one: one.others_ns / 1000, 0),
        "alone_first_text_ms": median(lambda one: one.first_s * 1000, 2),
        "alone_ms": median(lambda one: one.alone_s * 1000, 2),
        "base_alone_ms": median(lambda one: one.base_alone_s * 1000, 2),
        "alone_ratio": median(lambda one: one.alone_s / one.base_alone_s, 2),
        "durable_writes": {name: median(lambda one, name=name: one.writes.get(name, 0), 2) for name in taken[-1].writes},
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


THREAD = {"messages": [{"role": "user", "content": "What is on my accounts?"}]}


async def _run(session: aiohttp.ClientSession, gateway: _Served) -> tuple[float, str]:
    began, threads, headers = time.perf_counter(), f"{gateway.url}/v1/threads", gateway.headers
    run = await post(session, f"{threads}/runs", {"assistant_id": gateway.assistant, "thread": THREAD}, headers)
    while run["status"] in ("queued", "in_progress"):
        await asyncio.sleep(POLL_S)
        async with session.get(f"{threads}/{run['thread_id']}/runs/{run['id']}", headers=headers) as response:
            run = await response.json()
    return time.perf_counter() - began, run["status"]


async def _streamed(session: aiohttp.ClientSession, gateway: _Served) -> tuple[float, float]:
    """Seconds until the first text, and until the end."""
    began, first, last = time.perf_counter(), 0.0, b""
    body = {"assistant_id": gateway.assistant, "thread": THREAD, "stream": True}
    async with session.post(f"{gateway.url}/v1/threads/runs", json=body, headers=gateway.headers) as response:
        async for line in response.content:
            if line == b"event: thread.message.delta\n" and not first:
                first = time.perf_counter() - began
            last = line if line.startswith(b"event: thread.run.") else last
    if last != b"event: thread.run.completed\n":
        raise RuntimeError(f"the load cannot go on: {last.decode()}")
    return first, time.perf_counter() - began


async def post(session: aiohttp.ClientSession, url: str, body: object, headers: dict[str, str]) -> dict[str, Any]:
    async with session.post(url, json=body, headers=headers) as response:
        told: dict[str, Any] = await response.json()
        if response.status != 200:
            raise RuntimeError(f"the load cannot go on: {told}")
        return told


def _show(found: dict[str, dict[str, Any]], count: int, rounds: int) -> None:
    console = Console()
    for version, of in found.items():
        table = Table(title=f"{version}: {count} runs at once, median of {rounds} rounds")
        for name in ("", "runs", "bare posts", "ratio"):
            table.add_column(name, justify="left" if not name else "right")
        table.add_row("a second", str(of["runs_per_s"]), str(of["base_per_s"]), str(of["throughput_ratio"]))
        latencies = (str(of["median_latency_ms"]), str(of["base_median_latency_ms"]), str(of["latency_ratio"]))
        table.add_row("median latency, ms", *latencies)
        table.add_row("alone, ms", str(of["alone_ms"]), str(of["base_alone_ms"]), str(of["alone_ratio"]))
        table.add_row("alone, first text, ms", str(of["alone_first_text_ms"]), "", "")
        table.add_row("processor us a run, main thread", str(of["main_us"]), "", "")
        table.add_row("processor us a run, other threads", str(of["others_us"]), "", "")
        for name, writes in of["durable_writes"].items():
            table.add_row(f"durable writes of a run, {name}", str(writes), "", "")
        console.print(table)
        console.print(f"lost: {of['lost']}")


if __name__ == "__main__":
    raise SystemExit(main())
