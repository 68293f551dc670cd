"""SIGKILL of the process that sends a stream, before and after its receiver took a batch: the next one goes on, and nothing is missing."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from audit.log import Log
from audit.store.streams import position_of
from gateway.oversight.streams import LEASE_MS
from tests.support.databases import url
from tests.support.guides import ROOT
from tests.support.options import long_or
from tests.support.stream_receivers import KilledAt, accounted, http_harness, indexes
from tests.support.stream_sender import RECORDS_MOST
from tests.support.waiting import WAITS_S, wait_until
from tests.trail import Clock, a_record, clock, open_log

__all__ = ["clock", "open_log"]

KILLS = long_or((KilledAt.UNTAKEN, KilledAt.TAKEN) * 4, (KilledAt.UNTAKEN, KilledAt.TAKEN))
EACH = 3 * RECORDS_MOST


async def test_a_sender_that_is_killed_in_a_batch_loses_none_of_it(
    open_log: Callable[[], Awaitable[Log]], clock: Clock, tmp_path: Path
) -> None:
    log = await open_log()
    async with http_harness(log.signers.head.signers) as receiver:
        for number, moment in enumerate((*KILLS, None)):
            for _ in range(EACH):
                await log.append(a_record())
            await log.publish(force=True)
            receiver.kills(moment, after=len({*indexes(receiver.lines)}) + RECORDS_MOST)
            ahead_s = number * (LEASE_MS // 1000 + 1)
            arguments = (str(tmp_path / "log"), url(tmp_path / "log"), receiver.url, f"sender-{number}", str(ahead_s))
            sender = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.support.stream_sender", *arguments, stdout=subprocess.DEVNULL, cwd=ROOT
            )
            try:
                if moment is None:
                    await wait_until(lambda: len({*indexes(receiver.lines)}) == log.size())
                else:
                    async with asyncio.timeout(WAITS_S):
                        await receiver.reached.wait()
            finally:
                sender.kill()
                await sender.wait()
            arrived = len({*indexes(receiver.lines)})
            stands = await log.read(lambda reads: position_of(reads.connection, "soc"))
            assert stands is not None
            if moment is not None:
                assert stands.holder == f"sender-{number}", "its lease is left behind"
                assert stands.upto == arrived - (RECORDS_MOST if moment is KilledAt.TAKEN else 0)
        accounted(indexes(receiver.lines), range(log.size()))
        assert len(receiver.lines) == log.size() + RECORDS_MOST * KILLS.count(KilledAt.TAKEN), (
            "what was taken and not heard comes twice"
        )
    await log.close()
