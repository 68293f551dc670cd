"""A long trail: how fast it is written, exported, verified and asked. It only prints: machines differ, and no test asserts a time.

python -m tests.benchmarks.trail [--json] [--records 100000] [--folder FOLDER]

`--folder` keeps the log, and goes on with one that is there already.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from audit import verify
from audit.catching_up import catch_up
from audit.census import census_of
from audit.export import export, trust_policy
from audit.leaf import Committed, EndState, Policy, Record, RecordKind
from audit.log import Log
from audit.query import Query, Why, page
from audit.terms import CallOutcome
from audit.verification import StoreVerifier
from gateway.app.databases import DatabaseLocations, open_log
from tests.trail import RULES_HASH, a_record, an_end, an_intent

RECORDS_MOST = 10_000_000
AT_ONCE = 1024
CENSUS_EACH = 10_000
ASKED = 30
WHY = Why(auditor="auditor", purpose="benchmark", case_id="1")

Figures = dict[str, Any]


def say(what: str, done: int, all_of: int) -> None:
    """Progress, for people who wait."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}: {done:,} of {all_of:,}\n")
    sys.stderr.flush()


def records_of(start: int, count: int, begun: datetime) -> list[Record]:
    """Reads, refusals and intents, of 20,000 customers, a conversation for each ten records, one record a tenth of a second."""
    made = []
    for number in range(start, start + count):
        policy = Policy(
            bundle_hash=RULES_HASH,
            bundle_version="7",
            decision="permit" if number % 9 else "deny",
            policies=("owner-reads", f"rule-{number % 40}"),
            reason="owner",
        )
        changes: dict[str, Any] = {
            "call_id": f"call_{number:012d}",
            "customer": f"C-{number // 10 % 20_000}",
            "conversation": f"conv_{number // 10}",
            "trace_id": f"{number:032x}",
            "time": begun + timedelta(milliseconds=100 * number),
            "policy": policy,
            "agent": f"agent-{number % 7}",
            "arguments": {"amount": Committed({"value": str(number % 1000), "currency": "EUR"})},
        }
        if number % 20 == 0:
            made.append(an_intent(**changes))
        elif number % 90 == 9:
            facts = {"code": "confirmation_required", "confirmation": f"cnf_{number}"}
            made.append(a_record(**changes, kind=RecordKind.DENY, result={}, facts=facts))
        elif number % 9:
            made.append(a_record(**changes))
        else:
            made.append(a_record(**changes, kind=RecordKind.DENY, result={}))
    return made


async def write(log: Log, records: int, begun: datetime) -> None:
    """Groups of calls at once, each intent ended in the next group; a checkpoint for each second of the log's own time at most."""
    facts = {"bundle": RULES_HASH, "version": "7", "author": "benchmark"}
    done = log.size()
    if not done:
        await log.append(Record(kind=RecordKind.POLICY_ACTIVATE, time=begun, facts=facts))
        done = 1
    told = counted = done
    while done < records:
        group = records_of(done, min(AT_ONCE, records - done), begun)
        entries = await asyncio.gather(*(log.append(record, timeout_ms=60_000) for record in group))
        ends = [
            an_end(
                entry.index,
                entry.leaf_hash,
                call_id=record.call_id,
                time=record.time,
                policy=None,
                customer=record.customer,
                function=record.function,
            )
            for record, entry in zip(group, entries, strict=True)
            if record.kind is RecordKind.INTENT
        ]
        await asyncio.gather(*(log.append(record, timeout_ms=60_000) for record in ends))
        done += len(group) + len(ends)
        if done - counted >= CENSUS_EACH:
            counted = done
            await log.append(Record(kind=RecordKind.CENSUS, time=group[-1].time, facts=(await census_of(log)).facts()))
        if done - told >= 50_000:
            await log.publish()
            say("written", done, records)
            told = done


def questions(size: int, begun: datetime) -> dict[str, Callable[[random.Random], Query]]:
    """One of each filter, as an auditor asks it."""

    def around(dice: random.Random) -> datetime:
        return begun + timedelta(milliseconds=100 * dice.randrange(size))

    return {
        "time": lambda dice: Query(since=(at := around(dice)), until=at + timedelta(minutes=1)),
        "time, nothing": lambda _: Query(since=begun - timedelta(days=2), until=begun - timedelta(days=1)),
        "customer": lambda dice: Query(customer=f"C-{dice.randrange(min(20_000, size // 10))}"),
        "call": lambda dice: Query(call_id=f"call_{dice.randrange(size):012d}"),
        "conversation": lambda dice: Query(conversation=f"conv_{dice.randrange(size // 10)}"),
        "trace": lambda dice: Query(trace_id=f"{dice.randrange(size):032x}"),
        "function": lambda _: Query(function="initiate_transfer"),
        "function, nothing": lambda _: Query(function="freeze_card"),
        "end state": lambda _: Query(end_state=EndState.EXECUTED.value),
        "end state, nothing": lambda _: Query(end_state=EndState.OUTCOME_UNKNOWN.value),
        "policy": lambda dice: Query(policy=f"rule-{dice.randrange(40)}"),
        "policy, nothing": lambda _: Query(policy="never"),
        "decision": lambda _: Query(decision="deny"),
        "kind": lambda _: Query(kinds=(RecordKind.INTENT,)),
        "bundle": lambda _: Query(bundle_hash=RULES_HASH),
        "function and time": lambda dice: Query(function="initiate_transfer", since=around(dice)),
        "policy and decision": lambda dice: Query(policy=f"rule-{dice.randrange(40)}", decision="deny"),
        "agent": lambda dice: Query(agent=f"agent-{dice.randrange(7)}"),
        "reason": lambda _: Query(reason="confirmation_required"),
        "outcome": lambda _: Query(outcomes=(CallOutcome.EXECUTED,)),
        "outcome, held": lambda _: Query(outcomes=(CallOutcome.HELD,)),
        "outcome, nothing": lambda _: Query(outcomes=(CallOutcome.DECLINED,)),
        "outcome and function": lambda _: Query(function="initiate_transfer", outcomes=(CallOutcome.EXECUTED,)),
        "outcome and time": lambda dice: Query(
            outcomes=(CallOutcome.REFUSED,), since=(at := around(dice)), until=at + timedelta(hours=1)
        ),
        "outcome of a customer": lambda dice: Query(customer=f"C-{dice.randrange(20)}", outcomes=(CallOutcome.EXECUTED,)),
        "amount (1,000 opened)": lambda dice: Query(function="initiate_transfer", amount=">5000", since=around(dice)),
        "function and end state": lambda _: Query(function="initiate_transfer", end_state=EndState.EXECUTED.value),
    }


