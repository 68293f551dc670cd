"""One record by its index, as an auditor looks at it: the look is on record before it is answered, with whom it is about."""

import json

from audit.leaf import RecordKind
from audit.log import Log
from audit.merkle import leaf_hash
from audit.opening import StoredRecord
from audit.query import Why, question
from audit.store.reads import LogCorrupt


async def look(log: Log, index: int, why: Why) -> StoredRecord | None:
    """None where the log has no such record; the look is on record in any case. LogUnavailable, LogCorrupt."""
    stored = await log.read(lambda reads: reads.leaf(index)) if index < (await log.head())[0] else None
    fields = {} if stored is None else json.loads(stored.leaf)
    customer = fields.get("customer")
    about = {"about": customer} if isinstance(customer, str) else {}
    await question(log, RecordKind.AUDIT_QUERY, why, {"by_index": index, **about})
    if stored is None:
        return None
    if leaf_hash(stored.leaf) != stored.hash:
        raise LogCorrupt("a stored leaf is not the one that was hashed")
    return StoredRecord(stored.idx, stored.leaf, stored.hash, fields)
