"""A step cannot be skipped: the types say so, and mypy is asked."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PREAMBLE = """
from gateway.calls.pipeline import Way
from gateway.domain.stages import Call, Decided, DecidedEffect, DecidedRead, Executed, Grounded, Intended, Redacted, Reserved, Settled
from adapters.function import EffectFunction, ReadFunction

async def taken(way: Way, call: Call, grounded: Grounded, decided: Decided, effect: DecidedEffect, reserved: Reserved,
                intended: Intended, executed: Executed, settled: Settled, redacted: Redacted) -> None:
"""

SKIPPED = {
    "execute without an intent": "await way._execute(reserved)",
    "execute what was only decided": "await way._execute(effect)",
    "execute what was executed before": "await way._execute(executed)",
    "intend without a reservation": "await way._intend(effect)",
    "reserve without a decision": "await way._reserve(grounded)",
    "decide without grounding": "way._decide(call)",
    "read with what has an effect": "await way._read(effect)",
    "record what was not redacted": "await way._record(settled)",
    "redact what was not settled": "await way._redact(executed)",
    "read a function with an effect": "effect_function: EffectFunction\n    DecidedRead(decided, effect_function)",
}


@pytest.mark.parametrize("name", SKIPPED)
def test_skipping_a_step_is_a_type_error(name: str, tmp_path: Path) -> None:
    snippet = tmp_path / "skipped.py"
    snippet.write_text(f"{PREAMBLE}    {SKIPPED[name]}\n")
    checked = mypy(snippet)
    assert "[arg-type]" in checked, checked


def test_the_way_in_its_order_is_none(tmp_path: Path) -> None:
    snippet = tmp_path / "in_order.py"
    snippet.write_text(
        PREAMBLE
        + "    intended = await way._intend(reserved)\n    executed = await way._execute(intended)\n"
        + "    await way._record(await way._redact(await way._settle(executed)))\n"
    )
    assert mypy(snippet) == ""


def mypy(snippet: Path) -> str:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache"), str(snippet)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
