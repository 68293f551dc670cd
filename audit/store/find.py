"""Searches for auditors: which leaves of a tree of a given size match. Reads only."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import orjson
from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, exists, func, select

from audit.leaf import RecordKind
from audit.store import call_outcomes
from audit.store.auditors_index import cursor, known_ids, range_of
from audit.store.reads import LEAVES_AT_ONCE, LogCorrupt, StoredLeaf, stored_leaf
from audit.store.tables import leaves, outcomes, postings
from audit.terms import CallOutcome, Term, about_of, part, terms_of


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
    about: str | None = None
    """Of a look: the pseudonym of whom it was about."""
    shown: str | None = None
    """Of a look that named nobody: the pseudonym of one whose record it showed."""
    agent: str | None = None
    switch: str | None = None
    by: str | None = None
    reason: str | None = None
    case: str | None = None
    word: str | None = None
    confirmation: str | None = None
    outcomes: tuple[CallOutcome, ...] = ()
    """How the call stands in the tree that is asked of."""

    def named(self) -> dict[str, str | tuple[str, ...]]:
        """What is asked for, by name; what is open is left out."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)} | {
            "kinds": tuple(kind.value for kind in self.kinds),
            "outcomes": tuple(outcome.value for outcome in self.outcomes),
        }
        return {name: value for name, value in asked.items() if value is not None and value != ()}


EQUAL = ("customer", "call", "conversation", "trace", "function", "decision", "bundle", "end_state", "approver")
"""What a leaf's row repeats in a column."""

FURTHER = ("about", "shown", "switch", "agent", "by", "reason", "case", "word", "confirmation")
"""What stands in the leaf alone, and in the auditors' index."""

_KEYED = ("customer", "call", "conversation")
"""Leaves have an index of their own by each of these: calls need it."""

_COUNTED_MOST = 2000

_SCANNED_AT_ONCE = 512


class IndexBehind(Exception):
    """How calls stand is not known yet in a tree of this size: the index follows the log, and is brought along."""


def find(connection: Connection, wanted: Filter, size: int, after: int, limit: int) -> list[StoredLeaf]:
    """Leaves behind `after` in the tree of `size`, in order. LogCorrupt where a row says something else than its leaf; IndexBehind."""
    return _Search(connection, wanted, size, backward=False).found(range(after + 1, size), limit)


def find_last(connection: Connection, wanted: Filter, before: int, limit: int, *, size: int | None = None) -> list[StoredLeaf]:
    """Leaves before `before` in the tree of `size` (None: of `before`), the last one first. Errors as `find`."""
    return _Search(connection, wanted, before if size is None else size, backward=True).found(range(before), limit)


def indexed_upto(connection: Connection) -> int:
    """Records below this one are in the auditors' index."""
    return cursor(connection)


