"""Follows a log by its tiles (C2SP tlog-tiles), from outside: no database, no gateway, no word of the log's host but what it signed.

Reads the hashes of every record since the last verified checkpoint, and computes the tree again: what is served is one history, or a
finding. What a record says it does not read.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from audit.checkpoint import Checkpoint, Note, NoteInvalid, VerifierKey, verify_signature
from audit.merkle import EMPTY_ROOT, HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, Frontier, Tile, subtree_root
from audit.tiles import LEVELS, TilePlace

FRESH_S = 60
"""A log publishes at least this often."""

AHEAD_MOST_S = 60
"""Clocks differ by no more."""

Fetch = Callable[[str], Awaitable[bytes | None]]
"""A resource below the log's prefix; None: there is none such. TilesUnavailable."""


class TilesUnavailable(Exception):
    """The log did not answer. The message says how."""


class _Wrong(Exception):
    """A check found something. The text says what."""


@dataclass(frozen=True, slots=True)
class MonitorCheck:
    """One check of a round: its name, whether it held, and what it saw."""

    name: str
    good: bool
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorTrust:
    """Whom a monitor believes: keys of the log (one of each type must sign), and witnesses of which `quorum` must have cosigned, each by
    all of its keys. `slack_s`: beyond a minute, until silence is a finding."""

    keys: Sequence[VerifierKey]
    witnesses: Sequence[VerifierKey] = ()
    quorum: int = 0
    slack_s: int = 30

    @property
    def origin(self) -> str:
        return self.keys[0].name

    def verified(self, raw: bytes) -> tuple[Note, Checkpoint, int]:
        """A checkpoint of this log, and the time that it states, seconds since 1970. NoteInvalid."""
        note = Note.parse(raw)
        found = Checkpoint.parse(note.text)
        if found.origin != self.origin:
            raise NoteInvalid("a checkpoint of another log")
        missing, time_s = {key.type for key in self.keys}, 0
        for key in self.keys:
            if any((item.name, item.key_id) == (key.name, key.id) for item in note.signatures):
                time_s = max(time_s, verify_signature(note, found, key) or 0)
                missing.discard(key.type)
        if missing:
            raise NoteInvalid("a signature of the log is absent")
        return note, found, time_s

    def cosigned_by(self, note: Note, since_s: int) -> int:
        """How many witnesses cosigned it since then."""
        found, lacking = Checkpoint.parse(note.text), set()
        for key in self.witnesses:
            try:
                if (verify_signature(note, found, key) or 0) < since_s:
                    lacking.add(key.name)
            except NoteInvalid:
                lacking.add(key.name)
        return len({key.name for key in self.witnesses} - lacking)


