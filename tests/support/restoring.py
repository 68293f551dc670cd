"""Backups of one half of a gateway's database, put back beside the other half as it went on: what nobody may do unseen."""

from pathlib import Path

from sqlalchemy import Connection, delete, insert, text

from gateway.app.databases import HISTORIES, DatabaseName
from tests.support.databases import Dump, on_database


def put_back(folder: Path, part: DatabaseName, backup: Dump) -> None:
    """Put the rows of a backup (`databases.dump`) in the place of what is there, without the triggers, as a restoring tool does."""
    tables = HISTORIES[part].tables.sorted_tables

    def work(connection: Connection) -> None:
        guards: list[tuple[str, str]] = []
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            asked = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            guards = [(row[0], row[1]) for row in connection.execute(asked)]
        for name, _ in guards:
            connection.execute(text(f"DROP TRIGGER {name}"))
        for table in tables:
            connection.execute(delete(table))
            if backup[table.name]:
                connection.execute(insert(table), backup[table.name])
        for _, made in guards:
            connection.execute(text(made.replace(":", "\\:")))

    on_database(folder, part, work)
