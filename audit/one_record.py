"""One record by its index, as an auditor looks at it: the look is on record before it is answered, with whom it is about."""

from audit.leaf import RecordKind
from audit.log import Log
from audit.opening import StoredRecord, stored_record
from audit.query import Why, customer_facts, question


async def look(log: Log, index: int, why: Why) -> StoredRecord | None:
    """None where the log has no such record; the look is on record in any case. LogUnavailable, LogCorrupt."""
    stored = await log.read(lambda reads: reads.leaf(index)) if index < (await log.head())[0] else None
    await question(log, RecordKind.AUDIT_QUERY, why, {"index": index, **customer_facts(stored)})
    return None if stored is None else stored_record(stored)
