"""What the customer wrote, read once when it was heard: clauses, in their order. Kept beside the words. Pure.

A reading knows nothing of calls and of whom the customer knows: where a name may end in several places, an order has one reading for
each ("pay Anna for lunch": whom?), and whoever knows the names takes the one that fits.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

VERSION = 1
"""Of this form and of the grammar that made it: a reading of another version is made again."""


class ClauseKind(StrEnum):
    ORDER = "order"
    """Asks for something to be done, and the grammar takes every word of it."""
    COMPLETION = "completion"
    """Fills what the order just before left open."""
    CORRECTION = "correction"
    """Puts something else in the place of a part of the order before."""
    MENTION = "mention"
    """Who gets how much: an order that says no more than "pay it" takes it up."""
    TAKING_BACK = "taking_back"
    QUESTION = "question"
    COURTESY = "courtesy"
    """Thanks, greetings: changes nothing."""
    OTHER = "other"
    """Anything else, an order that the grammar does not take whole included; `spoilt` says what stands in it."""


class Act(StrEnum):
    """What an order asks for."""

    PAY = "pay"
    SET_UP = "set_up"
    STOP = "stop"
    CARD = "card"


class Spoilt(StrEnum):
    """What a clause that is not whole holds, by the class of its words."""

    NEGATED = "negated"
    CONDITION = "condition"
    PAST = "past"
    FUTURE = "future"
    REPORTED = "reported"
    OTHER_SUBJECT = "other_subject"
    COMPARISON = "comparison"
    FRACTION = "fraction"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class SaidAmount:
    """An amount in major units. `currencies`: ISO 4217 codes that its unit may mean; none where a number stood alone."""

    value: Decimal
    currencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SaidDay:
    """A day as it was said: so many days on, a weekday (Monday is 0), a day of the month, or a date; what was not said is None."""

    in_days: int | None = None
    weekday: int | None = None
    day: int | None = None
    month: int | None = None
    year: int | None = None


@dataclass(frozen=True, slots=True)
class SaidOrder:
    """One way to read an order, or a part of one; what was not said is None. Names and texts are folded, as `folded` gives them."""

    act: Act | None = None
    payee: str | None = None
    amount: SaidAmount | None = None
    account: str | None = None
    day: SaidDay | None = None
    first: SaidDay | None = None
    last: SaidDay | None = None
    frequency: str | None = None
    reference: str | None = None
    purpose: str | None = None

    def completed(self, part: "SaidOrder") -> "SaidOrder | None":
        """With what `part` says in the place of what is open; None if something of it was said already."""
        said = {name: value for name in FIELDS if (value := getattr(part, name)) is not None}
        return None if any(getattr(self, name) is not None for name in said) else replace(self, **said)

    def corrected(self, part: "SaidOrder") -> "SaidOrder | None":
        """With what `part` says in the place of what was said; None if it was not said before."""
        said = {name: value for name in FIELDS if (value := getattr(part, name)) is not None}
        return replace(self, **said) if said and all(getattr(self, name) is not None for name in said) else None


FIELDS = tuple(name for name in SaidOrder.__dataclass_fields__ if name != "act")


@dataclass(frozen=True, slots=True)
class Clause:
    """`start` and `end` count characters of the message. `ways`: the readings of an order, a completion or a correction.

    `names`, of a taking back: whose order, as written; None for the last one; `is_all` for every one. `unread`: places of words without
    which the rest would be an order; for showing them, never for acting without them.
    """

    kind: ClauseKind
    start: int
    end: int
    ways: tuple[SaidOrder, ...] = ()
    names: str | None = None
    is_all: bool = False
    spoilt: frozenset[Spoilt] = frozenset()
    unread: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    clauses: tuple[Clause, ...] = ()

    def written(self) -> str:
        """As it is kept: JSON."""
        return json.dumps({"v": VERSION, "c": [_plain(clause) for clause in self.clauses]}, separators=(",", ":"))


def reading_of(written: str | None) -> Reading | None:
    """From what `written` gave. None for what another version wrote, and where nothing was kept: then it is read again."""
    kept = json.loads(written) if written else {}
    return Reading(tuple(map(_clause, kept["c"]))) if kept.get("v") == VERSION else None


def _plain(clause: Clause) -> list[Any]:
    ways = [[_plain_value(getattr(way, name)) for name in ("act", *FIELDS)] for way in clause.ways]
    return [clause.kind, clause.start, clause.end, ways, clause.names, clause.is_all, sorted(clause.spoilt), clause.unread]


def _plain_value(value: object) -> object:
    match value:
        case SaidAmount():
            return {"a": str(value.value), "c": list(value.currencies)}
        case SaidDay():
            return [value.in_days, value.weekday, value.day, value.month, value.year]
    return value


def _clause(kept: Sequence[Any]) -> Clause:
    kind, start, end, ways, names, is_all, spoilt, unread = kept
    places = None if unread is None else (unread[0], unread[1])
    return Clause(ClauseKind(kind), start, end, tuple(map(_way, ways)), names, is_all, frozenset(map(Spoilt, spoilt)), places)


def _way(kept: Sequence[Any]) -> SaidOrder:
    act, *values = kept
    return SaidOrder(None if act is None else Act(act), *map(_value, values))


def _value(kept: Any) -> Any:
    match kept:
        case {"a": value, "c": currencies}:
            return SaidAmount(Decimal(value), tuple(currencies))
        case list():
            return SaidDay(*kept)
    return kept