async def ask(log: Log, begun: datetime) -> Figures:
    dice, found = random.Random(7), {}
    for name, question in questions(log.size(), begun).items():
        waits = []
        for _ in range(ASKED):
            start = time.perf_counter()
            await page(log, question(dice), WHY, limit=50)
            waits.append((time.perf_counter() - start) * 1e3)
        waits.sort()
        found[name] = {"p50_ms": round(waits[ASKED // 2], 1), "p95_ms": round(waits[int(ASKED * 0.95)], 1)}
    return found


async def verified_in_the_background(log: Log) -> Figures:
    """A whole round of the background verification without its pauses, and the longest of its steps."""
    verifier, longest_s, start = StoreVerifier(log), 0.0, time.perf_counter()
    while verifier.known is None or verifier.known.last is None:
        begun = time.perf_counter()
        if found := await verifier.step():
            raise RuntimeError(f"not good: {found[:3]}")
        longest_s = max(longest_s, time.perf_counter() - begun)
    return {
        "background_per_s": round(verifier.known.last.size / (time.perf_counter() - start)),
        "background_step_most_ms": round(longest_s * 1e3),
    }


def verified(bundle: Path, trust: bytes, results: "multiprocessing.Queue[Figures]") -> None:
    """In a process of its own, so that its peak is the verifier's alone."""
    start, last = time.perf_counter(), [0]

    def told(done: int, all_of: int) -> None:
        if done - last[0] >= 50_000:
            say("verified", done, all_of)
            last[0] = done

    report = verify.verify(bundle, trust=trust, told=told)
    took = time.perf_counter() - start
    if not report.good:
        raise RuntimeError(f"not good: {report.findings[:3]}")
    # Not `ru_maxrss`, which a process has from the one that started it
    peak = int(re.findall(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[0])
    records = int(str(report.facts["records"]))
    results.put({"verify_per_s": round(records / took), "verify_peak_mib": peak // 1024})


async def run(folder: Path, records: int) -> Figures:
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(milliseconds=100 * records)
    log = await open_log(DatabaseLocations(folder), writer_id="w1", clock=lambda: datetime.now(UTC), origin="bench.example/log")
    first = await log.read(lambda reads: reads.leaf(0))
    if first is not None:
        begun = datetime.fromisoformat(json.loads(first.leaf)["time"])
    found: Figures = {"records": records}
    if log.size() < records:
        start = time.perf_counter()
        await write(log, records, begun)
        found["write_per_s"] = round(log.size() / (time.perf_counter() - start))
    start = time.perf_counter()
    indexed = await catch_up(log)
    found["index_per_s"] = round(indexed / (time.perf_counter() - start)) if indexed else None
    found["bytes_per_record"] = round((folder / "tellergate.sqlite").stat().st_size / log.size())
    say("indexed", log.size(), records)
    found["queries"] = await ask(log, begun)
    sys.stderr.write(f"{json.dumps(found['queries'])}\n")  # what follows takes long
    start, bundle = time.perf_counter(), folder / "bundle.zip"
    with bundle.open("wb") as file:
        exported = await export(log, WHY, file)
    found |= {"export_per_s": round(exported.records / (time.perf_counter() - start)), "bundle_bytes": exported.size}
    say("exported", exported.records, records)
    found["export_peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    found |= await verified_in_the_background(log)
    trust = trust_policy(log)
    await log.close()
    processes = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[Figures] = processes.Queue()
    process = processes.Process(target=verified, args=(bundle, trust, results))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError("the verifier failed")
    return found | results.get()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a long trail.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep the log here")
    given = parser.parse_args()
    if not AT_ONCE <= given.records <= RECORDS_MOST:
        parser.error(f"{AT_ONCE} <= records <= {RECORDS_MOST}")
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(run(given.folder or Path(folder), given.records))
    if given.json:
        print(json.dumps(found))
        return
    queries = found.pop("queries")
    print("\n".join(f"{name:24} {value!s:>14}" for name, value in found.items()))
    print("\n".join(f"{name:24} p50 {item['p50_ms']:>8} ms   p95 {item['p95_ms']:>8} ms" for name, item in queries.items()))


if __name__ == "__main__":
    main()
