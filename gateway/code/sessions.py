"""The sessions of a worker: how many there are, for how long, which call came first, and what came of each."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256

from gateway.code.interpreter import Interpreter, InterpreterSession
from gateway.code.naming import placed
from gateway.code.port import CodeEnding, CodeOutcome, CodeUnavailable

_KEPT_MOST = 1000
"""Outcomes that are kept."""

_SPENT_MOST = 100_000
"""Keys that are remembered after their outcome is not kept any more."""


class FilesMissing(Exception):
    """The session does not have these files yet, by id. Nothing ran."""

    def __init__(self, identifiers: Sequence[str]) -> None:
        super().__init__(f"{len(identifiers)} files")
        self.identifiers = identifiers


class KeyTaken(Exception):
    """Other code has run under this key. Nothing ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBounds:
    """What all sessions of a worker may use together."""

    sessions: int = 4
    """At once. For one more, the one that was idle longest ends; where none is idle, the call waits."""
    at_once: int = 2
    """Calls that run at a time."""
    idle_s: float = 1200
    """Seconds after its last call in which a session ends."""
    waiting_s: float = 30
    """Seconds that a call waits for others; then it is refused, and has not run."""
    kept_s: float = 900
    """Seconds for which an outcome is answered to who asks again; then it is LOST."""
    kept_bytes: int = 256 * 1024 * 1024
    """Bytes of kept outcomes together."""


@dataclass(frozen=True, slots=True)
class CodeAsked:
    """A call, as a worker is asked for it. `files`: id and name of each."""

    session: str
    key: str
    code: str
    files: Sequence[tuple[str, str]] = ()
    begun: bool = False

    @property
    def fingerprint(self) -> bytes:
        return sha256(self.code.encode(errors="surrogatepass")).digest()


