"""Filters over the attributes of files in vector stores, as conditions of SQL.

A file without the attribute, or with one of another type, fits `ne` and `nin` alone. Texts are compared by code points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, false, or_, select

from gateway.store.vector_tables import VECTOR_ATTRIBUTES, VECTOR_FILES

Value: TypeAlias = str | float | bool
Order: TypeAlias = Literal["gt", "gte", "lt", "lte"]

_A, _V = VECTOR_ATTRIBUTES.c, VECTOR_FILES.c


@dataclass(frozen=True, slots=True)
class OneOf:
    """The attribute is one of these, or, if `is_none`, none of them: `eq`, `ne`, `in` and `nin`."""

    key: str
    values: tuple[Value, ...]
    is_none: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    key: str
    order: Order
    value: str | float


@dataclass(frozen=True, slots=True)
class FiltersTogether:
    """All of these, or, if `is_any`, one of them at least."""

    filters: "tuple[Filter, ...]"
    is_any: bool


Filter: TypeAlias = OneOf | Compared | FiltersTogether


def condition(connection: Connection, wanted: Filter) -> ColumnElement[bool]:
    """Of rows of `VECTOR_FILES`."""
    match wanted:
        case OneOf(key, values, is_none):
            found = _has(key, or_(false(), *_equal(values)))
            return ~found if is_none else found
        case Compared(key, order, value):
            return _has(key, _ordered(connection, order, value))
        case FiltersTogether(filters, is_any):
            parts = [condition(connection, item) for item in filters]
            return or_(*parts) if is_any else and_(*parts)


def _has(key: str, what: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(_A.key).where(_A.store == _V.store, _A.file == _V.id, _A.key == key, what).exists()


def _equal(values: Sequence[Value]) -> list[ColumnElement[bool]]:
    texts = [value for value in values if isinstance(value, str)]
    truths = [int(value) for value in values if isinstance(value, bool)]
    numbers = [float(value) for value in values if not isinstance(value, str | bool)]
    return [column.in_(some) for column, some in ((_A.text, texts), (_A.truth, truths), (_A.number, numbers)) if some]


def _ordered(connection: Connection, order: Order, value: str | float) -> ColumnElement[bool]:
    column: ColumnElement[Any] = _A.text if isinstance(value, str) else _A.number
    if isinstance(value, str) and connection.dialect.name == "postgresql":
        column = column.collate("C")  # SQLite compares bytes anyway
    match order:
        case "gt":
            return column > value
        case "gte":
            return column >= value
        case "lt":
            return column < value
        case "lte":
            return column <= value
