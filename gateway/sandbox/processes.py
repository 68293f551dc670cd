"""The processes of jails, as this side sees them: how one begins, is spoken to in frames, and ends with all that is in it."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from gateway.sandbox import runner
from gateway.sandbox.port import SandboxUnavailable
from gateway.sandbox.syscalls import filter_program

ENDING_S = 5

FRAME_BYTES = 256 * 1024
HEAD_BYTES = 64 * 1024
_COMPLAINT = 500


async def begun(command: Sequence[str], descriptor: int) -> asyncio.subprocess.Process:
    """A jail, whose filter is read from `descriptor`. Cancelled, it leaves none. SandboxUnavailable."""
    starting = asyncio.create_task(_started(command, descriptor))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await end(await starting)  # asyncio would kill bubblewrap alone, and leave what it started
        raise
    except OSError as error:
        raise SandboxUnavailable(f"it cannot be started: {error.strerror}") from error


async def _started(command: Sequence[str], descriptor: int) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env={}, cwd="/", pass_fds=(descriptor,), start_new_session=True
    )


async def end(jail: asyncio.subprocess.Process) -> None:
    """Ends everything in it: bubblewrap with its first process, which it does not take along while it only starts it; and with that
    one the kernel ends all that is in its namespace. What is killed so and does not go within seconds waits for a disk of the host's."""
    if jail.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(jail.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(ENDING_S):
            await jail.wait()


def system_call_filter() -> bytes:
    """SandboxUnavailable: what makes one is not installed."""
    try:
        return filter_program()
    except (ImportError, RuntimeError):
        problem = "system calls cannot be filtered: install tellergate[documents], and your distribution's library `libseccomp`"
        raise SandboxUnavailable(problem) from None


@contextmanager
def filter_descriptor(program: bytes) -> Iterator[int]:
    """A descriptor from which the filter of system calls is read once."""
    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as into:  # less than a pipe holds
            into.write(program)
        yield reading
    finally:
        os.close(reading)


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


async def some(stream: asyncio.StreamReader | None, most: int) -> bytes:
    """What comes until the end, or so many bytes of it."""
    told = bytearray()
    while stream is not None and len(told) < most and (part := await stream.read(min(most - len(told), FRAME_BYTES))):
        told += part
    return bytes(told)


def is_name(name: str) -> bool:
    """Of a file that a program made: any letters, and nothing that leads elsewhere or cannot be shown."""
    return (
        name.isprintable()
        and "/" not in name
        and name not in ("", ".", "..")
        and len(name.encode(errors="replace")) <= runner.NAME_BYTES
    )


def complaint_of(said: bytes) -> str:
    """For an operator: why a jail did not begin, as it said."""
    text = " ".join(said.decode(errors="replace").split())[:_COMPLAINT]
    return f"a program cannot be started in a jail of its own: {text or 'no reason was given'}"
