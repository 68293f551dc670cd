"""Core statements that are compiled once and run through the driver: for the path that every record takes.

SQLAlchemy's own execution costs 20 to 60 us a statement; at one record a commit, that was a third of the commit. The tables' types need
no processing: they are integers, text and bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

T = TypeVar("T")


class Prepared:
    """One statement. Every parameter without a value of its own must be given on every execution."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._by_dialect: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, parameters: Mapping[str, object]) -> Sequence[Any]:
        """What a query gives, as plain tuples."""
        compiled = self._compiled(connection)
        bare = _asyncpg(connection)
        if bare is not None:
            answer: Sequence[Any] = await_only(bare.fetch(compiled.sql, *compiled.in_order(parameters)))
            return answer
        with _driver(connection) as cursor:
            cursor.execute(compiled.sql, compiled.in_order(parameters))
            found: Sequence[Any] = cursor.fetchall()
        return found

    async def fetched(self, connection: Connection, parameters: Mapping[str, object]) -> Sequence[Any]:
        """As `rows`, from a coroutine: PostgreSQL is asked without a greenlet, which costs as much as its answer."""
        bare = _asyncpg(connection)
        if bare is None:
            return self.rows(connection, parameters)
        compiled = self._compiled(connection)
        found: Sequence[Any] = await bare.fetch(compiled.sql, *compiled.in_order(parameters))
        return found

    def one(self, connection: Connection, parameters: Mapping[str, object]) -> int:
        """Execute a change; how many rows it changed."""
        compiled = self._compiled(connection)
        with _driver(connection) as cursor:
            cursor.execute(compiled.sql, compiled.in_order(parameters))
            changed: int = cursor.rowcount
        return changed

    def many(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Execute a change once for each row."""
        compiled = self._compiled(connection)
        with _driver(connection) as cursor:
            cursor.executemany(compiled.sql, [compiled.in_order(row) for row in rows])

    def _compiled(self, connection: Connection) -> "_Compiled":
        dialect = connection.dialect
        known = self._by_dialect.get(dialect.name)
        if known is None:
            compiled = self._statement.compile(dialect=dialect)
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            known = _Compiled(str(compiled), tuple(getattr(compiled, "positiontup", None) or ()), constants)
            self._by_dialect[dialect.name] = known
        return known


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in the words of one dialect, and the order in which it wants its parameters."""

    sql: str
    order: tuple[str, ...]
    constants: Mapping[str, object]

    def in_order(self, given: Mapping[str, object]) -> tuple[object, ...]:
        if self.constants:
            given = {**self.constants, **given}
        return tuple([given[name] for name in self.order])


def _asyncpg(connection: Connection) -> Any:
    """The driver's own connection on PostgreSQL, where it keeps no transaction open: to ask it through SQLAlchemy's adapter costs twice as
    much. None anywhere else: a transaction is begun by the adapter. Errors are the driver's then (`audit.postgres`)."""
    if connection.dialect.driver != "asyncpg":
        return None
    pooled = connection.connection
    adapted: Any = pooled.dbapi_connection
    return pooled.driver_connection if adapted.autocommit else None


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """A question of one statement: what it is asked with, and what its rows say."""

    statement: Prepared
    parameters: Mapping[str, object]
    answer: Callable[[Sequence[Any]], T]

    def of(self, connection: Connection) -> T:
        """The answer, where a connection is at hand."""
        return self.answer(self.statement.rows(connection, self.parameters))


class _driver:  # noqa: N801  # reads as the statement that it is; a generator would cost a microsecond more
    """A cursor of the driver; its errors become SQLAlchemy's, without the parameters."""

    __slots__ = ("_connection", "_cursor")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor = connection.connection.cursor()

    def __enter__(self) -> DBAPICursor:
        return self._cursor

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
        self._cursor.close()
        driver = self._connection.dialect.dbapi
        if driver is not None and isinstance(error, driver.Error):
            raise DBAPIError.instance(
                None, None, error, driver.Error, dialect=self._connection.dialect, hide_parameters=True
            ) from error
