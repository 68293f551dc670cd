"""Waiting for what must come, never for how long: a test that waits goes on as soon as it comes, so a bound may be large, and a busy
machine must not reach it.
"""

import asyncio
from collections.abc import Callable

WAITS_S = 60.0
RUNS_S = 4 * WAITS_S
"""Of another program that does all its work at once: somebody else's suite computes for twenty seconds where nothing else runs."""


async def wait_until(holds: Callable[[], bool], *, most_s: float = WAITS_S) -> None:
    """Until it holds; an AssertionError after `most_s`."""
    deadline = asyncio.get_running_loop().time() + most_s
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, "it did not come"
        await asyncio.sleep(0.005)
