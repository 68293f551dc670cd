"""What a decision costs: `python -m tests.benchmarks.decision [--json] [--rounds N]`. Microseconds, the best of the rounds.

Figures of one process on one core, in three kinds: `remembered` is a decision that the engine made before, of the same request at
another time; `known slice` is decided by Cedar, over entities that the engine saw before; `first seen` is another customer each
time, whose entities it has to read as well.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle

from policies.bundle import RuleFile
from policies.decision_cache import CachedDecision
from policies.engine import Engine
from policies.model import PolicyEffect, Request, Uid
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
            sys.stdout.write(f"{name:68} {figure:8.1f}\n")
    return 0


def measure(rounds: int) -> dict[str, float]:
    """Each figure under its name."""
    engine = Engine(bank.bundle())
    policies = len(engine.policies)
    figures = {}
    asking = _forgetful(Engine(bank.bundle()))
    for name, request, effect in (
        (f"read, permit at the first rung, {policies} policies", bank.balance(), PolicyEffect.PERMIT),
        ("confirmed payment, permit", bank.transfer(3), PolicyEffect.PERMIT),
        ("payment in a session, challenge at L3", bank.transfer(1), PolicyEffect.CHALLENGE),
        ("payment over its limit, deny", bank.transfer(3, minor=60_000), PolicyEffect.DENY),
    ):
        for kind, one in (("remembered", engine), ("known slice", asking)):
            if kind == "remembered" and "money" in request.context:
                continue  # of an amount nothing is remembered
            if one.decide(request).effect is not effect:
                raise AssertionError(f"{name}: not what it is called")
            figures[f"{name}, {kind}"] = _best(_asking(one, request), rounds)
    figures["reveal two data classes, remembered"] = _best(lambda: engine.reveal(bank_balance, ("basic", "balances")), rounds)
    for customers in (1_000, 6_000):
        first, again = _over_customers(customers, rounds)
        figures[f"read, permit, first seen, {customers:,} customers in turn"] = first
        figures[f"read, permit, remembered, {customers:,} customers in turn"] = again
    for more in (100, 1_000):
        figures[f"read, permit, {more:,} policies more for other functions, known slice"] = with_policies(
            more, "cancel_scheduled_payment", rounds
        )
    figures["read, permit, 100 policies more for this function, known slice"] = with_policies(100, "get_account_balance", rounds)
    return figures


bank_balance = bank.balance()


def _forgetful(engine: Engine) -> Engine:
    """The engine without its memory of decisions, so that Cedar is asked each time."""
    engine._memory.place = lambda _key: CachedDecision()  # type: ignore[assignment]
    return engine


def _asking(engine: Engine, request: Request) -> Callable[[], object]:
    """Asks for the same again and again, each time a millisecond later, as the gateway would."""
    moments = [bank.at(f"2026-06-01T12:00:{ms // 1000:02}.{ms % 1000:03}Z") for ms in range(CALLS)]
    later = cycle([replace(request, context={**request.context, "now": moment}) for moment in moments])
    return lambda: engine.decide(next(later))


def _over_customers(customers: int, rounds: int) -> tuple[float, float]:
    """Every call is another customer's: of all for the first time, and of all once more, by a new engine in each round."""
    requests = [_of_customer(number) for number in range(customers)]
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        engine = Engine(bank.bundle())
        for turn in range(2):
            started = time.perf_counter()
            for request in requests:
                engine.decide(request)
            best[turn] = min(best[turn], (time.perf_counter() - started) / len(requests))
    return best[0] * 1e6, best[1] * 1e6


def _of_customer(number: int) -> Request:
    name = f"customer-{number}"
    entities = (bank.customer(name), bank.account("current", name))
    return replace(bank_balance, principal=Uid("Customer", name), entities=entities)


def with_policies(more: int, action: str, rounds: int) -> float:
    """Microseconds of a balance that Cedar decides, beside so many policies more for this action."""
    rules = "".join(
        f'@id("more.{number}") @reason("forbidden") @says("x") forbid (principal, action == Action::"{action}", resource) '
        f'when {{ context.channel == "channel {number}" }};\n'
        for number in range(more)
    )
    engine = _forgetful(Engine(replace(bank.bundle(), rules=(*bank.rule_files(), RuleFile("more.cedar", rules)))))
    return _best(lambda: engine.decide(bank_balance), rounds)


def _best(call: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(CALLS):
            call()
        best = min(best, (time.process_time() - started) / CALLS)
    return best * 1e6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
