"""Where a call's processor time goes: a gateway in this process, on SQLite or PostgreSQL, under a profiler, summed by part.

    python -m tests.benchmarks.budget [--json] [--calls N] [--callers N] [--functions N] [--postgresql]

A function's own time counts for the part that it stands in, and what it asks of the interpreter or of a driver counts for it too: the
parts add up to the whole. A profiler makes small functions look dearer than they are, so that the parts tell shares; the time of a call is
measured without it. HTTP is not in it: `tests.benchmarks.call` has that. Bounded in count; asserts nothing.
"""

import argparse
import asyncio
import contextlib
import cProfile
import json
import pstats
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, event

from audit.database import SqliteLane
from audit.store.prepared import Prepared
from gateway.app.development.settings import development
from gateway.app.settings import Settings
from gateway.domain.request import CallRequest, NativeCall, Trace
from tests.benchmarks.servers import prepare
from tests.support.databases import postgresql
from tests.support.opening import open_gateway
from tests.support.teller import bank_of, payment, principal

READ, TRANSFER = "get_account_balance", "initiate_transfer"
ROOT = Path(__file__).parents[2]
CUSTOMERS = 200

Many = Callable[[str, int], Awaitable[None]]
"""So many calls of a function, by all callers together."""

PARTS = {
    "gateway/calls/record.py": "record: what a stage tells the trail",
    "gateway/calls/pipeline.py": "pipeline",
    "gateway/calls": "validate, redact, facts",
    "gateway/grounding": "ground",
    "gateway/domain": "stages and facts",
    "gateway/store": "book",
    "gateway": "rest of the gateway",
    "policies": "decide",
    "audit/committer.py": "log: commit",
    "audit/merkle.py": "log: commit",
    "audit/store": "statements (log and book)",
    "audit/group.py": "groups and databases",
    "audit/database.py": "groups and databases",
    "audit/permits.py": "permit",
    "audit": "record: rendered and sealed",
    "adapters": "bank and functions",
    "tests": "this benchmark",
}
"""The longest name that a file's begins with says its part."""


