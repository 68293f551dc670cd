"""One record as it is stored, and what it keeps sealed. Writes no record of the look: who asks does."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from audit.log import Log
from audit.merkle import leaf_hash
from audit.seal import SealBinding, check_disclosed, digest, unseal
from audit.store.reads import LogCorrupt, StoredLeaf


class NotSealed(Exception):
    """The record has nothing sealed, or it was destroyed."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as stored: the raw leaf is the evidence, `fields` is the same, parsed."""

    index: int
    leaf: bytes
    leaf_hash: bytes
    fields: Mapping[str, object]


def stored_record(stored: StoredLeaf) -> StoredRecord:
    if leaf_hash(stored.leaf) != stored.hash:
        raise LogCorrupt("a stored leaf is not the one that was hashed")
    return StoredRecord(stored.idx, stored.leaf, stored.hash, orjson.loads(stored.leaf))


async def open_sealed(log: Log, index: int) -> dict[str, str]:
    """Path to disclosure of one record, checked against its leaf. Writes no record: `reveal` and `export` do."""
    stored, blob = await log.read(lambda reads: (reads.leaf(index), reads.sealed([index]).get(index)))
    if stored is None or blob is None:
        raise NotSealed
    fields = stored_record(stored).fields
    sealed = fields.get("sealed")
    if not isinstance(sealed, dict) or sealed["digest"] != digest(blob):
        raise LogCorrupt("a sealed blob is not the one of its leaf")
    subject = str(fields.get("customer", "-"))
    retention, kind, time = (str(fields[name]) for name in ("retention", "kind", "time"))
    key = await log.keys.key_of(subject, retention)
    disclosures = unseal(key, blob, SealBinding(str(fields["log"]), subject, retention, kind, time))
    check_disclosed(fields, disclosures)
    return disclosures
