"""Whether the log and the key store, which are backed up apart, are of one course of events.

Before a checkpoint of the log is published, its size and root are noted in the key store. So what is noted lies between what the log
published last and what it has: a log that has less was restored or cut, and a key store that noted less was restored.
"""

from enum import StrEnum

from audit.log import Log
from audit.merkle import range_root
from audit.store.reads import Nodes, Reads


class Apart(StrEnum):
    """How the two are apart. Closed and stable."""

    LOG_BEHIND_KEYS = "log_behind_keys"
    """The log has fewer records than were noted, or others: it was restored from a backup, or cut."""
    KEYS_BEHIND_LOG = "keys_behind_log"
    """Less was noted than the log has published: the key store was restored from a backup, and may hold keys that were destroyed."""


async def apart(log: Log) -> Apart | None:
    """How they are apart; None: they are not, or nothing was noted yet. LogUnavailable, LogCorrupt, SQLAlchemyError."""
    noted = await log.keys.position()
    if noted is None:
        return None
    size, root = noted

    def compare(reads: Reads) -> Apart | None:
        head = log.stored_head(reads)
        if size > head.size or (size and range_root(0, size, Nodes(reads, head.size)) != root):
            return Apart.LOG_BEHIND_KEYS
        return Apart.KEYS_BEHIND_LOG if reads.published_size() > size else None

    # The checkpoint is read after what was noted: another process may publish in between, and has noted more by then
    found = await log.read_long(compare)
    return await _again(log) if found is Apart.KEYS_BEHIND_LOG else found


async def _again(log: Log) -> Apart | None:
    """The log's side first: what it has published by now, was noted before."""
    published = await log.read(Reads.published_size)
    noted = await log.keys.position()
    return Apart.KEYS_BEHIND_LOG if noted is None or published > noted[0] else None
