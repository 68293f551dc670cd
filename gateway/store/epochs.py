"""Counters by name. Who changes something of a kind takes its counter's row first, so that such changes come one after the other."""

from sqlalchemy import Connection, bindparam, select, text

from audit.store.prepared import Prepared
from gateway.store.tables import EPOCHS

_BEGIN = Prepared(text("insert into epochs (name, value) values (:name, 0) on conflict do nothing"))
_LOCK = Prepared(select(EPOCHS.c.value).where(EPOCHS.c.name == bindparam("name")).with_for_update())


def lock(connection: Connection, name: str) -> None:
    """Until the transaction ends, in every process."""
    _BEGIN.one(connection, {"name": name})
    _LOCK.rows(connection, {"name": name})
