"""The sandbox over bubblewrap: starts a jail for each run, feeds it, and reads what comes out of it within bounds."""

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from gateway.sandbox import runner
from gateway.sandbox.jail import jail_command
from gateway.sandbox.port import FinishedProgram, ProgramEnding, ProgramLimits, SandboxUnavailable
from gateway.sandbox.syscalls import filter_program

FEEDING_S = 60
"""Seconds from the start of a jail until it has all files that it is given."""

WAITING_S = 60
"""Seconds that a run waits for others to end."""

_GRACE_S = 3
"""Beyond `wall_s`: for the runner to stop the program and report. Then the jail is ended from outside."""

_ENDING_S = 5

_FRAME_BYTES = 256 * 1024
_HEAD_BYTES = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_COMPLAINT = 500


class _NoReport(Exception):
    """What came is not the report of a run."""


class BubblewrapSandbox:
    """See `Sandbox`. `packages`: what programs may import besides the standard library. `at_once`: jails that run at a time."""

    def __init__(self, packages: Sequence[str] = (), *, at_once: int = 2) -> None:
        self._packages = tuple(packages)
        self._slots = asyncio.Semaphore(at_once)

    async def run(
        self, program: str, arguments: Sequence[str], files_in: Mapping[str, AsyncIterator[bytes]], limits: ProgramLimits
    ) -> FinishedProgram:
        """See `Sandbox.run`."""
        order = _order(program, arguments, list(files_in), limits)
        try:
            async with asyncio.timeout(WAITING_S):
                await self._slots.acquire()
        except TimeoutError:
            raise SandboxUnavailable("too many programs run at once") from None
        try:
            return await self._run(order, files_in, limits)
        finally:
            self._slots.release()

    async def _run(self, order: bytes, files_in: Mapping[str, AsyncIterator[bytes]], limits: ProgramLimits) -> FinishedProgram:
        with _filter(await asyncio.to_thread(_filter_program)) as descriptor:
            command = await asyncio.to_thread(jail_command, self._packages, limits.box_bytes, descriptor)
            starting = asyncio.create_task(_started(command, descriptor))
            try:
                jail = await asyncio.shield(starting)
            except asyncio.CancelledError:
                await _end(await starting)  # asyncio would kill bubblewrap alone, and leave what it started
                raise
            except OSError as error:
                raise SandboxUnavailable(f"it cannot be started: {error.strerror}") from error
        try:
            return await _Exchange(jail, limits).finished(order, files_in)
        finally:
            await _end(jail)

    def refusal(self) -> str | None:
        """Why this host cannot run programs so, for an operator; None if it can. Tries it, and waits for that."""
        limits = ProgramLimits()
        try:
            with _filter(_filter_program()) as descriptor:
                command = jail_command(self._packages, limits.box_bytes, descriptor)
                tried = subprocess.run(  # noqa: S603  # our own command
                    command,
                    input=_framed(_order("", (), (), limits)),
                    capture_output=True,
                    env={},
                    cwd="/",
                    pass_fds=(descriptor,),
                    timeout=20,
                    check=False,
                )
            report = _read_report(tried.stdout, limits)
        except SandboxUnavailable as unavailable:
            return unavailable.problem
        except subprocess.TimeoutExpired:
            return "a first program did not end within 20 seconds"
        except _NoReport:
            return _complaint(tried.stderr)
        return None if report is not None and report.ending is ProgramEnding.DONE else _complaint(tried.stderr)


@dataclass(slots=True)
class _Exchange:
    """What goes into one jail, and comes out of it."""

    jail: asyncio.subprocess.Process
    limits: ProgramLimits

    async def finished(self, order: bytes, files_in: Mapping[str, AsyncIterator[bytes]]) -> FinishedProgram:
        """SandboxUnavailable, and what `files_in` raises."""
        reading = asyncio.create_task(self._read())
        complaint = asyncio.create_task(_some(self.jail.stderr, _HEAD_BYTES))
        try:
            async with asyncio.timeout(FEEDING_S):
                await self._feed(order, files_in)
            async with asyncio.timeout(self.limits.wall_s + _GRACE_S):
                told = await reading
        except TimeoutError:
            return FinishedProgram(ProgramEnding.BROKEN)
        finally:
            await _end(self.jail)
            await asyncio.wait((complaint,), timeout=_ENDING_S)
            for task in (reading, complaint):
                task.cancel()
            said = await asyncio.gather(reading, complaint, return_exceptions=True)
        try:
            report = _read_report(told, self.limits)
        except _NoReport:
            return FinishedProgram(ProgramEnding.BROKEN)
        if report is None:
            raise SandboxUnavailable(_complaint(said[1] if isinstance(said[1], bytes) else b""))
        return report

    async def _feed(self, order: bytes, files_in: Mapping[str, AsyncIterator[bytes]]) -> None:
        """A jail that ended is fed no further: what it said tells why."""
        with suppress(BrokenPipeError, ConnectionResetError):
            await self._put(order)
            for parts in files_in.values():
                async for part in parts:
                    for at in range(0, len(part), _FRAME_BYTES):
                        await self._put(part[at : at + _FRAME_BYTES])
                await self._put(b"")
            if self.jail.stdin is not None:
                self.jail.stdin.close()

    async def _put(self, message: bytes) -> None:
        if self.jail.stdin is None:
            raise SandboxUnavailable("it has no standard input")
        self.jail.stdin.write(_framed(message))
        await self.jail.stdin.drain()

    async def _read(self) -> bytes:
        """All that comes out, and a byte more than may: then the jail is ended, and it is no report."""
        most = _report_most(self.limits)
        told = await _some(self.jail.stdout, most + 1)
        if len(told) > most:
            await _end(self.jail)
        return told


