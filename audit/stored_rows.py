"""What each stored row must be: held against its leaf, and the leaf against the tree. One snapshot at a time; reads only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from audit.merkle import Frontier, Tile
from audit.rules import RULES, RecordRules
from audit.seal import digest
from audit.store import call_outcomes
from audit.store.auditors_index import known_ids, unposted, unspanned
from audit.store.find import COLUMNS, columns_of
from audit.store.reads import Reads
from audit.store.tables import checkpoints, leaves, sealed
from audit.terms import terms_of

FINDINGS_MOST = 100


@dataclass(frozen=True, slots=True)
class StoreFinding:
    """Something that does not hold. `index` is the leaf's, where it is about one; `rule`: its name in `RULES`, if it breaks one."""

    what: str
    index: int | None = None
    rule: str | None = None


@dataclass(slots=True)
class Seen:
    """What the leaves say, while they are read in order."""

    findings: list[StoreFinding] = field(default_factory=list)
    frontier: Frontier = field(default_factory=Frontier)
    tiles: list[Tile] = field(default_factory=list)
    posted: int = 0

    def find(self, what: str, index: int | None = None, rule: str | None = None) -> None:
        if len(self.findings) < FINDINGS_MOST:
            self.findings.append(StoreFinding(what, index, rule))

    def breached(self, rules: RecordRules) -> None:
        for breach in rules.breaches:
            self.find(f"{breach.rule}: {RULES[breach.rule]}", breach.index, breach.rule)
        rules.breaches.clear()


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A leaf with what stands beside it."""

    idx: int
    # SQLite keeps in a column whatever somebody else wrote there.
    leaf: object
    hash: object
    blob: object
    columns: dict[str, object]


def rows_in(reads: Reads, start: int, until: int) -> list[StoredRow]:
    """The rows with an index from `start` to before `until`, in order: those that there are."""
    wanted = select(leaves, sealed.c.blob).select_from(leaves.outerjoin(sealed, sealed.c.idx == leaves.c.idx))
    here = wanted.where(leaves.c.idx >= start, leaves.c.idx < until).order_by(leaves.c.idx)
    return [
        StoredRow(row.idx, row.leaf, row.hash, row.blob, {name: getattr(row, name) for name in COLUMNS})
        for row in reads.connection.execute(here)
    ]


def check_leaf(seen: Seen, row: StoredRow, fields: Mapping[str, object] | None, hashed: bytes) -> None:
    """The stored hash, the searchable columns and the sealed blob of a row. `fields`: None for a leaf that cannot be read."""
    index = row.idx
    if hashed != row.hash:
        seen.find("the stored hash is not the leaf's", index)
    if fields is None:
        return
    if row.columns != columns_of(fields):
        seen.find("a searchable column says something else than its leaf", index)
    commitment = fields.get("sealed")
    if row.blob is not None and not (
        isinstance(row.blob, bytes) and isinstance(commitment, dict) and digest(row.blob) == commitment["digest"]
    ):
        seen.find("the sealed blob is not the one of its leaf", index)


def check_tiles(reads: Reads, seen: Seen) -> None:
    """The tiles that were filled since the last time."""
    for tile in seen.tiles:
        stored = reads.tile(tile.level, tile.index)
        if stored is None or b"".join(stored) != tile.hashes:
            seen.find(f"tile {tile.level}/{tile.index} is not what its leaves give")
    seen.tiles.clear()


def check_beyond(reads: Reads, seen: Seen, size: int) -> None:
    """What a cut of the tail leaves behind when only leaves and head were set back."""
    leaf = reads.connection.execute(select(leaves.c.idx).where(leaves.c.idx >= size).limit(1)).first()
    blob = reads.connection.execute(select(sealed.c.idx).where(sealed.c.idx >= size).limit(1)).first()
    note = reads.connection.execute(select(checkpoints.c.id).where(checkpoints.c.size > size).limit(1)).first()
    if leaf is not None or blob is not None or note is not None:
        seen.find("there is evidence of records beyond the head: was the tail cut?")


def check_index(reads: Reads, seen: Seen, rows: Sequence[StoredRow], upto: int) -> None:
    """What auditors search by says of these leaves what they say: nothing is missing, and a block's times cover its leaves."""
    parsed = [(row.idx, fields) for row in rows if row.idx < upto and (fields := parsed_leaf(row.leaf)) is not None]
    found = {index: terms_of(fields) for index, fields in parsed}
    known = known_ids(reads.connection, set().union(*found.values()))
    missing = {index for index, terms in found.items() if any(term not in known for term in terms)}
    wanted = [(known[term], index) for index, terms in found.items() if index not in missing for term in terms]
    missing |= {index for _, index in unposted(reads.connection, wanted)} | unspanned(reads.connection, rows, upto)
    missing |= call_outcomes.unlike(reads.connection, parsed, upto)
    seen.posted += len(wanted)
    for index in sorted(missing):
        seen.find("the auditors' index does not find this record", index)


def parsed_leaf(leaf: object) -> Mapping[str, object] | None:
    """None for bytes that are no record: another finding tells of them."""
    try:
        fields = json.loads(leaf) if isinstance(leaf, bytes) else None
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None
