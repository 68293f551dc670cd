"""Streams of the trail: records a second that each transport delivers, with its format, and what appends take beside a stream that runs.

    python -m tests.benchmarks.streams [--json] [--records 20000]

Over loopback, to receivers that acknowledge at once; the baseline is the same lines, made already, over the same transport. A share of
one is a stream that costs nothing. Processor time is that of this process, receivers included. Asserts nothing about time.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from audit.log import Log
from audit.streams.formats import StreamFormat
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseLocations, open_log
from gateway.oversight.streams import Stream, StreamBatch, StreamReceiver, Streams
from tests.benchmarks.log import records_of
from tests.benchmarks.trail import write
from tests.support.certificates import Authority
from tests.support.stream_receivers import FolderHarness, Harness, SyslogHarness, http_harness

RECORDS_MOST = 200_000
BATCH = 500
APPENDS = 400
TURNS = 3

Figures = dict[str, Any]


@asynccontextmanager
async def receiving(transport: str, log: Log, folder: Path) -> AsyncIterator[Harness]:
    if transport == "http":
        async with http_harness(log.signers.head.signers) as made:
            yield made
    elif transport == "syslog":
        authority = Authority(folder)
        server = SyslogHarness(authority, authority.issue("siem"), authority.issue("us", alternative=None))
        yield server
        server.close()
    else:
        yield FolderHarness(folder / "out")


class Kept:
    """A receiver that keeps the batches which it hands on."""

    def __init__(self, receiver: StreamReceiver) -> None:
        self.receiver, self.batches = receiver, list[StreamBatch]()

    async def send(self, batch: StreamBatch) -> int:
        self.batches.append(batch)
        return await self.receiver.send(batch)

    async def close(self) -> None:
        await self.receiver.close()


def sender(log: Log, name: str, format_: StreamFormat, receiver: StreamReceiver) -> Streams:
    made = Stream(name=name, format=format_, receiver=receiver, from_beginning=True, records_most=BATCH)
    return Streams(log=log, streams=[made], holder="bench", version="1", clock=utc_now)


async def delivered(log: Log, transport: str, format_: StreamFormat) -> Figures:
    """All that is in the log to a receiver, and then the same batches again with nothing of ours but the receiver's own end."""
    with tempfile.TemporaryDirectory() as folder:
        async with receiving(transport, log, Path(folder)) as harness:
            kept = Kept(harness.made(utc_now))
            streams = sender(log, f"{transport}-{format_.value}", format_, kept)
            start, worked = time.perf_counter(), time.process_time()
            while await streams.step(streams.streams[0]):
                pass
            took, worked = time.perf_counter() - start, time.process_time() - worked
            records = sum(len(batch.lines) for batch in kept.batches)
            if records != log.size():
                raise RuntimeError(f"{records} of {log.size()} were delivered")
            start = time.perf_counter()
            for batch in kept.batches:
                await kept.receiver.send(batch)
            alone = time.perf_counter() - start
            await streams.close()
    octets = sum(len(line.line) for batch in kept.batches for line in batch.lines)
    return {
        "records_per_s": round(records / took),
        "share_of_transport": round(alone / took, 3),
        "cpu_us_per_record": round(worked / records * 1e6, 1),
        "bytes_per_record": round(octets / records),
    }


async def beside(log: Log) -> Figures:
    """What single appends wait, in turns: with nothing beside them, and beside a stream over HTTP that has all of the log to send."""
    quiet, busy = list[float](), list[float]()
    for turn in range(TURNS):
        quiet += await _appends(log, turn * 2)
        async with http_harness(log.signers.head.signers) as harness:
            streams = sender(log, f"beside-{turn}", StreamFormat.JSON, harness.made(utc_now))

            async def sends(streams: Streams = streams) -> None:
                while True:
                    if not await streams.step(streams.streams[0]):
                        await asyncio.sleep(0.05)

            sending = asyncio.create_task(sends())
            busy += await _appends(log, turn * 2 + 1)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await streams.close()
    return {
        "append_p50_ms": round(statistics.median(quiet) * 1e3, 2),
        "append_p50_beside_ms": round(statistics.median(busy) * 1e3, 2),
        "ratio": round(statistics.median(busy) / statistics.median(quiet), 2),
    }


async def _appends(log: Log, start: int) -> list[float]:
    waits = []
    for record in records_of(start, APPENDS):
        begun = time.perf_counter()
        await log.append(record, timeout_ms=10_000)
        waits.append(time.perf_counter() - begun)
    return waits


async def run(records: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        log = await open_log(DatabaseLocations(Path(folder)), origin="bench.example/log", writer_id="bench", clock=utc_now)
        await write(log, records, utc_now())
        await log.publish(force=True)
        found: Figures = {}
        for transport in ("http", "syslog", "folder"):
            for format_ in StreamFormat:
                found[f"{transport} {format_.value}"] = await delivered(log, transport, format_)
                sys.stderr.write(f"{time.strftime('%H:%M:%S')} {transport} {format_.value}\n")
        found["beside"] = await beside(log)
        await log.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure streams of the trail.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--records", type=int, default=20_000)
    given = parser.parse_args()
    if not BATCH <= given.records <= RECORDS_MOST:
        parser.error(f"{BATCH} <= records <= {RECORDS_MOST}")
    found = asyncio.run(run(given.records))
    if given.json:
        print(json.dumps(found))
        return
    for name, figures in found.items():
        print(f"{name:16} " + "   ".join(f"{key} {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
