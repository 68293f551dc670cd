"""Which rights the roles of PostgreSQL need: the gateway's, and that of operators' commands. Neither changes or makes a table.

What is evidence (`leaves`, `sealed`, `checkpoints`, `timestamps`, `tiles`, `policy_bundles`) the gateway may add to and read, and nothing
else. An operator may also remove what was sealed, since an erasure does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName

_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_ADDS, _READS, _ALL = "SELECT, INSERT", "SELECT", "SELECT, INSERT, UPDATE, DELETE"

_OF_LOG = {
    "leaves": _ADDS,
    "sealed": _ADDS,
    "tiles": _ADDS,
    "checkpoints": _ADDS,
    "cosignatures": f"{_ADDS}, DELETE",
    "timestamps": _ADDS,
    "verification": f"{_ADDS}, UPDATE",
    "streams": f"{_ADDS}, UPDATE",
    "policy_bundles": _ADDS,
    "intents": f"{_ADDS}, UPDATE (end_state)",
    "head": f"{_ADDS}, UPDATE",
    "terms": _ADDS,
    "postings": _ADDS,
    "time_blocks": f"{_ADDS}, UPDATE (earliest, latest)",
    "outcomes": f"{_ADDS}, UPDATE (until)",
    "index_cursor": f"{_ADDS}, UPDATE (upto)",
}
"""Of `cosignatures` the newest stay. Derived from the leaves are `terms` to `index_cursor`; an intent's end is checked against its leaf."""

_OF_GATEWAY = {"policy_activations": _READS, "log_position": _READS}
"""All others are read and written whole: rows are swept and erased."""

_OF_KEYS = {"subjects": _ADDS, "data_keys": _ADDS, "destructions": _READS, "schedules": _READS, "log_position": f"{_ADDS}, UPDATE"}

_OPERATOR = {
    DatabaseName.LOG: {**_OF_LOG, "sealed": f"{_ADDS}, DELETE"},
    DatabaseName.GATEWAY: {"policy_activations": _ADDS, "log_position": _ALL},
    DatabaseName.KEYS: dict.fromkeys(_OF_KEYS, _ALL),
}
_GATEWAY = {DatabaseName.LOG: _OF_LOG, DatabaseName.GATEWAY: _OF_GATEWAY, DatabaseName.KEYS: _OF_KEYS}


class RoleRefused(Exception):
    """No name of a role, or databases that have none. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One statement, and in which database its owner says it."""

    part: DatabaseName
    statement: str


def grants(gateway: str | None, operator: str | None) -> Sequence[Grant]:
    """The statements for these roles, which must be there. They first take away what a role has. RoleRefused."""
    wanted = [(role, rights) for role, rights in ((gateway, _GATEWAY), (operator, _OPERATOR)) if role is not None]
    for role, _ in wanted:
        if not _ROLE.fullmatch(role):
            raise RoleRefused(f"{role}: a role has 1 to 63 lower-case letters, digits and underscores, and begins with no digit")
    return [Grant(part, said) for role, rights in wanted for part in DatabaseName for said in _of(role, part, rights[part])]


def _of(role: str, part: DatabaseName, rights: dict[str, str]) -> Sequence[str]:
    history, schema = HISTORIES[part], part.value
    said = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
        f"REVOKE ALL ON SCHEMA {schema} FROM {role}",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        f"GRANT SELECT ON {schema}.{history.version.name} TO {role}",
    ]
    return [*said, *(f"GRANT {rights.get(name, _ALL)} ON {schema}.{name} TO {role}" for name in sorted(history.tables.tables))]


async def say(places: DatabaseLocations, wanted: Sequence[Grant]) -> None:
    """Execute them, in one transaction of each database, by the owner whose address `places` has. SQLAlchemyError, DatabaseUnavailable."""
    for part in DatabaseName:
        mine = [grant.statement for grant in wanted if grant.part is part]

        def work(connection: Connection, said: Sequence[str] = mine) -> None:
            for statement in said:
                connection.execute(text(statement))

        database = places.open(part, name="command")
        try:
            await database.write(work)
        finally:
            await database.close()


def may_erase(connection: Connection, part: DatabaseName) -> bool:
    """Whether the role of this connection may destroy what an erasure destroys in this part: what was sealed, or the keys."""
    table = {DatabaseName.LOG: "sealed", DatabaseName.KEYS: "data_keys"}[part]
    if connection.dialect.name != "postgresql":
        return True
    asked = text("SELECT has_table_privilege(:name, 'DELETE')")
    return bool(connection.execute(asked, {"name": f"{part.value}.{table}"}).scalar_one())
