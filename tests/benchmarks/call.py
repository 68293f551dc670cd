"""What a call costs, beside a bare FastAPI no-op on the same server, in one run.

    python -m tests.benchmarks.call [--json] [--rounds N] [--seconds S] [--only NAME ...] [--against REVISION]

Beside throughput and medians it tells the processor time of the server for each answer, of its main thread and of the others: that is what
a busy machine changes least. `--against` runs the servers of another revision of this repository in turn, and prints this version's
processor time and throughput as a share of that one's, pair by pair.

All servers are uvicorn with uvloop and httptools on loopback, one process each; the callers are one process with raw keep-alive sockets.
Three gateways: on SQLite with bearer tokens, on PostgreSQL with bearer tokens (a server of this run, fsync on; left out where it is not
installed), on SQLite with a fresh DPoP proof and nonce for each request. Every answered call left durable, signed records (SQLite WAL,
synchronous=FULL; PostgreSQL synchronous_commit). Rounds of no-op, balance and transfer take turns, and the ratios are medians of the
ratios of the rounds. Bounded in count and time; asserts nothing about time.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import cast

import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gateway.identity.compact import encode
from tests.benchmarks.servers import PUBLIC_URL
from tests.support.databases import administer
from tests.support.postgres import server

CALLERS = 32
CUSTOMERS = 1000
GATEWAYS = ("sqlite", "postgresql", "dpop")
BEFORE = "before "
"""Stands before the name of what the other version does."""

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Customer:
    token: str
    conversation: str
    debit: str
    credit: str


@dataclass
class Measured:
    """One run of one operation: answers per second, and latencies in microseconds."""

    per_s: float
    latencies_us: list[float]
    main_us: float = 0.0
    """Of processor, of the server's main thread for each answer."""
    others_us: float = 0.0
    """The same of its other threads: commits, signatures. A database server has processes of its own, which do not count."""

    @property
    def processor_us(self) -> float:
        return self.main_us + self.others_us

    def spent(self, before: tuple[int, int], after: tuple[int, int]) -> None:
        """Nanoseconds of the main thread and of the others, before and after."""
        count = len(self.latencies_us)
        self.main_us, self.others_us = ((late - early) / 1000 / count for early, late in zip(before, after, strict=True))

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies_us)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--only", action="append", choices=GATEWAYS, help="these gateways; may be said again")
    parser.add_argument("--against", metavar="REVISION", help="another version, by any name that git knows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, checked_out(options.against, Path(folder) / "other") as other:
        wanted = tuple(options.only or GATEWAYS)
        found = uvloop.run(run(Path(folder), options.rounds, options.seconds, wanted, other))
    if options.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0


@contextlib.contextmanager
def checked_out(revision: str | None, where: Path) -> Iterator[Path | None]:
    """The tree of this revision; nothing without one."""
    if revision is None:
        yield None
        return
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", where, revision], cwd=ROOT, check=True)
    try:
        yield where
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", where], cwd=ROOT, check=True)


async def run(folder: Path, rounds: int, seconds: float, wanted: Sequence[str], other: Path | None) -> dict[str, dict[str, float]]:
    servers = {"noop": start("noop", folder)}
    for name in wanted:
        for label, tree in ((name, ROOT), (f"{BEFORE}{name}", other)):
            database = a_database(label.replace(" ", "-")) if name == "postgresql" else ""
            if database is not None and tree is not None:
                servers[label] = start("dpop" if name == "dpop" else "bearer", folder / label.replace(" ", "-"), database, tree)
    taken: dict[tuple[str, int], list[Measured]] = {}
    try:
        ready = {name: json.loads(await line(server)) for name, server in servers.items()}
        streams: dict[str, tuple[int, Iterator[bytes]]] = {"noop": (ready["noop"]["port"], noop_requests())}
        for name in servers.keys() - {"noop"}:
            customers = [Customer(**item) for item in ready[name]["customers"]]
            head = Proving(**ready[name]["client"]) if name.endswith("dpop") else bearer
            streams[f"{name}: get_account_balance"] = (ready[name]["port"], balances(customers, head))
            streams[f"{name}: initiate_transfer"] = (ready[name]["port"], transfers(customers, head))
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("measuring", total=(rounds + 1) * len(streams) * 2)
            for number in range(rounds + 1):
                for name in sorted(streams, key=lambda item: (item != "noop", item.removeprefix(BEFORE), item)):
                    port, stream = streams[name]
                    for callers in (CALLERS, 1):
                        before = processor_ns(servers[name.partition(":")[0]].pid)
                        measured = await load(port, stream, callers, seconds if number else 0.5)
                        measured.spent(before, processor_ns(servers[name.partition(":")[0]].pid))
                        progress.advance(task)
                        if number:  # the first round warms up
                            taken.setdefault((name, callers), []).append(measured)
        steps = {
            name: json.loads(await line(server, ask=True))
            for name, server in servers.items()
            if name != "noop" and not name.startswith(BEFORE)
        }
    finally:
        for server in servers.values():
            server.terminate()
        for server in servers.values():
            server.wait(20)
    return summary(taken, sorted(streams), steps)


def a_database(name: str) -> str | None:
    """A database of a server of this run, or None where PostgreSQL is not installed."""
    try:
        running = server(fsync=True)
    except pytest.skip.Exception as absent:
        print(f"left out: {absent}", file=sys.stderr)
        return None
    administer(f'CREATE DATABASE "{name}"', running)
    return running.url(name)


def summary(
    taken: dict[tuple[str, int], list[Measured]], names: Sequence[str], steps: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    def median(name: str, callers: int, share: float) -> float:
        return statistics.median(pair.percentile(share) for pair in taken[name, callers])

    found: dict[str, dict[str, float]] = {}
    for name in names:
        ratios = [one.per_s / base.per_s for one, base in zip(taken[name, CALLERS], taken["noop", CALLERS], strict=True)]
        slower = [one.percentile(0.5) / base.percentile(0.5) for one, base in zip(taken[name, 1], taken["noop", 1], strict=True)]
        found[name] = {
            "ratio_c32": round(statistics.median(ratios), 3),
            "median_c1": round(statistics.median(slower), 2),
            "per_s_c32": round(statistics.median(pair.per_s for pair in taken[name, CALLERS])),
            "p50_us_c1": round(median(name, 1, 0.5)),
            "p50_us_c32": round(median(name, CALLERS, 0.5)),
            "p99_us_c32": round(median(name, CALLERS, 0.99)),
            "main_us_c32": round(statistics.median(pair.main_us for pair in taken[name, CALLERS])),
            "others_us_c32": round(statistics.median(pair.others_us for pair in taken[name, CALLERS])),
        }
        if (BEFORE + name, CALLERS) in taken:
            pairs = list(zip(taken[name, CALLERS], taken[BEFORE + name, CALLERS], strict=True))
            found[name]["processor_of_before"] = round(
                statistics.median(now.processor_us / was.processor_us for now, was in pairs), 3
            )
            found[name]["per_s_of_before"] = round(statistics.median(now.per_s / was.per_s for now, was in pairs), 3)
    found["steps_us"] = steps  # type: ignore[assignment]  # per gateway and function
    return found


def show(found: dict[str, dict[str, float]]) -> None:
    console = Console()
    columns = {
        "of the no-op, 32 callers": "ratio_c32",
        "times the no-op's median, 1 caller": "median_c1",
        "per second": "per_s_c32",
        "p99 us, 32 callers": "p99_us_c32",
        "processor us, main thread": "main_us_c32",
        "other threads": "others_us_c32",
        "processor of before": "processor_of_before",
        "throughput of before": "per_s_of_before",
    }
    table = Table("operation", *columns)
    for name in sorted(found.keys() - {"steps_us"}, key=lambda item: (item != "noop", item.removeprefix(BEFORE), item)):
        table.add_row(name, *(str(found[name].get(key, "")) for key in columns.values()))
    console.print(table)
    for gateway, functions in found["steps_us"].items():
        for name, steps in functions.items():  # type: ignore[attr-defined]
            console.print(f"{gateway}: {name}: " + ", ".join(f"{step} {us} us" for step, us in steps.items()))


def start(what: str, folder: Path, database: str = "", tree: Path = ROOT) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.benchmarks.servers", what, str(folder), str(CUSTOMERS), database]
    paths = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tree, env=paths)


def processor_ns(process: int) -> tuple[int, int]:
    """Processor time of a process so far: of its main thread, and of the others that are there."""
    main = others = 0
    for thread in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(OSError):  # it ended meanwhile
            ran = int((thread / "schedstat").read_text().split()[0])
            main, others = (ran, others) if thread.name == str(process) else (main, others + ran)
    return main, others


async def line(server: "subprocess.Popen[str]", *, ask: bool = False) -> str:
    assert server.stdin is not None
    assert server.stdout is not None
    if ask:
        server.stdin.write("steps\n")
        server.stdin.flush()
    return await asyncio.to_thread(server.stdout.readline)


Head = Callable[[str], str]
"""The header lines by which a request presents its token."""


def bearer(token: str) -> str:
    return f"authorization: Bearer {token}\r\n"


class Proving:
    """A fresh DPoP proof for each request (RFC 9449), by Ed25519."""

    def __init__(self, key: str, nonce: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key))
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode(self._key.public_key().public_bytes_raw())}
        self._header = encode(json.dumps({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk}).encode())
        self._claims = {"htm": "POST", "htu": f"{PUBLIC_URL}/v1/function-calls", "nonce": nonce}
        self._made = count()

    def __call__(self, token: str) -> str:
        ath = encode(hashlib.sha256(token.encode()).digest())
        claims = {**self._claims, "iat": int(time.time()), "jti": f"{next(self._made):032d}", "ath": ath}
        text = f"{self._header}.{encode(json.dumps(claims).encode())}"
        return f"authorization: DPoP {token}\r\ndpop: {text}.{encode(self._key.sign(text.encode()))}\r\n"


