"""What the state page says of time stamps: by whom, how far, and how long ago by their own clocks.

Nothing is verified here: a token was when it was kept, and is again by whoever holds a bundle.
"""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from audit.log import Log
from audit.store.timestamps import KeptTimestamp, last_timestamp_of_each
from gateway.doors.operations.audit.words import said

STAMPED_LATE_S = 2 * 3600
"""After that an authority is late: each is asked once an hour, where the log grows."""


async def stamps(log: Log, authorities: Sequence[str], now: datetime) -> Sequence[tuple[str, str, str]]:
    """Of those that the settings name, and of others that stamped before: name, value and tone of each."""
    kept = {item.authority: item for item in await log.read(lambda reads: last_timestamp_of_each(reads.connection))}
    told = [_told(authority, authority in authorities, kept.get(authority), now) for authority in sorted({*authorities, *kept})]
    return told or [("stamps", said("state.none_configured"), "")]


def _told(authority: str, is_named: bool, last: KeptTimestamp | None, now: datetime) -> tuple[str, str, str]:
    name = urlsplit(authority).netloc  # a path may hold what the bank pays by
    if last is None:
        return "stamps", said("state.never_stamped", name=name), "bad"
    age_s = max(int(now.timestamp()) - last.time_s, 0)
    words = said(f"state.{'stamped' if is_named else 'stamped_once'}", name=name, count=last.checkpoint.size, age=age_s)
    return "stamps", words, ("waits" if age_s > STAMPED_LATE_S else "good") if is_named else ""
