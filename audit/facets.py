"""How the newest matches of a question fall into functions, ends, decisions, kinds, agents, rules and days: part of its answer, and no
question of its own. Bounded by how many matches are looked at."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audit.log import Log
from audit.query import Query, filter_of
from audit.store.find import columns_of, find_last

LOOKED_AT_MOST = 2000
"""Matches, the newest of them."""

VALUES_MOST = 12
"""Of each facet, the most frequent."""


@dataclass(frozen=True, slots=True)
class Facets:
    """`of`: facet to its values with how often each came, the most frequent first. `all_of_them`: whether every match was looked at."""

    of: Mapping[str, Sequence[tuple[str, int]]]
    looked_at: int
    all_of_them: bool


async def facets(log: Log, query: Query, size: int) -> Facets:
    """Of the matches in the tree of `size` leaves, for an answer whose question is on record. LogUnavailable, LogCorrupt."""
    wanted = await filter_of(log, query)
    rows = await log.read_long(lambda reads: find_last(reads.connection, wanted, size, LOOKED_AT_MOST + 1))
    looked_at = [json.loads(row.leaf) for row in rows[:LOOKED_AT_MOST]]
    return Facets(_counted(looked_at), len(looked_at), len(rows) <= LOOKED_AT_MOST)


def _counted(leaves: Iterable[Mapping[str, object]]) -> Mapping[str, Sequence[tuple[str, int]]]:
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("function", "end_state", "decision", "kind", "agent", "policy", "day")
    }
    for leaf in leaves:
        columns, actor = columns_of(leaf), leaf.get("actor")
        for name in ("function", "end_state", "decision", "kind"):
            if columns[name] is not None:
                counts[name][str(columns[name])] += 1
        if isinstance(actor, dict) and "agent" in actor:
            counts["agent"][str(actor["agent"])] += 1
        counts["policy"].update(item for item in str(columns["policies"] or "").split("\n") if item)
        counts["day"][str(leaf["time"])[:10]] += 1
    return {name: of.most_common(VALUES_MOST) for name, of in counts.items()}
