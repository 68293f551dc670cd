"""The code interpreter, as the settings say: a worker that is there, or in development mode one that is started and ended with us."""

import asyncio
import sys
import tempfile
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Self

from gateway.app.kept_settings import NO_CODE_INTERPRETER
from gateway.app.settings import Settings
from gateway.code.client import SocketCodeRunner
from gateway.code.port import CodeOutcome, CodeRunner, CodeUnavailable, CodeWanted

STARTING_S = 30
"""Seconds until a worker that is started here takes calls."""

_ENDING_S = 10


def code_runner(settings: Settings) -> AbstractAsyncContextManager[CodeRunner] | None:
    """To be entered and left by who composes (`async with`); None where nothing runs code. Without a socket, which the settings' checks let
    pass in development mode alone, a worker of our own is started."""
    if settings.code_interpreter == NO_CODE_INTERPRETER:
        return None
    return (
        ChildCodeRunner(settings.code_interpreter)
        if settings.code_socket is None
        else SocketCodeRunner(settings.code_socket, settings.code_interpreter)
    )


class ChildCodeRunner:
    """See `CodeRunner`. The worker has an empty environment and a socket of ours alone, and ends with us, however we end: when its
    standard input does. One that ended is started again with the next call."""

    def __init__(self, tier: str) -> None:
        self._tier = tier
        self._folder = Path(tempfile.mkdtemp(prefix="tellergate-code-"))
        self._worker: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._runner = SocketCodeRunner(self._folder / "worker")

    @property
    def folder(self) -> Path:
        """Where its socket is."""
        return self._folder

    @property
    def process(self) -> int | None:
        """The id of its worker; None where none runs."""
        return None if self._worker is None or self._worker.returncode is not None else self._worker.pid

    async def __aenter__(self) -> Self:
        await self._runner.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.__aexit__()
        if self._worker is not None:
            await _ended(self._worker)
        with suppress(OSError):
            (self._folder / "worker").unlink(missing_ok=True)
            self._folder.rmdir()

    async def run(self, wanted: CodeWanted) -> CodeOutcome:
        """See `CodeRunner.run`."""
        await self._started()
        return await self._runner.run(wanted)

    async def forget(self, session: str) -> None:
        """See `CodeRunner.forget`. Where no worker runs, no session does."""
        if self.process is not None:
            await self._runner.forget(session)

    async def _started(self) -> None:
        async with self._starting:
            if self.process is not None:
                return
            command = (sys.executable, "-m", "gateway.cli", "code", "serve", "--until-eof", "--json")
            pipe = asyncio.subprocess.PIPE
            worker = await asyncio.create_subprocess_exec(
                *command, "--tier", self._tier, "--socket", str(self._folder / "worker"), stdin=pipe, stdout=pipe, env={}, cwd="/"
            )
            try:
                async with asyncio.timeout(STARTING_S):
                    said = await worker.stdout.readline() if worker.stdout is not None else b""
            except TimeoutError:
                said = b""
            if not said:
                await _ended(worker)
                raise CodeUnavailable("its worker does not start: run `tellergate code serve` by hand, which says why")
            self._worker = worker


async def _ended(worker: asyncio.subprocess.Process) -> None:
    """In order, if it takes that; else by force."""
    if worker.stdin is not None:
        worker.stdin.close()
    try:
        async with asyncio.timeout(_ENDING_S):
            await worker.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()
