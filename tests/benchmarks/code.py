"""What a jail costs: an empty program in it beside a bare interpreter, and the text of a PDF of ten pages in it beside here; and what a
call of the code interpreter costs through its worker, of both tiers: the first of a session, one that follows, a table with a figure.

    python -m tests.benchmarks.code [--json] [--rounds 40]

Each round starts anew, one after the other, as runs do; first calls of Python's sessions come every three seconds, so that the next jail is
ready, as it hardly is where many begin at once. Asserts no time.
"""

import argparse
import asyncio
import io
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from pypdf import PdfReader

from gateway.code.port import CodeEnding
from gateway.files.documents import PACKAGES, SandboxedParser
from gateway.files.parsing import PlainTextParser
from gateway.sandbox.bubblewrap import BubblewrapSandbox
from gateway.sandbox.port import ProgramEnding, ProgramLimits
from tests.support.code_workers import ran, worker
from tests.support.documents import pdf
from tests.support.jails import parts

PAGES = 10


async def times(
    work: Callable[[], Awaitable[object]], rounds: int, rest: Callable[[], Awaitable[object]] | None = None
) -> dict[str, float]:
    """Milliseconds of each round: half of them take no longer than p50, and 95 in 100 than p95. `rest`: between two of them."""
    await work()
    took = []
    for _ in range(rounds):
        if rest is not None:
            await rest()
        begun = time.perf_counter()
        await work()
        took.append((time.perf_counter() - begun) * 1e3)
    return {"p50_ms": round(statistics.median(took), 1), "p95_ms": round(statistics.quantiles(took, n=20)[-1], 1)}


async def measured(rounds: int) -> dict[str, dict[str, float]]:
    sandbox = BubblewrapSandbox(PACKAGES)
    document = pdf(*("Words of a page, " * 20 for _ in range(PAGES)))

    async def bare() -> None:
        await asyncio.to_thread(subprocess.run, [sys.executable, "-I", "-S", "-c", "pass"], check=True, env={})

    async def empty() -> None:
        finished = await sandbox.run("pass", (), {}, ProgramLimits())
        if finished.ending is not ProgramEnding.DONE:
            raise RuntimeError(f"it did not run: {finished}")

    async def here() -> None:
        for page in PdfReader(io.BytesIO(document)).pages:
            page.extract_text()

    async def parsed() -> None:
        await SandboxedParser(sandbox, PlainTextParser()).text("application/pdf", parts(document))

    rows = {
        "bare interpreter": bare,
        "empty program": empty,
        "PDF of ten pages, here": here,
        "PDF of ten pages, in the jail": parsed,
    }
    return {name: await times(work, rounds) for name, work in rows.items()}


CALLED = """import pandas, matplotlib.pyplot
frame = pandas.DataFrame({"amount": range(1000)})
frame["amount"].cumsum().plot()
frame["amount"].mean()"""
SUM = "sum(number * number for number in range(100))"


async def called(rounds: int) -> dict[str, dict[str, float]]:
    """Calls through workers of their own."""
    found: dict[str, dict[str, float]] = {}
    for tier in ("compute", "python"):
        with worker(tier) as (_, path):

            async def first(tier: str = tier, path: Path = path) -> None:
                await done(path, SUM, f"first {next(NUMBERS)}")

            async def later(path: Path = path) -> None:
                await done(path, SUM, "later")

            async def drawn(path: Path = path) -> None:
                await done(path, CALLED, "later")

            async def rest(tier: str = tier) -> None:
                await asyncio.sleep(3 if tier == "python" else 0.05)

            found[f"{tier}: first call of a session"] = await times(first, min(rounds, 20), rest)
            found[f"{tier}: a later call"] = await times(later, rounds)
            if tier == "python":
                found[f"{tier}: a table and a figure"] = await times(drawn, rounds)
    return found


NUMBERS = itertools.count()


async def done(path: Path, code: str, name: str) -> None:
    outcome = await ran(path, code, name)
    if outcome.ending is not CodeEnding.DONE:
        raise RuntimeError(f"it did not run: {outcome}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    rows = asyncio.run(measured(options.rounds)) | asyncio.run(called(options.rounds))
    least = rows["bare interpreter"]["p50_ms"]
    if options.json:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        print(
            f"{name:32} p50 {row['p50_ms']:7.1f} ms   p95 {row['p95_ms']:7.1f} ms   {row['p50_ms'] / least:5.1f} times a bare interpreter"
        )


if __name__ == "__main__":
    main()
