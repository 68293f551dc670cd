"""What a decision costs: `python -m tests.benchmarks.decision [--json] [--rounds N]`. Microseconds of processor, the best of the rounds.

Figures of one process on one core, in four kinds: `remembered` is a decision that the engine made before, of the same request at
another time; `compiled` is decided by the compiled rules; `by Cedar` is decided by Cedar, over entities that it read before; `first
seen` is another customer each time.
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
    deciding, asking = _forgetful(Engine(bank.bundle())), _forgetful(Engine(bank.bundle(), compiled=False))
    for name, request, effect in (
        (f"read, permit at the first rung, {policies} policies", bank.balance(), PolicyEffect.PERMIT),
        ("confirmed payment, permit", bank.transfer(3), PolicyEffect.PERMIT),
        ("payment in a session, challenge at L3", bank.transfer(1), PolicyEffect.CHALLENGE),
        ("payment over its limit, deny", bank.transfer(3, minor=60_000), PolicyEffect.DENY),
    ):
        for kind, one in (("remembered", engine), ("compiled", deciding), ("by Cedar", asking)):
            if kind == "remembered" and "money" in request.context:
                continue  # of an amount nothing is remembered
            if one.decide(request).effect is not effect:
                raise AssertionError(f"{name}: not what it is called")
            figures[f"{name}, {kind}"] = _best(_asking(one, request), rounds)
    figures["reveal two data classes, remembered"] = _best(lambda: engine.reveal(bank_balance, ("basic", "balances")), rounds)
    figures["payment, permit, first seen, by turns"] = _best(_new_payers(deciding), rounds)
    for customers in (1_000, 6_000):
        first, again = _over_customers(customers, rounds)
        figures[f"read, permit, first seen, {customers:,} customers in turn"] = first
        figures[f"read, permit, remembered, {customers:,} customers in turn"] = again
    for more in (100, 1_000):
        figures[f"read, permit, {more:,} policies more for other functions, compiled"] = with_policies(
            more, "cancel_scheduled_payment", rounds
        )
    figures["read, permit, 100 policies more for this function, compiled"] = with_policies(100, "get_account_balance", rounds)
    return figures


bank_balance = bank.balance()


def _forgetful(engine: Engine) -> Engine:
    """The engine without its memory of decisions, so that each is made."""
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
            started = time.thread_time()
            for request in requests:
                engine.decide(request)
            best[turn] = min(best[turn], (time.thread_time() - started) / len(requests))
    return best[0] * 1e6, best[1] * 1e6


def _new_payers(engine: Engine) -> Callable[[], object]:
    """Pays for another customer each time."""
    numbers = iter(range(1_000_000_000))

    def pay() -> object:
        name = f"customer-{next(numbers)}"
        entities = (bank.customer(name), bank.account("current", name), bank.thing("Beneficiary", "dairy", name))
        return engine.decide(replace(bank.transfer(3), principal=Uid("Customer", name), entities=entities))

    return pay


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
        started = time.thread_time()
        for _ in range(CALLS):
            call()
        best = min(best, (time.thread_time() - started) / CALLS)
    return best * 1e6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
