"""Workers of the code interpreter, as processes of their own, and calls of them."""

import asyncio
import hashlib
import itertools
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gateway.code.client import SocketCodeRunner
from gateway.code.jailed import PACKAGES, JailedInterpreter
from gateway.code.port import CodeOutcome, CodeWanted, GivenFile
from gateway.code.sessions import CodeSessions, SessionBounds
from gateway.code.worker import listening
from gateway.sandbox.session import SessionLimits
from tests.support import jails
from tests.support.forks import Forked
from tests.support.processes import started

_NUMBERS = itertools.count()


@contextmanager
def worker(tier: str, *options: str) -> Iterator[tuple[Forked, Path]]:
    """A worker until the end of this block, when it must end by itself and leave nothing, unless it was killed; and its socket, in a short
    path as sockets need one."""
    if tier == "python":
        jails.jail(PACKAGES)  # skips where this host cannot
    with tempfile.TemporaryDirectory(prefix="code") as folder:
        path = Path(folder, "socket")
        with started("code", "serve", "--tier", tier, "--socket", str(path), "--json", *options) as (process, said):
            assert said["socket"] == str(path)
            yield process, path
            was_killed = process.poll() is not None
        assert was_killed or list(Path(folder).iterdir()) == []


@contextmanager
def light_worker(bounds: SessionBounds, limits: SessionLimits) -> Iterator[Path]:
    """A worker of whole Pythons in a thread of this process: the same jails, without the libraries whose loading takes a second."""
    jails.jail()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    with tempfile.TemporaryDirectory(prefix="code") as folder:
        path = Path(folder, "socket")
        sessions = CodeSessions(JailedInterpreter(limits, packages=()), bounds)
        serving = listening(sessions, "python", path)
        asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(30)
        try:
            yield path
        finally:
            asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(30)
            loop.close()


def session(name: str) -> str:
    """The session of this name, in this run of the tests."""
    return hashlib.sha256(name.encode()).hexdigest()


async def ran(path: Path, code: str, name: str = "one", **wanted: object) -> CodeOutcome:
    """What came of this code in the session of this name, under a key of its own unless one is given."""
    files: Mapping[str, bytes] = wanted.pop("files", {})  # type: ignore[assignment]  # by name, for a few words in tests
    given = [
        GivenFile(f"file-{hashlib.sha256(content).hexdigest()[:8]}", of, len(content), opened(content))
        for of, content in files.items()
    ]
    key = str(wanted.pop("key", f"key-{next(_NUMBERS)}"))
    async with SocketCodeRunner(path) as runner:
        return await runner.run(CodeWanted(session(name), key, code, given, **wanted))  # type: ignore[arg-type]


def opened(content: bytes) -> "Opened":
    return Opened(content)


class Opened:
    """Opens a content, and counts how often."""

    def __init__(self, content: bytes, size: int = 100_000) -> None:
        self.content, self.size, self.times = content, size, 0

    async def __call__(self) -> AsyncIterator[bytes]:
        self.times += 1
        for at in range(0, len(self.content), self.size):
            yield self.content[at : at + self.size]
