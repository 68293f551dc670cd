"""A process that sends a stream of a log by HTTP until it is killed.

python -m tests.support.stream_sender FOLDER DATABASE URL HOLDER AHEAD_S

`AHEAD_S`: so many seconds its clock is ahead, so that the lease of one that was killed is over.
"""

import asyncio
import sys
from datetime import datetime, timedelta
from pathlib import Path

from audit.streams.formats import StreamFormat
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseLocations, open_log
from gateway.oversight.receivers.http import HttpReceiver
from gateway.oversight.streams import Stream, Streams

RECORDS_MOST = 7


async def run(folder: Path, database: str, url: str, holder: str, ahead: timedelta) -> None:
    def clock() -> datetime:
        return utc_now() + ahead

    log = await open_log(DatabaseLocations(folder, database), writer_id=holder, clock=clock)
    receiver = HttpReceiver(url, tls=None, keys=log.signers.head.signers, clock=clock)
    made = Stream(name="soc", format=StreamFormat.JSON, receiver=receiver, from_beginning=True, records_most=RECORDS_MOST)
    streams = Streams(log=log, streams=[made], holder=holder, version="1", clock=clock)
    while True:
        if not await streams.step(made):
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    _, folder, database, url, holder, ahead_s = sys.argv
    asyncio.run(run(Path(folder), database, url, holder, timedelta(seconds=int(ahead_s))))
