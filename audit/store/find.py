"""Searches for auditors: which leaves of a tree of a given size match. Reads only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import ColumnElement, Connection, FromClause, Row, exists, func, select

from audit.leaf import RecordKind
from audit.store.auditors_index import Term, cursor, known_ids, range_of
from audit.store.reads import LEAVES_AT_ONCE, LogCorrupt, StoredLeaf, stored_leaf
from audit.store.tables import leaves, postings


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

    def named(self) -> dict[str, str | tuple[str, ...]]:
        """What is asked for, by name; what is open is left out."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)} | {
            "kinds": tuple(kind.value for kind in self.kinds)
        }
        return {name: value for name, value in asked.items() if value is not None and value != ()}


LOOKS = (RecordKind.AUDIT_QUERY, RecordKind.AUDIT_REVEAL, RecordKind.AUDIT_EXPORT)
"""Records of questions to the trail."""

EQUAL = ("customer", "call", "conversation", "trace", "function", "decision", "bundle", "end_state", "approver", "about")


_KEYED = ("customer", "call", "conversation")
"""Leaves have an index of their own by each of these: calls need it."""

_COUNTED_MOST = 2000


def find(connection: Connection, wanted: Filter, size: int, after: int, limit: int) -> list[StoredLeaf]:
    """Leaves behind `after` in the tree of `size`, in order. LogCorrupt where a row says something else than its leaf."""
    begun = range(after + 1, size)
    indexed, rest = _parts(connection, wanted, begun)
    found = _indexed(connection, wanted, indexed, limit, backward=False)
    if len(found) < limit:
        found += _scanned(connection, wanted, rest, limit - len(found), backward=False)
    return _found(connection, found)


def find_last(connection: Connection, wanted: Filter, before: int, limit: int) -> list[StoredLeaf]:
    """Leaves before `before`, the last one first. LogCorrupt as `find`."""
    indexed, rest = _parts(connection, wanted, range(before))
    found = _scanned(connection, wanted, rest, limit, backward=True)
    if len(found) < limit:
        found += _indexed(connection, wanted, indexed, limit - len(found), backward=True)
    return _found(connection, found)


def _parts(connection: Connection, wanted: Filter, begun: range) -> tuple[range, range]:
    """What the auditors' index answers, and what is looked through, leaf by leaf."""
    if any(getattr(wanted, name) is not None for name in _KEYED):
        return range(0), begun
    upto = min(max(cursor(connection), begun.start), begun.stop)
    low, high = range_of(connection, wanted.since, wanted.until)
    stop = upto if high is None else min(upto, high)
    return range(max(begun.start, low), stop), range(upto, begun.stop)


def _scanned(connection: Connection, wanted: Filter, within: range, limit: int, *, backward: bool) -> list[int]:
    if not within:
        return []
    statement = select(leaves.c.idx).where(leaves.c.idx >= within.start, leaves.c.idx < within.stop, *_conditions(wanted))
    order = leaves.c.idx.desc() if backward else leaves.c.idx
    return list(connection.execute(statement.order_by(order).limit(limit)).scalars())


def _indexed(connection: Connection, wanted: Filter, within: range, limit: int, *, backward: bool) -> list[int]:
    """By postings, of the rarest term first; each further term and time is looked up by the leaf's index."""
    terms, kinds = _terms(wanted)
    if not within or not (terms or kinds):
        return _scanned(connection, wanted, within, limit, backward=backward)
    known = known_ids(connection, [*terms, *kinds])
    if any(term not in known for term in terms) or (kinds and not any(kind in known for kind in kinds)):
        return []
    ids = [known[term] for term in terms]
    of_kinds = [known[kind] for kind in kinds if kind in known]
    if len(of_kinds) == 1:
        ids, of_kinds = [*ids, *of_kinds], []
    if len(ids) > 1:
        ids.sort(key=lambda term: _count(connection, term, within))
    others: list[ColumnElement[bool]] = [_has(at, [term]) for term in ids[1:]]
    if wanted.since is not None:
        others.append(_time_of(at) >= wanted.since)
    if wanted.until is not None:
        others.append(_time_of(at) < wanted.until)
    if not ids:
        each = [_posted(connection, term, within, others, limit, backward=backward) for term in of_kinds]
        return sorted((index for part in each for index in part), reverse=backward)[:limit]
    if of_kinds:
        others.append(_has(at, of_kinds))
    return _posted(connection, ids[0], within, others, limit, backward=backward)


def _terms(wanted: Filter) -> tuple[list[Term], list[Term]]:
    """All of these, and any of those."""
    asked = wanted.named()
    found = [(name, str(asked[name])) for name in (*EQUAL, "policy") if name in asked and name not in _KEYED]
    return found, [("kind", kind.value) for kind in wanted.kinds]


at = postings.alias("at")


def _posted(
    connection: Connection, term: int, within: range, others: Sequence[ColumnElement[bool]], limit: int, *, backward: bool
) -> list[int]:
    asked = select(at.c.idx).where(at.c.term == term, at.c.idx >= within.start, at.c.idx < within.stop, *others)
    return list(connection.execute(asked.order_by(at.c.idx.desc() if backward else at.c.idx).limit(limit)).scalars())


def _has(of: FromClause, ids: Sequence[int]) -> ColumnElement[bool]:
    return exists().where(postings.c.term.in_(ids), postings.c.idx == of.c.idx).correlate(of)


def _time_of(of: FromClause) -> ColumnElement[str]:
    return select(leaves.c.time).where(leaves.c.idx == of.c.idx).correlate(of).scalar_subquery()


def _count(connection: Connection, term: int, within: range) -> int:
    some = select(at.c.idx).where(at.c.term == term, at.c.idx >= within.start, at.c.idx < within.stop).limit(_COUNTED_MOST)
    return connection.execute(select(func.count()).select_from(some.subquery())).scalar() or 0


def _found(connection: Connection, indexes: Sequence[int]) -> list[StoredLeaf]:
    """The leaves of these indexes, in their order."""
    found: dict[int, StoredLeaf] = {}
    for start in range(0, len(indexes), LEAVES_AT_ONCE):
        part = indexes[start : start + LEAVES_AT_ONCE]
        for row in connection.execute(select(leaves).where(leaves.c.idx.in_(part))):
            _check_row(row)
            found[row.idx] = stored_leaf(row.idx, row.leaf, row.hash)
    if len(found) != len(indexes):
        raise LogCorrupt("a leaf that the index names is missing")
    return [found[index] for index in indexes]


def count_kinds(connection: Connection, since: str) -> dict[str, int]:
    """How many records of each kind have a time from `since` on."""
    low, _ = range_of(connection, since, None)
    wanted = (leaves.c.idx >= low, leaves.c.time >= since)
    statement = select(leaves.c.kind, func.count().label("records")).where(*wanted).group_by(leaves.c.kind)
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
        "about": about_of(leaf),
    }


def about_of(leaf: Mapping[str, object]) -> object:
    """Of a look, whom it was about, as its facts say: `about`, or the customer who was asked for; None for any other record."""
    facts = _part(leaf, "facts")
    return facts.get("about", facts.get("by_customer")) if leaf.get("kind") in LOOKS else None


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