class _Search:
    """One question, of the leaves in a range: the indexed ones by the index, the few behind its cursor one by one."""

    def __init__(self, connection: Connection, wanted: Filter, size: int, *, backward: bool) -> None:
        self._connection, self._wanted, self._size, self._backward = connection, wanted, size, backward
        self._is_keyed = any(getattr(wanted, name) is not None for name in _KEYED)
        self._further = {(name, value) for name in FURTHER if (value := getattr(wanted, name)) is not None}

    def found(self, within: range, limit: int) -> list[StoredLeaf]:
        upto = cursor(self._connection)
        if self._wanted.outcomes and upto < self._size:
            raise IndexBehind
        if self._is_keyed and not self._further and not self._wanted.outcomes:
            upto = 0  # its own index needs no other
        middle = min(max(upto, within.start), within.stop)
        low, high = (0, None) if self._is_keyed else range_of(self._connection, self._wanted.since, self._wanted.until)
        stop = middle if high is None else min(middle, high)
        indexed, rest = range(max(within.start, low), stop), range(middle, within.stop)
        parts = (self._scanned, rest), (self._indexed, indexed)
        indexes: list[int] = []
        for search, part_of in parts if self._backward else reversed(parts):
            if len(indexes) < limit and part_of:
                indexes += search(part_of, limit - len(indexes))
        return _found(self._connection, indexes)

    def _scanned(self, within: range, limit: int) -> list[int]:
        """By their columns; what has no column is read in the leaf."""
        if not self._further:
            return self._by_columns(within, limit, [])
        indexes: list[int] = []
        while within and len(indexes) < limit:
            piece = self._by_columns(within, _SCANNED_AT_ONCE, [])
            read = select(leaves.c.idx, leaves.c.leaf).where(leaves.c.idx.in_(piece))
            matching = {row.idx for row in self._connection.execute(read) if self._further <= terms_of(orjson.loads(row.leaf))}
            indexes += [index for index in piece if index in matching]
            if len(piece) < _SCANNED_AT_ONCE:
                break
            within = range(within.start, piece[-1]) if self._backward else range(piece[-1] + 1, within.stop)
        return indexes[:limit]

    def _by_columns(self, within: range, limit: int, others: Sequence[ColumnElement[bool]]) -> list[int]:
        between = (leaves.c.idx >= within.start, leaves.c.idx < within.stop)
        statement = select(leaves.c.idx).where(*between, *_conditions(self._wanted), *others)
        return self._in_order(statement.order_by(self._order(leaves.c.idx)).limit(limit))

    def _indexed(self, within: range, limit: int) -> list[int]:
        """By how calls stand, or by postings, of the rarest term first; each further condition is looked up by the leaf's index."""
        terms, kinds = _terms(self._wanted)
        known = known_ids(self._connection, [*terms, *kinds])
        if any(term not in known for term in terms) or (kinds and not any(kind in known for kind in kinds)):
            return []
        ids, of_kinds = [known[term] for term in terms], [known[kind] for kind in kinds if kind in known]
        if self._is_keyed:
            return self._by_columns(within, limit, self._others(leaves, [known[term] for term in self._further], []))
        if len(of_kinds) == 1:
            ids, of_kinds = [*ids, *of_kinds], []
        counts = {term: self._count(term, within) for term in ids} if len(ids) > 1 or self._wanted.outcomes else {}
        ids.sort(key=lambda term: counts.get(term, 0))
        if self._wanted.outcomes and not (ids and counts[ids[0]] < _COUNTED_MOST):
            return self._by_outcome(within, limit, ids, of_kinds)
        if ids:
            return self._posted(ids[0], within, self._others(at, ids[1:], of_kinds), limit)
        if of_kinds:
            each = [self._posted(term, within, self._others(at, [], []), limit) for term in of_kinds]
            return self._merged(each, limit)
        return self._by_columns(within, limit, [])

    def _by_outcome(self, within: range, limit: int, ids: Sequence[int], of_kinds: Sequence[int]) -> list[int]:
        each = []
        for conditions in call_outcomes.found_by([outcome.value for outcome in self._wanted.outcomes], self._size):
            between = (outcomes.c.shown >= within.start, outcomes.c.shown < within.stop)
            of = select(outcomes.c.shown.label("idx")).where(*conditions, *between).subquery("shown")
            wanted = select(of.c.idx).where(*self._others(of, ids, of_kinds, by_outcome=True)).distinct()
            each.append(self._in_order(wanted.order_by(self._order(of.c.idx)).limit(limit)))
        return self._merged(each, limit)

    def _others(
        self, of: FromClause, ids: Sequence[int], of_kinds: Sequence[int], *, by_outcome: bool = False
    ) -> list[ColumnElement[bool]]:
        """Conditions on a row of `of`, whose `idx` is the record's."""
        wanted = self._wanted
        others: list[ColumnElement[bool]] = [_has(of, [term]) for term in ids]
        if of_kinds:
            others.append(_has(of, of_kinds))
        if wanted.outcomes and not by_outcome:
            others.append(call_outcomes.stands(of, [outcome.value for outcome in wanted.outcomes], self._size))
        if of is not leaves and wanted.since is not None:
            others.append(_time_of(of) >= wanted.since)
        if of is not leaves and wanted.until is not None:
            others.append(_time_of(of) < wanted.until)
        return others

    def _posted(self, term: int, within: range, others: Sequence[ColumnElement[bool]], limit: int) -> list[int]:
        asked = select(at.c.idx).where(at.c.term == term, at.c.idx >= within.start, at.c.idx < within.stop, *others)
        return self._in_order(asked.order_by(self._order(at.c.idx)).limit(limit))

    def _count(self, term: int, within: range) -> int:
        some = select(at.c.idx).where(at.c.term == term, at.c.idx >= within.start, at.c.idx < within.stop).limit(_COUNTED_MOST)
        return self._connection.execute(select(func.count()).select_from(some.subquery())).scalar() or 0

    def _order(self, column: ColumnElement[int]) -> ColumnElement[int]:
        return column.desc() if self._backward else column

    def _in_order(self, statement: Select[*tuple[int]]) -> list[int]:
        return list(self._connection.execute(statement).scalars())

    def _merged(self, each: Iterable[Sequence[int]], limit: int) -> list[int]:
        return sorted({index for part_of in each for index in part_of}, reverse=self._backward)[:limit]


