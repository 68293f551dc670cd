"""The log's side of witnesses: what it submits, and the cosignatures that it keeps beside its checkpoints."""

import asyncio
from collections.abc import Sequence

from audit.checkpoint import Checkpoint, Note, NoteInvalid, Signature, sign_checkpoint
from audit.log import Log
from audit.merkle import EMPTY_ROOT, consistency_proof
from audit.store.cosignatures import KeptCosignature, keep_cosignatures, last_cosigned_size, last_of, last_of_each, lines_over
from audit.store.reads import LogCorrupt, Nodes, Reads
from audit.store.writes import Head
from audit.witness.protocol import SIZE_LESS_THAN, Submission


async def published_note(log: Log) -> Note:
    """The latest checkpoint that was published under the log's origin; before the first one over no leaves, signed here. LogUnavailable."""
    note = await log.checkpoint()
    if note is not None and Checkpoint.parse((found := _parsed(note)).text).origin == log.origin:
        return found
    now_s = int(log.now().timestamp())
    signers = log.signers.log_keys(log.origin, now_s)
    return await asyncio.to_thread(sign_checkpoint, Checkpoint(log.origin, 0, EMPTY_ROOT), signers, now_s)


async def submission(log: Log, note: Note, old: int) -> Submission:
    """This checkpoint of the log, with the proof that it continues the tree of `old` leaves, at most its own size. LogUnavailable."""
    new = Checkpoint.parse(note.text)
    if not 0 < old < new.size:
        return Submission(old, (), note, new)
    proof = await log.read_long(lambda reads: consistency_proof(old, new.size, Nodes(reads, new.size)))
    return Submission(old, tuple(proof), note, new)


async def keep(log: Log, note: Note, signatures: Sequence[Signature]) -> None:
    """Keep what a witness signed, verified by who asked it. LogUnavailable."""
    new = Checkpoint.parse(note.text)
    if new.size == 0:
        return  # every tree continues that one
    kept = [KeptCosignature(new.size, new.root, item.name, int.from_bytes(item.blob[:8]), item.line()) for item in signatures]
    await log.write(lambda connection: keep_cosignatures(connection, kept))


async def last_kept(log: Log, name: str) -> KeptCosignature | None:
    """What this witness cosigned last under the log's origin, as far as is kept. LogUnavailable."""
    found = await log.read(lambda reads: last_of(reads.connection, name))
    return None if found is None or found.size <= log.lineage.begins else found


async def kept_of_each(log: Log) -> Sequence[KeptCosignature]:
    """What each witness cosigned last, by their names, as far as is kept. LogUnavailable."""
    return await log.read(lambda reads: last_of_each(reads.connection))


async def checkpoint(log: Log) -> str | None:
    """The latest published checkpoint with the cosignatures over it, None before the first. LogUnavailable."""

    def ask(reads: Reads) -> str | None:
        published = reads.checkpoint()
        return None if published is None else cosigned_note(reads, published)

    return await log.read(ask)


def cosigned_note(reads: Reads, published: Head) -> str:
    """A published checkpoint with the cosignatures that are kept over it."""
    return published.note + "".join(lines_over(reads.connection, published.size, published.root))


def last_cosigned(reads: Reads, size: int, quorum: int = 1) -> Head | None:
    """The newest published checkpoint of at most `size` leaves that so many witnesses cosigned."""
    found = last_cosigned_size(reads.connection, size, quorum)
    return None if found is None else reads.checkpoint(found)


async def cosigned_checkpoint(log: Log, quorum: int) -> str | None:
    """The newest published checkpoint that so many witnesses cosigned, with what they signed. LogUnavailable."""

    def ask(reads: Reads) -> str | None:
        found = last_cosigned(reads, SIZE_LESS_THAN - 1, quorum)
        return None if found is None else cosigned_note(reads, found)

    return await log.read(ask)


def _parsed(note: str) -> Note:
    try:
        return Note.parse(note.encode())
    except NoteInvalid as error:
        raise LogCorrupt("the last checkpoint is no signed note") from error
