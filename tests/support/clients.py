"""Clients of the Assistants API that keep to an `openai` of their own: each a program in an environment of its own (`tests/peers`)."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.postgres import absent
from tests.support.waiting import RUNS_S

PEERS = Path(__file__).parents[1] / "peers"
INSTALL_S = 240
INSTALLED = "installed"
"""The file that ends an installation: it may go on while other tests run."""


def environment(peer: str) -> Path:
    """That of a client, once it is whole. Skips the test where it is not installed; fails it if REQUIRE_PEERS is set."""
    found = PEERS / peer / ".venv"
    if not found.is_dir():
        absent(f"tests/peers/{peer}")
    deadline = time.monotonic() + INSTALL_S
    while not (found / INSTALLED).exists():
        if time.monotonic() > deadline:
            absent(f"tests/peers/{peer}")
        time.sleep(0.2)
    return found


def drive(peer: str, *arguments: str) -> dict[str, Any]:
    """What the client saw. Skips the test where it is not installed; fails it if REQUIRE_PEERS is set."""
    python = environment(peer) / "bin" / "python"
    script = PEERS / peer / "drive.py"
    home = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    done = subprocess.run([python, script, *arguments], env=home, capture_output=True, text=True, timeout=RUNS_S, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise AssertionError(f"{peer} ended with {done.returncode}: {done.stderr[-2000:]}")
    saw: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return saw
