"""Whether a core takes several questions in one exchange, as it announces itself; and what is done where it does not."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from adapters.core import CoreUnavailable
from adapters.questions import TOGETHER, Answered, Question

ANNOUNCED_S = 60.0
"""So long an announcement, or its absence, is believed: whoever runs the core may put another version in its place."""


class Together:
    """What the core announced last. Finding out never delays a call: until it is known, the core is one that does not take several."""

    def __init__(self, capabilities: Callable[[], Awaitable[frozenset[str]]]) -> None:
        self._capabilities = capabilities
        self._may_be = False
        self._until = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    def may_be(self, now: float) -> bool:
        """Whether several questions may go at once. `now`: the loop's clock."""
        if now >= self._until and self._asking is None:
            self._asking = asyncio.ensure_future(self._find_out(now))
        return self._may_be

    def forget(self, now: float) -> None:
        """It does not, as it turned out."""
        self._may_be, self._until = False, now + ANNOUNCED_S

    def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()

    async def _find_out(self, now: float) -> None:
        try:
            self._may_be = TOGETHER in await self._capabilities()
            self._until = now + ANNOUNCED_S
        except CoreUnavailable:
            self._may_be = False  # the next call asks again
        finally:
            self._asking = None


async def side_by_side(core: object, questions: Sequence[Question[Any]]) -> Sequence[Answered]:
    """Each in an exchange of its own, all on their way at the same time. CoreUnavailable; one alone is left to whoever needs it."""
    if len(questions) < 2:
        return ()
    answers = await asyncio.gather(*(question.ask(core) for question in questions), return_exceptions=True)
    if any(isinstance(answer, CoreUnavailable) for answer in answers):
        raise CoreUnavailable("one of several questions")
    return [
        Answered(question, answer) for question, answer in zip(questions, answers, strict=True) if not isinstance(answer, Exception)
    ]
