"""Several questions as one statement: on PostgreSQL each would cost a round trip, on SQLite some thirty microseconds.

Every row has the same columns: the number of its question, its place among that question's rows, whose order a union does not keep, and
slots of each type, which a question fills from the left. What comes back is as if each had been asked alone, over one snapshot.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    LargeBinary,
    Select,
    Text,
    cast,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import TypeEngine

from audit.store.prepared import Asked, Prepared

T = TypeVar("T")

_SLOTS: tuple[type[TypeEngine[Any]], ...] = (BigInteger, Text, LargeBinary)

Question = tuple[Select[Any], ColumnElement[int] | None]
"""With a number by which its rows are in order; None: of one row, or in any order."""

Rows = Mapping[str, Sequence[tuple[Any, ...]]]
"""By the name of their question, in its order."""


class QuestionSet:
    """Questions by name. Parameters of one name are one for all."""

    def __init__(self, **questions: Question) -> None:
        asked = {name: [_slot(column) for column in question.selected_columns] for name, (question, _) in questions.items()}
        widths = [max(slots.count(slot) for slots in asked.values()) for slot in range(len(_SLOTS))]
        starts = [2 + sum(widths[:slot]) for slot in range(len(_SLOTS))]
        parts = [_part(number, questions[name], asked[name], widths) for number, name in enumerate(asked)]
        self._statement = Prepared(union_all(*parts))
        self._places = {
            name: tuple(starts[slot] + slots[:at].count(slot) for at, slot in enumerate(slots)) for name, slots in asked.items()
        }
        self._names = tuple(asked)

    def rows(self, connection: Connection, parameters: Mapping[str, object]) -> Rows:
        return self._apart(self._statement.rows(connection, parameters))

    def asked(self, parameters: Mapping[str, object], answer: Callable[[Rows], T]) -> Asked[T]:
        """As one question, whose answer is made of its rows."""
        return Asked(self._statement, parameters, lambda found: answer(self._apart(found)))

    def _apart(self, answered: Sequence[Any]) -> Rows:
        found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in self._names}
        for row in sorted(answered, key=lambda row: (row[0], row[1])):
            name = self._names[row[0]]
            found[name].append(tuple([row[place] for place in self._places[name]]))
        return found


def _slot(column: ColumnElement[Any]) -> int:
    if isinstance(column.type, LargeBinary):
        return 2
    return 0 if isinstance(column.type, Integer) else 1


def _part(number: int, question: Question, slots: Sequence[int], widths: Sequence[int]) -> Select[Any]:
    asked, place = question
    numbered = asked.add_columns((literal_column("0") if place is None else place).label("place"))
    inner = numbered.subquery(f"question_{number}")
    *columns, placed = inner.columns
    filled: list[ColumnElement[Any]] = [literal_column(str(number)).label("question"), cast(placed, BigInteger).label("place")]
    for slot, (kind, width) in enumerate(zip(_SLOTS, widths, strict=True)):
        mine = [column for column, its in zip(columns, slots, strict=True) if its == slot]
        padded = [*mine, *([null()] * (width - len(mine)))]
        filled += [cast(column, kind).label(f"{kind.__name__.lower()}_{at}") for at, column in enumerate(padded)]
    return select(*filled)
