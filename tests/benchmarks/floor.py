"""Our read over a core behind HTTP, beside the least that anybody would write in our place: both as shares of a bare FastAPI no-op.

    python -m tests.benchmarks.floor [--json] [--rounds N] [--seconds S]

The floor is `tests/support/floor.py`: a JWT, a policy, one question to the bank, a signed line with fsync (lines that come together share
one). Ours is `get_account_balance` with everything that a call has. Both ask the same bank, in a process of its own. Same server and loop,
same callers, in turns; a share is the median of the rounds' shares. Bounded in count and time; asserts nothing about time.
"""

import asyncio
import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.call import CALLERS, Customer, Measured, balances, bearer, http, line, load, noop_requests, processor_ns
from tests.benchmarks.call import start as start_server
from tests.benchmarks.remote import command, seeded
from tests.support.processes import permits_of, start


def main() -> int:
    return command(__doc__, run, show, seconds=2.0)


async def run(folder: Path, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    data = folder / "bank"
    names = await seeded(data)
    (data / "customers.json").write_text(json.dumps(names))
    trust, token = await asyncio.to_thread(permits_of, data), data / "core.token"
    command = ("sandbox-bank", "--data", str(data), "--port", "0", "--credential-file", str(token), "--permit-key", str(trust))
    bank, said = start(*command, "--json")
    servers = {name: start_server(name, data, said["url"]) for name in ("noop", "floor", "remote")}
    try:
        ready = {name: json.loads(await line(server)) for name, server in servers.items()}
        customers = {name: [Customer(**item) for item in ready[name]["customers"]] for name in ("floor", "remote")}
        streams = {"noop": noop_requests(), "floor": floors(customers["floor"]), "remote": balances(customers["remote"], bearer)}
        taken: dict[tuple[str, int], list[Measured]] = {}
        for number in range(rounds + 1):
            for name, stream in streams.items():
                for callers in (CALLERS, 1):
                    before = processor_ns(servers[name].pid)
                    measured = await load(ready[name]["port"], stream, callers, seconds if number else 0.5)
                    measured.spent(before, processor_ns(servers[name].pid))
                    if number:  # the first round warms up
                        taken.setdefault((name, callers), []).append(measured)
    finally:
        for server in servers.values():
            server.terminate()
        for server in servers.values():
            server.wait(20)
        bank.terminate()
        bank.wait(20)
    return {name: summary(taken, name) for name in streams}


def floors(customers: list[Customer]) -> Iterator[bytes]:
    made = [http("/balance", bearer(it.token), json.dumps({"account": it.debit}).encode()) for it in customers]
    while True:
        yield from made


def summary(taken: dict[tuple[str, int], list[Measured]], name: str) -> dict[str, float]:
    many = list(zip(taken[name, CALLERS], taken["noop", CALLERS], strict=True))
    alone = list(zip(taken[name, 1], taken["noop", 1], strict=True))
    return {
        "ratio_c32": round(statistics.median(one.per_s / base.per_s for one, base in many), 3),
        "per_s_c32": round(statistics.median(one.per_s for one, _ in many)),
        "median_c1": round(statistics.median(one.percentile(0.5) / base.percentile(0.5) for one, base in alone), 2),
        "main_us_c32": round(statistics.median(one.main_us for one, _ in many)),
        "others_us_c32": round(statistics.median(one.others_us for one, _ in many)),
    }


def show(found: dict[str, dict[str, float]]) -> None:
    columns = {
        "of the no-op, 32 callers": "ratio_c32",
        "per second": "per_s_c32",
        "times the no-op's median, 1 caller": "median_c1",
        "processor us, main thread": "main_us_c32",
        "other threads": "others_us_c32",
    }
    table = Table("what", *columns)
    for name, row in found.items():
        table.add_row(name, *(str(row[key]) for key in columns.values()))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
