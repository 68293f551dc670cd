"""What a core behind HTTP costs, beside the embedded one, in one run.

    python -m tests.benchmarks.remote [--json] [--rounds N] [--seconds S]

Two gateways in this process, each asked as a door asks it: one over the embedded sandbox bank, one over the same bank in a process of its
own (`tellergate sandbox-bank`, which verifies permits). Rounds take turns; a ratio is the median of the ratios of the rounds. The lines
after those are the processor time of this process for one question at the port alone, what the HTTP client costs the gateway, and for the
parts of an exchange: writing a question, reading its answer, a permit as it is sent, and its verification, which is the bank's. Bounded
in count and time; asserts nothing about time.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from adapters.core import Balance, Identified, Instruction, Money, ReferenceKind, Transfer
from adapters.cores.remote import wire
from audit.permits import LogPermitVerifier
from gateway.app.clock import utc_now
from gateway.app.cores import CorePermits, UnsafeNoPermits
from gateway.app.development.customers import grant
from gateway.app.development.embedded_bank import embedded
from gateway.app.development.settings import development
from gateway.app.gateway import Gateway
from gateway.domain.request import CallRequest, NativeCall, Trace
from tests.support.banks import real_permit
from tests.support.keys import mandate_signer, references_of
from tests.support.opening import open_gateway
from tests.support.processes import permits_of, start
from tests.support.teller import payment, principal

CUSTOMERS = 400
ASKED_AT_ONCE = (1, 32)
QUESTIONS = 2000
ACCOUNT = Identified(ReferenceKind.ACCOUNT, "acc_1")


@dataclass(frozen=True)
class Customer:
    name: str
    conversation: str
    account: str
    debit: str
    credit: str


Figures = dict[str, dict[str, float]]


def main() -> int:
    return command(__doc__, run, show, seconds=1.0)


def command(
    about: str | None,
    run: Callable[[Path, int, float], Coroutine[object, object, Figures]],
    show: Callable[[Figures], None],
    *,
    seconds: float,
) -> int:
    """Measure in a folder of its own, in rounds of so many seconds unless the command says otherwise, and print it."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=seconds, help="of each run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = uvloop.run(run(Path(folder), options.rounds, options.seconds))
    if options.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0


