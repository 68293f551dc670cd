"""Lists by cursor, as the OpenAI APIs page them: newest first unless asked otherwise, `after` and `before` an object of the same list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, or_, select


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What is asked of a list. `after` and `before` are ids."""

    limit: int = 20
    ascending: bool = False
    after: str | None = None
    before: str | None = None


class NoSuchCursor(Exception):
    """`after` or `before` is no object of this list; the name says which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def rows_of(
    connection: Connection, table: Table, within: Sequence[ColumnElement[bool]], page: PageRequest
) -> tuple[Sequence[Row[Any]], bool]:
    """The rows of one page in the order that was asked for, and whether there are more behind it. NoSuchCursor.

    With `before` alone the page ends just before it, as `after` begins just behind.
    """
    backwards = page.before is not None and page.after is None
    upwards = page.ascending != backwards
    wanted = list(within)
    for name, id_, is_newer in (("after", page.after, page.ascending), ("before", page.before, not page.ascending)):
        if id_ is not None:
            at = connection.execute(select(table.c.created_us).where(*within, table.c.id == id_)).scalar_one_or_none()
            if at is None:
                raise NoSuchCursor(name)
            wanted.append(_newer(table, at, id_) if is_newer else _older(table, at, id_))
    order = [column.asc() if upwards else column.desc() for column in (table.c.created_us, table.c.id)]
    rows = connection.execute(select(table).where(*wanted).order_by(*order).limit(page.limit + 1)).all()
    taken = rows[: page.limit]
    return (taken[::-1] if backwards else taken), len(rows) > page.limit


def _newer(table: Table, at_us: int, id_: str) -> ColumnElement[bool]:
    return or_(table.c.created_us > at_us, and_(table.c.created_us == at_us, table.c.id > id_))


def _older(table: Table, at_us: int, id_: str) -> ColumnElement[bool]:
    return or_(table.c.created_us < at_us, and_(table.c.created_us == at_us, table.c.id < id_))
