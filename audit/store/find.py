"""Searches for auditors: which leaves of a tree of a given size match. Reads only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from audit.leaf import RecordKind
from audit.store.reads import LogCorrupt, StoredLeaf, stored_leaf
from audit.store.tables import leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Fields that must be equal, None for any. Times are RFC 3339 texts: from `since` on, before `until`."""

    since: str | None = None
    until: str | None = None
    kinds: tuple[RecordKind, ...] = ()
    customer: str | None = None
    """The pseudonym."""
    call: str | None = None
    conversation: str | None = None
    trace: str | None = None
    function: str | None = None
    decision: str | None = None
    policy: str | None = None
    bundle: str | None = None
    end_state: str | None = None
    approver: str | None = None

    def named(self) -> dict[str, str | tuple[str, ...]]:
        """What is asked for, by name; what is open is left out."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)} | {
            "kinds": tuple(kind.value for kind in self.kinds)
        }
        return {name: value for name, value in asked.items() if value is not None and value != ()}


EQUAL = ("customer", "call", "conversation", "trace", "function", "decision", "bundle", "end_state", "approver")


def find(connection: Connection, wanted: Filter, size: int, after: int, limit: int) -> list[StoredLeaf]:
    """Leaves behind `after` in the tree of `size`, in order. LogCorrupt where a row says something else than its leaf."""
    statement = select(leaves).where(leaves.c.idx > after, leaves.c.idx < size, *_conditions(wanted))
    return _found(connection, statement.order_by(leaves.c.idx).limit(limit))


def find_last(connection: Connection, wanted: Filter, before: int, limit: int) -> list[StoredLeaf]:
    """Leaves before `before`, the last one first. LogCorrupt as `find`."""
    statement = select(leaves).where(leaves.c.idx < before, *_conditions(wanted))
    return _found(connection, statement.order_by(leaves.c.idx.desc()).limit(limit))


def _found(connection: Connection, statement: Select[Any]) -> list[StoredLeaf]:
    rows = connection.execute(statement).all()
    for row in rows:
        _check_row(row)
    return [stored_leaf(row.idx, row.leaf, row.hash) for row in rows]


def count_kinds(connection: Connection, since: str) -> dict[str, int]:
    """How many records of each kind have a time from `since` on."""
    statement = select(leaves.c.kind, func.count().label("records")).where(leaves.c.time >= since).group_by(leaves.c.kind)
    return {row.kind: row.records for row in connection.execute(statement)}


def _check_row(row: Row[*tuple[object, ...]]) -> None:
    """LogCorrupt unless every searchable column repeats what the leaf says."""
    if {name: getattr(row, name) for name in COLUMNS} != columns_of(json.loads(row.leaf)):
        raise LogCorrupt("a row says something else than its leaf")


def columns_of(leaf: Mapping[str, object]) -> dict[str, object]:
    """The searchable columns, from a parsed leaf."""
    function, policy, trace, approver = (_part(leaf, name) for name in ("function", "policy", "trace", "approver"))
    policies = policy.get("policies")
    joined = "".join(f"\n{item}\n" for item in policies) if isinstance(policies, list) else None
    plain = ("time", "kind", "customer", "customer_seq", "call", "conversation", "conversation_seq", "end_state")
    return {
        **{name: leaf.get(name) for name in plain},
        "trace": trace.get("id"),
        "function": function.get("name"),
        "decision": policy.get("decision"),
        "policies": joined,
        "bundle": policy.get("bundle"),
        "approver": approver.get("id"),
    }


def _part(leaf: Mapping[str, object], name: str) -> dict[str, object]:
    value = leaf.get(name)
    return value if isinstance(value, dict) else {}


COLUMNS: Sequence[str] = tuple(columns_of({}))


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    found = [leaves.c[name] == value for name in EQUAL if (value := getattr(wanted, name)) is not None]
    if wanted.since is not None:
        found.append(leaves.c.time >= wanted.since)
    if wanted.until is not None:
        found.append(leaves.c.time < wanted.until)
    if wanted.kinds:
        found.append(leaves.c.kind.in_([kind.value for kind in wanted.kinds]))
    if wanted.policy is not None:
        found.append(leaves.c.policies.contains(f"\n{wanted.policy}\n", autoescape=True))
    return found
