"""Brings a database to the tables that this version knows: an empty one at once, an older one by its history of migrations (Alembic).

A history is a folder of Alembic revisions beside the tables that it leads to; `tests/conformance/test_histories.py` proves that it does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select, text

from audit.database import MAKING, Database
from audit.store.tables import key_tables, log_tables

_FOLDER = Path(__file__).parent / "store"

UPGRADE_PAUSE_S = 60
"""How long making or upgrading tables may stand still between two statements. A call's transaction may for `LOCK_WAIT_S` alone, since
others wait for its locks; on a host that is suspended for that long, the start would fail with half of its statements said."""


class HistoryUnknown(Exception):
    """The database is not one that this version can serve. The text says what to do; nothing was changed."""


@dataclass(frozen=True, slots=True)
class History:
    """`head` is the newest revision in `folder`, the one that `tables` show."""

    name: str
    tables: MetaData
    folder: Path
    head: str
    beside: Callable[[Connection], object] | None = None
    """What else belongs to them and may be repeated, of the transaction that makes or upgrades them."""

    @property
    def version(self) -> Table:
        """Where the database says its revision: a table for each history, since several may stand in one database."""
        return Table(f"{self.name}_version", MetaData(), Column("version_num", String(32), primary_key=True))

    def revision(self, connection: Connection) -> str | None:
        """The revision of a database, None for one that was never made."""
        version = self.version
        if not inspect(connection).has_table(version.name):
            return None
        found: str | None = connection.execute(select(version.c.version_num)).scalar()
        return found


LOG_HISTORY = History("log", log_tables, _FOLDER / "log_history", "0010")
KEYS_HISTORY = History("keys", key_tables, _FOLDER / "keys_history", "0003")


async def prepare(database: Database, history: History, *, may_upgrade: bool) -> str | None:
    """Make the tables, or upgrade them if allowed. The revision that was found; None for an empty database.

    HistoryUnknown where tables stand without a history, are of a newer version, or are older and may not be upgraded.
    """
    await database.create()

    def work(connection: Connection) -> str | None:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{UPGRADE_PAUSE_S}s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MAKING})"))
        found = history.revision(connection)
        if found is None:
            _make(connection, history)
        elif found != history.head:
            _upgrade(connection, history, found, may_upgrade=may_upgrade)
        if history.beside is not None:
            history.beside(connection)
        return found

    if await database.read(history.revision) == history.head:  # the usual start takes no lock
        return history.head
    return await database.write(work)


def _make(connection: Connection, history: History) -> None:
    if {*inspect(connection).get_table_names()} & {*history.tables.tables}:
        raise HistoryUnknown(f"{history.name}: tables without a history, of a development version; begin with an empty database")
    history.tables.create_all(connection)
    version = history.version
    version.create(connection)
    connection.execute(insert(version).values(version_num=history.head))


def _upgrade(connection: Connection, history: History, found: str | None, *, may_upgrade: bool) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER / "migration"))
    config.set_main_option("version_locations", str(history.folder))
    config.set_main_option("path_separator", "newline")
    config.attributes.update(connection=connection, version=history.version.name)
    if found is not None and found not in {item.revision for item in ScriptDirectory.from_config(config).walk_revisions()}:
        raise HistoryUnknown(f"{history.name}: revision {found} is of a newer version than this one; nothing was changed")
    if not may_upgrade:
        raise HistoryUnknown(f"{history.name}: revision {found}, needed is {history.head}; run `tellergate database upgrade`")
    command.upgrade(config, history.head)
