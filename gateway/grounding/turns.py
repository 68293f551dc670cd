"""What was typed in a turn, as a bag: whom it names, which figures it holds. What is not a whole order may be asked by these. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from adapters.core import KnownPayee, Money
from gateway.domain.facts import Utterance
from gateway.grounding.lexing import Figure, Lexed, lex
from gateway.grounding.names import named_in

_CLAUSES = re.compile(r",\s|[;\n:&]|\b(?:and|then|plus)\b")


@dataclass(frozen=True, slots=True)
class TypedTurn:
    """What was typed in one turn; `named`: keys of the payees whom it names."""

    number: int
    text: str
    lexed: Lexed
    named: frozenset[str]

    @property
    def amounts(self) -> frozenset[Decimal]:
        return frozenset(figure.value for figure in self.lexed.figures if not figure.is_percent)


def typed_turns(words: Iterable[Utterance], payees: Sequence[KnownPayee]) -> list[TypedTurn]:
    """The turns in which something was typed, the last one first."""
    typed: dict[int, list[str]] = {}
    for word in words:
        if word.origin == "typed":
            typed.setdefault(word.turn, []).append(word.text)
    turns = []
    for number, texts in sorted(typed.items(), reverse=True):
        text = "\n".join(texts)
        lexed = lex(text)
        turns.append(TypedTurn(number, text, lexed, named_in(lexed, payees)))
    return turns


def pairs(text: str, payees: Sequence[KnownPayee]) -> list[tuple[frozenset[str], Figure]]:
    """Several payments in one turn, told apart: each clause that names a payee or an amount names one of each. Else none."""
    clauses = [(named_in(lexed, payees), lexed.figures) for lexed in map(lex, _CLAUSES.split(text))]
    telling = [(named, figures) for named, figures in clauses if named or figures]
    apart = len(telling) > 1 and all(len(named) == 1 and len(figures) == 1 for named, figures in telling)
    return [(named, figures[0]) for named, figures in telling] if apart else []


def holds(lexed: Lexed, money: Money) -> bool:
    """Whether it holds this amount."""
    return any(figure.may_be(money) for figure in lexed.figures)
