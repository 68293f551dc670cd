"""Looks for records by what they keep sealed: candidates are found by the rest of the question, opened, and held against it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from audit.disclosure import JSON, value_of
from audit.keys import KeyDestroyed
from audit.log import Log
from audit.opening import NotSealed, open_sealed
from audit.sealed_conditions import SealedCondition
from audit.store.find import Filter, find
from audit.store.reads import StoredLeaf
from audit.terms import part

OPENED_MOST = 1000
"""Candidates that are opened in one look, so that none takes long."""

CANDIDATES_AT_ONCE = 100


class SealedSearch:
    """One look. `opened`: candidates that were; `closed`: those that could not be, since they were erased. `looked_to`: where it stopped
    before the end of the tree of `size`, the last record that was looked at; what follows is found behind it."""

    def __init__(self, log: Log, wanted: Filter, condition: SealedCondition | None, size: int) -> None:
        self._log, self._wanted, self._condition, self._size = log, wanted, condition, size
        self.opened = self.closed = 0
        self.looked_to: int | None = None

    async def matching(self, after: int, limit: int) -> Sequence[StoredLeaf]:
        """Up to `limit` matches behind the record `after`. LogUnavailable, LogCorrupt, SealBroken."""
        condition = self._condition
        if condition is None:
            rows = await self._candidates(after, limit)
            self.looked_to = rows[-1].idx if len(rows) == limit else None
            return rows
        matching: list[StoredLeaf] = []
        self.looked_to = after
        while self.looked_to is not None and len(matching) < limit and self.opened + self.closed < OPENED_MOST:
            candidates = await self._candidates(self.looked_to, CANDIDATES_AT_ONCE)
            matching += [stored for stored in candidates if await self._holds(stored, condition)]
            self.looked_to = candidates[-1].idx if len(candidates) == CANDIDATES_AT_ONCE else None
        if len(matching) > limit:
            self.looked_to = matching[limit - 1].idx
        return matching[:limit]

    async def _candidates(self, after: int, limit: int) -> Sequence[StoredLeaf]:
        return await self._log.read_long(lambda reads: find(reads.connection, self._wanted, self._size, after, limit))

    async def _holds(self, stored: StoredLeaf, condition: SealedCondition) -> bool:
        fields = json.loads(stored.leaf)
        if "sealed" not in fields and "call" not in fields:
            return False
        try:
            values = await self._values_of(stored, fields)
        except (NotSealed, KeyDestroyed):
            self.closed += 1
            return False
        self.opened += 1
        return condition.holds(values, part(fields, "grounding"))

    async def _values_of(self, stored: StoredLeaf, fields: Mapping[str, Any]) -> Mapping[str, JSON]:
        """What is sealed of a record, and of its call where the record itself keeps no argument. NotSealed, KeyDestroyed: it was erased."""
        opened = {} if "sealed" not in fields else await open_sealed(self._log, stored.idx)
        if not any(path.startswith("arguments.") for path in opened) and "call" in fields:
            for other in await self._log.entries_of(fields["call"]):
                if other.idx != stored.idx and "arguments" in json.loads(other.leaf):
                    opened = {**await open_sealed(self._log, other.idx), **opened}
        return {path: value_of(text) for path, text in opened.items()}
