"""How many records there were over time, for charts: one grouped count of the searchable columns, within bounds. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from audit.leaf import RecordKind
from audit.store.auditors_index import range_of
from audit.store.tables import leaves

COUNTED_MOST = 200_000
"""Records of a period that are counted, the newest of them: a longer one is told as cut."""

GROUPS_MOST = 50_000

KINDS = (
    RecordKind.READ,
    RecordKind.DENY,
    RecordKind.OUTCOME,
    RecordKind.UNKNOWN,
    RecordKind.RECONCILED,
    RecordKind.CONFIRMATION,
)
"""Records that say how a call went: an intent is followed by its outcome."""


@dataclass(frozen=True, slots=True)
class CountedGroup:
    """Records of one stretch of time (a prefix of RFC 3339), kind, function, decision, end state and set of rules."""

    time: str
    kind: str
    function: str | None
    decision: str | None
    end_state: str | None
    policies: Sequence[str]
    records: int


@dataclass(frozen=True, slots=True)
class CountedTime:
    """`from_record`: the first that was counted, where the period has more than `COUNTED_MOST`; None: all of it was."""

    groups: Sequence[CountedGroup]
    from_record: int | None


def counted(connection: Connection, since: str, until: str, size: int, prefix: int) -> CountedTime:
    """Of the tree of `size` leaves, by the first `prefix` characters of their times, from `since` on and before `until` (RFC 3339)."""
    low, high = range_of(connection, since, until)
    stop = size if high is None else min(size, max(high, low))
    low = min(low, stop)
    cut = stop - COUNTED_MOST if stop - low > COUNTED_MOST else None
    time = func.substr(leaves.c.time, 1, prefix).label("at")
    by = (time, leaves.c.kind, leaves.c.function, leaves.c.decision, leaves.c.end_state, leaves.c.policies)
    within = (leaves.c.idx >= (low if cut is None else cut), leaves.c.idx < stop, leaves.c.time >= since, leaves.c.time < until)
    of_kinds = leaves.c.kind.in_([kind.value for kind in KINDS])
    asked = select(*by, func.count().label("records")).where(*within, of_kinds).group_by(*by).limit(GROUPS_MOST)
    groups = [
        CountedGroup(
            row.at,
            row.kind,
            row.function,
            row.decision,
            row.end_state,
            tuple(item for item in (row.policies or "").split("\n") if item),
            row.records,
        )
        for row in connection.execute(asked)
    ]
    return CountedTime(groups, cut)
