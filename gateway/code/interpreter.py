"""What runs the code of a session: one port, two tiers."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from gateway.code.port import CodeOutcome


class InterpreterSession(Protocol):
    """One session. One call at a time; whoever uses it sees to that."""

    @property
    def is_over(self) -> bool:
        """Whether nothing can run in it any more."""

    async def run(self, code: str, files: Mapping[str, AsyncIterator[bytes]]) -> CodeOutcome:
        """Put these files into its folder, and run code. What reading the files raises ends the session, and nothing ran."""

    async def end(self) -> None:
        """End all that is in it, at once. May be asked again."""


class Interpreter(Protocol):
    """Begins sessions, any number at once."""

    @property
    def takes_files(self) -> bool:
        """Whether its code can read files."""

    async def begin(self) -> InterpreterSession:
        """CodeUnavailable. Cancelled, it leaves none."""

    async def close(self) -> None:
        """End what it keeps ready. Sessions that it began are ended by who has them."""
