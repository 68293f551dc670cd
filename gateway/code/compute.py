"""The tier `compute`: arithmetic, dates and JSON in Monty, an interpreter without system calls, in a process of its own for each session.

That process has no environment and no file but its pipes; what code asks of files and the system is refused by it. It has no packages,
and of the standard library what `MODULES` names: a text for the model says so where code asks for more.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from pydantic_monty import AsyncMonty, AsyncMontySession, MontyCrashedError, MontyError, MontyRuntimeError, ResourceLimits

from gateway.code.interpreter import InterpreterSession
from gateway.code.port import CodeEnding, CodeOutcome, CodeUnavailable
from gateway.code.texts import readable

MODULES = (
    *("asyncio", "base64", "bisect", "collections", "copy", "csv", "dataclasses", "datetime", "decimal", "functools", "hashlib"),
    *("itertools", "json", "math", "random", "re", "time", "typing"),
)
"""What code may import."""

CANNOT = (
    "[only arithmetic, dates, texts and JSON are possible here: there are no files and no packages, and of modules "
    f"{', '.join(MODULES)}]\n"
)
"""For the model, behind an error that says the same in fewer words."""

_GRACE_S = 1.0
_OUTPUT_BYTES = 64 * 1024
_MEMORY_BYTES = 64 * 1024 * 1024
_DEPTH_MOST = 400
_QUESTIONS_MOST = 1000
"""What code may ask of the system in a session; it gets no for an answer."""
_PROCESSES = 1024
"""More than sessions are let be."""


class MontyInterpreter:
    """See `Interpreter`. Keeps one process ready."""

    takes_files = False

    def __init__(self, *, call_s: float = 5) -> None:
        self._call_s = call_s
        self._limits = ResourceLimits(
            max_feed_duration_secs=call_s,
            max_memory=_MEMORY_BYTES,
            max_recursion_depth=_DEPTH_MOST,
            max_suspensions=_QUESTIONS_MOST,
            max_total_sleep_secs=call_s,
        )
        self._pool: AsyncMonty | None = None

    async def begin(self) -> InterpreterSession:
        """See `Interpreter.begin`."""
        if self._pool is None:
            self._pool = AsyncMonty(
                max_processes=_PROCESSES,
                checkout_timeout=_GRACE_S,
                request_timeout=2 * (self._call_s + _GRACE_S),
                max_checkouts_per_worker=1,  # nobody gets a process in which another's code ran
                feed_duration_limit_grace=_GRACE_S,
            )
            await self._pool.__aenter__()
        session = self._pool.checkout(limits=self._limits)
        try:
            await session.__aenter__()
        except (TimeoutError, RuntimeError, OSError, MontyError) as error:
            raise CodeUnavailable(f"no process of it could be started: {type(error).__name__}") from None
        return _Computing(session)

    async def close(self) -> None:
        """See `Interpreter.close`."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.__aexit__(None, None, None)


class _Computing:
    """See `InterpreterSession`."""

    def __init__(self, session: AsyncMontySession) -> None:
        self._session = session
        self.is_over = False

    async def run(self, code: str, files: Mapping[str, AsyncIterator[bytes]]) -> CodeOutcome:
        """See `InterpreterSession.run`. It is given no files."""
        printed = _Printed()
        try:
            value = await self._session.feed_run(code, print_callback=printed.take)
        except MontyCrashedError:
            await self.end()
            return CodeOutcome(CodeEnding.BROKEN, printed.text())
        except MontyError as error:
            ending = _ending(error)
            if ending is not CodeEnding.FAILED:
                await self.end()  # what was stopped in its midst leaves nothing that can be relied on
            shown = error.display() if hasattr(error, "display") else str(error)
            printed.take("stderr", shown + "\n")
            if isinstance(error.exception(), ImportError | PermissionError):
                printed.take("stderr", CANNOT)
            return CodeOutcome(ending, printed.text())
        except BaseException:
            await self.end()
            raise
        if value is not None:
            printed.take("stdout", _shown(value) + "\n")
        return CodeOutcome(CodeEnding.DONE, printed.text())

    async def end(self) -> None:
        """See `InterpreterSession.end`."""
        if not self.is_over:
            self.is_over = True
            with suppress(MontyError, RuntimeError):
                await self._session.__aexit__(None, None, None)


class _Printed:
    """What a call prints, within its bound."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._room = _OUTPUT_BYTES
        self._is_cut = False

    def take(self, _: str, text: str) -> None:
        kept = text[: self._room]
        self._is_cut = self._is_cut or len(kept) < len(text)
        self._room -= len(kept)
        if kept:
            self._parts.append(kept)

    def text(self) -> str:
        cut = f"\n[cut: it printed more than {_OUTPUT_BYTES} characters]\n" if self._is_cut else ""
        return readable("".join(self._parts).encode(errors="replace")) + cut


def _ending(error: MontyError) -> CodeEnding:
    """A limit's error, which code cannot catch, by its kind; one that code raises itself may look like it, and costs it the session."""
    cause = error.exception() if isinstance(error, MontyRuntimeError) else None
    if isinstance(cause, TimeoutError):
        return CodeEnding.TIME
    return CodeEnding.MEMORY if isinstance(cause, MemoryError) else CodeEnding.FAILED


def _shown(value: object) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError) as error:  # a number of more digits than Python writes, or depths beyond its own
        return f"[a value that cannot be shown: {error}]"
