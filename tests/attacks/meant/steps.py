"""What a case is made of: the customer speaks or takes words back, and the model calls."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """The customer's words in one turn, in this or in an `earlier` conversation."""

    text: str
    origin: str = "typed"
    earlier: bool = False


@dataclass(frozen=True)
class Removed:
    """The customer deletes one of their messages of this conversation, by its number, from 0."""

    message: int


@dataclass(frozen=True)
class Calls:
    """What the model of one assistant asks for in one answer, as (function, arguments)."""

    calls: tuple[tuple[str, dict[str, Any]], ...]
    agent: str = "assistant"


Step = Said | Removed | Calls


def call(function: str, **arguments: Any) -> Calls:
    return Calls(((function, arguments),))
