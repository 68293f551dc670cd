"""Jails of the tests: where this host's kernel lets nobody have one, they are skipped by name with the reason; where a package is absent,
as with every peer."""

import shutil
from collections.abc import AsyncIterator
from ctypes.util import find_library
from functools import cache

import pytest

from gateway.sandbox.bubblewrap import BubblewrapSandbox
from gateway.sandbox.port import FinishedProgram, ProgramLimits
from tests.support.postgres import absent


@cache
def refusal(packages: tuple[str, ...] = ()) -> str | None:
    return BubblewrapSandbox(packages).refusal()


def jail(packages: tuple[str, ...] = (), at_once: int = 2) -> BubblewrapSandbox:
    """A sandbox. Skips the test where the host cannot; where a package is absent, with REQUIRE_PEERS it fails."""
    problem = refusal(packages)
    if problem is not None:
        if shutil.which("bwrap") is None or find_library("seccomp") is None:
            absent(f"a sandbox ({problem})")
        pytest.skip(f"this host lets nobody have a sandbox: {problem}")
    return BubblewrapSandbox(packages, at_once=at_once)


async def ran(program: str, *arguments: str, files: dict[str, bytes] | None = None, **limits: float) -> FinishedProgram:
    """One run in a jail of its own, with these limits and otherwise small ones."""
    small = {"wall_s": 10, "cpu_s": 10, "memory_bytes": 256 << 20, "box_bytes": 4 << 20, **limits}
    given = {name: parts(content) for name, content in (files or {}).items()}
    return await jail().run(program, arguments, given, ProgramLimits(**small))  # type: ignore[arg-type]  # numbers by name


async def parts(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]
