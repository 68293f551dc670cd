"""Precision, recall and speed of the free-text detector, on a corpus that is generated here from the rules of the standards.

    python -m tests.benchmarks.detection [--json] [--each 200]

Precision is over texts: of those in which something was masked, the share that held an identifier. Recall is over identifiers: the
share of which no digit or letter was left readable. The corpus is synthetic: it says nothing about spellings that nobody thought
of. What is spelled exactly like an identifier (a day and a number like a sort code and an account) is masked on purpose, and counts
in `precision_with_ambiguous` only. `recall_of_hard_spellings` is told apart: it holds the known gaps.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[2]))

from gateway.calls.detection import MAX_TEXT_CHARS, findings, masked
from gateway.calls.redaction import cleaned
from tests.support.identifiers import AMBIGUOUS, HARD, IDENTIFIERS, LOOKALIKES, sentence

SEED = 20260317
MEMO = "CARD 4417 GREENFIELD MKT LONDON 24NOV 12.50 REF 0099812 THANK YOU "


def measure(each: int) -> dict[str, object]:
    """One row per kind of identifier and of look-alike, and the totals."""
    random = Random(SEED)
    caught, wrong, missed = {}, {}, []
    for kind, make in IDENTIFIERS.items():
        caught[kind] = 0
        for _ in range(each):
            core = make(random)
            text, start = sentence(random, core)
            covered = {at for it in findings(text) for at in range(it.start, it.end)}
            left = [at for at in range(start, start + len(core)) if at not in covered and _tells(core[at - start])]
            words = core.startswith("account number") and all(text[at].isalpha() for at in left)
            caught[kind] += words or not left
            if left and not words:
                missed.append(text)
    for kind, make in LOOKALIKES.items():
        wrong[kind] = sum(bool(findings(sentence(random, make(random))[0])) for _ in range(each))
    ambiguous = {kind: sum(map(bool, map(findings, (make(random) for _ in range(each))))) for kind, make in AMBIGUOUS.items()}
    hard = {kind: sum(_is_masked(make(random)) for _ in range(each)) / each for kind, make in HARD.items()}
    true, false = sum(caught.values()), sum(wrong.values())
    return {
        "identifiers": each * len(IDENTIFIERS),
        "lookalikes": each * len(LOOKALIKES),
        "recall": round(true / (each * len(IDENTIFIERS)), 4),
        "precision": round(true / (true + false), 4),
        "precision_with_ambiguous": round(true / (true + false + sum(ambiguous.values())), 4),
        "recall_by_kind": {kind: count / each for kind, count in caught.items()},
        "masked_lookalikes": {kind: count / each for kind, count in wrong.items() if count},
        "recall_of_hard_spellings": hard,
        "missed": missed[:5],
        "us_per_kb": round(_us_per_kb(MEMO), 2),
        "us_per_memo": round(_us(MEMO), 2),
        "us_per_kb_with_identifiers": round(_us_per_kb("pay GB29 NWBK 6016 1331 9268 19 or call +44 20 7946 0958 "), 2),
    }


def _is_masked(core: str) -> bool:
    """Whether nothing of it is readable after cleaning and masking."""
    text, _ = masked(cleaned(core, MAX_TEXT_CHARS))
    return not any(letter.isdigit() for letter in text) and text != cleaned(core, MAX_TEXT_CHARS)


def _tells(letter: str) -> bool:
    return letter.isalnum() or letter == "@"


def _us_per_kb(text: str) -> float:
    return _us((text * (1024 // len(text) + 1))[:1024])


def _us(text: str, rounds: int = 400) -> float:
    start = time.perf_counter()
    for _ in range(rounds):
        findings(text)
    return (time.perf_counter() - start) / rounds * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--each", type=int, default=200, help="texts per kind")
    asked = parser.parse_args()
    result = measure(asked.each)
    if asked.json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return
    for name, value in result.items():
        print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