def noop_requests() -> Iterator[bytes]:
    request = http("/noop", bearer("unused"), b'{"nothing":true}')
    while True:
        yield request


def balances(customers: list[Customer], head: Head) -> Iterator[bytes]:
    made = [(customer.token, calls(customer, "b", "get_account_balance", {"account": customer.debit})) for customer in customers]
    while True:
        for token, body in made:
            yield http("/v1/function-calls", head(token), body)


def transfers(customers: list[Customer], head: Head) -> Iterator[bytes]:
    """Each a new call; no customer repeats an amount, or it would be a suspected duplicate."""
    for number in count():
        for customer in customers:
            amount = {"value": f"{1 + number // 100}.{number % 100:02d}", "currency": "GBP"}
            arguments: dict[str, object] = {"from": customer.debit, "to": customer.credit, "amount": amount}
            yield http("/v1/function-calls", head(customer.token), calls(customer, f"t{number}", "initiate_transfer", arguments))


def calls(customer: Customer, native_id: str, name: str, arguments: dict[str, object]) -> bytes:
    item = {"type": "function_call", "call_id": native_id, "name": name, "arguments": json.dumps(arguments)}
    body = {"shape": "responses", "conversation_id": customer.conversation, "turn_id": "turn", "calls": [item]}
    return json.dumps(body).encode()


