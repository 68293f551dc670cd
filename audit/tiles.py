"""The log as C2SP `tlog-tiles` has it: tiles of hashes, and bundles of entries, as far as a published checkpoint reaches.

Nothing beyond the latest published checkpoint leaves: what it covers was computed again from the stored bytes before it was signed.
"""

import re
from dataclasses import dataclass

from audit.leaf import RecordKind
from audit.log import Log
from audit.merkle import TILE_HEIGHT, TILE_WIDTH
from audit.query import Why, question
from audit.store.reads import LogCorrupt, Nodes

LEVELS = 8
"""Levels of tiles that a log of fewer than 2**63 leaves can have."""

_PLACE = re.compile(r"((?:x[0-9]{3}/){0,6})([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class TilePlace:
    """Which tile or bundle of a level, and how many of its 256 hashes or entries: fewer for a partial one."""

    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """`<N>[.p/<W>]`, as `x001/x234/067.p/3`."""
        digits = str(self.index)
        padded = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [padded[at : at + 3] for at in range(0, len(padded), 3)]
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return "".join(f"x{group}/" for group in groups[:-1]) + groups[-1] + partial

    @classmethod
    def parse(cls, path: str) -> "TilePlace | None":
        """From `path`'s form; None for any other spelling of it, so that a tile has one address."""
        found = _PLACE.fullmatch(path)
        if found is None:
            return None
        width = TILE_WIDTH if found[3] is None else int(found[3])
        place = cls(int(found[1].replace("x", "").replace("/", "") + found[2]), width)
        return place if place.path == path else None


async def hash_tile(log: Log, level: int, place: TilePlace) -> bytes | None:
    """The first `width` hashes of a tile, 32 bytes each; None where no published checkpoint reaches so far. LogUnavailable, LogCorrupt."""
    if not 0 <= level < LEVELS:
        return None
    published = await _published(log)
    if not _reaches(place, published >> (TILE_HEIGHT * level)):
        return None
    found = await log.read(lambda reads: Nodes(reads, published).tile(level, place.index))
    return b"".join(found[: place.width])


async def entry_bundle(log: Log, place: TilePlace, why: Why) -> bytes | None:
    """The leaves of a bundle, each behind its length in two bytes; who fetches it is on record before they have it. None where no
    published checkpoint reaches so far: then nothing is recorded. LogUnavailable, LogCorrupt."""
    published = await _published(log)
    if not _reaches(place, published):
        return None
    start = place.index * TILE_WIDTH
    await question(log, RecordKind.AUDIT_QUERY, why, {"entries_from": start, "entries_until": start + place.width})
    leaves = await log.read_long(lambda reads: [stored.leaf for stored in reads.leaves(start, start + place.width)])
    return b"".join(len(leaf).to_bytes(2) + leaf for leaf in leaves)


def entries_of(bundle: bytes) -> list[bytes]:
    """The leaves in an entry bundle. LogCorrupt where a length is not that of what follows."""
    leaves, at = [], 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2])
        if end > len(bundle) or at + 2 > len(bundle):
            raise LogCorrupt("an entry bundle ends within an entry")
        leaves.append(bundle[at + 2 : end])
        at = end
    return leaves


async def _published(log: Log) -> int:
    published = await log.read(lambda reads: reads.checkpoint())
    return 0 if published is None else published.size


def _reaches(place: TilePlace, hashes: int) -> bool:
    return place.index >= 0 and 0 < place.width <= TILE_WIDTH and place.index * TILE_WIDTH + place.width <= hashes
