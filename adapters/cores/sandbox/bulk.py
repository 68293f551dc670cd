"""Writes many rows with one precompiled statement. SQLAlchemy Core prepares each row of an `executemany` by itself; for rows of
plain integers and strings nothing is to be prepared, and that work was a fifth of a transfer's cost."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Update

_Prepared = tuple[str, Callable[[Mapping[str, Any]], Any]]


class Bulk:
    """One INSERT or UPDATE of at least two parameters, compiled once per dialect. Rows must hold every parameter, as an int, a str
    or None; a missing one is a KeyError."""

    def __init__(self, statement: Insert | Update) -> None:
        self._statement = statement
        self._prepared: dict[str, _Prepared] = {}

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each row; nothing for none."""
        if not rows:
            return
        prepared = self._prepared.get(connection.dialect.name)
        if prepared is None:
            prepared = self._prepared[connection.dialect.name] = self._prepare(connection)
        sql, order = prepared
        connection.exec_driver_sql(sql, [order(row) for row in rows])

    def _prepare(self, connection: Connection) -> _Prepared:
        compiled = self._statement.compile(dialect=connection.dialect)
        order = itemgetter(*compiled.positiontup) if compiled.positiontup else dict
        return str(compiled), order
