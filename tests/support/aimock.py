"""Somebody else's scripted model (npm `@copilotkit/aimock`), as its `model.mjs` of the peers says it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support import peers


@contextmanager
def served() -> Iterator[str]:
    """Its base URL. Skips where it is not installed."""
    place = peers.installed("aimock", "@copilotkit/aimock", "model.mjs")
    command = [shutil.which("node") or "node", "model.mjs"]
    with peers.served(command, place, {"PATH": os.environ["PATH"]}) as said:
        yield said["url"]
