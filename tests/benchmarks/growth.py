"""What is asked with every call, beside data of any size: microseconds of each question, and whether they grow.

    python -m tests.benchmarks.growth [--json] [--most N]

SQLite files, each question a hundred times in a transaction that is rolled back; sizes of 10 to 100,000. "flat" is what takes at most three
times as long beside the most as beside a thousand: the database's own indexes grow by their height. Asserts nothing about time.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from audit.database import open_sqlite
from gateway.store.tables import METADATA
from tests.support.growth import ALL, Growing, fill

SIZES = (10, 100, 1_000, 10_000, 100_000)
ROUNDS = 100
FLAT = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="the largest size")
    options = parser.parse_args()
    sizes = [size for size in SIZES if size <= options.most]
    found = {growing.name: [microseconds(growing, size) for size in sizes] for growing in ALL}
    verdicts = {name: "flat" if us[-1] <= FLAT * us[min(2, len(us) - 1)] else "grows" for name, us in found.items()}
    if options.json:
        print(json.dumps({name: {"us": dict(zip(sizes, us, strict=True)), "is": verdicts[name]} for name, us in found.items()}))
        return 0
    table = Table("microseconds", *(f"{size:,}" for size in sizes), "")
    for name, us in found.items():
        table.add_row(name, *(f"{one:.0f}" for one in us), verdicts[name])
    Console(width=140).print(table)
    return 0


def microseconds(growing: Growing, size: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_sqlite(Path(folder) / "x.sqlite")
        METADATA.create_all(engine)
        with engine.connect() as connection:
            fill(connection, growing, size)
            connection.commit()
            took = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                growing.question(connection)
                took.append((time.perf_counter() - began) * 1e6)
                connection.rollback()
        engine.dispose()
    return round(statistics.median(took), 1)


if __name__ == "__main__":
    sys.exit(main())
