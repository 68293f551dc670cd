"""A session in a jail of its own: code runs in it call after call, and what one call leaves the next one finds."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field

from gateway.sandbox import runner
from gateway.sandbox.jail import SESSION, jail_command
from gateway.sandbox.port import MEBIBYTE, ProgramEnding, SandboxUnavailable
from gateway.sandbox.processes import (
    FRAME_BYTES,
    HEAD_BYTES,
    begun,
    complaint_of,
    end,
    filter_descriptor,
    framed,
    is_name,
    some,
    system_call_filter,
)
from gateway.sandbox.syscalls import threads_filter_program

STARTING_S = 90
"""Seconds from the start of a jail until its libraries are loaded."""

FEEDING_S = 120
"""Seconds in which the files of a call come."""

GRACE_S = 5
"""Beyond `wall_s`: to stop the code, collect its files and report. Then the jail is ended from outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What one session may use. Its memory is `memory_bytes` and `box_bytes` together."""

    wall_s: float = 60
    """Seconds of one call."""
    cpu_s: float = 60
    """Seconds of processor time of one call."""
    cpu_session_s: int = 900
    """Seconds of processor time of all its calls together; then the session has come to its end."""
    memory_bytes: int = 1024 * MEBIBYTE
    """Address space of its one process. Libraries that are loaded have a third of it."""
    box_bytes: int = 192 * MEBIBYTE
    """What its files have together, those that it is given among them. They are in memory, never on a disk."""
    threads: int = 16
    open_files: int = 64
    """Descriptors."""
    files: int = 1024
    """Files, folders and links that it makes."""
    output_bytes: int = 64 * 1024
    """Of what one call prints; the rest is dropped, and 64 times as much ends the call."""
    files_out: int = 16
    """Files that one call may make or change."""
    files_out_bytes: int = 32 * MEBIBYTE
    """Bytes in them together."""


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """What came of a call. All of it is a stranger's."""

    ending: ProgramEnding
    printed: bytes = b""
    is_cut: bool = False
    """Whether more was printed than is here."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What it made or changed in its folder, by name: regular files alone, without folders in it."""
    is_over: bool = False
    """Whether the session ended with it."""


class _NoReport(Exception):
    """What came is not the report of a call."""


class JailedSession:
    """One session. One call at a time; whoever uses it sees to that. Ends itself where a call took it down: `is_over`."""

    def __init__(self, jail: asyncio.subprocess.Process, limits: SessionLimits) -> None:
        self._jail, self._limits = jail, limits
        self._was_ended = False

    @property
    def is_over(self) -> bool:
        """Whether nothing runs in it any more: also where the host ended it, for want of memory."""
        return self._was_ended or self._jail.returncode is not None

    async def run(self, code: str, files: Mapping[str, AsyncIterator[bytes]]) -> FinishedCall:
        """Puts files into the folder, and runs code. What reading the files raises ends the session; the code did not run then.
        TimeoutError: they did not come in time."""
        order = json.dumps({"code": code, "files": list(files)}).encode()
        async with self._ended_by_errors():
            async with asyncio.timeout(FEEDING_S):
                await self._feed(order, files)
            try:
                async with asyncio.timeout(self._limits.wall_s + GRACE_S):
                    finished = await self._report()
            except (TimeoutError, _NoReport, asyncio.IncompleteReadError):
                finished = FinishedCall(ProgramEnding.BROKEN, is_over=True)
        if self.is_over or finished.is_over:
            await self.end()
        return finished

    async def begin(self, laid_over: bytes) -> None:
        """Gives it its bounds, and returns when its libraries are loaded. SandboxUnavailable."""
        async with self._ended_by_errors():
            try:
                async with asyncio.timeout(STARTING_S):
                    await self._put(_bounds(self._limits, laid_over))
                    if await self._message(HEAD_BYTES) != runner.READY:
                        raise _NoReport
            except TimeoutError:
                raise SandboxUnavailable(f"a session was not ready within {STARTING_S} seconds") from None
            except (_NoReport, asyncio.IncompleteReadError):
                await self.end()
                raise SandboxUnavailable(complaint_of(await some(self._jail.stderr, HEAD_BYTES))) from None

    @asynccontextmanager
    async def _ended_by_errors(self) -> AsyncIterator[None]:
        """What breaks off in its midst cannot be gone on with."""
        try:
            yield
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        """Ends everything in it, at once. May be asked again."""
        self._was_ended = True
        await end(self._jail)

    async def _feed(self, order: bytes, files: Mapping[str, AsyncIterator[bytes]]) -> None:
        await self._put(order)
        for parts in files.values():
            async for part in parts:
                for at in range(0, len(part), FRAME_BYTES):
                    await self._put(part[at : at + FRAME_BYTES])
            await self._put(b"")

    async def _put(self, message: bytes) -> None:
        """A jail that ended is told in vain: that no report comes says so."""
        if self._jail.stdin is not None:
            self._jail.stdin.write(framed(message))
            with suppress(BrokenPipeError, ConnectionResetError):
                await self._jail.stdin.drain()

    async def _report(self) -> FinishedCall:
        """Believed in its form alone: whoever took the place of what reports can say no more by it."""
        limits = self._limits
        head = await self._message(HEAD_BYTES)
        try:
            said = json.loads(head)
            names, ending, is_cut, is_over = said["files"], ProgramEnding(said["ending"]), said["cut"], said["over"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _NoReport from None
        fits = isinstance(is_cut, bool) and isinstance(is_over, bool) and isinstance(names, list) and len(names) <= limits.files_out
        if not fits or not all(isinstance(name, str) and is_name(name) for name in names) or len(set(names)) < len(names):
            raise _NoReport
        printed = await self._message(limits.output_bytes)
        files: dict[str, bytes] = {}
        room = limits.files_out_bytes
        for name in names:
            files[name] = await self._message(room)
            room -= len(files[name])
        return FinishedCall(ending, printed, is_cut, files, is_over)

    async def _message(self, most: int) -> bytes:
        out = self._jail.stdout
        if out is None:
            raise _NoReport
        size = int.from_bytes(await out.readexactly(4), "big")
        if size > most:
            raise _NoReport
        return await out.readexactly(size)


async def begin_session(packages: Sequence[str], limits: SessionLimits) -> JailedSession:
    """A session in a jail of its own, with its libraries loaded. Cancelled, it leaves none. SandboxUnavailable: it cannot begin."""
    laid_over = await asyncio.to_thread(threads_filter_program)
    with filter_descriptor(await asyncio.to_thread(system_call_filter)) as descriptor:
        command = await asyncio.to_thread(jail_command, packages, limits.box_bytes, descriptor, SESSION)
        jail = await begun(command, descriptor)
    session = JailedSession(jail, limits)
    await session.begin(laid_over)
    return session


def _bounds(limits: SessionLimits, laid_over: bytes) -> bytes:
    said = {**asdict(limits), "processes": limits.threads, "filter": base64.b64encode(laid_over).decode()}
    return json.dumps(said).encode()
