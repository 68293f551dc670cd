"""Waiting for what must come, never for how long."""

import asyncio
from collections.abc import Callable


async def wait_until(holds: Callable[[], bool], *, most_s: float = 20.0) -> None:
    """Until it holds; an AssertionError after `most_s`."""
    deadline = asyncio.get_running_loop().time() + most_s
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, "it did not come"
        await asyncio.sleep(0.005)
