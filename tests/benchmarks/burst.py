"""What another customer notices of many new customers who call for the first time at once.

    python -m tests.benchmarks.burst [--json] [--customers N] [--callers N] [--database sqlite|postgresql]

One gateway in a process of its own. First the quiet median of one known customer's balances; then N customers whom neither the trail nor
the cache has seen, each with a first call, `callers` at a time, while the known one goes on reading. Prints how many were
answered, the time it took, and the median beside the burst as a multiple of the quiet one. Bounded in count; asserts nothing about time.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from tests.benchmarks.call import Customer, a_database, calls, line

QUIET = 100
"""Reads of the quiet median."""

THINKING_S = 0.12
"""Between two reads of the known customer: within the rate of one customer's calls."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--callers", type=int, default=64, help="first calls under way at once")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(run(Path(folder), options.customers, options.callers, options.database))
    if options.json:
        print(json.dumps(found))
    else:
        table = Table("", "")
        for name, figure in found.items():
            table.add_row(name.replace("_", " "), str(figure))
        Console().print(table)
    return 0


async def run(folder: Path, customers: int, callers: int, kind: str) -> dict[str, Any]:
    database = a_database("burst") or "" if kind == "postgresql" else ""
    command = [sys.executable, "-m", "tests.benchmarks.servers", "new", str(folder), str(customers + 1), database]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        ready = json.loads(await line(server))
        known, *new = (Customer(**customer) for customer in ready["customers"])
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{ready['port']}", connector=connector) as session:
            quiet = []
            for number in range(QUIET):
                quiet.append(await balance(session, known, f"q{number}"))
                await asyncio.sleep(THINKING_S)
            slots, began = asyncio.Semaphore(callers), time.perf_counter()

            async def first(customer: Customer) -> float:
                async with slots:
                    return await first_call(session, customer)

            burst = asyncio.gather(*(first(customer) for customer in new))
            beside: list[float] = []
            while not burst.done():
                beside.append(await balance(session, known, f"b{len(beside)}"))
                await asyncio.sleep(THINKING_S)
            took = await burst
            seconds = time.perf_counter() - began
    finally:
        server.terminate()
        server.wait(60)
    return {
        "database": kind,
        "new_customers_answered": len(took),
        "seconds": round(seconds, 2),
        "slowest_first_call_ms": round(max(took), 1),
        "quiet_median_ms": round(statistics.median(quiet), 2),
        "median_beside_ms": round(statistics.median(beside), 2),
        "slowest_beside_ms": round(max(beside), 1),
        "reads_beside": len(beside),
        "times": round(statistics.median(beside) / statistics.median(quiet), 2),
    }


async def balance(session: aiohttp.ClientSession, customer: Customer, native_id: str) -> float:
    """Milliseconds of one balance; RuntimeError when it was not answered."""
    return await ask(
        session, customer, "/v1/function-calls", calls(customer, native_id, "get_account_balance", {"account": customer.debit})
    )


async def first_call(session: aiohttp.ClientSession, customer: Customer) -> float:
    return await balance(session, customer, "first")


async def ask(session: aiohttp.ClientSession, customer: Customer, path: str, body: bytes) -> float:
    headers = {"authorization": f"Bearer {customer.token}", "content-type": "application/json"}
    began = time.perf_counter()
    async with session.post(path, data=body, headers=headers) as answer:
        text = await answer.text()
    if answer.status != 200 or '"status":"done"' not in text:
        raise RuntimeError(f"{answer.status}: {text}")
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
