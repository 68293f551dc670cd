"""Several processes on one PostgreSQL and one core behind HTTP: `tellergate serve --workers 4` with a `sandbox-bank`, asked over HTTP.

Limits are exact, duplicates are one, the trail is one gapless sequence, whichever process takes which request, and whichever is killed.
"""

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app.clock import utc_now
from gateway.app.cores import UnsafeNoPermits
from gateway.app.development.embedded_bank import embedded
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.settings import development
from gateway.app.gateway import Gateway
from gateway.app.settings import Settings
from gateway.domain.kill_switch import Scope
from gateway.domain.mandate import Limits
from gateway.domain.request import core_key
from tests.support.databases import postgresql
from tests.support.forks import Forked
from tests.support.opening import open_gateway
from tests.support.options import long_or
from tests.support.processes import started
from tests.support.teller import Teller, executed_keys, leaves_of, payment, what_does_not_hold
from tests.support.waiting import WAITS_S, wait_until

pytestmark = pytest.mark.long

WORKERS = long_or(4, 2)
CALLERS = 12
KILLS = long_or(12, 2)


@dataclass
class Several:
    """The running processes, and what a client needs."""

    settings: Settings
    url: str
    process: Forked
    bank_folder: Path
    stop_bank: Any
    told: list[dict[str, Any]] = field(default_factory=list)

    def token(self) -> str:
        return LocalIssuer(self.settings.data).token("alice", agent="assistant", strong=True)

    def workers(self) -> list[int]:
        """Process ids of the workers that are there now."""
        parent = self.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [int(child) for child in children if is_there(int(child))]


