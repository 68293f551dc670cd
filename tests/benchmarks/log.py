"""How many records the log makes durable. It only prints: machines differ, and no test asserts a time.

python -m tests.benchmarks.log [--json] [--callers 128] [--records 12800]
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from audit import leaf, verify
from audit.committer import LogEntry
from audit.disclosure import SALT_BYTES
from audit.export import Contents, bundle
from audit.leaf import Record
from audit.log import Log
from audit.schema import validate
from gateway.app.databases import DatabaseLocations, open_log
from policies.model import JSON
from tests.trail import a_record, an_intent

RECORDS_MOST = 100_000


async def fresh(folder: Path) -> Log:
    return await open_log(DatabaseLocations(folder), writer_id="w1", clock=lambda: datetime.now(UTC), origin="bench.example/log")


def records_of(caller: int, count: int) -> list[Record]:
    """Reads of a balance with a decision request of a usual size; 500 customers, a conversation per caller."""
    request: JSON = {"principal": "Customer::C-1", "action": "get_account_balance", "context": {"filler": "x" * 700}}
    read = replace(a_record(), sealed={"decision_request": request})
    return [
        replace(
            read,
            call_id=os.urandom(12).hex(),
            trace_id=os.urandom(16).hex(),
            customer=f"C-{caller % 500}",
            conversation=f"conv_{caller}",
        )
        for _ in range(count)
    ]


async def throughput(log: Log, callers: int, records: int) -> dict[str, float]:
    """Every caller appends one record after the other; a checkpoint is published each second, as in service.

    The records are made, and the customers known, before the clock starts.
    """
    waits: list[float] = []
    waiting = [records_of(number, records // callers) for number in range(callers)]
    for proposal in waiting:
        await log.keys.key_for(proposal[0].customer, proposal[0].retention)

    async def caller(number: int) -> None:
        for record in waiting[number]:
            begun = time.perf_counter()
            await log.append(record, timeout_ms=10_000)
            waits.append(time.perf_counter() - begun)

    async def publisher() -> None:
        while True:
            await asyncio.sleep(1)
            await log.publish()

    publishing = asyncio.create_task(publisher())
    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    took, worked = time.perf_counter() - begun, time.process_time() - cpu
    publishing.cancel()
    waits.sort()
    return {
        "records_per_s": round(len(waits) / took),
        "us_per_record": round(took / len(waits) * 1e6, 1),
        "cpu_us_per_record": round(worked / len(waits) * 1e6, 1),
        "wait_p50_ms": round(waits[len(waits) // 2] * 1e3, 2),
        "wait_p99_ms": round(waits[int(len(waits) * 0.99)] * 1e3, 2),
    }


def cost_us(act: Callable[[], object], count: int) -> float:
    """Median of `count` runs."""
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        act()
        times.append(time.perf_counter() - begun)
    return round(statistics.median(times) * 1e6, 1)


async def parts(log: Log) -> dict[str, float]:
    """What single steps cost: both ways to the canonical form, validation of bytes, and both signatures."""
    record = records_of(1, 1)[0]
    key = await log.keys.key_for(record.customer, record.retention)
    secrets = leaf.secrets_of(record)
    disclosed = leaf.disclose(secrets, os.urandom(SALT_BYTES * len(secrets)))
    fields = leaf.leaf_fields(record, disclosed, leaf.Frame("bench.example/log", "w1", "pseudonym", "A" * 43))
    made = leaf.canonical(fields)
    return {
        "render_and_seal_us": cost_us(lambda: log._prepare(record, key), 1000),
        "canonical_us": cost_us(lambda: leaf.canonical(fields), 1000),
        "canonical_by_json_us": cost_us(
            lambda: json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(), 1000
        ),
        "validate_us": cost_us(lambda: validate(made), 1000),
        "sign_ed25519_us": cost_us(lambda: log.signers.head.sign(made), 200),
        "sign_mldsa44_us": cost_us(lambda: log.signers.head_pq.sign(made), 100),
    }


async def permits(log: Log, count: int) -> dict[str, float]:
    over = b'{"key":"k1"}'
    entries: list[LogEntry] = [await log.append(an_intent(call_id=f"call_{n}", time=log.now())) for n in range(count)]
    begun = time.perf_counter()
    given = [await log.permit(entry, over) for entry in entries]
    issue = (time.perf_counter() - begun) / count
    verifier, now = log.permit_verifier(), datetime.now(UTC) + timedelta(milliseconds=1)
    begun = time.perf_counter()
    for item in given:
        verifier.verify(item, over, now)
    return {"permit_issue_us": round(issue * 1e6, 1), "permit_verify_us": round((time.perf_counter() - begun) / count * 1e6, 1)}


async def run(callers: int, records: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        log = await fresh(Path(folder) / "log")
        found: dict[str, float] = {"callers": callers, "records": records}
        found |= await throughput(log, callers, records)
        found |= await parts(log)
        alone = records_of(1, 100)
        begun = time.perf_counter()
        for item in alone:
            await log.append(item, timeout_ms=10_000)
        found["one_caller_us"] = round((time.perf_counter() - begun) / len(alone) * 1e6, 1)
        found |= await permits(log, 200)
        begun = time.perf_counter()
        for _ in range(50):
            await log.proof(7)
        found["proof_us"] = round((time.perf_counter() - begun) / 50 * 1e6, 1)
        begun = time.perf_counter()
        await log.publish(force=True)
        found["publish_ms"] = round((time.perf_counter() - begun) * 1e3, 2)
        await bundle(log, Contents(), raw := BytesIO())
        begun = time.perf_counter()
        assert verify.verify(raw.getvalue()).good
        found["verify_us_per_record"] = round((time.perf_counter() - begun) / log.size() * 1e6, 1)
        found["bytes_per_record"] = round((Path(folder) / "log" / "tellergate.sqlite").stat().st_size / log.size())
        await log.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the log.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--callers", type=int, default=128)
    parser.add_argument("--records", type=int, default=12_800)
    given = parser.parse_args()
    if not 0 < given.callers <= given.records <= RECORDS_MOST:
        parser.error(f"0 < callers <= records <= {RECORDS_MOST}")
    found = asyncio.run(run(given.callers, given.records))
    print(json.dumps(found) if given.json else "\n".join(f"{name:22} {value:>12}" for name, value in found.items()))


if __name__ == "__main__":
    main()
