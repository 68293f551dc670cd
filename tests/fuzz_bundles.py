"""Both verifiers over many forged bundles: `python -m tests.fuzz_bundles [--count N] [--from N]`.

Prints each disagreement with the number that makes its bundle again; status 1 if there is one.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.support.forged_bundles import Corpus, corpus
from tests.support.second_verifier import SecondVerifier, disagreement, first_verifier, second_verifier


def disagreements(made: Corpus, second: SecondVerifier, numbers: Iterable[int], counts: Counter[str]) -> Iterator[str]:
    """Where they say different things about the forgeries of these numbers. `counts`: by what the first verifier says."""
    for number in numbers:
        kind, raw, own = made.forged(number)
        one = first_verifier(raw, own)
        if "unreadable" in one:
            counts["unreadable"] += 1
        else:
            counts["good" if one["good"] else "refused"] += 1
        found = disagreement(second, raw, own)
        if found is not None:
            yield f"forgery {number} ({kind}):\n{found}"


async def main() -> int:
    parser = argparse.ArgumentParser(description="Compare both verifiers over forged bundles.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    options = parser.parse_args()
    counts, found, began = Counter[str](), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder, second_verifier() as second:
        async with corpus(Path(folder)) as made:
            for text in disagreements(made, second, range(options.first, options.first + options.count), counts):
                found += 1
                print(text, flush=True)
    took_s = time.monotonic() - began
    print(f"{options.count} bundles in {took_s:.0f} s: {dict(counts)}; {found} disagreements")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
