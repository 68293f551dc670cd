"""Verifies a live log in place: everything stored, against the signed head, at one moment.

Reads only, and keeps every intent in memory: `audit.verification` does it beside a gateway, in pieces. An auditor outside the bank
verifies an evidence bundle instead (`audit.verify`), which shares no code with this.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Row, select

from audit.checkpoint import Note, NoteInvalid
from audit.log import Log
from audit.merkle import Frontier, leaf_hash
from audit.rules import RecordRules
from audit.store.auditors_index import count_postings, cursor
from audit.store.reads import Reads
from audit.store.tables import checkpoints, intents
from audit.store.writes import split_hashes
from audit.stored_rows import Seen, StoredRow, StoreFinding, check_beyond, check_index, check_leaf, check_tiles, rows_in

ROWS_AT_ONCE = 1000


@dataclass(slots=True)
class _WholeLog(Seen):
    """And what only who reads all of it keeps: the roots at the sizes of checkpoints, and every intent."""

    roots: dict[int, bytes] = field(default_factory=dict)
    ends: dict[int, str | None] = field(default_factory=dict)
    hashes: dict[int, bytes] = field(default_factory=dict)


async def verify_store(log: Log) -> list[StoreFinding]:
    """Every leaf, index column, sequence, intent, tile, sealed blob and checkpoint of one snapshot of the log. Empty: all good.

    Reads the whole log. Stops counting at 100 findings. LogCorrupt where the head itself is not signed.
    """
    committed = log.size()  # before the snapshot: what is committed while it is taken is no loss
    return await log.read_long(lambda reads: _verified(log, reads, committed))


def _verified(log: Log, reads: Reads, committed: int) -> list[StoreFinding]:
    seen = _WholeLog()
    head = log.stored_head(reads)
    if head.size < committed:
        seen.find("the stored log is shorter than what this process committed: was the tail cut?")
    rules = RecordRules(log.lineage, log.now())
    wanted = set(_checkpoint_sizes(reads, head.size))
    upto = cursor(reads.connection)
    for row in _rows(reads, head.size, lambda rows: check_index(reads, seen, rows, upto)):
        index = seen.frontier.size
        if row.idx != index or not isinstance(row.leaf, bytes):
            seen.find("a leaf is missing or not bytes", index)
            return seen.findings
        hashed = leaf_hash(row.leaf)
        fields = rules.take(index, row.leaf, hashed)
        check_leaf(seen, row, fields, hashed)
        _take_intent(seen, index, fields, hashed)
        seen.breached(rules)
        seen.frontier.push(hashed, seen.tiles)
        check_tiles(reads, seen)
        if seen.frontier.size in wanted:
            seen.roots[seen.frontier.size] = seen.frontier.root()
    if seen.frontier.size != head.size or seen.frontier.root() != head.root:
        seen.find("the leaves do not lead to the signed root")
    rules.close()
    seen.breached(rules)
    if count_postings(reads.connection) != seen.posted:
        seen.find("the auditors' index names records that it should not")
    check_beyond(reads, seen, head.size)
    _check_intents(reads, seen, head.size)
    _check_checkpoints(log, reads, seen, head.size)
    return seen.findings


def _take_intent(seen: _WholeLog, index: int, fields: Mapping[str, object] | None, hashed: bytes) -> None:
    if fields is None:
        return
    reference = fields.get("intent")
    if fields["kind"] == "intent":
        seen.ends[index], seen.hashes[index] = None, hashed
    elif isinstance(reference, dict) and reference["index"] in seen.ends:
        seen.ends[reference["index"]] = str(fields.get("end_state"))


def _check_intents(reads: Reads, seen: _WholeLog, size: int) -> None:
    stored = {row.idx: row for row in reads.connection.execute(select(intents))}
    if stored.keys() != seen.ends.keys():
        seen.find("the table of intents is not what the log says")
    for index, row in stored.items():
        if row.hash != seen.hashes.get(index) or row.end_state != seen.ends.get(index):
            seen.find("an intent's row is not what the log says", index)


def _check_checkpoints(log: Log, reads: Reads, seen: _WholeLog, size: int) -> None:
    for row in reads.connection.execute(select(checkpoints).where(checkpoints.c.size <= size)).all():
        check_checkpoint(log, seen, row, seen.roots.get(row.size))


def check_checkpoint(log: Log, seen: Seen, row: Row[*tuple[object, ...]], root: bytes | None) -> None:
    """A row of published checkpoints: signed, and of this root."""
    try:
        verified = log.lineage.verify(log.signers, Note.parse(str(row.note).encode()))
    except NoteInvalid as error:
        seen.find(f"a published checkpoint does not verify ({error})")
        return
    if not isinstance(row.peaks, bytes):
        seen.find("a published checkpoint is not what the leaves lead to")
        return
    stored = (row.size, row.root, Frontier(row.size, split_hashes(row.peaks)).root())
    if stored != (verified.checkpoint.size, verified.checkpoint.root, root):
        seen.find("a published checkpoint is not what the leaves lead to")


def _rows(reads: Reads, size: int, together: Callable[[Sequence[StoredRow]], None]) -> Iterator[StoredRow]:
    """Every row; `together` sees those of a piece before."""
    start = 0
    while start < size:
        until = min(size, start + ROWS_AT_ONCE)
        rows = rows_in(reads, start, until)
        together(rows)
        yield from rows
        start = until


def _checkpoint_sizes(reads: Reads, size: int) -> list[int]:
    return list(reads.connection.execute(select(checkpoints.c.size).where(checkpoints.c.size <= size)).scalars())
