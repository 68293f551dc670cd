"""A gateway as the first process of a container, which no default of a signal ends: SIGTERM ends it, and its workers, in order."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from gateway.app.workers import STOP_WAIT_S
from tests.support import databases
from tests.support.databases import Kept
from tests.support.postgres import absent
from tests.support.processes import sandbox_bank
from tests.support.waiting import WAITS_S

ALONE = ["unshare", "--pid", "--fork", "--kill-child"]


def child_of(process_id: int) -> int:
    (child,) = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return int(child)


@pytest.mark.parametrize("workers", [1, 2])
def test_it_ends_in_order_within_its_bound_and_leaves_nobody(workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("unshare") is None or subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode != 0:
        absent("unshare with the right to make a namespace of processes")
    monkeypatch.setattr(Kept, "kind", "postgresql" if workers > 1 else "sqlite")
    data, log = tmp_path / "data", tmp_path / "log"
    with sandbox_bank(data) as core, log.open("w") as told:
        where = f"--data {data} --port 0 --workers {workers} --json".split()
        command = [sys.executable, "-m", "gateway.cli", "serve", "--dev", *core, *where, "--database", databases.url(data)]
        with subprocess.Popen([*ALONE, *command], stdout=subprocess.PIPE, stderr=told, text=True) as process:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            assert httpx.get(f"{url}/livez", timeout=WAITS_S).status_code == 200
            first = child_of(process.pid)
            assert Path(f"/proc/{first}/status").read_text().split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
            begun = time.monotonic()
            os.kill(first, signal.SIGTERM)
            assert process.wait(STOP_WAIT_S + WAITS_S) == 0, log.read_text()
            assert time.monotonic() - begun < STOP_WAIT_S
            assert process.stdout.read() == "", "whoever held it open has ended too"
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/livez", timeout=WAITS_S)
    databases.drop(tmp_path)