def _order(program: str, arguments: Sequence[str], names: Sequence[str], limits: ProgramLimits) -> bytes:
    for name in names:
        if not _NAME.fullmatch(name) or name == runner.OUT:
            raise ValueError(f"no name of a file in the box: {name!r}; letters, digits, dots, dashes and underscores are")
    order = {"program": program, "arguments": list(arguments), "files": list(names), "limits": asdict(limits)}
    return json.dumps(order).encode()


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


def _report_most(limits: ProgramLimits) -> int:
    return 2 * (limits.output_bytes + _HEAD_BYTES) + limits.files_out_bytes + 8 * limits.files_out


def _read_report(told: bytes, limits: ProgramLimits) -> FinishedProgram | None:
    """What the runner, or whoever took its place, told: believed in its form alone. None: not even that it runs. _NoReport."""
    if len(told) > _report_most(limits):
        raise _NoReport
    messages = _messages(told)
    if next(messages, None) != runner.READY:
        return None
    try:
        head, stdout, stderr, *files = messages
        said = json.loads(head)
        names, exit_code, ending = said["files"], said["exit_code"], ProgramEnding(said["ending"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _NoReport from None
    fits = isinstance(exit_code, int | None) and isinstance(names, list) and len(names) == len(files) <= limits.files_out
    if not fits or not all(isinstance(name, str) and _is_name(name) for name in names) or len(set(names)) < len(names):
        raise _NoReport
    return FinishedProgram(
        ending, exit_code, stdout[: limits.output_bytes], stderr[: limits.output_bytes], dict(zip(names, files, strict=True))
    )


def _is_name(name: str) -> bool:
    """Of a file that a program made: any letters, and nothing that leads elsewhere or cannot be shown."""
    return (
        name.isprintable()
        and "/" not in name
        and name not in ("", ".", "..")
        and len(name.encode(errors="replace")) <= runner.NAME_BYTES
    )


def _messages(told: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(told):
        size = int.from_bytes(told[at : at + 4], "big")
        message = told[at + 4 : at + 4 + size]
        if len(message) < size or at + 4 > len(told):
            raise _NoReport
        yield message
        at += 4 + size


async def _some(stream: asyncio.StreamReader | None, most: int) -> bytes:
    told = bytearray()
    while stream is not None and len(told) < most and (part := await stream.read(min(most - len(told), _FRAME_BYTES))):
        told += part
    return bytes(told)


async def _started(command: Sequence[str], descriptor: int) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env={}, cwd="/", pass_fds=(descriptor,), start_new_session=True
    )


async def _end(jail: asyncio.subprocess.Process) -> None:
    """Ends everything in it: bubblewrap with its first process, which it does not take along while it only starts it; and with that
    one the kernel ends all that is in its namespace. What is killed so and does not go within seconds waits for a disk of the host's."""
    if jail.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(jail.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(_ENDING_S):
            await jail.wait()


def _filter_program() -> bytes:
    try:
        return filter_program()
    except (ImportError, RuntimeError):
        problem = "system calls cannot be filtered: install tellergate[documents], and your distribution's library `libseccomp`"
        raise SandboxUnavailable(problem) from None


@contextmanager
def _filter(program: bytes) -> Iterator[int]:
    """A descriptor from which the filter of system calls is read once."""
    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as into:  # less than a pipe holds
            into.write(program)
        yield reading
    finally:
        os.close(reading)


def _complaint(said: bytes) -> str:
    text = " ".join(said.decode(errors="replace").split())[:_COMPLAINT]
    return f"a program cannot be started in a jail of its own: {text or 'no reason was given'}"