def http(path: str, presented: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{presented}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Caller(asyncio.Protocol):
    """One connection, one request at a time, until the time is over."""

    def __init__(self, requests: Iterator[bytes], ends_at: float) -> None:
        self.requests, self.ends_at = requests, ends_at
        self.latencies_us: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.send()

    def send(self) -> None:
        request = next(self.requests)
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, part: bytes) -> None:
        self.answer += part
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        now = time.perf_counter()
        self.latencies_us.append((now - self.sent) * 1e6)
        if not head.startswith(b"HTTP/1.1 200") or b'"status":"den' in body or b'"status":"una' in body:
            self.done.set_exception(RuntimeError(body.decode()))
        elif now >= self.ends_at:
            self.done.set_result(None)
        else:
            self.answer = b""
            self.send()
            return
        self.transport.close()


async def load(port: int, requests: Iterator[bytes], callers: int, seconds: float) -> Measured:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = [await loop.create_connection(lambda: Caller(requests, began + seconds), "127.0.0.1", port) for _ in range(callers)]
    await asyncio.gather(*(caller.done for _, caller in made))
    took = time.perf_counter() - began
    latencies = [latency for _, caller in made for latency in caller.latencies_us]
    return Measured(len(latencies) / took, latencies)


if __name__ == "__main__":
    sys.exit(main())
