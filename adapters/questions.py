"""Questions of the port as values, so that several can be asked at once, and a core that was told some answers before. Pure."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

ASKED_TOGETHER = frozenset(
    {
        "describe",
        "accounts",
        "balance",
        "transactions",
        "transaction",
        "spending",
        "acquaintance",
        "beneficiaries",
        "standing_orders",
        "scheduled_payments",
        "cards",
        "payment",
        "direct_debits",
        "funds",
        "statement",
        "product",
    }
)
"""The questions that leave nothing behind in a core, whoever hears the answer. A new one is asked alone until somebody puts it here."""

MOST_TOGETHER = 32
"""Questions in one exchange."""

TOGETHER = "together"
"""The capability of a core that takes several questions in one exchange, and may be asked for a read together with the facts on which
the read will be decided."""

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")
Core = TypeVar("Core")


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """A method of the port and its arguments, in its order. ValueError for one that may leave something behind."""

    name: str
    arguments: tuple[Any, ...]

    def __post_init__(self) -> None:
        if self.name not in ASKED_TOGETHER:
            raise ValueError(f"{self.name} is not asked together with others")

    @classmethod
    def to(
        cls,
        method: Callable[Concatenate[Any, Parameters], Awaitable[Answer]],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> "Question[Answer]":
        """The question to this method of `CoreBank`: `Question.to(CoreBank.balance, account, "ITAV")`. TypeError for named arguments."""
        if named:
            raise TypeError("a question's arguments stand in their order")
        return Question(method.__name__, arguments)

    async def ask(self, core: object) -> Answer:
        """Ask this core. Raises what the method raises."""
        return cast(Answer, await getattr(core, self.name)(*self.arguments))


@dataclass(frozen=True, slots=True)
class Answered:
    """A question and the core's answer to it. The answer is not part of its text form: no log or error line quotes it by accident."""

    question: Question[Any]
    answer: object

    def __repr__(self) -> str:
        return f"Answered({self.question.name})"


def knowing(core: Core, answers: Sequence[Answered]) -> Core:
    """This core's questions, of which some are answered already: exactly these, with exactly these arguments. For one call, and for
    questions alone: what comes back has neither `submit` nor `status`."""
    return cast(Core, _Knowing(core, answers)) if answers else core


class _Knowing:
    def __init__(self, core: object, answers: Sequence[Answered]) -> None:
        self._core = core
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        if name in ("submit", "status"):
            raise AttributeError(name)
        return partial(self._ask, name) if name in ASKED_TOGETHER else getattr(self._core, name)

    async def _ask(self, name: str, *arguments: object, **named: object) -> object:
        for known in self._answers:
            if known.question.name == name and known.question.arguments == arguments and not named:
                return known.answer
        return await getattr(self._core, name)(*arguments, **named)
