"""What a sandbox is asked and answers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gateway.domain.errors import Unavailable

NO_SANDBOX = "sandbox_unavailable"

MEBIBYTE = 1024 * 1024


class SandboxUnavailable(Unavailable):
    """Nothing ran: the host cannot, or too many run already. `problem` is for operators."""

    def __init__(self, problem: str) -> None:
        super().__init__(NO_SANDBOX)
        self.problem = problem


class ProgramEnding(StrEnum):
    """How a program ended. Closed."""

    DONE = "done"
    """With status 0."""
    FAILED = "failed"
    """With another status, or by a signal, such as that of its bound of CPU time, or for want of memory."""
    TIME = "time"
    """It was stopped after `wall_s`."""
    OUTPUT = "output"
    """It was stopped because it wrote more than `output_bytes` to standard output or error."""
    FILES = "files"
    """It was stopped because it made more files than `files`, or left more for us than `files_out_bytes`. None is handed out."""
    TOO_LARGE = "too_large"
    """What it was to be given does not fit into `box_bytes`. It did not run."""
    MEMORY = "memory"
    """The host killed it for want of memory. Of sessions alone."""
    BROKEN = "broken"
    """What came out of the jail is no report: the program, or something in it, took the jail down with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLimits:
    """What one run may use. Memory is at most `processes` times `memory_bytes`, and `box_bytes`."""

    wall_s: float = 30
    """Seconds from the start of the program to its end."""
    cpu_s: int = 30
    """Seconds of processor time of each process."""
    memory_bytes: int = 512 * MEBIBYTE
    """Address space of each process."""
    box_bytes: int = 64 * MEBIBYTE
    """What the files in it have together, those that it is given among them. They are in memory, never on a disk."""
    processes: int = 1
    """Processes and threads at once."""
    open_files: int = 64
    """Descriptors of each process."""
    files: int = 256
    """Files, folders and links that it makes."""
    output_bytes: int = MEBIBYTE
    """Of standard output, and as many of standard error."""
    files_out: int = 16
    """Files that it may leave for us."""
    files_out_bytes: int = 16 * MEBIBYTE
    """Bytes in them together."""


@dataclass(frozen=True, slots=True)
class FinishedProgram:
    """What came of a run. All of it is a stranger's: texts may say anything, and files are named and filled by the program."""

    ending: ProgramEnding
    exit_code: int | None = None
    """Below 0: minus the number of the signal. None where there is none."""
    stdout: bytes = b""
    stderr: bytes = b""
    files_out: Mapping[str, bytes] = field(default_factory=dict)
    """What it left in the folder `out`, by name: regular files alone, without folders in it."""


class Sandbox(Protocol):
    """Runs programs in Python. Any number may be asked at once; so many as the sandbox was made for run, the others wait.

    Nothing of a run is left when it ends, however it ends, and no run sees another. A run is not repeated by the sandbox; it changes
    nothing outside, so whoever asks may repeat it.
    """

    async def run(
        self, program: str, arguments: Sequence[str], files_in: Mapping[str, AsyncIterator[bytes]], limits: ProgramLimits
    ) -> FinishedProgram:
        """Run this source as `__main__`, in a folder that holds `files_in` and an empty folder `out`.

        Names of files: letters, digits, dots, dashes and underscores; `out` is taken. SandboxUnavailable, ValueError for a name, and what
        reading `files_in` raises. Cancelled, it is killed.
        """
