"""Erasing a person, and legal holds that forbid it.

Old proofs stay: the leaves hold commitments and a pseudonym. What goes is the key that sealed the person's disclosures, the sealed
blobs themselves, and the mapping from the customer to the pseudonym. The destruction is a record before it is done, and stands in
a list in the key store, from which a restored backup of the log is cleaned again before it serves.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from audit.checkpoint import sign_note
from audit.export import tlog_proof
from audit.keys import named
from audit.leaf import Plain, Record, RecordKind, rfc3339
from audit.log import LEAVES_MOST, Log
from audit.merkle import inclusion_proof
from audit.periods import after
from audit.query import Why, question
from audit.store.find import Filter, find
from audit.store.reads import Nodes, Reads, StoredLeaf

ROWS_AT_ONCE = 500

_HOLDS = (RecordKind.HOLD_PLACE, RecordKind.HOLD_RELEASE)
"""What is said of a customer, not done by them: it keeps nothing longer."""

NO_MINIMUMS: Mapping[str, str] = MappingProxyType({})


class LegalHold(Exception):
    """A legal hold forbids the erasure. Nothing was destroyed."""


class NothingToErase(Exception):
    """The customer has no record, or was erased already."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was destroyed. `note` is signed by the export key; `proof` is a C2SP tlog-proof of the `key.destroy` record.

    `locked` are retention classes under a legal minimum, and when it is over: until then their records stay sealed and readable.
    `removed`: rows of this person in other stores, by their table.
    """

    subject: str
    destroyed: Sequence[str]
    locked: Mapping[str, datetime]
    removed: Mapping[str, int]
    index: int
    note: str
    proof: bytes


class OtherStores(Protocol):
    """Where else the person is kept. What `check` raises stops the erasure before anything is recorded or destroyed."""

    async def check(self) -> None: ...

    async def remove(self) -> Mapping[str, int]:
        """Remove the person; how many rows of each table. May be asked again after a crash."""


async def place_hold(log: Log, customer: str, hold: str, why: Why) -> int:
    """Forbid erasure of this customer until `release_hold` of the same name. Index of its record. NothingToErase if unknown."""
    return await _hold_record(log, RecordKind.HOLD_PLACE, customer, hold, why)


async def release_hold(log: Log, customer: str, hold: str, why: Why) -> int:
    """End a hold. Index of the record."""
    return await _hold_record(log, RecordKind.HOLD_RELEASE, customer, hold, why)


async def holds(log: Log, customer: str) -> list[str]:
    """Names of the holds on this customer, oldest first."""
    subject = await log.keys.subject_of(customer)
    return [] if subject is None else await _holds(log, subject)


async def held_customers(log: Log) -> frozenset[str]:
    """Every customer whom a hold is on. LogUnavailable, LogCorrupt: then nobody may be taken to be free of one."""
    placed: dict[str, set[str]] = {}
    async for item in _every(log, Filter(kinds=_HOLDS)):
        fields = json.loads(item.leaf)
        of_subject = placed.setdefault(fields["customer"], set())
        if fields["kind"] == RecordKind.HOLD_PLACE.value:
            of_subject.add(fields["facts"]["hold"])
        else:
            of_subject.discard(fields["facts"]["hold"])
    found = [await log.keys.customer_of(subject) for subject, names in placed.items() if names]
    return frozenset(customer for customer in found if customer is not None)


async def _holds(log: Log, subject: str) -> list[str]:
    placed: dict[str, None] = {}
    async for item in _every(log, Filter(customer=subject, kinds=_HOLDS)):
        fields = json.loads(item.leaf)
        if fields["kind"] == RecordKind.HOLD_PLACE.value:
            placed[fields["facts"]["hold"]] = None
        else:
            placed.pop(fields["facts"]["hold"], None)
    return list(placed)


async def erase(
    log: Log, customer: str, why: Why, *, minimums: Mapping[str, str] = NO_MINIMUMS, elsewhere: OtherStores | None = None
) -> Certificate:
    """Destroy a customer's keys, sealed blobs and mapping, and have them removed elsewhere.

    `minimums`: how long records of a retention class must be kept by law, as an ISO 8601 duration from the newest of this customer. A
    class whose time is not over is locked, and scheduled for `erase_due`; the mapping goes with the last one. LegalHold, NothingToErase,
    LogUnavailable (nothing destroyed), ValueError for a period that is none. After a crash between the record and the destruction,
    erase again: the second certificate names what was left.
    """
    subject = await log.keys.subject_of(customer)
    if subject is None:
        raise NothingToErase
    return await _erase(log, subject, why, minimums, elsewhere)


async def erase_due(log: Log, why: Why, *, minimums: Mapping[str, str]) -> tuple[list[Certificate], list[str]]:
    """Destroy what was locked when its customer was erased and may go now; the certificates, and the pseudonyms that a hold keeps."""
    done, held = [], []
    for subject in await log.keys.due(log.now()):
        try:
            done.append(await _erase(log, subject, why, minimums, None))
        except LegalHold:
            held.append(subject)
    return done, held


async def _erase(log: Log, subject: str, why: Why, minimums: Mapping[str, str], elsewhere: OtherStores | None) -> Certificate:
    async with log.erasing:
        if await _holds(log, subject):
            raise LegalHold
        if elsewhere is not None:
            await elsewhere.check()
        locked = await _locked(log, subject, minimums)
        doomed = [name for name in await log.keys.classes_of(subject) if name not in locked]
        told = tuple(f"{name} until {rfc3339(due)}" for name, due in locked.items())
        facts: dict[str, Plain] = {"subject": subject, "destroyed": tuple(doomed), "locked": told}
        index = await question(log, RecordKind.KEY_DESTROY, why, facts)
        removed = {} if elsewhere is None else await elsewhere.remove()
        await log.keys.destroy(subject, doomed, below=index, locked=locked)
    await remove_sealed(log, {subject: dict.fromkeys(doomed, index)})
    return await _certificate(log, Certificate(subject, doomed, locked, removed, index, "", b""))


async def _locked(log: Log, subject: str, minimums: Mapping[str, str]) -> dict[str, datetime]:
    """The classes of this subject that the law has kept still, and until when: from the newest record of each."""
    newest: dict[str, datetime] = {}
    if minimums:
        async for item in _every(log, Filter(customer=subject)):
            fields = json.loads(item.leaf)
            if fields["kind"] not in _HOLDS:
                time = datetime.fromisoformat(fields["time"])
                newest[fields["retention"]] = max(time, newest.get(fields["retention"], time))
    ends = {name: after(newest[name], period) for name, period in sorted(minimums.items()) if name in newest}
    return {name: end for name, end in ends.items() if end > log.now()}


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
    async with log.erasing:
        if await log.keys.subject_of(customer) is None:
            raise NothingToErase
        facts = why.facts({"hold": hold})
        entry = await log.append(Record(kind=kind, time=log.now(), customer=customer, agent=why.auditor, facts=facts))
    return entry.index


async def _certificate(log: Log, erased: Certificate) -> Certificate:
    """The same with its signed note and its proof."""
    index = erased.index
    checkpoint = await log.publish(force=True)
    size = await log.read(Reads.published_size)
    if checkpoint is None or index >= size:
        raise ValueError("the record of the destruction is not under the checkpoint")
    body = {
        "v": 1,
        "origin": log.origin,
        "subject": erased.subject,
        "destroyed": erased.destroyed,
        "locked": {name: rfc3339(due) for name, due in erased.locked.items()},
        "removed": erased.removed,
        "record": index,
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":")) + "\n"
    note = sign_note(text, [named(f"{log.origin}/exports", log.signers.exports.signer())]).encode()
    hashes = await log.read(lambda reads: inclusion_proof(index, size, Nodes(reads, size)))
    proof = tlog_proof(index, hashes, checkpoint)
    return replace(erased, note=note, proof=proof)
