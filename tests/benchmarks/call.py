"""What a call costs, beside a bare FastAPI no-op on the same server, in one run.

    python tests/benchmarks/call.py [--json] [--rounds N] [--seconds S]

Both servers are uvicorn with uvloop and httptools on loopback, one process each; the callers are one process with raw keep-alive sockets.
Every answered call left durable, signed records (SQLite WAL, synchronous=FULL). Rounds of no-op, balance and transfer take turns, and
the ratios are medians of the ratios of the rounds. Bounded in count and time; asserts nothing about time.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

CALLERS = 32
CUSTOMERS = 1000


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

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies_us)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = uvloop.run(run(Path(folder), options.rounds, options.seconds))
    if options.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0


async def run(folder: Path, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    servers = [start("noop", folder), start("gateway", folder / "data")]
    try:
        noop_port = json.loads(await line(servers[0]))["port"]
        ready = json.loads(await line(servers[1]))
        customers = [Customer(**each) for each in ready["customers"]]
        requests = {"noop": noop_requests(), "get_account_balance": balances(customers), "initiate_transfer": transfers(customers)}
        ports = {"noop": noop_port, "get_account_balance": ready["port"], "initiate_transfer": ready["port"]}
        taken: dict[tuple[str, int], list[Measured]] = {}
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("measuring", total=(rounds + 1) * len(requests) * 2)
            for number in range(rounds + 1):
                for name, stream in requests.items():
                    for callers in (CALLERS, 1):
                        measured = await load(ports[name], stream, callers, seconds if number else 0.5)
                        progress.advance(task)
                        if number:  # the first round warms up
                            taken.setdefault((name, callers), []).append(measured)
        steps = json.loads(await line(servers[1], ask=True))
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(20)
    return summary(taken, steps)


def summary(taken: dict[tuple[str, int], list[Measured]], steps: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    def median(name: str, callers: int, share: float) -> float:
        return statistics.median(each.percentile(share) for each in taken[name, callers])

    found: dict[str, dict[str, float]] = {}
    for name in ("noop", "get_account_balance", "initiate_transfer"):
        ratios = [one.per_s / base.per_s for one, base in zip(taken[name, CALLERS], taken["noop", CALLERS], strict=True)]
        slower = [one.percentile(0.5) / base.percentile(0.5) for one, base in zip(taken[name, 1], taken["noop", 1], strict=True)]
        found[name] = {
            "ratio_c32": round(statistics.median(ratios), 3),
            "median_c1": round(statistics.median(slower), 2),
            "per_s_c32": round(statistics.median(each.per_s for each in taken[name, CALLERS])),
            "p50_us_c1": round(median(name, 1, 0.5)),
            "p50_us_c32": round(median(name, CALLERS, 0.5)),
            "p99_us_c32": round(median(name, CALLERS, 0.99)),
        }
    found["steps_us"] = steps  # type: ignore[assignment]  # per function
    return found


def show(found: dict[str, dict[str, float]]) -> None:
    console = Console()
    table = Table("operation", "of the no-op, 32 callers", "times the no-op's median, 1 caller", "per second", "p99 us, 32 callers")
    for name in ("noop", "get_account_balance", "initiate_transfer"):
        each = found[name]
        cells = (each["ratio_c32"], each["median_c1"], each["per_s_c32"], each["p99_us_c32"])
        table.add_row(name, *(str(cell) for cell in cells))
    console.print(table)
    for name, steps in found["steps_us"].items():
        console.print(f"{name}: " + ", ".join(f"{step} {us} us" for step, us in steps.items()))  # type: ignore[attr-defined]


def start(what: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, str(Path(__file__).with_name("servers.py")), what, str(folder), str(CUSTOMERS)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def line(server: "subprocess.Popen[str]", *, ask: bool = False) -> str:
    if ask:
        server.stdin.write("steps\n")
        server.stdin.flush()
    return await asyncio.to_thread(server.stdout.readline)


def noop_requests() -> Iterator[bytes]:
    request = http("/noop", "unused", b'{"nothing":true}')
    while True:
        yield request


def balances(customers: list[Customer]) -> Iterator[bytes]:
    made = [
        http("/v1/function-calls", each.token, calls(each, "b", "get_account_balance", {"account": each.debit}))
        for each in customers
    ]
    while True:
        yield from made


def transfers(customers: list[Customer]) -> Iterator[bytes]:
    """Each a new call; no customer repeats an amount, or it would be a suspected duplicate."""
    for number in count():
        for each in customers:
            amount = {"value": f"{1 + number // 100}.{number % 100:02d}", "currency": "GBP"}
            arguments = {"from": each.debit, "to": each.credit, "amount": amount}
            yield http("/v1/function-calls", each.token, calls(each, f"t{number}", "initiate_transfer", arguments))


def calls(customer: Customer, native_id: str, name: str, arguments: dict[str, object]) -> bytes:
    item = {"type": "function_call", "call_id": native_id, "name": name, "arguments": json.dumps(arguments)}
    body = {"shape": "responses", "conversation_id": customer.conversation, "turn_id": "turn", "calls": [item]}
    return json.dumps(body).encode()


def http(path: str, token: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Caller(asyncio.Protocol):
    """One connection, one request at a time, until the time is over."""

    def __init__(self, requests: Iterator[bytes], ends_at: float) -> None:
        self.requests, self.ends_at = requests, ends_at
        self.latencies_us: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self.answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
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
