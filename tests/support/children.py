"""Processes that tests start end with their block, whatever they do: one that went on would be waited for, by its test or by a server."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import WAITS_S


@contextmanager
def ending(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """It is told to end when the block does, and killed if it has not ended after WAITS_S; then it has its `returncode`."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(WAITS_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@asynccontextmanager
async def running(*command: str | Path, **how: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that is killed at the end of the block if it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(*command, **how)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
