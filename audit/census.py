"""The census: at each moment, how many records of each kind and function there are so far, stated in the log itself.

Two censuses prove how many there are between them, whatever an index says. Each goes on from the one before.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from audit.leaf import Plain, RecordKind
from audit.log import Log
from audit.schema import parse
from audit.store.find import Filter, count_records, find, find_last
from audit.store.reads import Reads, StoredLeaf
from audit.terms import part


@dataclass(frozen=True, slots=True)
class Census:
    """`size`: records that it counted, from the first one on. `index`: its own record; None for the beginning of the log."""

    size: int
    kinds: Mapping[str, int]
    functions: Mapping[str, int]
    index: int | None = None

    def facts(self) -> dict[str, Plain]:
        """For its record: the totals as texts, `name=count`."""
        return {"counted": self.size, "kinds": _texts(self.kinds), "functions": _texts(self.functions)}


BEGINNING = Census(0, {}, {})


async def census_of(log: Log) -> Census:
    """That of the log as it stands. LogUnavailable."""
    return await log.read_long(lambda reads: counted(reads, log.stored_head(reads).size))


def counted(reads: Reads, size: int) -> Census:
    """The census of the tree of `size`: the last one's totals and what came since."""
    before = last_census(reads, size) or BEGINNING
    kinds, functions = count_records(reads.connection, range(before.size, size))
    return Census(size, _added(before.kinds, kinds), _added(before.functions, functions))


def last_census(reads: Reads, before: int, until: str | None = None) -> Census | None:
    """The last one on record before this record and this time."""
    at = before
    while found := find_last(reads.connection, Filter(kinds=(RecordKind.CENSUS,), until=until), at, 1):
        census = _census(found[0])
        if census is not None:
            return census
        at = found[0].idx
    return None


def first_census(reads: Reads, size: int, since: str) -> Census | None:
    """The first one on record from this time on."""
    at = -1
    while found := find(reads.connection, Filter(kinds=(RecordKind.CENSUS,), since=since), size, at, 1):
        census = _census(found[0])
        if census is not None:
            return census
        at = found[0].idx
    return None


def _census(stored: StoredLeaf) -> Census | None:
    """None for one of before there were totals."""
    facts = part(parse(stored.leaf), "facts")
    size, kinds, functions = facts.get("counted"), facts.get("kinds"), facts.get("functions")
    if not isinstance(size, int) or not isinstance(kinds, list) or not isinstance(functions, list):
        return None
    return Census(size, _counts(kinds), _counts(functions), stored.idx)


def _texts(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{name}={count}" for name, count in sorted(counts.items()))


def _counts(texts: list[str]) -> dict[str, int]:
    pairs = (text.rpartition("=") for text in texts)
    return {name: int(count) for name, _, count in pairs if count.isdecimal()}


def _added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in first.keys() | second.keys()}