@dataclass
class Work:
    """One kind of call, and what it cost."""

    name: str
    us_per_call: float = 0.0
    """Of processor, of the thread of the event loop."""
    function_calls: float = 0.0
    commits: float = 0.0
    statements: float = 0.0
    parts: dict[str, float] | None = None
    """Share of the profiled time, by part."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=2000, help="of each kind, for each measurement")
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--functions", type=int, default=0, help="also the dearest functions, this many")
    parser.add_argument("--postgresql", action="store_true", help="on a server of its own, on this machine")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        settings = development(place, database=postgresql(place) if options.postgresql else "")
        found = uvloop.run(measured(settings, options.calls, options.callers, options.functions))
    if options.json:
        print(json.dumps([vars(work) for work in found]))
    else:
        show(found)
    return 0


async def measured(settings: Settings, calls: int, callers: int, functions: int) -> list[Work]:
    folder = settings.data
    gateway = await open_gateway(replace(settings, audit_wait_ms=60_000, calls_per_minute=1_000_000))
    customers = bank_of(gateway).seed_load(CUSTOMERS)
    known = await prepare(gateway, folder, customers, lambda customer: customer)
    numbers = count()

    async def one(name: str) -> None:
        number = next(numbers)
        customer = known[number % len(known)]
        value = f"{1 + number // 100}.{number % 100:02d}"
        arguments = {"account": customer["debit"]} if name == READ else payment(customer["debit"], customer["credit"], value)
        native = NativeCall(f"n{number}", name, json.dumps(arguments))
        asked = CallRequest("responses", customer["conversation"], "turn", "a-model", (native,), Trace("0" * 31 + "1"))
        (answered,) = await gateway.pipeline.take(principal(customer["token"], agent="bench"), asked)
        if answered.status != "done":
            raise RuntimeError(f"{name}: {answered.code}")

    async def many(name: str, how_many: int) -> None:
        waiting = iter(range(how_many))

        async def caller() -> None:
            for _ in waiting:
                await one(name)

        await asyncio.gather(*(caller() for _ in range(callers)))

    try:
        return [await work_of(name, calls, many, functions) for name in (READ, TRANSFER)]
    finally:
        await gateway.close()


async def work_of(name: str, calls: int, many: Many, functions: int) -> Work:
    work = Work(name)
    await many(name, calls // 4)  # warms up
    began = time.thread_time()
    await many(name, calls)
    work.us_per_call = round((time.thread_time() - began) / calls * 1e6)
    seen: Counter[str] = Counter()
    with counted(seen):
        await many(name, calls // 10)
    work.commits, work.statements = (round(seen[what] / (calls // 10), 2) for what in ("commits", "statements"))
    profile = cProfile.Profile(time.thread_time)  # what waits for another thread costs nothing
    profile.enable()
    await many(name, calls)
    profile.disable()
    stats = pstats.Stats(profile)
    work.function_calls = round(stats.total_calls / calls)  # type: ignore[attr-defined]
    work.parts = shares(stats)
    if functions:
        stats.sort_stats("tottime").print_stats(functions)
    return work


@contextlib.contextmanager
def counted(seen: Counter[str]) -> Iterator[None]:
    """Count durable commits and statements: those that are prepared, and those that SQLAlchemy executes."""
    commit, compiled = SqliteLane.commit, Prepared._compiled

    async def committing(lane: SqliteLane) -> None:
        seen["commits"] += 1
        await commit(lane)

    def stated(statement: Prepared, connection: Any) -> Any:
        seen["statements"] += 1
        return compiled(statement, connection)

    def executed(*_: object) -> None:
        seen["statements"] += 1

    event.listen(Engine, "before_cursor_execute", executed)
    try:
        with mock.patch.object(SqliteLane, "commit", committing), mock.patch.object(Prepared, "_compiled", stated):
            yield
    finally:
        event.remove(Engine, "before_cursor_execute", executed)


def shares(stats: pstats.Stats) -> dict[str, float]:
    """Share of the profiled time by part, dearest first. What is not ours counts for whoever called it, in proportion."""
    own: dict[Any, float] = {}
    callers: dict[Any, dict[Any, float]] = {}
    for function, (_, _, own_s, _, called_by) in stats.stats.items():  # type: ignore[attr-defined]
        own[function] = own_s
        callers[function] = {caller: spent[2] for caller, spent in called_by.items()}
    found: defaultdict[str, float] = defaultdict(float)
    memo: dict[Any, dict[str, float]] = {}
    for function, seconds in own.items():
        for part, share in parts_of(function, callers, memo, frozenset()).items():
            found[part] += seconds * share
    whole = sum(found.values())
    return {part: round(seconds / whole, 3) for part, seconds in sorted(found.items(), key=lambda item: -item[1])}


def parts_of(
    function: Any, callers: dict[Any, dict[Any, float]], memo: dict[Any, dict[str, float]], above: frozenset[Any]
) -> dict[str, float]:
    part = part_of(function[0])
    if part is not None:
        return {part: 1.0}
    if function in memo:
        return memo[function]
    by = {caller: seconds for caller, seconds in callers[function].items() if caller not in above and caller != function}
    whole = sum(by.values())
    if not by or whole == 0 or len(above) > 30:
        return {"event loop and interpreter": 1.0}
    found: defaultdict[str, float] = defaultdict(float)
    for caller, seconds in by.items():
        for name, share in parts_of(caller, callers, memo, above | {function}).items():
            found[name] += share * seconds / whole
    memo[function] = dict(found)
    return memo[function]


def part_of(file: str) -> str | None:
    try:
        path = Path(file).relative_to(ROOT).as_posix()
    except ValueError:
        return None
    if path.startswith("."):
        return None
    return next((part for start, part in PARTS.items() if path.startswith(start)), None)


def show(found: list[Work]) -> None:
    console = Console()
    table = Table("", *(work.name for work in found))
    for label, key in (
        ("processor us a call, event loop", "us_per_call"),
        ("function calls", "function_calls"),
        ("durable commits", "commits"),
        ("statements", "statements"),
    ):
        table.add_row(label, *(str(getattr(work, key)) for work in found))
    for part in dict.fromkeys(part for work in found for part in work.parts or {}):
        shown = [(work.parts or {}).get(part, 0.0) for work in found]
        table.add_row(part, *(f"{share:.1%}  {share * work.us_per_call:.0f} us" for share, work in zip(shown, found, strict=True)))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