@dataclass(slots=True, kw_only=True)
class LogMonitor:
    """One round after the other. `kept`: the last note that held, None before the first; whoever runs this keeps it."""

    trust: MonitorTrust
    fetch: Fetch
    kept: Note | None = None

    async def round(self, now_s: int) -> Sequence[MonitorCheck]:
        """What held and what did not. TilesUnavailable where the log did not answer; then nothing is claimed."""
        try:
            note, new, time_s = self.trust.verified(await self._needed("checkpoint"))
        except NoteInvalid as error:
            return [MonitorCheck("signatures", False, str(error))]
        checks = [MonitorCheck("signatures", True, f"{new.size} records, root {new.root.hex()}"), self._fresh(now_s - time_s)]
        roots: dict[int, bytes] = {}
        witnessed = await self._witnessed(roots, new, now_s) if self.trust.quorum else []
        try:
            read = await self._follow(new, roots)
        except _Wrong as wrong:
            return [*checks, MonitorCheck("history", False, str(wrong)), *witnessed]
        self.kept = note
        return [*checks, MonitorCheck("history", True, f"{read} new hashes lead from the kept checkpoint to this one"), *witnessed]

    def _fresh(self, age_s: int) -> MonitorCheck:
        if age_s < -AHEAD_MOST_S:
            return MonitorCheck("freshness", False, f"the checkpoint is of {-age_s} s from now")
        late = age_s > FRESH_S + self.trust.slack_s
        return MonitorCheck("freshness", not late, f"the checkpoint is {age_s} s old" + (": the log is silent" if late else ""))

    async def _witnessed(self, roots: dict[int, bytes], new: Checkpoint, now_s: int) -> list[MonitorCheck]:
        """The newest checkpoint that enough witnesses cosigned lately; its root is put into `roots`, for the history."""
        raw = await self.fetch(f"cosigned/{self.trust.quorum}")
        try:
            if raw is None:
                raise NoteInvalid("no checkpoint is cosigned by enough witnesses")
            note, found, _ = self.trust.verified(raw)
            count = self.trust.cosigned_by(note, now_s - FRESH_S - self.trust.slack_s)
            if count < self.trust.quorum:
                raise NoteInvalid(f"{count} of {self.trust.quorum} witnesses cosigned lately")
            if found.size > new.size:  # it was published in between: the next round has it
                return [MonitorCheck("witnesses", True, f"{count} witnesses cosigned {found.size} records")]
        except NoteInvalid as error:
            return [MonitorCheck("witnesses", False, str(error))]
        roots[found.size] = found.root
        return [MonitorCheck("witnesses", True, f"{count} witnesses cosigned {found.size} records")]

    async def _follow(self, new: Checkpoint, roots: Mapping[int, bytes]) -> int:
        """Compute the tree of `new` from what was kept and the hashes since; how many. `roots`: by size, what else must be of this tree."""
        kept = Checkpoint.parse(self.kept.text) if self.kept is not None else Checkpoint(new.origin, 0, EMPTY_ROOT)
        if new.size < kept.size:
            raise _Wrong(f"the log has {new.size} records, and had {kept.size}: it was cut")
        tree = await self._frontier(kept.size, new.size)
        if tree.root() != kept.root:
            raise _Wrong(f"its first {kept.size} records are others than they were: the log is shown in two versions")
        if (early := [size for size in roots if size < kept.size]) and any(
            [await self._root(size, new.size) != roots[size] for size in early]
        ):
            raise _Wrong("what witnesses cosigned is another history")
        while tree.size < new.size:
            place, begins = divmod(tree.size, TILE_WIDTH)
            full: list[Tile] = []
            for hashed in (await self._tile(0, place, new.size))[begins:]:
                tree.push(hashed, full)
                if tree.size in roots and roots[tree.size] != tree.root():
                    raise _Wrong("what witnesses cosigned is another history")
            for tile in full:
                if tile.level and b"".join(await self._tile(tile.level, tile.index, new.size)) != tile.hashes:
                    raise _Wrong(f"tile {tile.level}/{TilePlace(tile.index).path} does not hold the roots of those below")
        if tree.root() != new.root:
            raise _Wrong("the hashes of its records do not lead to its checkpoint")
        return new.size - kept.size

    async def _frontier(self, size: int, within: int) -> Frontier:
        """Of the tree of the first `size` leaves, from one tile a level."""
        open_tiles, peaks = [], list[bytes]()
        for level in range(LEVELS):
            place, count = divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)
            open_tiles.append((await self._tile(level, place, within))[:count] if count else [])
        while open_tiles and not open_tiles[-1]:
            open_tiles.pop()
        for hashes in reversed(open_tiles):
            at = 0
            for height in reversed(range(TILE_HEIGHT)):
                if len(hashes) >> height & 1:
                    peaks.append(subtree_root(hashes[at : at + (1 << height)]))
                    at += 1 << height
        return Frontier(size, peaks, open_tiles)

    async def _root(self, size: int, within: int) -> bytes:
        return (await self._frontier(size, within)).root() if size else EMPTY_ROOT

    async def _tile(self, level: int, place: int, size: int) -> list[bytes]:
        """What the tree of `size` leaves has of a tile."""
        width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - place * TILE_WIDTH)
        content = await self._needed(f"tile/{level}/{TilePlace(place, width).path}")
        if len(content) != width * HASH_BYTES:
            raise _Wrong(f"a tile of level {level} has not the {width} hashes that it must have")
        return [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]

    async def _needed(self, path: str) -> bytes:
        content = await self.fetch(path)
        if content is None:
            raise TilesUnavailable(f"there is no {path}")
        return content
