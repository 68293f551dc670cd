"""The logs that this one continues: a tree whose newest records were lost goes on under another origin, from a record that says so.

The leaves stay as they are, and each names the origin that it was written under. So the ranges are told by the leaves themselves, and
nothing is kept beside them. Whoever holds a checkpoint of the earlier origin beyond its end holds what was lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from audit.checkpoint import Checkpoint, Note, NoteInvalid, VerifiedCheckpoint
from audit.keys import SigningKeys
from audit.merkle import leaf_hash
from audit.store.reads import LogCorrupt, Reads

WORD = "log_succeeds"
"""What the first record under an origin says that continues another."""

PREDECESSORS_MOST = 64


@dataclass(frozen=True, slots=True)
class Predecessor:
    """An origin that ended: its records are those before `until`, down to where the one before it ended."""

    origin: str
    until: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """The origin that is written under now, and those before it, oldest first."""

    origin: str
    predecessors: tuple[Predecessor, ...] = ()

    @property
    def begins(self) -> int:
        """The index of the first record under the origin of now; 0 of a log that continues none."""
        return self.predecessors[-1].until if self.predecessors else 0

    @property
    def origins(self) -> tuple[str, ...]:
        """All of them, the one of now first."""
        return (self.origin, *(item.origin for item in reversed(self.predecessors)))

    def at(self, index: int) -> str:
        """The origin that the leaf at `index` must name."""
        return next((item.origin for item in self.predecessors if index < item.until), self.origin)

    def keeps(self, index: int, found: Mapping[str, object]) -> bool:
        """Whether a record is of the origin of its range; the first one of a range also says which origin it continues."""
        ended = next((item for item in self.predecessors if item.until == index), None)
        return found.get("log") == self.at(index) and (ended is None or succeeds(found, ended))

    def verify(self, signers: SigningKeys, note: Note) -> VerifiedCheckpoint:
        """A published checkpoint of any of these origins, of a size that it had. NoteInvalid."""
        said = Checkpoint.parse(note.text)
        ended = {item.origin: item.until for item in self.predecessors}
        if said.origin not in self.origins or said.size > ended.get(said.origin, said.size):
            raise NoteInvalid("a checkpoint of another log, or of records that it never had")
        return signers.verify(note, said.origin)


def succeeds(found: Mapping[str, object], ended: Predecessor) -> bool:
    """Whether this record is the first that follows the end of that origin."""
    facts = found.get("facts")
    if found.get("kind") != "admin" or not isinstance(facts, dict):
        return False
    size = facts.get("size")
    said = (facts.get("word"), facts.get("predecessor"), size)
    return said == (WORD, ended.origin, ended.until) and isinstance(size, int) and not isinstance(size, bool)


def read_lineage(reads: Reads, size: int, origin: str) -> Lineage:
    """The lineage of the log of `size` leaves that is written under `origin`. LogCorrupt where its leaves tell none. One read where no
    origin ended, and as many as the tree is high for each that did: the origins stand in ranges."""
    ended: list[Predecessor] = []
    of, end = origin, size
    while end > 0 and _leaf(reads, 0)["log"] != of:
        low, high = 1, end
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if _leaf(reads, middle)["log"] == of else (middle + 1, high)
        first = _leaf(reads, low) if low < end else {}
        said = first.get("facts")
        found = Predecessor(str(said.get("predecessor")) if isinstance(said, dict) else "", low)
        if not succeeds(first, found) or len(ended) == PREDECESSORS_MOST:
            raise LogCorrupt("the leaves are of another log, and no record says that this one continues it")
        ended.insert(0, found)
        of, end = found.origin, low
    return Lineage(origin, tuple(ended))


def _leaf(reads: Reads, index: int) -> Mapping[str, object]:
    found = reads.leaf(index)
    if found is None or leaf_hash(found.leaf) != found.hash:
        raise LogCorrupt("a leaf is missing, or not the one that was hashed")
    try:
        leaf = orjson.loads(found.leaf)
    except orjson.JSONDecodeError:
        leaf = None
    if not isinstance(leaf, dict) or "log" not in leaf:
        raise LogCorrupt("a leaf is no record")
    return leaf
