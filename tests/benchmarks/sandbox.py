"""What the sandbox bank costs: a read's questions, and an own-account transfer in groups.

    python -m tests.benchmarks.sandbox [--json] [--groups 200] [--customers 200]

Bounded, asserts no time; asserts that the books are right afterwards. "applied" is the work of a group without its commit,
"durable" is with it: the commit waits for the disk (WAL, synchronous FULL) on this thread here, in another behind a group writer.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from adapters.core import Identified, Instruction, Money, ReferenceKind, TransactionFilter, Transfer
from adapters.cores.sandbox import SandboxBank, open_sandbox, orders
from adapters.cores.sandbox.items import Submit
from tests.support.banks import ImmediateWriter, Permits

Reading = Callable[[], Awaitable[object]]


async def reads(bank: SandboxBank, rounds: int) -> dict[str, float]:
    """Microseconds of each question, one after the other."""
    account = next(it for it in await bank.accounts("alice") if it.name == "Everyday")
    identified = Identified(ReferenceKind.ACCOUNT, account.id)
    payee = Identified(ReferenceKind.BENEFICIARY, (await bank.beneficiaries(account.id))[0].id)
    listing = TransactionFilter(account.id, date(2000, 1, 1), date(2100, 1, 1))

    async def describe_and_balance() -> None:
        await bank.describe(identified)
        await bank.balance(account.id, "ITAV")

    asked: dict[str, Reading] = {
        "describe + balance": describe_and_balance,
        "describe account": lambda: bank.describe(identified),
        "describe beneficiary": lambda: bank.describe(payee),
        "balance ITAV": lambda: bank.balance(account.id, "ITAV"),
        "accounts": lambda: bank.accounts("alice"),
        "transactions, 50": lambda: bank.transactions(listing),
        "spending, 12 months": lambda: bank.spending([account.id], date(2000, 1, 1), date(2100, 1, 1), "category"),
    }
    return {name: round(await _us(read, rounds), 1) for name, read in asked.items()}


async def _us(read: Reading, rounds: int) -> float:
    start = time.perf_counter()
    for _ in range(rounds):
        await read()
    return (time.perf_counter() - start) / rounds * 1e6


def transfers(bank: SandboxBank, pairs: list[tuple[str, str]], size: int, groups: int) -> dict[str, float]:
    """Microseconds per own-account transfer in groups of `size`, applied and durable."""
    applied = durable = 0.0
    with bank._engine.connect() as connection:
        for number in range(groups):
            items = [_item(pairs, size * number + at, size) for at in range(size)]
            start = time.perf_counter()
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            answers = orders.apply(connection, items, datetime.now(UTC))
            after = time.perf_counter()
            connection.commit()
            durable += time.perf_counter() - start
            applied += after - start
            if any(type(answer).__name__ != "Done" for answer in answers):
                raise AssertionError(answers)
    count = size * groups
    return {"applied_us": round(applied / count * 1e6, 1), "durable_us": round(durable / count * 1e6, 1)}


def _item(pairs: list[tuple[str, str]], number: int, size: int) -> Submit:
    customer, main, spare = (f"load-{number % len(pairs):07d}", *pairs[number % len(pairs)])
    order = Transfer(
        Identified(ReferenceKind.ACCOUNT, main), Identified(ReferenceKind.ACCOUNT, spare), Money(100 + number, "GBP"), "BENCHMARK"
    )
    return Submit(Instruction(f"bench-{size}-{number}", customer, "agent", order), f"{number:064d}")


async def measure(groups: int, customers: int) -> dict[str, object]:
    """All figures, from one seeded bank in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        bank = open_sandbox(
            Path(folder) / "bank.sqlite",
            clock=lambda: datetime.now(UTC),
            writer=ImmediateWriter,
            permits=Permits(),
        )
        seeded_ms = (time.perf_counter() - start) * 1e3
        start = time.perf_counter()
        names = bank.seed_load(customers)
        load_us = (time.perf_counter() - start) / customers * 1e6
        pairs = [(main.id, spare.id) for main, spare in [await bank.accounts(name) for name in names]]
        result = {
            "seed_ms": round(seeded_ms),
            "seed_load_us_per_customer": round(load_us, 1),
            "reads_us": await reads(bank, 2000),
            "transfers": {f"group of {size}": transfers(bank, pairs, size, groups) for size in (1, 4, 16, 64)},
            "findings": bank.findings(),
        }
        bank.close()
    if result["findings"]:
        raise AssertionError(result["findings"])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--groups", type=int, default=200, help="groups per size")
    parser.add_argument("--customers", type=int, default=200, help="load-test customers")
    asked = parser.parse_args()
    result = asyncio.run(measure(asked.groups, asked.customers))
    if asked.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
