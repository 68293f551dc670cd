"""How the newest matches of a question fall into functions, outcomes, decisions, kinds, agents, rules and days: part of its answer, and no
question of its own. Bounded by how many matches are looked at."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, or_, select

from audit.log import Log
from audit.query import Query, filter_of
from audit.store.find import find_last
from audit.store.tables import outcomes
from audit.terms import terms_of

LOOKED_AT_MOST = 2000
"""Matches, the newest of them."""

VALUES_MOST = 12
"""Of each facet, the most frequent."""

CALLS_AT_ONCE = 500

NAMES = ("function", "outcome", "decision", "kind", "agent", "policy", "during")
"""As the words of a question (`audit.question_language`) that narrow it to a value."""


@dataclass(frozen=True, slots=True)
class Facets:
    """`of`: facet to its values with how often each came, the most frequent first. `all_of_them`: whether every match was looked at."""

    of: Mapping[str, Sequence[tuple[str, int]]]
    looked_at: int
    all_of_them: bool


async def facets(log: Log, query: Query, size: int) -> Facets:
    """Of the matches in the tree of `size` leaves, for an answer whose question is on record; what `query` says of sealed values is not
    looked at. LogUnavailable, LogCorrupt."""
    wanted = await filter_of(log, query)

    def ask(connection: Connection) -> tuple[int, Mapping[str, Counter[str]]]:
        rows = find_last(connection, wanted, size, LOOKED_AT_MOST + 1, size=size)
        counts = _counted(json.loads(row.leaf) for row in rows[:LOOKED_AT_MOST])
        return len(rows), {**counts, "outcome": _standing(connection, [row.idx for row in rows[:LOOKED_AT_MOST]], size)}

    found, counts = await log.read_long(lambda reads: ask(reads.connection))
    most = {name: counts[name].most_common(VALUES_MOST) for name in NAMES}
    return Facets(most, min(found, LOOKED_AT_MOST), found <= LOOKED_AT_MOST)


def _counted(leaves: Iterable[Mapping[str, object]]) -> Mapping[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
    for leaf in leaves:
        for name, value in terms_of(leaf):
            if name in counts:
                counts[name][value] += 1
        counts["during"][str(leaf["time"])[:10]] += 1
    return counts


def _standing(connection: Connection, indexes: Sequence[int], size: int) -> Counter[str]:
    """How the calls stand in the tree of `size` that these records are found by."""
    counts: Counter[str] = Counter()
    for start in range(0, len(indexes), CALLS_AT_ONCE):
        piece = outcomes.c.shown.in_(indexes[start : start + CALLS_AT_ONCE])
        in_force = (outcomes.c.idx < size, or_(outcomes.c.until.is_(None), outcomes.c.until >= size))
        asked = select(outcomes.c.outcome, func.count().label("calls")).where(piece, *in_force).group_by(outcomes.c.outcome)
        counts.update({row.outcome: row.calls for row in connection.execute(asked)})
    return counts