at = postings.alias("at")


def _terms(wanted: Filter) -> tuple[list[Term], list[Term]]:
    """All of these, and any of those."""
    asked = wanted.named()
    found = [(name, str(asked[name])) for name in (*EQUAL, "policy", *FURTHER) if name in asked and name not in _KEYED]
    return found, [("kind", kind.value) for kind in wanted.kinds]


def _has(of: FromClause, ids: Sequence[int]) -> ColumnElement[bool]:
    return exists().where(postings.c.term.in_(ids), postings.c.idx == of.c.idx).correlate(of)


def _time_of(of: FromClause) -> ColumnElement[str]:
    return select(leaves.c.time).where(leaves.c.idx == of.c.idx).correlate(of).scalar_subquery()


def _found(connection: Connection, indexes: Sequence[int]) -> list[StoredLeaf]:
    """The leaves of these indexes, in their order."""
    found: dict[int, StoredLeaf] = {}
    for start in range(0, len(indexes), LEAVES_AT_ONCE):
        part_of = indexes[start : start + LEAVES_AT_ONCE]
        for row in connection.execute(select(leaves).where(leaves.c.idx.in_(part_of))):
            _check_row(row)
            found[row.idx] = stored_leaf(row.idx, row.leaf, row.hash)
    if len(found) != len(indexes):
        raise LogCorrupt("a leaf that the index names is missing")
    return [found[index] for index in indexes]


def customers_of(connection: Connection, indexes: Sequence[int], most: int) -> set[str]:
    """The pseudonyms that these records are of; it stops once there are more than `most`."""
    found: set[str] = set()
    for start in range(0, len(indexes), LEAVES_AT_ONCE):
        part_of = leaves.c.idx.in_(indexes[start : start + LEAVES_AT_ONCE])
        found.update(
            connection.execute(select(leaves.c.customer).distinct().where(part_of, leaves.c.customer.is_not(None))).scalars()
        )
        if len(found) > most:
            break
    return found


def count_records(connection: Connection, within: range) -> tuple[dict[str, int], dict[str, int]]:
    """How many of these leaves are of each kind, and of each function."""
    between = (leaves.c.idx >= within.start, leaves.c.idx < within.stop)
    of_both = select(leaves.c.kind, leaves.c.function, func.count().label("records")).where(*between)
    kinds: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for row in connection.execute(of_both.group_by(leaves.c.kind, leaves.c.function)):
        kinds[row.kind] += row.records
        if row.function is not None:
            functions[row.function] += row.records
    return dict(kinds), dict(functions)


def count_posted(connection: Connection, term: Term, within: range, most: int) -> int:
    """How many of these leaves the index finds by this term; it stops counting at `most`."""
    number = known_ids(connection, [term]).get(term)
    some = select(at.c.idx).where(at.c.term == number, at.c.idx >= within.start, at.c.idx < within.stop).limit(most)
    return 0 if number is None else connection.execute(select(func.count()).select_from(some.subquery())).scalar() or 0


def count_sequence(connection: Connection, name: str, value: str, size: int) -> tuple[int, int]:
    """Of a customer or a conversation in the tree of `size`: how many records there are, and the last number of the sequence."""
    of, number = leaves.c[name], leaves.c[f"{name}_seq"]
    last = connection.execute(select(number).where(of == value, leaves.c.idx < size).order_by(number.desc()).limit(1)).scalar() or 0
    there = connection.execute(select(func.count()).select_from(leaves).where(of == value, number <= last)).scalar() or 0
    return there, last


def _check_row(row: Row[*tuple[object, ...]]) -> None:
    """LogCorrupt unless every searchable column repeats what the leaf says."""
    if {name: getattr(row, name) for name in COLUMNS} != columns_of(orjson.loads(row.leaf)):
        raise LogCorrupt("a row says something else than its leaf")


def columns_of(leaf: Mapping[str, object]) -> dict[str, object]:
    """The searchable columns, from a parsed leaf."""
    function, policy, trace, approver = (part(leaf, name) for name in ("function", "policy", "trace", "approver"))
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
        "about": about_of(leaf),
    }


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
