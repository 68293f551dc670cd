"""Verifies a live log in place: everything stored, against the signed head. The background verifier.

Reads only. An auditor outside the bank verifies an evidence bundle instead (`audit.verify`), which shares no code with this.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from audit.checkpoint import Note, NoteInvalid
from audit.log import Log
from audit.merkle import Frontier, Tile, leaf_hash
from audit.rules import RULES, RecordRules
from audit.seal import digest
from audit.store import call_outcomes
from audit.store.auditors_index import count_postings, cursor, known_ids, unposted, unspanned
from audit.store.find import COLUMNS, columns_of
from audit.store.reads import Reads
from audit.store.tables import checkpoints, intents, leaves, sealed
from audit.store.writes import split_hashes
from audit.terms import terms_of

ROWS_AT_ONCE = 1000
FINDINGS_MOST = 100


@dataclass(frozen=True, slots=True)
class StoreFinding:
    """Something that does not hold. `index` is the leaf's, where it is about one; `rule`: its name in `RULES`, if it breaks one."""

    what: str
    index: int | None = None
    rule: str | None = None


@dataclass(slots=True)
class _Seen:
    """What the leaves say, while they are read in order."""

    findings: list[StoreFinding] = field(default_factory=list)
    frontier: Frontier = field(default_factory=Frontier)
    roots: dict[int, bytes] = field(default_factory=dict)
    tiles: list[Tile] = field(default_factory=list)
    ends: dict[int, str | None] = field(default_factory=dict)
    hashes: dict[int, bytes] = field(default_factory=dict)
    posted: int = 0

    def find(self, what: str, index: int | None = None, rule: str | None = None) -> None:
        if len(self.findings) < FINDINGS_MOST:
            self.findings.append(StoreFinding(what, index, rule))

    def breached(self, rules: RecordRules) -> None:
        for breach in rules.breaches:
            self.find(f"{breach.rule}: {RULES[breach.rule]}", breach.index, breach.rule)
        rules.breaches.clear()


async def verify_store(log: Log) -> list[StoreFinding]:
    """Every leaf, index column, sequence, intent, tile, sealed blob and checkpoint of one snapshot of the log. Empty: all good.

    Reads the whole log. Stops counting at 100 findings. LogCorrupt where the head itself is not signed.
    """
    committed = log.size()  # before the snapshot: what is committed while it is taken is no loss
    return await log.read_long(lambda reads: _verified(log, reads, committed))


def _verified(log: Log, reads: Reads, committed: int) -> list[StoreFinding]:
    seen = _Seen()
    head = log.stored_head(reads)
    if head.size < committed:
        seen.find("the stored log is shorter than what this process committed: was the tail cut?")
    rules = RecordRules(log.origin, log.now())
    wanted = set(_checkpoint_sizes(reads, head.size))
    upto = cursor(reads.connection)
    for row in _rows(reads, head.size, lambda rows: _check_index(reads, seen, rows, upto)):
        index = seen.frontier.size
        if row.idx != index or not isinstance(row.leaf, bytes):
            seen.find("a leaf is missing or not bytes", index)
            return seen.findings
        hashed = leaf_hash(row.leaf)
        _check_leaf(seen, row, rules.take(index, row.leaf, hashed), hashed)
        seen.breached(rules)
        seen.frontier.push(hashed, seen.tiles)
        _check_tiles(reads, seen)
        if seen.frontier.size in wanted:
            seen.roots[seen.frontier.size] = seen.frontier.root()
    if seen.frontier.size != head.size or seen.frontier.root() != head.root:
        seen.find("the leaves do not lead to the signed root")
    rules.close()
    seen.breached(rules)
    if count_postings(reads.connection) != seen.posted:
        seen.find("the auditors' index names records that it should not")
    _check_beyond(reads, seen, head.size)
    _check_intents(reads, seen, head.size)
    _check_checkpoints(log, reads, seen, head.size)
    return seen.findings


def _check_leaf(seen: _Seen, row: "_Row", fields: Mapping[str, object] | None, hashed: bytes) -> None:
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
    kind, reference = fields["kind"], fields.get("intent")
    if kind == "intent":
        seen.ends[index], seen.hashes[index] = None, hashed
    elif isinstance(reference, dict) and reference["index"] in seen.ends:
        seen.ends[reference["index"]] = str(fields.get("end_state"))


