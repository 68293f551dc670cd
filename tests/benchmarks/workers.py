"""What several workers do: `tellergate serve --workers N` for N of 1, 2 and 4 on one PostgreSQL and one core behind HTTP, beside a no-op.

    python -m tests.benchmarks.workers [--json] [--rounds N] [--seconds S] [--workers N ...]

The database is a server of this run with fsync on, the core is `tellergate sandbox-bank`; callers, workers, database and bank share this
machine's cores. A ratio is the median of the ratios of the rounds, to a bare FastAPI no-op of one process in the same round. Bounded in
count and time; asserts nothing about time.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gateway.app.clock import utc_now
from gateway.app.cores import UnsafeNoPermits
from gateway.app.development.embedded_bank import embedded
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.settings import development
from tests.benchmarks.call import CALLERS, Customer, a_database, balances, bearer, line, load, noop_requests, start, transfers
from tests.benchmarks.servers import prepare
from tests.support.opening import open_gateway
from tests.support.processes import started

CUSTOMERS = 500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--workers", type=int, action="append", help="may be said again; left out: 1, 2 and 4")
    options = parser.parse_args()
    database = a_database("workers")
    if database is None:
        return 3
    with tempfile.TemporaryDirectory() as folder:
        found = uvloop.run(run(Path(folder), database, options.workers or [1, 2, 4], options.rounds, options.seconds))
    if options.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0


async def run(folder: Path, database: str, counts: list[int], rounds: int, seconds: float) -> dict[str, object]:
    data, token = folder / "data", folder / "core.token"
    bank = embedded(folder / "bank.sqlite", clock=utc_now, permits=UnsafeNoPermits())
    assert bank.sandbox is not None
    names = bank.sandbox.seed_load(CUSTOMERS)
    await bank.close()
    command = (
        "sandbox-bank",
        "--data",
        str(folder),
        "--port",
        "0",
        "--credential-file",
        str(token),
        "--trust-credential",
        "--json",
    )
    found: dict[str, object] = {"cores": os.cpu_count()}
    with ExitStack() as stack:
        _, said = await asyncio.to_thread(stack.enter_context, started(*command))
        noop = start("noop", folder)
        stack.callback(noop.wait)
        stack.callback(noop.terminate)
        noop_port = json.loads(await line(noop))["port"]
        settings = replace(
            development(data, database=database),
            client_requests_per_minute=100_000_000,
            core_url=said["url"],
            core_credential_file=token,
        )
        gateway = await open_gateway(settings)
        tokens = partial(LocalIssuer(data).token, agent="bench", strong=True)
        customers = [Customer(**item) for item in await prepare(gateway, data, names, tokens)]
        await gateway.close()
        where = ("--data", str(data), "--database", database, "--core-url", said["url"], "--core-credential-file", str(token))
        streams = {"get_account_balance": balances(customers, bearer), "initiate_transfer": transfers(customers, bearer)}
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("measuring", total=len(counts) * (rounds + 1))
            for count in counts:
                serve = ("serve", "--dev", *where, "--workers", str(count), "--port", "0", "--audit-wait-ms", "20000", "--json")
                with ExitStack() as served:
                    _, told = await asyncio.to_thread(served.enter_context, started(*serve))
                    ports = {"noop": noop_port, "gateway": int(told["url"].rpartition(":")[2])}
                    found[f"{count} workers"] = await measured(ports, streams, rounds, seconds, lambda: progress.advance(task))
    return found


async def measured(
    ports: dict[str, int], streams: dict[str, Iterator[bytes]], rounds: int, seconds: float, advance: object
) -> dict[str, dict[str, float]]:
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in streams}
    for number in range(rounds + 1):
        base = await load(ports["noop"], noop_requests(), CALLERS, seconds)
        for name, stream in streams.items():
            one = await load(ports["gateway"], stream, CALLERS, seconds if number else max(3.0, seconds))
            if number:  # the first round warms up, and waits for every worker
                taken[name].append((one.per_s, one.per_s / base.per_s, one.percentile(0.99)))
        advance()  # type: ignore[operator]
    return {
        name: {
            "per_s_c32": round(statistics.median(per_s for per_s, _, _ in pair)),
            "ratio_c32": round(statistics.median(ratio for _, ratio, _ in pair), 3),
            "p99_us_c32": round(statistics.median(p99 for _, _, p99 in pair)),
        }
        for name, pair in taken.items()
    }


def show(found: dict[str, object]) -> None:
    table = Table(
        "", "operation", "per second, 32 callers", "of the no-op", "p99 us", title=f"{found['cores']} cores for everything"
    )
    for count, operations in found.items():
        if isinstance(operations, dict):
            for name, operation in operations.items():
                table.add_row(count, name, str(operation["per_s_c32"]), str(operation["ratio_c32"]), str(operation["p99_us_c32"]))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
