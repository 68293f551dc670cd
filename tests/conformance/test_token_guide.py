"""The guide's commands for a new gateway with its keys in a token, typed as they stand; `test_production.py` moves one there."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from gateway.app.keys import PURPOSES
from tests.support import forks
from tests.support.guides import blocks, commands
from tests.support.production import private
from tests.support.softhsm import PIN, store

ROOT = Path(__file__).parents[2]
(NEW,) = (
    commands(block) for block in blocks(ROOT / "deploy" / "README.md") if "tests/conformance/test_token_guide.py" in block.note
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    store()
    private(tmp_path / "pin", f"{PIN}\n")
    return tmp_path


def typed(home: Path, line: str, label: str) -> str:
    """What a shell prints of this line; the token's label is this test's own."""
    line = line.replace("--label tellergate", f"--label {label}").replace("--pkcs11-token tellergate", f"--pkcs11-token {label}")
    known = {name: value for name, value in os.environ.items() if not name.startswith("TELLERGATE_")}
    path = f"{forks.FOLDER}:{known['PATH']}"
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=home,
        env={**known, "PATH": path, forks.ADDRESS: forks.address()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, (line, ran.stdout, ran.stderr)
    return ran.stdout


def listed(home: Path, label: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(typed(home, "tellergate keys list --data bank --json", label))["keys"]
    return found


def test_a_new_gateway_has_its_keys_in_the_token(home: Path) -> None:
    for line in NEW:
        typed(home, line, "guide-new")
    assert [key["purpose"] for key in listed(home, "guide-new")] == [purpose.name for purpose in PURPOSES]
