"""Precision, recall and speed of the detectors of identifiers, on a corpus that is generated here from the rules of the standards.

    python -m tests.benchmarks.detection [--json] [--each 200]

Precision is over texts: of those in which something was masked, the share that held an identifier. Recall is over identifiers: the
share of which no digit or letter was left readable. The corpus is synthetic: it says nothing about spellings that nobody thought
of. What is spelled exactly like an identifier (a day and a number like a sort code and an account) is masked on purpose, and counts
in `precision_with_ambiguous` only. `recall_of_hard_spellings` is told apart: it holds the known gaps.

`shapes`: statements of twelve locales as lists, tables, CSV, JSON and sentences, on both paths (`memo`: to the model; `answer`: to the
customer), each without an identifier, and with one of each kind in a description. Precision is over texts as above.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[2]))

from gateway.calls.detection import MAX_TEXT_CHARS, DetectedKind, findings, masked
from gateway.calls.redaction import cleaned
from gateway.runs.outgoing import REMOVED, OutgoingFilter
from tests.support.identifiers import AMBIGUOUS, HARD, IDENTIFIERS, LOOKALIKES, sentence
from tests.support.statements import LOCALES, SHAPES, rows

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
        "shapes": {name: _of_shape(name, max(1, each // 50)) for name in SHAPES},
        "missed": missed[:5],
        "us_per_kb": round(_us_per_kb(MEMO), 2),
        "us_per_memo": round(_us(MEMO), 2),
        "us_per_kb_of_statements": {name: round(_us_per_kb(_statement(name)), 1) for name in SHAPES},
        "us_per_kb_of_answers": {name: round(_us_per_kb(_statement(name), answered, 20), 1) for name in SHAPES},
        "us_per_kb_with_identifiers": round(_us_per_kb("pay GB29 NWBK 6016 1331 9268 19 or call +44 20 7946 0958 "), 2),
    }


def _is_masked(core: str) -> bool:
    """Whether nothing of it is readable after cleaning and masking."""
    text, _ = masked(cleaned(core, MAX_TEXT_CHARS))
    return not any(letter.isdigit() for letter in text) and text != cleaned(core, MAX_TEXT_CHARS)


def _tells(letter: str) -> bool:
    return letter.isalnum() or letter == "@"


def _of_shape(name: str, each: int) -> dict[str, float]:
    """Precision and recall of both paths."""
    random = Random(name)
    told: dict[str, float] = {}
    for path, said in PATHS.items():
        wrong = caught = planted = 0
        for locale in LOCALES.values():
            for count in range(each):
                wrong += is_masked(said(SHAPES[name](locale, rows(random, locale, 2 + count % 8))))
                for make in IDENTIFIERS.values():
                    core = make(random)
                    planted += 1
                    caught += is_hidden(core, said(SHAPES[name](locale, rows(random, locale, 1 + count % 6, core))))
        told[f"{path}_precision"] = round(caught / (caught + wrong), 4)
        told[f"{path}_recall"] = round(caught / planted, 4)
    return told


def answered(text: str) -> str:
    """As an answer of a model goes out, in portions."""
    outgoing = OutgoingFilter(frozenset(), frozenset())
    return "".join(outgoing.feed(text[at : at + 16]) for at in range(0, len(text), 16)) + outgoing.end()


def memo(text: str) -> str:
    """As a memo goes to the model."""
    return masked(cleaned(text, MAX_TEXT_CHARS))[0]


PATHS = {"memo": memo, "answer": answered}


def is_masked(out: str) -> bool:
    """Whether something in it was replaced."""
    return any(kind.value in out for kind in DetectedKind)


def is_hidden(core: str, out: str) -> bool:
    """Whether an identifier was replaced, and neither its beginning nor its end is readable."""
    ends = [it for it in (core[:6], core[-6:]) if any(letter.isdigit() or letter == "@" for letter in it)]
    return any(it in out for it in (*DetectedKind, REMOVED)) and not any(it in out for it in ends)


def _statement(name: str) -> str:
    return SHAPES[name](LOCALES["de-DE"], rows(Random(name), LOCALES["de-DE"], 20))


def _us_per_kb(text: str, look: Callable[[str], object] = findings, rounds: int = 400) -> float:
    return _us((text * (1024 // len(text) + 1))[:1024], look, rounds)


def _us(text: str, look: Callable[[str], object] = findings, rounds: int = 400) -> float:
    start = time.process_time()
    for _ in range(rounds):
        look(text)
    return (time.process_time() - start) / rounds * 1e6


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
        if name == "shapes" and isinstance(value, dict):
            for shape, told in value.items():
                print(f"{shape:28} {told}")
        else:
            print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
