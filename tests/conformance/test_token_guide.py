"""The guide's commands for keys in a token, typed as they stand: a new gateway, and one that moves there from files."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from gateway.app.keys import PURPOSES
from tests.support import forks
from tests.support.guides import blocks, commands
from tests.support.production import passphrase_file, private
from tests.support.softhsm import MODULE, PIN, store

ROOT = Path(__file__).parents[2]
NEW, MOVING = (
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


def test_one_with_keys_in_files_moves_by_rotation(home: Path) -> None:
    label = "guide-move"
    typed(home, NEW[0], label)
    passphrase_file(home)
    typed(home, "tellergate init --production bank --passphrase-file passphrase", label)
    typed(home, "tellergate database upgrade --data bank", label)
    typed(
        home,
        "tellergate policy officer --name ola --role operator --key ola.key > bank/officers.toml; chmod 600 bank/officers.toml",
        label,
    )
    before = {key["id"] for key in listed(home, label)}
    with (home / "bank" / "tellergate.toml").open("a") as file:
        said = {"key_storage": "pkcs11", "pkcs11_module": str(MODULE), "pkcs11_token": label, "pkcs11_pin_file": str(home / "pin")}
        file.writelines(f"{name} = {json.dumps(value)}\n" for name, value in said.items())
    for line in MOVING:
        typed(home, line, label)
    after = listed(home, label)
    assert {key["id"] for key in after} > before
    assert len(after) == 2 * len(before)
    for purpose in PURPOSES:
        assert (home / "bank" / purpose.file).read_bytes().startswith(b"tellergate keys 1 token\n")
    assert len(json.loads((home / "permits.json").read_text())["permit_keys"]) == 2
