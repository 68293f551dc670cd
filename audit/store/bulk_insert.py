"""All writes of one group of records as one statement, for PostgreSQL: the head's lock, in which all processes wait for each other, is then
held for one round trip and the commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Connection, LargeBinary, Table, text

from audit.store.prepared import Prepared
from audit.store.tables import intents, leaves, sealed

Row = Mapping[str, object]

_NEW_INTENT = ("idx", "hash", "call", "time")


class SharedStatement:
    """The statement that writes a group of records, with parts of others who have tables in the same database.

    `gates`: named queries, in the order in which they lock rows. `holds`: a condition over them, without which nothing is written.
    `changes`: named statements, each with `WHERE EXISTS (SELECT FROM moved)`: only where the records are written too. All of them see what
    was committed when the statement began, and of a row that a gate locks what is committed when it has the lock.
    """

    def __init__(self, gates: Mapping[str, str], holds: str, changes: Mapping[str, str]) -> None:
        before = "".join(f"{name} AS ({part}), " for name, part in gates.items())
        after = "".join(f", {name} AS ({part})" for name, part in changes.items())
        moved = f"moved AS ({_HEAD} AND {_ON_KNOWN} AND {holds} RETURNING id)"
        self.prepared = Prepared(text(f"WITH {before}{moved}, {_WITH}{after} SELECT count(*) FROM moved"))  # noqa: S608  # our own parts


@dataclass(frozen=True, slots=True)
class SharedChange:
    """What others change together with a group of records: by which statement, with which parameters, and what their callers are
    answered if it was written."""

    statement: SharedStatement
    parameters: Mapping[str, object]
    answers: Sequence[Any]


def write_at_once(
    connection: Connection,
    new: Mapping[str, Sequence[Row]],
    ended: Sequence[Row],
    head: Mapping[str, object],
    known: Mapping[str, object] | None,
    *,
    beside: SharedChange | None = None,
) -> bool:
    """`new`: rows of leaves, sealed and intents; `ended`: `b_idx` and `b_end_state` of intents of earlier groups; `head`: the new one.
    `known`: size, root and code of the head in whose place alone it may be put; False if another is stored, and nothing was written.
    `beside`: what others change with it, on a `known` head; False also where that does not hold.
    """
    parameters: dict[str, object] = {**head, **(known or {})}
    parameters |= {f"new_{table.name}": as_rows(new.get(table.name, ())) for table in _INSERTED}
    parameters["ended"] = as_rows(ended)
    statement = _ALL if known is None else _ALL_ON_KNOWN
    if beside is not None:
        statement, parameters = beside.statement.prepared, {**parameters, **beside.parameters}
    ((moved,),) = statement.rows(connection, parameters)
    return bool(moved)


def as_rows(rows: Sequence[Row]) -> str:
    """The parameter of `given`: rows as JSON, bytes in hexadecimal. Of arrays the driver looks at each element several times in Python."""
    return orjson.dumps(rows, default=_hex).decode()


def _hex(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError


def given(parameter: str, columns: Mapping[str, str]) -> str:
    """Rows of a parameter, made by `as_rows`, as a table with these columns and types of PostgreSQL."""
    typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    return f"json_to_recordset(CAST(CAST(:{parameter} AS text) AS json)) AS given({typed})"


def inserted(table: Table, columns: Iterable[str]) -> str:
    """A change that inserts the rows of the parameter `new_` and the table's name, if the records are written."""
    kinds = {name: _type(table.c[name]) for name in columns}
    named = ", ".join(f'"{name}"' for name in kinds)
    return f"INSERT INTO {table.name} ({named}) SELECT {named} FROM {given(f'new_{table.name}', kinds)} WHERE {IF_RECORDED}"  # noqa: S608  # our own names


def _type(column: "Column[Any]") -> str:
    for kind, name in ((LargeBinary, "bytea"), (BigInteger, "bigint"), (Boolean, "boolean")):
        if isinstance(column.type, kind):
            return name
    return "integer" if column.type.python_type is int else "text"


IF_RECORDED = "EXISTS (SELECT FROM moved)"
"""The condition of every change beside the records."""


_INSERTED: dict[Table, tuple[str, ...]] = {
    leaves: tuple(leaves.c.keys()),
    sealed: tuple(sealed.c.keys()),
    intents: _NEW_INTENT,
}
_ENDED = (
    f"UPDATE intents SET end_state = given.b_end_state FROM {given('ended', {'b_idx': 'bigint', 'b_end_state': 'text'})}"  # noqa: S608  # our own names
    f" WHERE intents.idx = given.b_idx AND {IF_RECORDED}"
)
_PARTS = {**{f"into_{table.name}": inserted(table, columns) for table, columns in _INSERTED.items()}, "ends": _ENDED}
_WITH = ", ".join(f"{name} AS ({part})" for name, part in _PARTS.items())
_HEAD = "UPDATE head SET size = :size, root = :root, peaks = :peaks, note = :note, origin = :origin, mac = :mac WHERE id = 1"
_ON_KNOWN = "size = :known_size AND root = :known_root AND mac = :known_mac"
_THEN = f"{_WITH} SELECT count(*) FROM moved"  # noqa: S608  # as above
_ALL = Prepared(text(f"WITH moved AS ({_HEAD} RETURNING id), {_THEN}"))
_ALL_ON_KNOWN = Prepared(text(f"WITH moved AS ({_HEAD} AND {_ON_KNOWN} RETURNING id), {_THEN}"))