def is_there(process: int) -> bool:
    """Whether it runs: not one that has ended and only waits for its status to be asked for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Several]:
    data, bank_folder, token = tmp_path / "data", tmp_path / "bank", tmp_path / "core.token"
    database = postgresql(data)
    bank = (
        "sandbox-bank",
        "--data",
        str(bank_folder),
        "--port",
        "0",
        "--credential-file",
        str(token),
        "--trust-credential",
        "--json",
    )
    with ExitStack() as stack:
        served = stack.enter_context(ExitStack())
        _, said = served.enter_context(started(*bank))
        chosen: dict[str, Any] = {
            "calls_per_minute": 1_000_000,
            "duplicate_window_s": 1,
            "audit_wait_ms": 20_000,
            "core_question_ms": 20_000,
        }
        chosen |= {"core_instruction_ms": 20_000}
        file = tmp_path / "settings.toml"
        file.write_text("".join(f"{name} = {value}\n" for name, value in chosen.items()))
        where = ("--data", str(data), "--database", database, "--core-url", said["url"], "--core-credential-file", str(token))
        serve = ("serve", "--dev", "--config", str(file), *where, "--workers", str(WORKERS), "--port", "0", "--json")
        process, told = stack.enter_context(started(*serve))
        settings = replace(development(data, database=database), core_url=said["url"], core_credential_file=token, **chosen)
        yield Several(settings, told["url"], process, bank_folder, served.close)


@asynccontextmanager
async def beside(several: Several) -> AsyncIterator[Gateway]:
    """One more process on the same database: this one."""
    gateway = await open_gateway(several.settings)
    try:
        yield gateway
    finally:
        await gateway.close()


async def call(several: Several, http: httpx.AsyncClient, conversation: str, name: str, arguments: object, **ids: str) -> Any:
    """One function call over a connection of its own; the result with what the model reads, or None where no answer came."""
    item = {"type": "function_call", "call_id": ids.get("native_id", "n"), "name": name, "arguments": json.dumps(arguments)}
    body = {"shape": "responses", "conversation_id": conversation, "turn_id": ids.get("turn", "t"), "calls": [item]}
    try:
        answered = await http.post("/v1/function-calls", json=body, headers={"connection": "close"})
    except httpx.TransportError:
        return None
    if answered.status_code != 200:
        return None
    told = answered.json()
    result = {**told["results"][0], "model": json.loads(told["outputs"][0]["output"])}
    several.told.append(result)
    return result


async def answered_call(several: Several, http: httpx.AsyncClient, conversation: str, arguments: object, native_id: str) -> Any:
    """A transfer, asked again with the same ids while the answer is that nothing happened: four processes and their database on two
    cores may take longer than a second for an answer that counts for a second.
    """
    for _ in range(50):
        told = await call(several, http, conversation, "initiate_transfer", arguments, native_id=native_id)
        if told is not None and told["status"] != "unavailable":
            return told
    raise AssertionError("no answer in fifty tries")


async def conversation_of(several: Several, http: httpx.AsyncClient) -> tuple[str, list[str]]:
    """A new conversation, with its own references to the same two accounts."""
    while True:
        try:
            opened = await http.post("/v1/conversations", json={}, headers={"connection": "close"})
        except httpx.TransportError:
            continue
        listed = await call(several, http, opened.json()["id"], "list_accounts", {}) if opened.status_code == 200 else None
        if listed is not None and listed["status"] == "done":
            accounts = listed["model"]["result"]["accounts"]
            mine = [account["account"] for account in accounts if (account["currency"], account["status"]) == ("GBP", "open")]
            return opened.json()["id"], mine[:2]


def client(several: Several) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=several.url, headers={"authorization": f"Bearer {several.token()}"}, timeout=WAITS_S)


async def the_end(several: Several) -> list[str]:
    """What does not hold once recovery has run; the bank is looked into after its process has ended."""
    async with beside(several) as gateway:
        swept = await gateway.recovery.sweep(grace=timedelta(0))
        assert swept.unknown == 0
        several.stop_bank()
        looked_into = embedded(several.bank_folder / "bank.sqlite", clock=utc_now, permits=UnsafeNoPermits())
        gateway.bank = looked_into.sandbox
        wrong = await what_does_not_hold(gateway)
        done = set(executed_keys(gateway))
        wrong += [
            f"{answer['call_id']}: told {answer['status']}"
            for answer in several.told
            if answer["status"] in ("done", "denied", "unavailable") and "payment" in answer["model"].get("result", {})
            if (core_key(answer["call_id"]) in done) != (answer["status"] == "done")
        ]
        await looked_into.close()
    return wrong


async def test_limits_duplicates_and_sequences_over_four_processes(several: Several) -> None:
    async with beside(several) as gateway:
        await Teller(gateway).granting("alice", limits={"GBP": Limits(10_000, 10_000, 10_000, 10_000, 1000)})
    async with client(several) as http:
        made = await asyncio.gather(*(conversation_of(several, http) for _ in range(25)))
        transfers = (
            answered_call(several, http, conversation, payment(accounts[0], accounts[1], f"{1 + number / 100:.2f}"), f"n{number}")
            for number, (conversation, accounts) in enumerate(made * 4, 1)
        )
        answered = await asyncio.gather(*transfers)
        assert Counter(item["code"] for item in answered).keys() == {None, "limit_exceeded"}
        spent = sum(100 + number for number, item in enumerate(answered, 1) if item["status"] == "done")
        assert spent <= 10_000
        left = [100 + number for number, item in enumerate(answered, 1) if item["status"] != "done"]
        assert all(spent + minor > 10_000 for minor in left), "what would have fitted was let through"
        conversation, accounts = made[0]
        async with beside(several) as gateway:
            await Teller(gateway).granting("alice", limits={"GBP": Limits(10**7, 10**7, 10**7, 10**7, 10**4)})
        wanted = payment(accounts[0], accounts[1], "77.01")
        copies = [answered_call(several, http, conversation, wanted, "the-one") for _ in range(50)]
        same = await asyncio.gather(*copies)
        done = [item for item in same if item["status"] == "done"]
        assert len({item["call_id"] for item in same}) == 1
        assert {item["status"] for item in same} <= {"done", "in_doubt"}, "a copy that came too early hears that it is under way"
        assert len({json.dumps(effect["model"]) for effect in done}) == 1
        again = await call(several, http, conversation, "initiate_transfer", wanted, native_id="the-one")
        assert (again["status"], again["call_id"]) == ("done", same[0]["call_id"])
    assert await the_end(several) == []
    async with beside(several) as gateway:
        writers = Counter(
            json.loads(leaf.leaf)["writer"]
            for leaf in await gateway.log.read(lambda reads: list(reads.leaves(0, gateway.log.size())))
        )
    assert len([count for count in writers.values() if count > 5]) >= 2, "several processes wrote this trail"


async def test_any_of_four_processes_may_be_killed_at_any_time(several: Several) -> None:
    chance, is_over = random.Random(20261124), asyncio.Event()
    async with beside(several) as gateway:
        await Teller(gateway).granting("alice", limits={"GBP": Limits(10**9, 10**9, 10**9, 10**9, 10**6)})

    async def caller(http: httpx.AsyncClient, number: int) -> None:
        conversation, accounts = await conversation_of(several, http)
        step = 0
        while not is_over.is_set():
            step += 1
            minor = step * CALLERS + number
            debit, credit = accounts if step % 2 else accounts[::-1]
            wanted = payment(debit, credit, f"{minor // 100}.{minor % 100:02d}")
            ids = {"native_id": f"n{step}", "turn": f"t{number}"}
            for _ in range(3):  # whoever got no answer asks again with the same ids
                if await call(several, http, conversation, "initiate_transfer", wanted, **ids) is not None:
                    break
                await asyncio.sleep(0.05)

    def more(count: int) -> Any:
        before = len(several.told)
        return lambda: sum(answer["status"] == "done" for answer in several.told[before:]) >= count

    async with client(several) as http:
        callers = [asyncio.create_task(caller(http, number)) for number in range(CALLERS)]
        killed = 0
        while killed < KILLS:
            await wait_until(more(8))
            await asyncio.sleep(chance.uniform(0, 0.1))
            there = several.workers()
            if len(there) > 1:  # somebody must be left to go on
                os.kill(chance.choice(there), signal.SIGKILL)
                killed += 1
        await wait_until(more(20))
        is_over.set()
        await asyncio.gather(*callers)
    assert await the_end(several) == []


async def test_a_kill_switch_counts_in_all_processes_and_workers_end_with_who_started_them(several: Several) -> None:
    """Two promises, one start of everything."""
    await wait_until(lambda: len(several.workers()) == WORKERS)
    workers = several.workers()
    async with beside(several) as gateway, client(several) as http:
        conversation, accounts = await conversation_of(several, http)

        async def answers(turn: str) -> set[str]:
            """Of many connections at once, which the workers share."""
            asked = (payment(accounts[0], accounts[1], f"{len(turn)}.{number:02}") for number in range(16))
            calls = [
                call(several, http, conversation, "initiate_transfer", question, native_id=f"n{number}", turn=turn)
                for number, question in enumerate(asked)
            ]
            return {told["status"] for told in await asyncio.gather(*calls) if told is not None}

        assert await answers("before") == {"done"}
        switch = (await gateway.kill_switches.engage(Scope.AGENT, "assistant", "a test", "officer-1")).switch
        assert await answers("engaged") == {"denied"}, "in every worker, with the very next call"
        for officer in ("officer-1", "officer-2"):
            assert await answers(officer) == {"denied"}
            await gateway.kill_switches.lift(switch.id, "over", officer)
        assert await answers("after") == {"done"}
    assert await the_end(several) == []
    several.process.kill()
    await wait_until(lambda: not any(map(is_there, workers)))


async def test_a_signal_to_all_of_the_processes_at_once_ends_each_of_them_in_order(several: Several) -> None:
    """As a service's supervisor sends it: to the workers as well as to the process that keeps them, which asks them once more."""
    async with client(several) as http:
        conversation, accounts = await conversation_of(several, http)
        await wait_until(lambda: len(several.workers()) == WORKERS)
        asked = (
            call(
                several,
                http,
                conversation,
                "initiate_transfer",
                payment(accounts[0], accounts[1], f"1.{number:02}"),
                native_id=f"n{number}",
            )
            for number in range(16)
        )
        calls = [asyncio.create_task(item) for item in asked]
        await wait_until(lambda: len(several.told) > 2)  # the list of accounts, and some of the transfers
        os.killpg(several.process.pid, signal.SIGTERM)
        await asyncio.gather(*calls)
    assert await asyncio.to_thread(several.process.wait, 60) == 0
    async with beside(several) as gateway:
        kinds = Counter(json.loads(leaf.leaf)["kind"] for leaf in await leaves_of(gateway))
        opened = 1 + WORKERS  # the first makes tables and keys before there are workers
        assert kinds["log.stop"] == opened, "each of them said that it stopped"
    assert await the_end(several) == []
