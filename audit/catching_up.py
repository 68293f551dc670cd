"""Brings the auditors' index up to the log: in the background, a bounded part each second, and before a question is answered."""

import asyncio
from contextlib import suppress

from audit.log import Log, LogUnavailable
from audit.store.auditors_index import advance

LEAVES_AT_ONCE = 128
"""Leaves of one transaction, for which SQLite's writers and the event loop wait: some ten milliseconds."""

EACH_SECOND_MOST = 32 * LEAVES_AT_ONCE
"""Leaves that the background takes at a time: a log that grows faster is caught up with when it rests, or by the next question."""


async def catch_up(log: Log, *, most: int | None = None) -> int:
    """Take leaves into the index, at most `most` (None: all that there are); how many there were. LogUnavailable."""
    done = 0
    while most is None or done < most:
        count = await log.write(lambda connection: advance(connection, LEAVES_AT_ONCE))
        done += count
        if count < LEAVES_AT_ONCE:
            break
        await asyncio.sleep(0)
    return done


async def catch_up_to_ask(log: Log) -> None:
    """Before a question. Where another process is at it, or the database is busy, the question is answered all the same, more slowly."""
    with suppress(LogUnavailable):
        await catch_up(log)
