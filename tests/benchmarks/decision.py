"""What a decision costs: `python -m tests.benchmarks.decision [--json] [--rounds N]`. Microseconds, the best of the rounds.

Figures of one process on one core. `again` is a slice of entities that the engine saw before, `new customer` one that it did not.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from policies.bundle import RuleFile
from policies.engine import Engine
from policies.model import Effect, Request, Uid
from tests.samples import bank

CALLS = 2_000
BUDGET_US = 48


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="decision")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    wanted = parser.parse_args(arguments)
    figures = measure(wanted.rounds)
    if wanted.json:
        sys.stdout.write(json.dumps({"unit": "us", "budget_us": BUDGET_US, "figures": figures}) + "\n")
    else:
        for name, figure in figures.items():
            sys.stdout.write(f"{name:55} {figure:8.1f}\n")
    return 0


def measure(rounds: int) -> dict[str, float]:
    """Each figure under its name."""
    engine = Engine(bank.bundle())
    policies = len(engine.policies)
    figures = {}
    for name, request, effect in (
        (f"read, permit at the first rung, {policies} policies, again", bank.balance(), Effect.PERMIT),
        ("confirmed payment, permit, again", bank.transfer(3), Effect.PERMIT),
        ("payment in a session, challenge at L3, again", bank.transfer(1), Effect.CHALLENGE),
        ("payment over its limit, deny, again", bank.transfer(3, minor=60_000), Effect.DENY),
    ):
        if engine.decide(request).effect is not effect:
            raise AssertionError(f"{name}: not what it is called")
        figures[name] = _best(lambda request=request: engine.decide(request), rounds)
    figures["reveal two data classes, remembered"] = _best(lambda: engine.reveal(bank_balance, ("basic", "balances")), rounds)
    for customers in (1_000, 100_000):
        figures[f"read, permit, new customer each time of {customers:,}"] = _over_customers(engine, customers, rounds)
    for more in (100, 1_000):
        figures[f"read, permit, {more:,} policies more for other functions, again"] = _with_policies(
            more, "cancel_scheduled_payment", rounds
        )
    figures["read, permit, 100 policies more for this function, again"] = _with_policies(100, "get_account_balance", rounds)
    return figures


bank_balance = bank.balance()


def _over_customers(engine: Engine, customers: int, rounds: int) -> float:
    """Every call is another customer's; beyond the slices that an engine remembers, all are new."""
    requests = [_of_customer(number) for number in range(min(customers, CALLS * 3))]
    best = float("inf")
    for _ in range(rounds):
        fresh = Engine(bank.bundle()) if customers <= CALLS * 3 else engine
        started = time.perf_counter()
        for request in requests:
            fresh.decide(request)
        best = min(best, (time.perf_counter() - started) / len(requests))
    return best * 1e6


def _of_customer(number: int) -> Request:
    name = f"customer-{number}"
    entities = (bank.customer(name), bank.account("current", name))
    return replace(bank_balance, principal=Uid("Customer", name), entities=entities)


def _with_policies(more: int, action: str, rounds: int) -> float:
    rules = "".join(
        f'@id("more.{number}") @reason("forbidden") @says("x") forbid (principal, action == Action::"{action}", resource) '
        f'when {{ context.channel == "channel {number}" }};\n'
        for number in range(more)
    )
    engine = Engine(replace(bank.bundle(), rules=(*bank.rule_files(), RuleFile("more.cedar", rules))))
    return _best(lambda: engine.decide(bank_balance), rounds)


def _best(call: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(CALLS):
            call()
        best = min(best, (time.perf_counter() - started) / CALLS)
    return best * 1e6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
