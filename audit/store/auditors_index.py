"""What auditors search by, beside the append's transaction: postings by term, and the span of times of each block of leaves.

It is derived from the leaves and follows them with a cursor. Leaves behind the cursor are looked through one by one, so that an answer
never depends on how far it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import orjson
from sqlalchemy import Connection, Row, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.store import call_outcomes
from audit.store.prepared import Prepared
from audit.store.tables import index_cursor, leaves, postings, terms, time_blocks
from audit.store.writes import read_head
from audit.terms import Term, terms_of

BLOCK = 256
"""Leaves whose times have one row."""

VALUES_AT_ONCE = 500


_POSTED = Prepared(insert(postings).values(term=bindparam("term"), idx=bindparam("idx")))


class SearchedRow(Protocol):
    """A leaf's index and its searchable columns."""

    @property
    def idx(self) -> int: ...

    @property
    def columns(self) -> Mapping[str, object]: ...


def cursor(connection: Connection) -> int:
    """Leaves below this one are in the index."""
    return connection.execute(select(index_cursor.c.upto)).scalar() or 0


def advance(connection: Connection, most: int) -> int:
    """Take the next leaves, at most `most`, into the index; how many there were. One process at a time: the cursor's row is locked."""
    start = connection.execute(select(index_cursor.c.upto).with_for_update()).scalar()
    if start is None:
        made = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        first: Any = made(index_cursor).values(id=1, upto=0)
        connection.execute(first.on_conflict_do_nothing())  # two processes may be the first at once
        start = connection.execute(select(index_cursor.c.upto).with_for_update()).scalar_one()
    head = read_head(connection)
    end = start if head is None else min(start + most, head.size)
    wanted = select(leaves.c.idx, leaves.c.time, leaves.c.leaf).where(leaves.c.idx >= start, leaves.c.idx < end)
    rows = connection.execute(wanted.order_by(leaves.c.idx)).all()
    if not rows:
        return 0
    parsed = [(row.idx, orjson.loads(row.leaf)) for row in rows]
    found = [(index, terms_of(leaf)) for index, leaf in parsed]
    ids = _ids(connection, set().union(*(of_leaf for _, of_leaf in found)))
    _POSTED.many(connection, [{"term": ids[term], "idx": index} for index, of_leaf in found for term in of_leaf])
    call_outcomes.take(connection, parsed, lambda confirmation: ids[("confirmation", confirmation)])
    _span(connection, rows)
    connection.execute(update(index_cursor).values(upto=rows[-1].idx + 1))
    return len(rows)


def known_ids(connection: Connection, wanted: Iterable[Term]) -> dict[Term, int]:
    """The number of each of these terms that any leaf has."""
    by_name: dict[str, list[str]] = {}
    for name, value in sorted(wanted):
        by_name.setdefault(name, []).append(value)
    found: dict[Term, int] = {}
    for name, values in by_name.items():
        for start in range(0, len(values), VALUES_AT_ONCE):
            asked = (terms.c.name == name, terms.c.value.in_(values[start : start + VALUES_AT_ONCE]))
            rows = connection.execute(select(terms.c.id, terms.c.value).where(*asked))
            found |= {(name, row.value): row.id for row in rows}
    return found


def _ids(connection: Connection, wanted: set[Term]) -> dict[Term, int]:
    found = known_ids(connection, wanted)
    new = sorted(wanted - found.keys())
    if new:
        first = (connection.execute(select(func.max(terms.c.id))).scalar() or 0) + 1
        made = {term: number for number, term in enumerate(new, first)}
        connection.execute(insert(terms), [{"id": number, "name": name, "value": value} for (name, value), number in made.items()])
        found |= made
    return found


def _span(connection: Connection, rows: Sequence[Row[*tuple[object, ...]]]) -> None:
    """The earliest time of each block, and the latest of all leaves up to its end, so that the first block to look at is found at once."""
    last = connection.execute(select(time_blocks).order_by(time_blocks.c.block.desc()).limit(1)).first()
    latest = "" if last is None else last.latest
    spans: dict[int, tuple[str, str]] = {} if last is None else {last.block: (last.earliest, last.latest)}
    for idx, time, *_ in rows:
        block, at = int(str(idx)) // BLOCK, str(time)
        latest = max(latest, at)
        spans[block] = (min(spans[block][0], at) if block in spans else at, latest)
    if last is not None:
        connection.execute(
            update(time_blocks)
            .where(time_blocks.c.block == last.block)
            .values(earliest=spans[last.block][0], latest=spans[last.block][1])
        )
        del spans[last.block]
    if spans:
        connection.execute(
            insert(time_blocks), [{"block": block, "earliest": early, "latest": late} for block, (early, late) in spans.items()]
        )


def range_of(connection: Connection, since: str | None, until: str | None) -> tuple[int, int | None]:
    """Leaves from the first to before the second (None: to the end) may have a time from `since` on and before `until`; no others of
    the index do. What is behind the cursor is always in it.
    """
    upto = cursor(connection)
    low, high = 0, None
    if since is not None:
        wanted = select(time_blocks.c.block).where(time_blocks.c.latest >= since)
        block = connection.execute(wanted.order_by(time_blocks.c.latest, time_blocks.c.block).limit(1)).scalar()
        low = upto if block is None else block * BLOCK
    if until is not None:
        wanted = select(time_blocks.c.block).where(time_blocks.c.earliest < until)
        block = connection.execute(wanted.order_by(time_blocks.c.block.desc()).limit(1)).scalar()
        high = 0 if block is None else (block + 1) * BLOCK
    return low, high


def unposted(connection: Connection, wanted: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of these postings, of term and index, that are not there. The indexes lie close together."""
    missing = set(wanted)
    ids, indexes = sorted({term for term, _ in missing}), [index for _, index in missing]
    for start in range(0, len(ids), VALUES_AT_ONCE):
        part = postings.c.term.in_(ids[start : start + VALUES_AT_ONCE])
        asked = select(postings).where(part, postings.c.idx >= min(indexes), postings.c.idx <= max(indexes))
        missing -= {(row.term, row.idx) for row in connection.execute(asked)}
    return missing


def unspanned(connection: Connection, rows: Sequence[SearchedRow], upto: int) -> set[int]:
    """Those of these leaves that a search by time would pass over."""
    blocks = {row.idx // BLOCK for row in rows if row.idx < upto}
    spans = {row.block: row for row in connection.execute(select(time_blocks).where(time_blocks.c.block.in_(blocks)))}
    found = set()
    for row in rows:
        span = spans.get(row.idx // BLOCK)
        if row.idx < upto and (span is None or not span.earliest <= str(row.columns["time"]) <= span.latest):
            found.add(row.idx)
    return found


def count_postings(connection: Connection) -> int:
    """How many there are."""
    return connection.execute(select(func.count()).select_from(postings)).scalar() or 0
