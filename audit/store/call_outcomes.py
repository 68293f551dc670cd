"""How each call stands, derived from its records: a row from the record that said so until the one that said otherwise.

So a question finds how a call stands in a tree of any size: later records change no page that is pinned to an earlier one.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, FromClause, bindparam, exists, insert, or_, select, update

from audit.leaf import RecordKind
from audit.store.prepared import Prepared
from audit.store.tables import leaves, outcomes, postings
from audit.terms import CallOutcome, outcome_of, part

CALLS_AT_ONCE = 500


_NAMES = ("call", "idx", "shown", "outcome", "until")
_MADE = Prepared(insert(outcomes).values({name: bindparam(name) for name in _NAMES}))
_ENDED = Prepared(
    update(outcomes)
    .where(outcomes.c.call == bindparam("of_call"), outcomes.c.idx == bindparam("of_idx"))
    .values(until=bindparam("ends"))
)


@dataclass(slots=True)
class _Standing:
    call: str
    idx: int
    shown: int
    outcome: str
    until: int | None = None


def take(connection: Connection, rows: Sequence[tuple[int, Mapping[str, object]]], term_of: Callable[[str], int]) -> None:
    """The next parsed leaves, with their indexes, whose postings are there. `term_of`: the number of a confirmation's term."""
    said: list[tuple[str, int, bool, CallOutcome]] = []
    for index, leaf in rows:
        outcome = outcome_of(leaf)
        if outcome is None:
            continue
        calls = _calls_of(connection, index, leaf, term_of)
        said += [(call, index, "function" in leaf and leaf.get("call") == call, outcome) for call in calls]
    stands = _standing(connection, {call for call, *_ in said})
    made: dict[tuple[str, int], _Standing] = {}
    ended: list[dict[str, object]] = []
    for call, index, is_whole, outcome in said:
        before = stands.get(call)
        if before is not None:
            before.until = index
            if (call, before.idx) not in made:
                ended.append({"of_call": call, "of_idx": before.idx, "ends": index})
        shown = index if is_whole or before is None else before.shown
        stands[call] = made[call, index] = _Standing(call, index, shown, outcome.value)
    if ended:
        _ENDED.many(connection, ended)
    if made:
        _MADE.many(connection, [{name: getattr(item, name) for name in _NAMES} for item in made.values()])


def _calls_of(connection: Connection, index: int, leaf: Mapping[str, object], term_of: Callable[[str], int]) -> Iterable[str]:
    """The call of a record, or those that waited for its confirmation."""
    if leaf.get("kind") != RecordKind.CONFIRMATION:
        return [str(leaf["call"])]
    confirmation = part(leaf, "facts").get("confirmation")
    if not isinstance(confirmation, str):
        return []
    waited = (postings.c.term == term_of(confirmation), postings.c.idx < index, leaves.c.kind == RecordKind.DENY.value)
    held = (
        select(leaves.c.call).distinct().join(postings, postings.c.idx == leaves.c.idx).where(*waited, leaves.c.call.is_not(None))
    )
    return list(connection.execute(held.order_by(leaves.c.call)).scalars())


def _standing(connection: Connection, calls: set[str]) -> dict[str, _Standing]:
    found: dict[str, _Standing] = {}
    ordered = sorted(calls)
    for start in range(0, len(ordered), CALLS_AT_ONCE):
        of_these = outcomes.c.call.in_(ordered[start : start + CALLS_AT_ONCE])
        for row in connection.execute(select(outcomes).where(of_these, outcomes.c.until.is_(None))):
            found[row.call] = _Standing(row.call, row.idx, row.shown, row.outcome)
    return found


def found_by(wanted: Sequence[str], size: int) -> Sequence[Sequence[ColumnElement[bool]]]:
    """Conditions on rows of `outcomes`, each by its index: calls that stand so in the tree of `size`. Together they are all of them."""
    return [
        (outcomes.c.outcome == outcome, until, outcomes.c.idx < size)
        for outcome in wanted
        for until in (outcomes.c.until.is_(None), outcomes.c.until >= size)
    ]


def stands(of: FromClause, wanted: Sequence[str], size: int) -> ColumnElement[bool]:
    """Whether the record of `of.idx` shows a call that stands so in the tree of `size`."""
    in_force = or_(outcomes.c.until.is_(None), outcomes.c.until >= size)
    return (
        exists().where(outcomes.c.shown == of.c.idx, outcomes.c.outcome.in_(wanted), outcomes.c.idx < size, in_force).correlate(of)
    )


def standing_of(connection: Connection, calls: Collection[str], size: int) -> Mapping[str, CallOutcome]:
    """How each of these calls stands in the tree of `size`, as far as it is indexed; at most 500 calls."""
    in_force = or_(outcomes.c.until.is_(None), outcomes.c.until >= size)
    asked = select(outcomes.c.call, outcomes.c.outcome).where(outcomes.c.call.in_(sorted(calls)), outcomes.c.idx < size, in_force)
    return {row.call: CallOutcome(row.outcome) for row in connection.execute(asked)}


def unlike(connection: Connection, rows: Sequence[tuple[int, Mapping[str, object]]], upto: int) -> set[int]:
    """Those of these leaves, below `upto`, about which the table does not say what they say, or not until when."""
    indexed = [(index, leaf) for index, leaf in rows if index < upto]
    if not indexed:
        return set()
    later, shown = outcomes.alias("later"), leaves.alias("shown")
    follows = (
        select(later.c.idx).where(later.c.call == outcomes.c.call, later.c.idx > outcomes.c.idx).order_by(later.c.idx).limit(1)
    )
    wanted = select(outcomes, follows.correlate(outcomes).scalar_subquery().label("next"), shown.c.call.label("shown_call"))
    of_these = (outcomes.c.idx >= indexed[0][0], outcomes.c.idx <= indexed[-1][0])
    told: dict[int, set[str]] = {}
    wrong = set()
    for row in connection.execute(wanted.outerjoin(shown, shown.c.idx == outcomes.c.shown).where(*of_these)):
        told.setdefault(row.idx, set()).add(row.outcome)
        if row.until != row.next or row.shown_call != row.call or row.shown > row.idx:
            wrong.add(row.idx)
    for index, leaf in indexed:
        outcome = outcome_of(leaf)
        of_nobody = leaf.get("kind") == RecordKind.CONFIRMATION and index not in told  # of a mandate: it is about no call
        if not of_nobody and told.get(index, set()) != ({outcome.value} if outcome else set()):
            wrong.add(index)
    return wrong
