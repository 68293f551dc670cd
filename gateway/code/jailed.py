"""The tier `python`: a whole CPython with numpy, pandas and matplotlib, in a jail for each session."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec

from gateway.code.interpreter import InterpreterSession
from gateway.code.port import CodeEnding, CodeOutcome, CodeUnavailable, MadeFile
from gateway.code.texts import readable
from gateway.sandbox.bubblewrap import BubblewrapSandbox
from gateway.sandbox.port import SandboxUnavailable
from gateway.sandbox.session import JailedSession, SessionLimits, begin_session

PACKAGES = (
    *("numpy", "numpy.libs", "pandas", "matplotlib", "mpl_toolkits"),
    *("PIL", "pillow.libs", "contourpy", "cycler", "fontTools", "kiwisolver", "packaging", "pyparsing", "dateutil"),
    *("openpyxl", "et_xmlfile", "defusedxml"),  # for pandas and workbooks
    *(("six",) if find_spec("six") else ()),  # for dateutil before 4
    "tzdata",  # there is no /usr/share/zoneinfo in the jail
)
"""What code may import besides the standard library, and what that imports."""


class JailedInterpreter:
    """See `Interpreter`. Keeps one session ready, since loading its libraries takes a second; whoever takes it has the next one made."""

    takes_files = True

    def __init__(self, limits: SessionLimits | None = None, packages: Sequence[str] = PACKAGES) -> None:
        self._limits, self._packages = limits or SessionLimits(), packages
        self._ready: asyncio.Task[JailedSession] | None = None
        self._is_closed = False

    async def begin(self) -> InterpreterSession:
        """See `Interpreter.begin`."""
        taken, self._ready = self._ready or self._making(), None
        if taken.done() and not taken.cancelled() and taken.exception() is None and taken.result().is_over:
            taken = self._making()  # the host ended the one that was ready
        try:
            session = await asyncio.shield(taken)
        except SandboxUnavailable as unavailable:
            raise CodeUnavailable(unavailable.problem) from None
        except asyncio.CancelledError:
            await _ended(taken)
            raise
        self.make_ready()
        return _Jailed(session, self._limits)

    def make_ready(self) -> None:
        """Have a session made, if none is."""
        if self._ready is None and not self._is_closed:
            self._ready = self._making()

    async def close(self) -> None:
        """See `Interpreter.close`."""
        self._is_closed = True
        ready, self._ready = self._ready, None
        if ready is not None:
            await _ended(ready)

    def _making(self) -> asyncio.Task[JailedSession]:
        return asyncio.create_task(begin_session(self._packages, self._limits))


async def _ended(making: asyncio.Task[JailedSession]) -> None:
    making.cancel()
    with suppress(asyncio.CancelledError, SandboxUnavailable):
        await (await making).end()


class _Jailed:
    """See `InterpreterSession`."""

    def __init__(self, session: JailedSession, limits: SessionLimits) -> None:
        self._session, self._limits = session, limits

    @property
    def is_over(self) -> bool:
        return self._session.is_over

    async def run(self, code: str, files: Mapping[str, AsyncIterator[bytes]]) -> CodeOutcome:
        finished = await self._session.run(code, files)
        logs = readable(finished.printed)
        if finished.is_cut:
            logs += f"\n[cut: it printed more than {self._limits.output_bytes} bytes]\n"
        made = tuple(MadeFile(name, content) for name, content in finished.files.items())
        return CodeOutcome(CodeEnding(finished.ending.value), logs, made)

    async def end(self) -> None:
        await self._session.end()


def refusal() -> str | None:
    """Why this host cannot run such sessions, for an operator; None if it can. Tries a jail, without loading the libraries."""
    return BubblewrapSandbox(PACKAGES).refusal()
