"""What the code interpreter is asked and answers."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.domain.errors import Unavailable

NO_CODE = "code_unavailable"


class CodeUnavailable(Unavailable):
    """Nothing ran: the worker is not reached, cannot, or has as many calls as it takes. `problem` is for operators."""

    def __init__(self, problem: str) -> None:
        super().__init__(NO_CODE)
        self.problem = problem


class CodeEnding(StrEnum):
    """How a call ended. Closed."""

    DONE = "done"
    FAILED = "failed"
    """By an exception, for want of memory among them: its traceback is in `logs`. The session lives on."""
    TIME = "time"
    """It was stopped after its time, and its session with it."""
    MEMORY = "memory"
    """It was stopped for want of memory, and its session with it."""
    OUTPUT = "output"
    """It was stopped because it printed without end, and its session with it."""
    FILES = "files"
    """It made more files, or larger ones, than may be handed out: none is. The session lives on, unless it made files without end."""
    TOO_LARGE = "too_large"
    """The files that it was to be given do not fit, or its code is too long. It did not run."""
    BROKEN = "broken"
    """The code took its session down, or what came out of it is no report. The session is gone."""
    LOST = "lost"
    """It was begun before and broke off: whether it ran to its end, nobody knows. It is not run again."""


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file that the code is to find in its folder."""

    id: str
    """1 to 128 letters, digits, dashes and underscores. A session takes the content of one id once."""
    name: str
    """Under which it lies there. What is no plain name of a file is made one; see `placed`."""
    size: int
    """Bytes. More or fewer are no file: nothing runs."""
    parts: Callable[[], AsyncIterator[bytes]]
    """Opens the content: called only if the session does not have it yet."""


@dataclass(frozen=True, slots=True)
class CodeWanted:
    """One call."""

    session: str
    """64 hexadecimal digits: one thread of one customer. Says nothing of either."""
    key: str
    """Of this call, 1 to 128 letters, digits, dashes, underscores, dots and colons: what has run under a key is not run again."""
    code: str
    files: Sequence[GivenFile] = ()
    """All that the code is to find: those that the session has already are not opened."""
    begun: bool = False
    """Whether it may have been asked before, by whoever went on record with it and then broke off. A worker that does not know the key,
    since it began anew in between, then answers LOST and runs nothing."""


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that a call made or changed. Name and content are a stranger's."""

    name: str
    """Printable, without a slash, 120 bytes of UTF-8 at most."""
    content: bytes


@dataclass(frozen=True, slots=True)
class CodeOutcome:
    """What came of a call. All of it is a stranger's: texts may say anything."""

    ending: CodeEnding
    logs: str = ""
    """Standard output and standard error as they came, cut at a bound with a line that says so. For a model to read."""
    files: tuple[MadeFile, ...] = ()
    anew: bool = False
    """Whether the session began with this call: variables and files of earlier ones, if there were any, are gone."""


class CodeRunner(Protocol):
    """Runs code in sessions. Any number may be asked at once: of one session one call after the other, of several as many as may be.

    The same `session` and `key` are run once: who asks again gets the outcome of then, and waits for it while it still runs. Outcomes are
    kept for a while and in memory alone; after that, and where the worker ended in between, it is LOST.
    """

    async def run(self, wanted: CodeWanted) -> CodeOutcome:
        """CodeUnavailable: nothing ran, the same may be asked again. ValueError for a session, key or id of another form, for a key of
        other code, and for a file of another size; and what reading the files raises: nothing ran either. Cancelled, what has begun goes on
        within its bounds, and its outcome waits for who asks again."""

    async def forget(self, session: str) -> None:
        """End a session, with all that is in it and was answered from it, at once. One that is not there is none.
        CodeUnavailable: it may still be there; it ends by itself when nobody uses it."""
