"""What a call costs beside data of any size: microseconds of each question and of whole reads, how they grow, and a picture of it.

    python -m tests.benchmarks.growth [--json] [--most N] [--only TEXT] [--keep FILE] [--svg FILE]

Of processor, the least of several: others use the machine too. In SQLite files, the questions of the store that are asked with every call,
each a hundred times in a transaction that is rolled back, beside 10 to 100,000 rows. Of a whole gateway in this process, a balance: with 1
to 256 callers, beside up to 100,000 customers, 500 functions and a million records of the trail; of a decision, beside up to 1,000 rules.
`--most` bounds the size of whatever is grown. All of it takes about half an hour and two gigabytes of disk; progress goes to standard
error, and `--keep` holds what was measured, so that an interrupted run goes on where it was. The picture is `tests/benchmarks/growth.svg`
when all was measured. The verdict is `tests.support.plot.growth`. Asserts nothing about time.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from audit.database import open_sqlite
from gateway.app.clock import utc_now
from gateway.app.development.settings import development
from gateway.app.gateway import Gateway
from gateway.store.tables import CONVERSATIONS, CUSTOMERS, METADATA
from gateway.store.times import to_us
from tests.benchmarks.decision import with_policies
from tests.benchmarks.remote import Customer, partial_call
from tests.benchmarks.remote import known as greeted
from tests.benchmarks.trail import write
from tests.support.growth import ALL, Growing, fill
from tests.support.opening import open_gateway
from tests.support.plot import Curve, svg
from tests.support.teller import bank_of

SIZES = (10, 100, 1_000, 10_000, 100_000)
ROUNDS = 100
CALLERS, READS, ASKING = 32, 320, 40
PICTURE = Path(__file__).with_name("growth.svg")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--most", type=int, default=1_000_000, help="the largest size")
    parser.add_argument("--only", default="", metavar="TEXT", help="curves with this in their name")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="figures as JSON: taken from there, and put there")
    parser.add_argument(
        "--svg", type=Path, help=f"where the picture goes; without --only and --most: {PICTURE.name} beside this file"
    )
    options = parser.parse_args()
    kept: dict[str, dict[str, float]] = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    found: list[Curve] = []
    for grown in [*_of_the_store(), *_of_the_gateway()]:
        sizes = [size for size in grown.sizes if size <= options.most]
        if options.only not in grown.name or not sizes:
            continue
        known = kept.setdefault(grown.name, {})
        for size in sizes:
            if str(size) not in known:
                known[str(size)] = grown.measure(size)
                if options.keep:
                    options.keep.write_text(json.dumps(kept))
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {grown.name}: {known[str(size)]:,.1f} us beside {size:,} {grown.unit}\n")
        found.append(Curve(grown.name, grown.unit, {size: known[str(size)] for size in sizes}))
    is_all = not options.only and options.most >= max(max(it.sizes) for it in _of_the_gateway())
    if options.svg or is_all:
        (options.svg or PICTURE).write_text(svg("Microseconds beside more and more: sizes by their logarithm", found))
    if options.json:
        print(json.dumps({it.name: {"us": it.us, "unit": it.unit, "is": it.growth.value} for it in found}))
    else:
        show(found)
    return 0


@dataclass(frozen=True)
class Grown:
    name: str
    unit: str
    sizes: tuple[int, ...]
    measure: Callable[[int], float]
    """Microseconds beside so many."""


def _of_the_store() -> Iterator[Grown]:
    for growing in ALL:
        yield Grown(growing.name, "rows", SIZES, lambda size, growing=growing: of_the_store(growing, size))  # type: ignore[misc]


def _of_the_gateway() -> Iterator[Grown]:
    yield Grown("a read, by callers", "callers", (1, 4, 16, 32, 64, 128, 256), lambda size: uvloop.run(by_callers(size)))
    yield Grown("a read, by customers", "customers", SIZES[1:], lambda size: uvloop.run(beside_customers(size)))
    yield Grown("a read, by functions", "functions", (10, 50, 100, 200, 500), lambda size: uvloop.run(beside_functions(size)))
    yield Grown("a read, by records", "records", (1_000, 10_000, 100_000, 1_000_000), lambda size: uvloop.run(beside_records(size)))
    for action, what in (("cancel_scheduled_payment", "other functions"), ("get_account_balance", "this function")):
        yield Grown(
            f"a decision, by rules for {what}",
            "policies",
            (10, 30, 100, 300, 1_000),
            lambda size, action=action: with_policies(size, action, 3),  # type: ignore[misc]
        )


def of_the_store(growing: Growing, size: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_sqlite(Path(folder) / "x.sqlite")
        METADATA.create_all(engine)
        with engine.connect() as connection:
            fill(connection, growing, size)
            connection.commit()
            took = []
            for _ in range(ROUNDS):
                began = time.thread_time()
                growing.question(connection)
                took.append((time.thread_time() - began) * 1e6)
                connection.rollback()
        engine.dispose()
    return round(min(took), 1)


@asynccontextmanager
async def a_gateway(customers: int = ASKING, functions: str = "") -> AsyncIterator[tuple[Gateway, list[Customer]]]:
    """A gateway in development mode over so many customers of the sandbox bank, some of whom will ask."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        settings = replace(development(data / "data"), audit_wait_ms=60_000)
        if functions:
            (data / "functions.yaml").write_text(functions)
            settings = replace(settings, functions=data / "functions.yaml")
        gateway = await open_gateway(settings)
        try:
            names = await asyncio.to_thread(bank_of(gateway).seed_load, customers)
            yield gateway, [await greeted(gateway, name) for name in names[:ASKING]]
        finally:
            await gateway.close()


