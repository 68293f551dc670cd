"""Whether the gateway's tables and the log's are of one moment.

Both stand in one database, and a change and its record are one transaction. A backup of one half alone tears them apart, and nothing of
the halves themselves tells. So the head of the log is written down a second time, in the gateway's tables, by a trigger of the database:
whatever writes to the log, of whichever version, moves both in one transaction, at no further statement. Once they differ they stay so,
since the trigger moves only what agreed: nothing that is written afterwards hides a restored backup.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, TextClause, inspect, text

TRIGGER = "log_position_moves"

_MOVES = "update {gateway}log_position set size = NEW.size, root = NEW.root where id = 1 and size = OLD.size and root = OLD.root"
_BEGINS = "insert into {gateway}log_position (id, size, root) values (1, NEW.size, NEW.root) on conflict (id) do nothing"
_HEAD_NOW = "select 1, size, root from {log}head where id = 1 on conflict (id) do nothing"
_TAKEN_OVER = f"insert into {{gateway}}log_position (id, size, root) {_HEAD_NOW}"
_BY_OWNER = "language plpgsql security definer set search_path = pg_catalog"
_BOTH = (
    "select h.size, h.root, p.size, p.root from (select 1 as one) o"
    " left join {log}head h on h.id = o.one left join {gateway}log_position p on p.id = o.one"
)


class Alignment(StrEnum):
    """How the gateway's database and the log stand to each other. Closed and stable."""

    TOGETHER = "together"
    """Of one moment."""
    NOT_WATCHED = "not_watched"
    """Nothing tells yet: the databases were made by an earlier version. `watch` begins."""
    BOOK_BEHIND_LOG = "book_behind_log"
    """The log went on without the gateway's tables: these were restored from a backup."""
    LOG_BEHIND_BOOK = "log_behind_book"
    """The gateway's tables went on without the log: it was restored from a backup, or cut."""
    ANOTHER_LOG = "another_log"
    """As long as the log that the gateway's tables know, and not the same."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """The comparison. Sizes are numbers of records; None: there is no log yet, or the gateway's tables know of none."""

    alignment: Alignment
    log_size: int | None
    book_size: int | None


def watch(connection: Connection) -> bool:
    """Have the database write the log's head down beside each change of it, from now on, by the gateway's connection. False, and nothing is
    done, before there are tables of both. May be repeated: what was watched already is left as it is."""
    if not _both_stand(connection):
        return False
    if _is_watched(connection):
        return True
    for statement in (*_statements(connection), _TAKEN_OVER):
        connection.execute(_said(connection, statement))
    return True


def aligned(connection: Connection) -> Aligned:
    """Compare, of one snapshot, by the gateway's connection. Its tables are of this version."""
    if not _both_stand(connection):  # a gateway whose log was not begun yet, unless it has known one
        known = connection.execute(_said(connection, "select size from {gateway}log_position where id = 1")).scalar()
        return Aligned(Alignment.TOGETHER if known is None else Alignment.LOG_BEHIND_BOOK, None, known)
    row = connection.execute(_said(connection, _BOTH)).one()
    log_size, log_root, book_size, book_root = row
    return Aligned(
        _alignment(log_size, book_size, is_same=log_root == book_root, is_watched=_is_watched(connection)), log_size, book_size
    )


def _alignment(log_size: int | None, book_size: int | None, *, is_same: bool, is_watched: bool) -> Alignment:
    if book_size is None:
        if not is_watched:
            return Alignment.NOT_WATCHED
        return Alignment.TOGETHER if log_size is None else Alignment.BOOK_BEHIND_LOG
    if log_size is None or not is_watched or log_size < book_size:
        return Alignment.LOG_BEHIND_BOOK  # a log that does not know that it is watched is of before
    if log_size > book_size:
        return Alignment.BOOK_BEHIND_LOG
    return Alignment.TOGETHER if is_same else Alignment.ANOTHER_LOG


def align(connection: Connection) -> None:
    """Take what stands for one moment, inside the transaction that made it so."""
    for statement in ("delete from {gateway}log_position", _TAKEN_OVER):
        connection.execute(_said(connection, statement))


def set_back(connection: Connection) -> None:
    """What stands was restored from a backup: it is behind, by a record at least, until it is recovered."""
    said = "update {gateway}log_position set size = size - 1, root = :none where id = 1 and size > 0"
    connection.execute(_said(connection, said), {"none": bytes(32)})


FAR = 2**32
"""Further than any log grows meanwhile: what is asked of it before it is recovered must not make up for what is lost."""


def lose_records(connection: Connection, known: int) -> None:
    """The log goes on without records, of which somebody knows `known`: the gateway's tables stay ahead of it until they are recovered. By
    the log's or the gateway's connection, inside the transaction that makes it so; nothing where a gateway has no tables."""
    if not _both_stand(connection):
        return
    before = connection.execute(_said(connection, "select size from {gateway}log_position where id = 1")).scalar()
    said = "insert into {gateway}log_position (id, size, root) values (1, :size, :none)"
    said += " on conflict (id) do update set size = :size, root = :none"
    connection.execute(_said(connection, said), {"size": max(known, before or 0) + FAR, "none": bytes(32)})


def _is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _said(connection: Connection, statement: str) -> TextClause:
    """Two schemas of one database on PostgreSQL, one file on SQLite."""
    gateway, log = ("gateway.", "log.") if _is_postgresql(connection) else ("", "")
    return text(statement.replace("{gateway}", gateway).replace("{log}", log))


def _both_stand(connection: Connection) -> bool:
    schemas = ("log", "gateway") if _is_postgresql(connection) else (None, None)
    found = inspect(connection)
    return found.has_table("head", schema=schemas[0]) and found.has_table("log_position", schema=schemas[1])


def _is_watched(connection: Connection) -> bool:
    if _is_postgresql(connection):
        asked = "select 1 from pg_trigger where tgname = :name and tgrelid = to_regclass('log.head')"
    else:
        asked = "select 1 from sqlite_master where type = 'trigger' and name = :name"
    return connection.execute(text(asked), {"name": TRIGGER}).first() is not None


def _statements(connection: Connection) -> tuple[str, ...]:
    if not _is_postgresql(connection):
        return (
            f"create trigger {TRIGGER} after update on head when NEW.size <> OLD.size begin {_MOVES}; end",
            f"create trigger log_position_begins after insert on head begin {_BEGINS}; end",
        )
    body = f"begin if TG_OP = 'INSERT' then {_BEGINS}; else {_MOVES}; end if; return null; end"
    called = "for each row {when} execute function log.log_position_moves()"
    return (
        # With its owner's rights: the gateway's own role cannot write what its tables say of the log
        f"create or replace function log.log_position_moves() returns trigger {_BY_OWNER} as $$ {body} $$",
        f"create trigger {TRIGGER} after update on log.head {called.replace('{when}', 'when (NEW.size <> OLD.size)')}",
        f"create trigger log_position_begins after insert on log.head {called.replace('{when}', '')}",
    )