def _check_tiles(reads: Reads, seen: _Seen) -> None:
    for tile in seen.tiles:
        stored = reads.tile(tile.level, tile.index)
        if stored is None or b"".join(stored) != tile.hashes:
            seen.find(f"tile {tile.level}/{tile.index} is not what its leaves give")
    seen.tiles.clear()


def _check_beyond(reads: Reads, seen: _Seen, size: int) -> None:
    """What a cut of the tail leaves behind when only leaves and head were set back."""
    leaf = reads.connection.execute(select(leaves.c.idx).where(leaves.c.idx >= size).limit(1)).first()
    blob = reads.connection.execute(select(sealed.c.idx).where(sealed.c.idx >= size).limit(1)).first()
    note = reads.connection.execute(select(checkpoints.c.id).where(checkpoints.c.size > size).limit(1)).first()
    if leaf is not None or blob is not None or note is not None:
        seen.find("there is evidence of records beyond the head: was the tail cut?")


def _check_intents(reads: Reads, seen: _Seen, size: int) -> None:
    stored = {row.idx: row for row in reads.connection.execute(select(intents))}
    if stored.keys() != seen.ends.keys():
        seen.find("the table of intents is not what the log says")
    for index, row in stored.items():
        if row.hash != seen.hashes.get(index) or row.end_state != seen.ends.get(index):
            seen.find("an intent's row is not what the log says", index)


def _check_checkpoints(log: Log, reads: Reads, seen: _Seen, size: int) -> None:
    for row in reads.connection.execute(select(checkpoints).where(checkpoints.c.size <= size)).all():
        try:
            verified = log.signers.verify(Note.parse(str(row.note).encode()), log.origin)
        except NoteInvalid as error:
            seen.find(f"a published checkpoint does not verify ({error})")
            continue
        if not isinstance(row.peaks, bytes):
            seen.find("a published checkpoint is not what the leaves lead to")
            continue
        stored = (row.size, row.root, Frontier(row.size, split_hashes(row.peaks)).root())
        if stored != (verified.checkpoint.size, verified.checkpoint.root, seen.roots.get(row.size)):
            seen.find("a published checkpoint is not what the leaves lead to")


@dataclass(frozen=True, slots=True)
class _Row:
    idx: int
    # SQLite keeps in a column whatever somebody else wrote there.
    leaf: object
    hash: object
    blob: object
    columns: dict[str, object]


def _rows(reads: Reads, size: int, together: Callable[[Sequence[_Row]], None]) -> Iterator[_Row]:
    """Every row; `together` sees those of a piece before."""
    wanted = select(leaves, sealed.c.blob).select_from(leaves.outerjoin(sealed, sealed.c.idx == leaves.c.idx))
    start = 0
    while start < size:
        until = min(size, start + ROWS_AT_ONCE)
        here = wanted.where(leaves.c.idx >= start, leaves.c.idx < until).order_by(leaves.c.idx)
        rows = [
            _Row(row.idx, row.leaf, row.hash, row.blob, {name: getattr(row, name) for name in COLUMNS})
            for row in reads.connection.execute(here)
        ]
        together(rows)
        yield from rows
        start = until


def _check_index(reads: Reads, seen: _Seen, rows: Sequence["_Row"], upto: int) -> None:
    """What auditors search by says of these leaves what they say: nothing is missing, and a block's times cover its leaves."""
    parsed = [(row.idx, fields) for row in rows if row.idx < upto and (fields := _parsed(row.leaf)) is not None]
    found = {index: terms_of(fields) for index, fields in parsed}
    known = known_ids(reads.connection, set().union(*found.values()))
    missing = {index for index, terms in found.items() if any(term not in known for term in terms)}
    wanted = [(known[term], index) for index, terms in found.items() if index not in missing for term in terms]
    missing |= {index for _, index in unposted(reads.connection, wanted)} | unspanned(reads.connection, rows, upto)
    missing |= call_outcomes.unlike(reads.connection, parsed, upto)
    seen.posted += len(wanted)
    for index in sorted(missing):
        seen.find("the auditors' index does not find this record", index)


def _parsed(leaf: object) -> Mapping[str, object] | None:
    """None for bytes that are no record: another finding tells of them."""
    try:
        fields = json.loads(leaf) if isinstance(leaf, bytes) else None
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _checkpoint_sizes(reads: Reads, size: int) -> list[int]:
    return list(reads.connection.execute(select(checkpoints.c.size).where(checkpoints.c.size <= size)).scalars())
