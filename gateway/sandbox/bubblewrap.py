"""The sandbox over bubblewrap: starts a jail for each run, feeds it, and reads what comes out of it within bounds."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from gateway.sandbox import runner
from gateway.sandbox.jail import jail_command
from gateway.sandbox.port import FinishedProgram, ProgramEnding, ProgramLimits, SandboxUnavailable
from gateway.sandbox.processes import (
    ENDING_S,
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

FEEDING_S = 60
"""Seconds from the start of a jail until it has all files that it is given."""

WAITING_S = 60
"""Seconds that a run waits for others to end."""

_GRACE_S = 3
"""Beyond `wall_s`: for the runner to stop the program and report. Then the jail is ended from outside."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


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
        with filter_descriptor(await asyncio.to_thread(system_call_filter)) as descriptor:
            jail = await begun(await asyncio.to_thread(jail_command, self._packages, limits.box_bytes, descriptor), descriptor)
        try:
            return await _Exchange(jail, limits).finished(order, files_in)
        finally:
            await end(jail)

    def refusal(self) -> str | None:
        """Why this host cannot run programs so, for an operator; None if it can. Tries it, and waits for that."""
        limits = ProgramLimits()
        try:
            with filter_descriptor(system_call_filter()) as descriptor:
                command = jail_command(self._packages, limits.box_bytes, descriptor)
                tried = subprocess.run(  # noqa: S603  # our own command
                    command,
                    input=framed(_order("", (), (), limits)),
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
            return complaint_of(tried.stderr)
        return None if report is not None and report.ending is ProgramEnding.DONE else complaint_of(tried.stderr)


@dataclass(slots=True)
class _Exchange:
    """What goes into one jail, and comes out of it."""

    jail: asyncio.subprocess.Process
    limits: ProgramLimits

    async def finished(self, order: bytes, files_in: Mapping[str, AsyncIterator[bytes]]) -> FinishedProgram:
        """SandboxUnavailable, and what `files_in` raises."""
        reading = asyncio.create_task(self._read())
        complaint = asyncio.create_task(some(self.jail.stderr, HEAD_BYTES))
        try:
            async with asyncio.timeout(FEEDING_S):
                await self._feed(order, files_in)
            async with asyncio.timeout(self.limits.wall_s + _GRACE_S):
                told = await reading
        except TimeoutError:
            return FinishedProgram(ProgramEnding.BROKEN)
        finally:
            await end(self.jail)
            await asyncio.wait((complaint,), timeout=ENDING_S)
            for task in (reading, complaint):
                task.cancel()
            said = await asyncio.gather(reading, complaint, return_exceptions=True)
        try:
            report = _read_report(told, self.limits)
        except _NoReport:
            return FinishedProgram(ProgramEnding.BROKEN)
        if report is None:
            raise SandboxUnavailable(complaint_of(said[1] if isinstance(said[1], bytes) else b""))
        return report

    async def _feed(self, order: bytes, files_in: Mapping[str, AsyncIterator[bytes]]) -> None:
        """A jail that ended is fed no further: what it said tells why."""
        with suppress(BrokenPipeError, ConnectionResetError):
            await self._put(order)
            for parts in files_in.values():
                async for part in parts:
                    for at in range(0, len(part), FRAME_BYTES):
                        await self._put(part[at : at + FRAME_BYTES])
                await self._put(b"")
            if self.jail.stdin is not None:
                self.jail.stdin.close()

    async def _put(self, message: bytes) -> None:
        if self.jail.stdin is None:
            raise SandboxUnavailable("it has no standard input")
        self.jail.stdin.write(framed(message))
        await self.jail.stdin.drain()

    async def _read(self) -> bytes:
        """All that comes out, and a byte more than may: then the jail is ended, and it is no report."""
        most = _report_most(self.limits)
        told = await some(self.jail.stdout, most + 1)
        if len(told) > most:
            await end(self.jail)
        return told


def _order(program: str, arguments: Sequence[str], names: Sequence[str], limits: ProgramLimits) -> bytes:
    for name in names:
        if not _NAME.fullmatch(name) or name == runner.OUT:
            raise ValueError(f"no name of a file in the box: {name!r}; letters, digits, dots, dashes and underscores are")
    order = {"program": program, "arguments": list(arguments), "files": list(names), "limits": asdict(limits)}
    return json.dumps(order).encode()


def _report_most(limits: ProgramLimits) -> int:
    return 2 * (limits.output_bytes + HEAD_BYTES) + limits.files_out_bytes + 8 * limits.files_out


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
    if not fits or not all(isinstance(name, str) and is_name(name) for name in names) or len(set(names)) < len(names):
        raise _NoReport
    return FinishedProgram(
        ending, exit_code, stdout[: limits.output_bytes], stderr[: limits.output_bytes], dict(zip(names, files, strict=True))
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
