"""Rotations on record: each is in the trail, whoever made it and whenever the machine stopped."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from audit.keyring import KeyPurpose, KeyRing, KeyStorage, RingKey
from audit.keys import HEAD, HEAD_PQ
from audit.leaf import Plain, Record, RecordKind, rfc3339
from audit.rotation import state_rotation
from audit.store.find import Filter, find
from audit.store.reads import Reads

T = TypeVar("T")

AT_ONCE = 500


class RotationTrail(Protocol):
    """Of `audit.log.Log`: what is asked and written here."""

    async def read_long(self, question: Callable[[Reads], T]) -> T: ...

    async def append(self, record: Record) -> Any: ...

    def now(self) -> datetime: ...


def rotate(storage: KeyStorage, purpose: KeyPurpose, origin: str, begins_s: int) -> RingKey:
    """Make the key of this purpose that begins then; a signing one with a statement by the key before it and itself. Not on record yet:
    `RotationRecords.complete`. KeyRefused, SignerUnavailable. Writes files: for a command or a thread.
    """

    def endorse(old: RingKey, new: RingKey) -> str:
        return state_rotation(origin, purpose, key_name(origin, purpose), old, new) if purpose.kind.signs else ""

    return storage.rotate(purpose, begins_s, endorse)


def key_name(origin: str, purpose: KeyPurpose) -> str:
    """The name of a purpose's keys in signed notes: those of the log bear its own."""
    return origin if purpose in (HEAD, HEAD_PQ) else f"{origin}/{purpose.name}"


class RotationRecords:
    """Puts on record each rotation that is not yet. What two processes find missing at once is recorded twice, which says the same."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()

    async def take_over(self, trail: RotationTrail, rings: Sequence[KeyRing]) -> None:
        """Use what was rotated since, and put it on record. KeyRefused when keys cannot be read; LogUnavailable."""
        await asyncio.to_thread(lambda: [ring.refresh() for ring in rings])
        await self.complete(trail, rings)

    async def complete(self, trail: RotationTrail, rings: Iterable[KeyRing]) -> int:
        """How many were missing. LogUnavailable, and then the next call goes on."""
        rotated = [(ring.purpose, key, ring.keys[place]) for ring in rings for place, key in enumerate(ring.keys[1:])]
        missing = [item for item in rotated if (item[0].name, item[1].id.hex()) not in self._known]
        if not missing:
            return 0
        self._known |= await trail.read_long(_recorded)
        count = 0
        for purpose, key, old in missing:
            if (purpose.name, key.id.hex()) not in self._known:
                facts = _facts(purpose, key, old)
                await trail.append(Record(kind=RecordKind.KEY_ROTATE, time=trail.now(), facts=facts))
                self._known.add((purpose.name, key.id.hex()))
                count += 1
        return count


def statements(reads: Reads, size: int) -> dict[int, str]:
    """The statement of each rotation of a signing key in the tree of `size`, by the index of its record."""
    return {index: str(facts["statement"]) for index, facts in _rotations(reads, size) if "statement" in facts}


def newest(reads: Reads, purpose: KeyPurpose) -> str | None:
    """The id of the key to which this purpose was rotated last, as it is on record; None for none."""
    head, found = reads.head(), None
    for _, facts in _rotations(reads, 0 if head is None else head.size):
        found = str(facts["new"]) if facts.get("purpose") == purpose.name else found
    return found


def _facts(purpose: KeyPurpose, key: RingKey, old: RingKey) -> dict[str, Plain]:
    begins = rfc3339(datetime.fromtimestamp(key.begins_s, UTC))
    facts: dict[str, Plain] = {"purpose": purpose.name, "old": old.id.hex(), "new": key.id.hex(), "begins": begins}
    return facts | ({"statement": key.statement} if key.statement else {})


def _recorded(reads: Reads) -> set[tuple[str, str]]:
    head = reads.head()
    found = _rotations(reads, 0 if head is None else head.size)
    return {(str(facts.get("purpose")), str(facts.get("new"))) for _, facts in found}


def _rotations(reads: Reads, size: int) -> Iterable[tuple[int, dict[str, object]]]:
    after = -1
    while page := find(reads.connection, Filter(kinds=(RecordKind.KEY_ROTATE,)), size, after, AT_ONCE):
        for stored in page:
            yield stored.idx, json.loads(stored.leaf)["facts"]
        after = page[-1].idx
