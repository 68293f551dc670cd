"""Counts of a period, for reports: by joins over the auditors' index, over the leaves of the period alone. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from audit.leaf import RecordKind
from audit.store.auditors_index import range_of
from audit.store.tables import leaves, outcomes, postings, terms
from audit.terms import LOOKS


@dataclass(frozen=True, slots=True)
class Period:
    """RFC 3339 texts, the first inclusive and the second exclusive, in the tree of `size` leaves."""

    since: str
    until: str
    size: int


def of_calls(connection: Connection, period: Period) -> list[tuple[str, str, int]]:
    """Function, how the call stands, and how many calls."""
    between = _between(connection, period)
    in_force = (outcomes.c.idx < period.size, or_(outcomes.c.until.is_(None), outcomes.c.until >= period.size))
    counted = (leaves.c.function, outcomes.c.outcome, func.count(func.distinct(outcomes.c.call)).label("calls"))
    asked = select(*counted).join(leaves, leaves.c.idx == outcomes.c.shown).where(*between, *in_force)
    rows = connection.execute(asked.group_by(leaves.c.function, outcomes.c.outcome))
    return sorted((row.function or "", row.outcome, row.calls) for row in rows)


def of_refusals(connection: Connection, period: Period, name: str, most: int) -> list[tuple[str, int]]:
    """By `reason` or `policy`, the most frequent first: records of kind deny."""
    asked = _by_term(name, func.count().label("records")).where(
        *_between(connection, period), leaves.c.kind == RecordKind.DENY.value
    )
    rows = connection.execute(asked.group_by(terms.c.value).order_by(func.count().desc(), terms.c.value).limit(most))
    return [(row.value, row.records) for row in rows]


def of_looks(connection: Connection, period: Period, most: int) -> list[tuple[str, str, int]]:
    """Who looked at the trail, how, and how often."""
    kinds = leaves.c.kind.in_([kind.value for kind in LOOKS])
    asked = _by_term("by", leaves.c.kind, func.count().label("records")).where(*_between(connection, period), kinds)
    rows = connection.execute(asked.group_by(terms.c.value, leaves.c.kind).order_by(terms.c.value, leaves.c.kind).limit(most))
    return [(row.value, row.kind, row.records) for row in rows]


def _by_term(name: str, *counted: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    joined = select(terms.c.value, *counted).join(postings, postings.c.term == terms.c.id)
    return joined.join(leaves, leaves.c.idx == postings.c.idx).where(terms.c.name == name)


def _between(connection: Connection, period: Period) -> Sequence[ColumnElement[bool]]:
    low, high = range_of(connection, period.since, period.until)
    stop = period.size if high is None else min(period.size, high)
    return (leaves.c.idx >= low, leaves.c.idx < stop, leaves.c.time >= period.since, leaves.c.time < period.until)