async def run(folder: Path, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    here, there = folder / "embedded", folder / "remote"
    names = await seeded(here)
    await seeded(there)
    token = folder / "core.token"
    trust = await asyncio.to_thread(permits_of, there)
    command = ("sandbox-bank", "--data", str(there), "--port", "0", "--credential-file", str(token), "--permit-key", str(trust))
    process, said = start(*command, "--json")
    try:
        own = replace(development(here), audit_wait_ms=20_000)  # a busy disk is no finding
        remote = replace(development(there), audit_wait_ms=20_000, core_url=said["url"], core_credential_file=token)
        gateways = {"embedded": await open_gateway(own), "remote": await open_gateway(remote)}
        found = await measured(gateways, names, rounds, seconds)
        for gateway in gateways.values():
            await gateway.close()
    finally:
        process.terminate()
        process.wait(20)
    return found


async def seeded(data: Path) -> list[str]:
    """The bank of this folder with its customers of the load."""
    data.mkdir(mode=0o700)
    core = embedded(data / "bank.sqlite", clock=utc_now, permits=UnsafeNoPermits())
    assert core.sandbox is not None
    names = core.sandbox.seed_load(CUSTOMERS)
    await core.close()
    return names


async def measured(gateways: dict[str, Gateway], names: list[str], rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    customers = {which: [await known(gateway, name) for name in names] for which, gateway in gateways.items()}
    numbers = count(100)
    taken: dict[tuple[str, str, int], list[float]] = {}
    for number in range(rounds + 1):
        for function in ("get_account_balance", "initiate_transfer"):
            for callers in ASKED_AT_ONCE:
                for which, gateway in gateways.items():
                    made = partial_call(gateway, customers[which], function, numbers)
                    us = await load(made, callers, seconds if number else 0.2)
                    if number:  # the first round warms up
                        taken.setdefault((which, function, callers), []).append(us)
    found: dict[str, dict[str, float]] = {}
    for function in ("get_account_balance", "initiate_transfer"):
        for callers in ASKED_AT_ONCE:
            pairs = list(zip(taken["remote", function, callers], taken["embedded", function, callers], strict=True))
            found[f"{function}, {callers} callers"] = {
                "embedded_us": round(statistics.median(one for _, one in pairs)),
                "remote_us": round(statistics.median(one for one, _ in pairs)),
                "ratio": round(statistics.median(one / base for one, base in pairs), 2),
            }
    for callers in ASKED_AT_ONCE:
        found[f"one question at the port, {callers} callers"] = {
            which: us for which, gateway in gateways.items() for us in [await question(gateway, customers[which][0], callers)]
        }
    return {**found, **parts()}


def parts() -> dict[str, dict[str, float]]:
    """Microseconds of processor for what an exchange consists of beside the network."""
    key, now, number = Ed25519PrivateKey.generate(), utc_now(), "0" * 32
    told = Instruction("key-1", "alice", "agent", Transfer(ACCOUNT, ACCOUNT, Money(1250, "GBP"), "rent"))
    balance, answer = wire.QUESTIONS["balance"], Balance("acc_1", "ITAV", Money(1250, "GBP"), now)
    frame = wire.answered(number, None, balance.answer.encode(answer))
    permit, verifier = real_permit(key, told.canonical(), now + timedelta(seconds=60)), CorePermits(permits_verifier(key))
    done = {
        "a question is written": lambda: balance.request(("acc_1", "ITAV"), {}),
        "its answer is read": lambda: balance.answer.decode(wire.read_frame(frame, number, None)),
        "an instruction and its permit are written": lambda: (told.canonical(), permit.encode()),
        "a permit is verified, by the bank": lambda: verifier.verify(permit, told.canonical(), now),
    }
    return {name: {"remote": microseconds(part)} for name, part in done.items()}


def permits_verifier(key: Ed25519PrivateKey) -> LogPermitVerifier:
    return LogPermitVerifier(lambda: [key.public_key().public_bytes_raw()], "tests.invalid/log")


def microseconds(part: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(QUESTIONS):
        part()
    return round((time.process_time() - began) * 1e6 / QUESTIONS, 1)


async def known(gateway: Gateway, name: str) -> Customer:
    """A mandate, a conversation, references, and a first balance: a data key and a pseudonym in the trail."""
    key = mandate_signer(gateway.settings.data)
    references = references_of(gateway.settings.data)
    now = utc_now()
    await grant(gateway.book, gateway.core, key, name, now)
    conversation = await gateway.book.open_conversation(name, now)
    accounts = [account.id for account in await gateway.core.accounts(name)]
    named = [references.issue(name, conversation, Identified(ReferenceKind.ACCOUNT, account), now.date()) for account in accounts]
    customer = Customer(name, conversation, accounts[0], named[0], named[1])
    await ask(gateway, customer, "get_account_balance", {"account": named[0]}, "first")
    return customer


def partial_call(
    gateway: Gateway, customers: list[Customer], function: str, numbers: "count[int]"
) -> Callable[[], Awaitable[None]]:
    """One more call of this function, by the next customer; no customer repeats an amount."""

    async def made() -> None:
        number = next(numbers)
        customer = customers[number % len(customers)]
        minor = 1 + number // len(customers) % 5000
        arguments: dict[str, object] = {"account": customer.debit}
        if function == "initiate_transfer":
            arguments = payment(customer.debit, customer.credit, f"{minor // 100}.{minor % 100:02d}")
        await ask(gateway, customer, function, arguments, f"n{number}")

    return made


async def ask(gateway: Gateway, customer: Customer, function: str, arguments: dict[str, object], native_id: str) -> None:
    native = NativeCall(native_id, function, json.dumps(arguments))
    asked = CallRequest("responses", customer.conversation, "turn", None, (native,), Trace("0" * 31 + "1"))
    (answered,) = await gateway.pipeline.take(principal(customer.name), asked)
    if answered.status != "done":
        raise RuntimeError(f"the load cannot go on: {answered.code} {answered.reason}")


async def load(made: Callable[[], Awaitable[None]], callers: int, seconds: float) -> float:
    """Microseconds of each call, over the whole."""
    began = time.perf_counter()
    ends_at = began + seconds

    async def caller() -> int:
        answered = 0
        while time.perf_counter() < ends_at:
            await made()
            answered += 1
        return answered

    answered = sum(await asyncio.gather(*(caller() for _ in range(callers))))
    return (time.perf_counter() - began) * 1e6 / answered


async def question(gateway: Gateway, customer: Customer, callers: int) -> float:
    """Microseconds of this process's processor for one balance at the port."""

    async def caller() -> None:
        for _ in range(QUESTIONS // callers):
            await gateway.core.balance(customer.account, "ITAV")

    await caller()
    began = time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return round((time.process_time() - began) * 1e6 / (QUESTIONS // callers * callers))


def show(found: dict[str, dict[str, float]]) -> None:
    table = Table("what", "embedded us", "over HTTP us", "times")
    for name, match in found.items():
        embedded_us, remote_us = match.get("embedded_us", match.get("embedded", 0)), match.get("remote_us", match.get("remote", 0))
        table.add_row(name, str(embedded_us), str(remote_us), str(match.get("ratio", "")))
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
