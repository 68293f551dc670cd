"""The process that keeps several workers forks them: a thread that ran in it would not be there in them."""

import asyncio
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.app import workers
from gateway.app.development.composition import DEVELOPMENT
from gateway.app.development.settings import development
from gateway.app.unsafe_settings import UnsafeSettings
from tests.support.window import wait_until


def test_nothing_of_the_gateway_that_is_tried_before_is_left(tmp_path: Path) -> None:
    settings = replace(development(tmp_path), otlp_endpoint="http://127.0.0.1:9")  # what exports runs threads of its own
    before, known = set(threading.enumerate()), set(os.listdir("/proc/self/task"))
    asyncio.run(workers._tried(settings, DEVELOPMENT))
    assert set(threading.enumerate()) <= before
    wait_until(lambda: set(os.listdir("/proc/self/task")) <= known)  # one that was joined is the kernel's for a moment


def test_a_process_that_has_imported_the_workers_runs_one_thread() -> None:
    program = "import os, gateway.commands.serving; print(len(os.listdir('/proc/self/task')))"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert told.stdout.strip() == "1"


def test_several_that_would_share_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettings, match="workers: is 2: they share a PostgreSQL database"):
        workers.serve_several(replace(development(tmp_path), workers=2), DEVELOPMENT, started=lambda _url: None)
