"""A successor of a log whose newest records are lost: the same tree goes on under another origin, and the old one ends for good.

Under its old name the log would fork: somebody holds a head of it that the restored records do not lead to. So the head moves to a new
origin, and the first record under it says what is known of the lost ones. Nothing is copied, and nothing before it changes.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection

from audit.checkpoint import Note, NoteInvalid, VerifierKey
from audit.heads import LogHeads
from audit.leaf import Plain, Record, RecordKind
from audit.lineage import PREDECESSORS_MOST, WORD, Lineage, Predecessor
from audit.log import Log
from audit.merkle import range_root
from audit.store.reads import Nodes, Reads
from audit.store.writes import lock_head, write_head

NOTE_MOST = 32_768
"""Bytes of the note that the record keeps whole: a leaf has at most 65,535."""

WAIT_MS = 60_000


class SuccessionRefused(Exception):
    """Nothing was changed. The message says why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A head that the log signed and no longer has: the last one that anybody kept. `cosigned_by`: who else signed, by name, unverified."""

    size: int
    root: bytes
    note: str
    cosigned_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SuccessionOrder:
    """`size` and `root`: of the restored log, exactly. `told`: who orders it and why, for the record."""

    successor: str
    size: int
    root: bytes
    known: KnownHead
    told: Mapping[str, Plain]

    def facts(self, predecessor: str) -> Mapping[str, Plain]:
        """What the record says."""
        return {
            "word": WORD,
            "predecessor": predecessor,
            "size": self.size,
            "root": self.root.hex(),
            "known_size": self.known.size,
            "known_root": self.known.root.hex(),
            "known_note": self.known.note,
            "known_note_sha256": sha256(self.known.note.encode()).hexdigest(),
            "cosigned_by": self.known.cosigned_by,
            "lost_from": self.size,
            "lost_until": max(self.known.size, self.size),
            **self.told,
        }


async def known_head(log: Log, raw: bytes) -> KnownHead:
    """What this note says that the log no longer has. SuccessionRefused where it is no checkpoint of this log, or nothing is lost by it;
    LogUnavailable, LogCorrupt."""
    if len(raw) > NOTE_MOST:
        raise SuccessionRefused(
            f"the checkpoint has more than {NOTE_MOST} bytes: take cosignatures out, and keep the log's own lines"
        )
    try:
        note = Note.parse(raw)
        said = log.signers.verify(note, log.origin).checkpoint
    except (NoteInvalid, ValueError):
        raise SuccessionRefused(f"the checkpoint is not one of {log.origin}, signed by both of the log's keys") from None

    def compare(reads: Reads) -> bool:
        head = log.stored_head(reads)
        return 0 < said.size <= head.size and range_root(0, said.size, Nodes(reads, head.size)) == said.root

    if said.size == 0 or await log.read_long(compare):
        raise SuccessionRefused(
            "nothing is lost by this checkpoint: the log holds it. Give the newest one that anybody kept (`tellergate witness status`), "
            "or start the gateway"
        )
    others = sorted({item.name for item in note.signatures} - {log.origin})
    return KnownHead(said.size, said.root, note.encode(), tuple(others))


def refuse_name(log: Log, successor: str) -> None:
    """SuccessionRefused where a successor of this log cannot have this name."""
    head = log.signers.head
    try:
        for name in (successor, f"{successor}/rotation"):  # the longest that is made from it
            VerifierKey(name, head.type, head.keys[0].public)
    except NoteInvalid:
        raise SuccessionRefused("the new origin is no name that a log can have: give one such as bank.example/log-2") from None
    if successor in log.lineage.origins:
        raise SuccessionRefused("the new origin was one of this log already: give one that nobody has seen")
    if len(log.lineage.predecessors) == PREDECESSORS_MOST:
        raise SuccessionRefused(f"the log continues {PREDECESSORS_MOST} others already, and no verifier takes more")


async def succeed(log: Log, order: SuccessionOrder, beside: Callable[[Connection], None]) -> tuple[Log, int]:
    """Let the log go on under the new origin: in one transaction the head, the first record, and what `beside` changes. The log from now
    on, over the same databases, and the index of that record; the one before writes no more. SuccessionRefused where the log
    is not as the order says; LogUnavailable: it may have been done, and the stored origin tells; LogCorrupt."""
    refuse_name(log, order.successor)
    if order.size == 0:
        raise SuccessionRefused("the log has no records: begin a new one, under another name")
    heads, made = LogHeads(order.successor, log.signers, log.keys), log.under(order.successor)

    def move(connection: Connection, changes: Sequence[Any]) -> Sequence[SuccessionRefused | None]:
        lock_head(connection)
        stored = log.stored_head(Reads(connection))
        if (stored.size, stored.root) != (order.size, order.root):
            return [SuccessionRefused("the log grew since this was asked for: stop every gateway and command, and ask anew")]
        write_head(connection, replace(stored, note="", **heads.vouched(stored.size, stored.root)))
        beside(connection)
        return [None] * len(changes)

    made.transactions.share(move)
    record = Record(kind=RecordKind.ADMIN, time=log.now(), facts=order.facts(log.origin))
    async with AsyncExitStack() as undo:
        undo.push_async_callback(made.transactions.close)
        _, entry = await made.append_with(order, record, timeout_ms=WAIT_MS)
        undo.pop_all()
    made.lineage = Lineage(order.successor, (*log.lineage.predecessors, Predecessor(log.origin, order.size)))
    await log.transactions.close()
    return made, order.size if entry is None else entry.index
