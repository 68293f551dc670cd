"""Somebody else's scripted model (npm `@copilotkit/aimock`), as its `model.mjs` of the peers says it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.peers import installed


@contextmanager
def served() -> Iterator[str]:
    """Its base URL. Skips where it is not installed."""
    place = installed("aimock", "@copilotkit/aimock", "model.mjs")
    command = [shutil.which("node") or "node", "model.mjs"]
    environment = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
