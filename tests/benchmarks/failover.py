"""What callers see of a failover: two gateways on a cluster of two PostgreSQL servers, 32 callers of payments and reads, a killed primary.

`python -m tests.benchmarks.failover [TIMES]`. After each: the standby is promoted as an operator's tool would, the lost server made anew as
its standby. In the end every acknowledged record must be in the log, and no effect twice. Exits with 1 where one of these does not hold, or
nobody was answered within a minute.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from gateway.app.clock import utc_now
from gateway.app.cores import UnsafeNoPermits
from gateway.app.development.embedded_bank import embedded
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.settings import development
from gateway.app.settings import Settings
from gateway.domain.mandate import Limits
from tests.support.cluster import Cluster, running_cluster
from tests.support.opening import open_gateway
from tests.support.processes import started
from tests.support.teller import Teller, leaves_of, payment, what_does_not_hold

CALLERS = 32
RECOVERS_S = 60
CHOSEN = {"calls_per_minute": 1_000_000, "requests_per_minute": 1_000_000, "duplicate_window_s": 1, "audit_wait_ms": 20_000}


@dataclass
class Seen:
    """What the callers were told: how long each answer took, in seconds; the proofs; how often which status; when each was done."""

    took: list[float] = field(default_factory=list)
    proofs: dict[int, str] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    done_at: list[float] = field(default_factory=list)
    payments: int = 0


async def caller(urls: list[str], number: int, token: str, seen: Seen, over: asyncio.Event) -> None:
    """Payments and reads in turn, each under ids of its own, asked once."""
    async with httpx.AsyncClient(
        base_url=urls[number % len(urls)], headers={"authorization": f"Bearer {token}"}, timeout=60
    ) as http:
        opened = await http.post("/v1/conversations", json={})
        opened.raise_for_status()
        conversation = opened.json()["id"]

        async def call(name: str, arguments: object, native_id: str) -> Any:
            item = {"type": "function_call", "call_id": native_id, "name": name, "arguments": json.dumps(arguments)}
            body = {"shape": "responses", "conversation_id": conversation, "turn_id": "t", "calls": [item]}
            began = time.monotonic()
            answered = await http.post("/v1/function-calls", json=body)
            seen.took.append(time.monotonic() - began)
            if answered.status_code != 200:
                seen.statuses[str(answered.status_code)] += 1
                await asyncio.sleep(0.05)
                return None
            told = answered.json()
            result = told["results"][0]
            seen.statuses[result["status"]] += 1
            if result.get("proof"):
                seen.proofs[result["proof"]["index"]] = result["proof"]["leaf_hash"]
            if result["status"] == "done":
                seen.done_at.append(time.monotonic())
            return {**result, "model": json.loads(told["outputs"][0]["output"])}

        listed = None
        while listed is None or listed["status"] != "done":
            listed = await call("list_accounts", {}, "list")
        accounts = listed["model"]["result"]["accounts"]
        mine = [item["account"] for item in accounts if (item["currency"], item["status"]) == ("GBP", "open")][:2]
        step = 0
        while not over.is_set():
            step += 1
            minor = step * CALLERS + number
            debit, credit = mine if step % 2 else mine[::-1]
            pays = payment(debit, credit, f"{minor // 100}.{minor % 100:02}")
            answer = await call("initiate_transfer", pays, f"p{step}")
            seen.payments += answer is not None and answer["status"] == "done"
            await call("get_account_balance", {"account": mine[0]}, f"r{step}")


async def failovers(cluster: Cluster, seen: Seen, times: int) -> list[float]:
    """Lose the primary, promote its standby, make another: again and again; seconds from each kill to the next answer that was `done`."""
    took = []
    for number in range(times):
        ready = len(seen.done_at) + 4 * CALLERS  # everybody has begun, and goes on
        while len(seen.done_at) < ready:
            await asyncio.sleep(0.05)
        lost_at = time.monotonic()
        await asyncio.to_thread(cluster.lose_primary)
        await asyncio.to_thread(cluster.promote)
        promoted_at = time.monotonic()
        before = len(seen.done_at)
        while len(seen.done_at) == before:
            if time.monotonic() > promoted_at + RECOVERS_S:
                raise TimeoutError(f"failover {number}: nothing is done a minute after it")
            await asyncio.sleep(0.01)
        took.append(seen.done_at[before] - lost_at)
        print(f"failover {number + 1}: promoted after {promoted_at - lost_at:.2f} s, done again after {took[-1]:.2f} s", flush=True)
        await asyncio.to_thread(cluster.follow)
    return took


async def checked(settings: Settings, bank: Path, seen: Seen) -> list[str]:
    """What does not hold in the end."""
    gateway = await open_gateway(settings)
    try:
        await gateway.recovery.sweep(grace=timedelta(0))
        looked_into = embedded(bank / "bank.sqlite", clock=utc_now, permits=UnsafeNoPermits())
        gateway.bank = looked_into.sandbox
        wrong = await what_does_not_hold(gateway)
        leaves = {item.idx: item.hash for item in await leaves_of(gateway)}
        await looked_into.close()
    finally:
        await gateway.close()
    lost = [index for index, leaf_hash in seen.proofs.items() if leaves.get(index, b"").hex() != leaf_hash]
    return [*wrong, *(f"record {index} was acknowledged and is not there" for index in lost)]


async def measured(cluster: Cluster, urls: list[str], settings: Settings, times: int) -> Seen:
    gateway = await open_gateway(settings)
    await Teller(gateway).granting("alice", limits={"GBP": Limits(10**9, 10**9, 10**9, 10**9, 10**6)})
    await gateway.close()
    seen, over = Seen(), asyncio.Event()
    token = LocalIssuer(settings.data).token("alice", agent="assistant", strong=True)
    callers = [asyncio.create_task(caller(urls, number, token, seen, over)) for number in range(CALLERS)]
    took = await failovers(cluster, seen, times)
    over.set()
    await asyncio.gather(*callers)
    answers = sorted(seen.took)
    print(f"{len(took)} failovers; seconds until something was done: p50 {statistics.median(took):.2f}, most {max(took):.2f}")
    print(f"{len(answers)} answers in seconds: p50 {statistics.median(answers):.3f}, most {answers[-1]:.2f}; {dict(seen.statuses)}")
    return seen


def main(times: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="tellergate-failover-"))
    data, bank, token = folder / "data", folder / "bank", folder / "core.token"
    with ExitStack() as stack:
        cluster = stack.enter_context(running_cluster())
        address = cluster.database("bank")
        file = folder / "settings.toml"
        file.write_text("".join(f"{name} = {value}\n" for name, value in CHOSEN.items()))
        core = ("sandbox-bank", "--data", str(bank), "--port", "0", "--credential-file", str(token), "--trust-credential", "--json")
        served = stack.enter_context(ExitStack())
        _, said = served.enter_context(started(*core))
        where = ("--data", str(data), "--database", address, "--core-url", said["url"], "--core-credential-file", str(token))
        serve = ("serve", "--dev", "--config", str(file), *where, "--port", "0", "--json")
        urls = [served.enter_context(started(*serve))[1]["url"] for _ in range(2)]
        chosen: dict[str, Any] = {**CHOSEN, "core_url": said["url"], "core_credential_file": token}
        settings = replace(development(data, database=address), **chosen)
        seen = asyncio.run(measured(cluster, urls, settings, times))
        wrong = asyncio.run(checked(settings, bank, seen))
    print(
        f"{len(seen.proofs)} acknowledged records and {seen.payments} payments looked for; what does not hold: {wrong or 'nothing'}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 20))
