"""What understanding the customer's words costs: `python -m tests.benchmarks.meaning [--json] [--rounds N]`. Microseconds, the best round.

`read`: one message when it is heard, by its length and what it says, off the way of calls. `ground`: one payment held against what was
heard, by turns and by payees: what a call pays. No figure grows with the age of a conversation: three turns count, 32 messages at most.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial

from adapters.core import Acquaintance, KnownPayee
from gateway.domain.facts import Evidence, Utterances
from gateway.domain.stages import Call
from gateway.grounding import ground
from gateway.grounding.reader import CHARACTERS_MOST, read
from tests.attacks.meant.sentences import Payment, a_call, said

ORDER = "Please pay Anna Schmidt £20 for lunch. "
STORY = "My sister and I had a lovely lunch with Anna yesterday, and it was only twenty pounds for all of us. "
WORST = "pay the my the my my 20 pounds for a b c, and, and pay my my my my. "


def measure(rounds: int) -> dict[str, float]:
    """Each figure under its name."""
    figures = {f"read, {name}": _best(partial(read, text), rounds) for name, text in _texts()}
    for turns in (1, 2, 3):
        call = _call([ORDER] * turns)
        figures[f"ground, {turns} turns, 11 payees"] = _best(partial(ground, call), rounds)
    for count in (100, 1_000):
        known = _with_payees(_call([ORDER]), count)
        figures[f"ground, 1 turn, {count:,} payees"] = _best(partial(ground, known), rounds)
    return figures


def _texts() -> Iterator[tuple[str, str]]:
    for length in (40, 400, CHARACTERS_MOST):
        yield f"orders, {length:,} characters", (ORDER * 200)[:length]
        yield f"a story, {length:,} characters", (STORY * 200)[:length]
    yield f"the worst known, {CHARACTERS_MOST:,} characters", (WORST * 200)[:CHARACTERS_MOST]


def _call(turns: list[str]) -> Call:
    return a_call(said(turns), Payment("Anna Schmidt", Decimal(20)))


def _with_payees(call: Call, count: int) -> Call:
    evidence = call.facts.evidence
    if evidence is None:
        raise ValueError("a call with words")
    more = tuple(KnownPayee(f"ben:x{number}", f"Payee Number{number}", f"0401{number:010}", None) for number in range(count))
    known = Acquaintance(payees=(*evidence.acquaintance.payees, *more))
    heard: Utterances = evidence.heard
    return replace(call, facts=replace(call.facts, evidence=Evidence(heard, known, evidence.accounts)))


def _best(what: Callable[[], object], rounds: int) -> float:
    what()
    best = float("inf")
    for _ in range(rounds):
        begun, count = time.process_time(), 0
        while (spent := time.process_time() - begun) < 0.05:
            what()
            count += 1
        best = min(best, spent / count)
    return round(best * 1e6, 1)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="meaning", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    wanted = parser.parse_args(arguments)
    figures = measure(wanted.rounds)
    if wanted.json:
        sys.stdout.write(json.dumps({"unit": "us", "figures": figures}) + "\n")
    else:
        sys.stdout.write("".join(f"{name:50} {figure:10.1f}\n" for name, figure in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