@dataclass(slots=True)
class _Held:
    """One session, or the place of one that is about to begin."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    used_at: float = 0
    interpreter: InterpreterSession | None = None
    is_fresh: bool = True
    files: dict[str, str] = field(default_factory=dict)
    """The id of the file that was put under a name."""


@dataclass(slots=True)
class _Entry:
    """One call of the journal."""

    fingerprint: bytes
    outcome: "asyncio.Future[CodeOutcome]"
    bytes: int = 0
    ended_at: float = 0


class CodeSessions:
    """Runs calls, each key once. Open from its first use to `close`."""

    def __init__(
        self, interpreter: Interpreter, bounds: SessionBounds | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interpreter, self._bounds, self._clock = interpreter, bounds or SessionBounds(), clock
        self._held: dict[str, _Held] = {}
        self._journal: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._spent: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._slots = asyncio.Semaphore(self._bounds.at_once)
        self._freed = asyncio.Condition()
        self._running: dict[asyncio.Task[CodeOutcome], str] = {}

    def __len__(self) -> int:
        return len(self._held)

    async def run(self, asked: CodeAsked, contents: Mapping[str, AsyncIterator[bytes]]) -> CodeOutcome:
        """What came of a call. `contents`: of the files that come along, by id, to be read in the order of `asked.files`.

        FilesMissing, KeyTaken, CodeUnavailable, and what reading the contents raises: nothing ran. Cancelled, what has begun goes on.
        """
        key = (asked.session, asked.key)
        entry = self._journal.get(key)
        if entry is not None:
            if entry.fingerprint != asked.fingerprint:
                raise KeyTaken
            return await asyncio.shield(entry.outcome)
        if key in self._spent or asked.begun:
            self._spend(key)
            return CodeOutcome(CodeEnding.LOST)
        entry = self._journal[key] = _Entry(asked.fingerprint, asyncio.get_running_loop().create_future())
        running = asyncio.create_task(self._recorded(asked, contents, entry))
        self._running[running] = asked.session
        running.add_done_callback(lambda task: self._running.pop(task, None))
        return await asyncio.shield(entry.outcome)

    async def forget(self, session: str) -> None:
        """End a session, what runs in it, and what is kept of it. Its keys stay spent."""
        running = [task for task, of in self._running.items() if of == session]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for key in [key for key in self._journal if key[0] == session]:
            self._let_go(key)
        held = self._held.pop(session, None)
        if held is not None and held.interpreter is not None:
            await held.interpreter.end()
        async with self._freed:
            self._freed.notify_all()

    async def expire(self) -> None:
        """End sessions that nobody used for long, and let go of outcomes that were kept long enough. To be asked now and then."""
        now = self._clock()
        for session, held in list(self._held.items()):
            if held.users == 0 and now - held.used_at >= self._bounds.idle_s:
                await self._end(session)
        self._bound_journal(now)

    async def close(self) -> None:
        """End everything. Who waits for an outcome gets LOST."""
        for session in {*self._held, *self._running.values()}:
            await self.forget(session)
        await self._interpreter.close()

    async def _recorded(self, asked: CodeAsked, contents: Mapping[str, AsyncIterator[bytes]], entry: _Entry) -> CodeOutcome:
        """The call, and its outcome in the journal, whatever comes of it."""
        key = (asked.session, asked.key)
        has_begun = False

        def begun() -> None:
            nonlocal has_begun
            has_begun = True

        try:
            outcome = await self._ran(asked, contents, begun)
        except BaseException as error:  # noqa: BLE001  # whatever it is, who asked is told, and who asks again
            if not has_begun:
                is_ended = isinstance(error, asyncio.CancelledError)
                del self._journal[key]
                entry.outcome.set_exception(CodeUnavailable("its session was ended before it ran") if is_ended else error)
                entry.outcome.exception()  # it is on its way to who asked, if anybody still waits
                return CodeOutcome(CodeEnding.LOST)
            outcome = CodeOutcome(CodeEnding.LOST)
        entry.ended_at = self._clock()
        entry.bytes = len(outcome.logs) + sum(len(file.content) for file in outcome.files)
        entry.outcome.set_result(outcome)
        self._bound_journal(entry.ended_at)
        return outcome

    async def _ran(self, asked: CodeAsked, contents: Mapping[str, AsyncIterator[bytes]], begun: Callable[[], None]) -> CodeOutcome:
        names = placed(asked.files) if self._interpreter.takes_files else {}
        async with self._placed(asked.session) as held, self._turn(held):
            if held.interpreter is None or held.interpreter.is_over:
                held.interpreter, held.is_fresh, held.files = await self._interpreter.begin(), True, {}
            absent = [item for item, name in names.items() if held.files.get(name) != item and item not in contents]
            if absent:
                raise FilesMissing(absent)
            coming = {names[item]: contents[item] for item in names if item in contents}
            if not coming:
                begun()
            outcome = await held.interpreter.run(asked.code, _until_the_last(coming, begun))
            if outcome.ending is CodeEnding.TOO_LARGE:
                return outcome
            held.files |= {name: item for item, name in names.items()}
            anew, held.is_fresh = held.is_fresh, False
            return replace(outcome, anew=anew)

    @asynccontextmanager
    async def _placed(self, session: str) -> AsyncIterator[_Held]:
        """The place of a session, which nobody takes while it lasts. CodeUnavailable."""
        held = await self._place(session)
        held.users += 1
        try:
            yield held
        finally:
            held.users -= 1
            held.used_at = self._clock()
            is_over = held.interpreter is None or held.interpreter.is_over
            if is_over and held.users == 0 and self._held.get(session) is held:
                del self._held[session]
            async with self._freed:
                self._freed.notify_all()

    async def _place(self, session: str) -> _Held:
        try:
            async with asyncio.timeout(self._bounds.waiting_s):
                while session not in self._held and len(self._held) >= self._bounds.sessions:
                    idle = min(
                        (item for item in self._held.items() if item[1].users == 0), key=lambda item: item[1].used_at, default=None
                    )
                    if idle is not None:
                        await self._end(idle[0])
                        continue
                    async with self._freed:
                        await self._freed.wait()
        except TimeoutError:
            raise CodeUnavailable(f"all {self._bounds.sessions} sessions are in use") from None
        return self._held.setdefault(session, _Held())

    @asynccontextmanager
    async def _turn(self, held: _Held) -> AsyncIterator[None]:
        """One call of a session at a time, and `at_once` of all of them. CodeUnavailable."""
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._bounds.waiting_s):
                    await stack.enter_async_context(held.lock)
                    await stack.enter_async_context(self._slots)
            except TimeoutError:
                raise CodeUnavailable("too many calls run at once") from None
            yield

    async def _end(self, session: str) -> None:
        held = self._held.pop(session)
        if held.interpreter is not None:
            await held.interpreter.end()

    def _bound_journal(self, now: float) -> None:
        kept = sum(entry.bytes for entry in self._journal.values())
        for key, entry in list(self._journal.items()):
            is_old = now - entry.ended_at >= self._bounds.kept_s
            if entry.outcome.done() and (is_old or kept > self._bounds.kept_bytes or len(self._journal) > _KEPT_MOST):
                kept -= entry.bytes
                self._let_go(key)

    def _let_go(self, key: tuple[str, str]) -> None:
        del self._journal[key]
        self._spend(key)

    def _spend(self, key: tuple[str, str]) -> None:
        self._spent[key] = None
        while len(self._spent) > _SPENT_MOST:
            self._spent.popitem(last=False)


async def _until_the_end(parts: AsyncIterator[bytes], ended: Callable[[], None]) -> AsyncIterator[bytes]:
    async for part in parts:
        yield part
    ended()


def _until_the_last(files: Mapping[str, AsyncIterator[bytes]], ended: Callable[[], None]) -> dict[str, AsyncIterator[bytes]]:
    """The same files; `ended` is called when the last of them has come, from when on the code runs."""
    told = dict(files)
    if told:
        last = next(reversed(told))
        told[last] = _until_the_end(told[last], ended)
    return told