async def a_read(gateway: Gateway, customers: list[Customer], callers: int = CALLERS) -> float:
    """Microseconds of this process's processor for a balance, all threads: the least of five rounds, for others use the machine too."""
    made, best = partial_call(gateway, customers, "get_account_balance", count(100)), float("inf")
    for number in range(6):
        began, each = time.process_time(), max(1, READS // callers)
        await asyncio.gather(*(_often(made, each) for _ in range(callers)))
        if number:  # the first round warms up
            best = min(best, (time.process_time() - began) * 1e6 / (each * callers))
    return round(best, 1)


async def _often(made: Callable[[], Awaitable[None]], times: int) -> None:
    for _ in range(times):
        await made()


async def by_callers(callers: int) -> float:
    async with a_gateway() as (gateway, customers):
        return await a_read(gateway, customers, callers)


async def beside_customers(size: int) -> float:
    """The bank has so many, and the store knows each with a conversation."""
    async with a_gateway(size) as (gateway, customers):
        now_us = to_us(utc_now())
        granted = {"mandate_version": 1, "mandate": b"", "mandate_signature": b"", "frozen": False}
        engine = open_sqlite(gateway.settings.data / "gateway.sqlite")
        with engine.begin() as connection:
            for start in range(0, size, 5_000):
                names = [f"other-{number}" for number in range(start, min(size, start + 5_000))]
                connection.execute(insert(CUSTOMERS), [{"customer": name, **granted} for name in names])
                rows = [{"id": f"conv_{name}", "customer": name, "created_us": now_us, "turns": 0, "said": 0} for name in names]
                connection.execute(insert(CONVERSATIONS), rows)
        engine.dispose()
        return await a_read(gateway, customers)


async def beside_functions(size: int) -> float:
    async with a_gateway(functions=a_manifest(size)) as (gateway, customers):
        return await a_read(gateway, customers)


def a_manifest(size: int) -> str:
    """So many declared reads, which nobody calls."""
    head = """version: 1
builtin: true
upstream:
  url: http://127.0.0.1:1
  credential: none
  customer_header: X-Customer
functions:
"""
    one = """  look_{0}:
    title: Look at thing {0}
    summary: Thing {0} of the bank.
    effect: R
    level: L1
    egress: false
    request: {{method: GET, path: /things/{0}}}
    output: {{text: {{type: text, label: bank}}}}
"""
    return head + "".join(one.format(number) for number in range(size))


async def beside_records(size: int) -> float:
    async with a_gateway() as (gateway, customers):
        await write(gateway.log, size, utc_now())
        return await a_read(gateway, customers)


def show(found: list[Curve]) -> None:
    table = Table("microseconds", "beside", "", "grows")
    for curve in found:
        row = ", ".join(f"{us:,.0f}" for us in curve.us.values())
        table.add_row(curve.name, f"{min(curve.us):,} to {max(curve.us):,} {curve.unit}", row, curve.growth.value)
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
