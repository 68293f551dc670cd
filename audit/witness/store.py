"""What a witness remembers, in an SQLite file of its own: the logs that it knows, their keys, and the head that it cosigned last.

The only place of a witness that knows SQL. `synchronous=FULL`: a commit returns after fsync.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, MetaData, Table, Text, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from audit.checkpoint import VerifierKey
from audit.database import open_sqlite
from audit.merkle import EMPTY_ROOT
from audit.witness.state import Cosigned, WitnessUnavailable

STATE_FILE = "witness.sqlite"

_LOCK_WAIT_MS = 5_000

_tables = MetaData()

_logs = Table(
    "logs",
    _tables,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("time_s", BigInteger, nullable=False),
)

_log_keys = Table("log_keys", _tables, Column("origin", Text, primary_key=True), Column("vkey", Text, primary_key=True))


@dataclass(frozen=True, slots=True)
class WatchedLog:
    """A log that a witness knows."""

    origin: str
    keys: Sequence[VerifierKey]
    last: Cosigned


class SqliteWitnessStore:
    """A `WitnessStore` in one file. Other processes may add logs to it, or look at it, meanwhile."""

    def __init__(self, folder: Path) -> None:
        """Makes the file where there is none. WitnessUnavailable."""
        path = folder / STATE_FILE
        path.touch(mode=0o600)
        self._turn = threading.Lock()
        with _answering():
            self._connection = open_sqlite(path).connect()
            self._connection.exec_driver_sql(f"PRAGMA busy_timeout={_LOCK_WAIT_MS}")
            self._connection.rollback()
        with self._writing() as connection:
            _tables.create_all(connection)

    def keys_of(self, origin: str) -> Sequence[VerifierKey]:
        with self._reading() as connection:
            return _keys_of(connection, origin)

    def advance(self, origin: str, decided: Callable[[Cosigned], Cosigned]) -> Cosigned:
        with self._writing() as connection:
            found = connection.execute(select(_logs).where(_logs.c.origin == origin)).one()
            new = decided(Cosigned(found.size, found.root, found.time_s))
            values = {"size": new.size, "root": new.root, "time_s": new.time_s}
            connection.execute(update(_logs).where(_logs.c.origin == origin).values(values))
        return new

    def watch(self, origin: str, keys: Sequence[VerifierKey]) -> bool:
        """Know a log by exactly these keys from now on. What was cosigned of it stays: no command lets a log begin anew. Whether it was
        not known before."""
        with self._writing() as connection:
            is_new = connection.execute(select(_logs.c.size).where(_logs.c.origin == origin)).first() is None
            if is_new:
                connection.execute(insert(_logs).values(origin=origin, size=0, root=EMPTY_ROOT, time_s=0))
            connection.execute(delete(_log_keys).where(_log_keys.c.origin == origin))
            connection.execute(insert(_log_keys), [{"origin": origin, "vkey": key.encode()} for key in keys])
        return is_new

    def logs(self) -> list[WatchedLog]:
        """Every log that is known, by its origin."""
        with self._reading() as connection:
            rows = connection.execute(select(_logs).order_by(_logs.c.origin)).all()
            return [
                WatchedLog(row.origin, _keys_of(connection, row.origin), Cosigned(row.size, row.root, row.time_s)) for row in rows
            ]

    def close(self) -> None:
        with self._turn:
            self._connection.close()
            self._connection.engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _answering(), self._turn:
            try:
                yield self._connection
            finally:
                self._connection.rollback()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """For writing from its first statement on, so that what is read stays true until the commit."""
        with self._reading() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise WitnessUnavailable("the witness's file cannot be read or written; nothing is cosigned") from error


def _keys_of(connection: Connection, origin: str) -> Sequence[VerifierKey]:
    wanted = select(_log_keys.c.vkey).where(_log_keys.c.origin == origin).order_by(_log_keys.c.vkey)
    return [VerifierKey.parse(text) for text in connection.execute(wanted).scalars()]
