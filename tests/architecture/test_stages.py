"""A step cannot be skipped: the types say so, and mypy is asked."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PREAMBLE = """
from gateway.calls.pipeline import CallPipeline
from gateway.domain.stages import Call, Decided, DecidedEffect, DecidedRead, Executed, Grounded, Intended, Redacted, Reserved, Settled
from adapters.function import EffectFunction, ReadFunction

async def taken(pipeline: CallPipeline, call: Call, grounded: Grounded, decided: Decided, effect: DecidedEffect, reserved: Reserved,
                intended: Intended, executed: Executed, settled: Settled, redacted: Redacted) -> None:
"""

SKIPPED = {
    "execute without an intent": "await pipeline._execute(reserved)",
    "execute what was only decided": "await pipeline._execute(effect)",
    "execute what was executed before": "await pipeline._execute(executed)",
    "intend without a reservation": "await pipeline._intend(effect)",
    "reserve without a decision": "await pipeline._reserve(grounded)",
    "decide without grounding": "pipeline._decide(call)",
    "read with what has an effect": "await pipeline._read(effect)",
    "record what was not redacted": "await pipeline._record(settled)",
    "redact what was not settled": "await pipeline._redact(executed)",
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
        + "    intended = await pipeline._intend(reserved)\n    executed = await pipeline._execute(intended)\n"
        + "    await pipeline._record(await pipeline._redact(await pipeline._settle(executed)))\n"
    )
    assert mypy(snippet) == ""


def mypy(snippet: Path) -> str:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache"), str(snippet)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
