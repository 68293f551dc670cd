"""What a bundle brings along from elsewhere in the log, so that its records can be judged: activations of policies, and, where it
continues a checkpoint, what its records refer to from before.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select

from audit.leaf import RecordKind
from audit.store.find import Filter, find
from audit.store.reads import Reads
from audit.store.tables import leaves

AT_ONCE = 500
"""Records that are asked for in one statement: SQLite takes some thousands of parameters."""


def activations(reads: Reads, size: int) -> dict[str, int]:
    """The first activation of each bundle of rules in the tree of `size`: hash to index."""
    found: dict[str, int] = {}
    after = -1
    while page := find(reads.connection, Filter(kinds=(RecordKind.POLICY_ACTIVATE,)), size, after, AT_ONCE):
        for stored in page:
            found.setdefault(str(json.loads(stored.leaf).get("facts", {}).get("bundle")), stored.idx)
        after = page[-1].idx
    return found


def deciding(reads: Reads, chosen: Sequence[int], known: Mapping[str, int]) -> set[int]:
    """The activations of what decided the chosen records."""
    found: set[int] = set()
    for start in range(0, len(chosen), AT_ONCE):
        part = chosen[start : start + AT_ONCE]
        wanted = select(leaves.c.bundle).where(leaves.c.idx.in_(part), leaves.c.bundle.is_not(None)).distinct()
        found.update(known[bundle] for bundle in reads.connection.execute(wanted).scalars() if bundle in known)
    return found


def before(reads: Reads, start: int, size: int, known: Mapping[str, int]) -> set[int]:
    """What the records of [start, size) refer to from before: the last number of each sequence, the intents that they end and what is
    on record of them as unknown, the activations.
    """
    found: set[int] = set()
    seen: set[tuple[str, str]] = set()
    for stored in reads.leaves(start, size):
        fields = json.loads(stored.leaf)
        for name in ("customer", "conversation"):
            if name in fields and (name, fields[name]) not in seen:
                seen.add((name, fields[name]))
                found.update(_numbered(reads, name, fields[name], fields[f"{name}_seq"] - 1))
        if (at := fields.get("intent", {}).get("index", start)) < start:
            found.add(at)
            if fields["kind"] == RecordKind.RECONCILED:
                found.update(_unknown(reads, fields["call"], start))
        if (policy := fields.get("policy")) is not None and policy["bundle"] in known:
            found.add(known[policy["bundle"]])
    return {index for index in found if index < start}


def _numbered(reads: Reads, name: str, whose: str, number: int) -> Iterable[int]:
    wanted = select(leaves.c.idx).where(leaves.c[name] == whose, leaves.c[f"{name}_seq"] == number)
    return reads.connection.execute(wanted).scalars()


def _unknown(reads: Reads, call: str, start: int) -> Iterable[int]:
    wanted = select(leaves.c.idx).where(leaves.c.call == call, leaves.c.kind == RecordKind.UNKNOWN.value, leaves.c.idx < start)
    return reads.connection.execute(wanted).scalars()
