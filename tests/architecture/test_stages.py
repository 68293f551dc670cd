"""A step cannot be skipped: the types say so, and mypy is asked."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PREAMBLE = """
from gateway.calls.pipeline import CallPipeline
from gateway.domain.stages import Call, Decided, DecidedEffect, DecidedRead, Executed, Grounded, Intended, Redacted
from adapters.function import EffectFunction, ReadFunction

async def taken(pipeline: CallPipeline, call: Call, grounded: Grounded, decided: Decided, effect: DecidedEffect,
                intended: Intended, executed: Executed, redacted: Redacted) -> None:
"""

SKIPPED = {
    "execute what was only decided": "await pipeline._execute(effect)",
    "execute what was executed before": "await pipeline._execute(executed)",
    "intend without a decision": "await pipeline._intend(grounded)",
    "decide without grounding": "pipeline._decide(call)",
    "read with what has an effect": "await pipeline._read(effect)",
    "record what was not redacted": "await pipeline._record(executed)",
    "redact what was not executed": "await pipeline._redact(intended)",
    "read a function with an effect": "effect_function: EffectFunction\n    DecidedRead(decided, effect_function)",
}


IN_ORDER = """    taken = await pipeline._intend(effect)
    assert isinstance(taken, Intended)
    executed = await pipeline._execute(taken)
    await pipeline._record(await pipeline._redact(executed))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What mypy finds in a file for each skipped step, and in the one that skips none, by the file's name. It is asked once."""
    folder = tmp_path_factory.mktemp("snippets")
    files = {f"skipped_{number}": PREAMBLE + f"    {SKIPPED[name]}\n" for number, name in enumerate(SKIPPED)}
    files["in_order"] = PREAMBLE + IN_ORDER
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    told: dict[str, list[str]] = {name: [] for name in files}
    for line in mypy(folder).splitlines():
        told[Path(line.partition(":")[0]).stem].append(line)
    return told


@pytest.mark.parametrize("name", SKIPPED)
def test_skipping_a_step_is_a_type_error(name: str, found: dict[str, list[str]]) -> None:
    (line,) = [line for line in found[f"skipped_{list(SKIPPED).index(name)}"] if ": error: " in line]
    assert "[arg-type]" in line


def test_the_way_in_its_order_is_none(found: dict[str, list[str]]) -> None:
    assert found["in_order"] == []


def mypy(folder: Path) -> str:
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--no-pretty", *cache, *map(str, sorted(folder.glob("*.py")))]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
