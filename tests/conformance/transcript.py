"""`deploy/TRANSCRIPT.md`: each command of a gateway's set-up for customers and what it printed, as the test of it saw them. `--write`
renews it.

What differs from one run to the next is masked: folders, ports, names that the test made, hashes, times.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "deploy" / "TRANSCRIPT.md"
WRITE = "TRANSCRIPT_WRITE"
_TEST = "tests/conformance/test_production.py"
_HEAD = """# From an empty folder to a stopped agent

The commands of the [guide](README.md#for-customers), and what they printed, on PostgreSQL by the three roles, with an OpenID provider, a
core behind its proxy and nginx before two gateways. `tests/conformance/test_production.py` compares it at each run; made by
`python -m tests.conformance.transcript --write`. Hashes, times, ports and folders are masked.

```text
"""
_MASKS = (
    (r'(?m)^\{"size".*"mandate_import".*$', '{… "word": "mandate_import" …}'),
    (r"\b00[0-9]{2}\b", "REVN"),
    (r"\b[0-9]+ statements", "SOME statements"),
    (r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:\+00:00|Z)?", "TIME"),
    (r"\b[0-9]{2}:[0-9]{2} UTC", "HH:MM UTC"),
    (r"127\.0\.0\.1:[0-9]+", "127.0.0.1:PORT"),
    (r"\b[a-z]{2,4}_[0-9a-f]{12,}\b", "ID"),
    (r"\b[0-9a-f]{8,}\b…?", "HASH"),
    (r"(?<![A-Za-z0-9+/_-])(?=[A-Za-z+/_-]*[0-9])[A-Za-z0-9+/_-]{30,}={0,2}", "CODE"),
    (r"\b[0-9]+(?:\.[0-9]+)? (?:ms|s|KB|kB|bytes|seconds|records|leaves|signatures|checkpoints)\b", "SOME"),
)


def masked(text: str, names: Mapping[str, str]) -> str:
    """`names`: what the test made, and what it is called here."""
    for made in sorted(names, key=len, reverse=True):
        text = text.replace(made, names[made])
    for pattern, name in _MASKS:
        text = re.sub(pattern, name, text)
    return text


def rendered(typed: Sequence[tuple[str, str]], names: Mapping[str, str]) -> str:
    lines = [f"$ {line.strip()}\n{printed}" if line else f"# {printed}\n" for line, printed in typed]
    return _HEAD + masked("".join(lines), names) + "```\n"


def compared(typed: Sequence[tuple[str, str]], names: Mapping[str, str]) -> None:
    """AssertionError where the file tells something else; or it is written, where that was asked for."""
    told = rendered(typed, names)
    if os.environ.get(WRITE):
        FILE.write_text(told)
    assert FILE.read_text() == told, "renew it by python -m tests.conformance.transcript --write"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.conformance.transcript --write")
    os.environ[WRITE] = "1"
    sys.exit(pytest.main(["-q", "-n", "0", _TEST, "-k", "postgresql"]))
