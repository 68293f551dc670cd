"""Erasing a person, and legal holds that forbid it.

Old proofs stay: the leaves hold commitments and a pseudonym. What goes is the key that sealed the person's disclosures, the sealed
blobs themselves, and the mapping from the customer to the pseudonym. The destruction is a record before it is done, and stands in
a list in the key store, from which a restored backup of the log is cleaned again before it serves.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from audit.checkpoint import sign_note
from audit.export import tlog_proof
from audit.keys import named
from audit.leaf import Plain, Record, RecordKind
from audit.log import LEAVES_MOST, Log
from audit.merkle import inclusion_proof
from audit.query import Why, question
from audit.store.find import Filter, find
from audit.store.reads import Nodes, Reads, StoredLeaf

ROWS_AT_ONCE = 500


class LegalHold(Exception):
    """A legal hold forbids the erasure. Nothing was destroyed."""


class NothingToErase(Exception):
    """The customer has no record, or was erased already."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was destroyed. `note` is signed by the export key; `proof` is a C2SP tlog-proof of the `key.destroy` record.

    `locked` are retention classes under a legal minimum: their records stay sealed and readable until it has passed.
    """

    subject: str
    destroyed: Sequence[str]
    locked: Sequence[str]
    index: int
    note: str
    proof: bytes


async def place_hold(log: Log, customer: str, hold: str, why: Why) -> int:
    """Forbid erasure of this customer until `release_hold` of the same name. Index of its record. NothingToErase if unknown."""
    return await _hold_record(log, RecordKind.HOLD_PLACE, customer, hold, why)


async def release_hold(log: Log, customer: str, hold: str, why: Why) -> int:
    """End a hold. Index of the record."""
    return await _hold_record(log, RecordKind.HOLD_RELEASE, customer, hold, why)


async def holds(log: Log, customer: str) -> list[str]:
    """Names of the holds on this customer, oldest first."""
    subject = await log.keys.subject_of(customer)
    if subject is None:
        return []
    placed: dict[str, None] = {}
    async for item in _every(log, Filter(customer=subject, kinds=(RecordKind.HOLD_PLACE, RecordKind.HOLD_RELEASE))):
        fields = json.loads(item.leaf)
        if fields["kind"] == RecordKind.HOLD_PLACE.value:
            placed[fields["facts"]["hold"]] = None
        else:
            placed.pop(fields["facts"]["hold"], None)
    return list(placed)


async def erase(log: Log, customer: str, why: Why, *, locked: frozenset[str] = frozenset()) -> Certificate:
    """Destroy a customer's keys, sealed blobs and mapping, save for the retention classes of `locked`.

    The mapping goes with the last class. Held, NothingToErase, LogUnavailable (nothing destroyed). After a crash between the record
    and the destruction, erase again: the second certificate names what was left.
    """
    subject = await log.keys.subject_of(customer)
    if subject is None:
        raise NothingToErase
    async with log.erasing:
        if await holds(log, customer):
            raise LegalHold
        classes = await log.keys.classes_of(subject)
        doomed = [data_class for data_class in classes if data_class not in locked]
        kept = [data_class for data_class in classes if data_class in locked]
        facts: dict[str, Plain] = {"subject": subject, "destroyed": tuple(doomed), "locked": tuple(kept)}
        index = await question(log, RecordKind.KEY_DESTROY, why, facts)
        await log.keys.destroy(subject, doomed, below=index, forget=not kept)
    await remove_sealed(log, {subject: dict.fromkeys(doomed, index)})
    return await _certificate(log, subject, (doomed, kept), index)


async def replay_destructions(log: Log) -> int:
    """Clean a restored backup of the log: remove what was destroyed before it serves. How many blobs were still there."""
    return await remove_sealed(log, await log.keys.destroyed())


async def remove_sealed(log: Log, doomed: Mapping[str, Mapping[str, int]]) -> int:
    """Remove the sealed blobs of these subjects and retention classes below an index; how many there were."""
    removed = 0
    for subject, classes in doomed.items():
        every = _every(log, Filter(customer=subject))
        indexes = [item.idx async for item in every if item.idx < classes.get(json.loads(item.leaf)["retention"], 0)]
        for start in range(0, len(indexes), ROWS_AT_ONCE):
            present = await _still_sealed(log, indexes[start : start + ROWS_AT_ONCE])
            if present:
                await log.remove_sealed(present)
                removed += len(present)
    return removed


async def _still_sealed(log: Log, indexes: Sequence[int]) -> list[int]:
    return list(await log.read(lambda reads: reads.sealed(indexes)))


async def _every(log: Log, wanted: Filter) -> AsyncIterator[StoredLeaf]:
    after = -1
    while rows := await _following(log, wanted, after):
        for row in rows:
            yield row
        after = rows[-1].idx


async def _following(log: Log, wanted: Filter, after: int) -> list[StoredLeaf]:
    return await log.read(lambda reads: find(reads.connection, wanted, LEAVES_MOST, after, ROWS_AT_ONCE))


async def _hold_record(log: Log, kind: RecordKind, customer: str, hold: str, why: Why) -> int:
    facts = {"hold": hold, "purpose": why.purpose, "case": why.case_id}
    async with log.erasing:
        if await log.keys.subject_of(customer) is None:
            raise NothingToErase
        entry = await log.append(Record(kind=kind, time=log.now(), customer=customer, agent=why.auditor, facts=facts))
    return entry.index


async def _certificate(log: Log, subject: str, classes: tuple[Sequence[str], Sequence[str]], index: int) -> Certificate:
    checkpoint = await log.publish(force=True)
    size = await log.read(Reads.published_size)
    if checkpoint is None or index >= size:
        raise ValueError("the record of the destruction is not under the checkpoint")
    destroyed, locked = classes
    body = {"v": 1, "origin": log.origin, "subject": subject, "destroyed": destroyed, "locked": locked, "record": index}
    text = json.dumps(body, sort_keys=True, separators=(",", ":")) + "\n"
    note = sign_note(text, [named(f"{log.origin}/exports", log.signers.exports)]).encode()
    hashes = await log.read(lambda reads: inclusion_proof(index, size, Nodes(reads, size)))
    proof = tlog_proof(index, hashes, checkpoint)
    return Certificate(subject, destroyed, locked, index, note, proof)
