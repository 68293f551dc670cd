"""A client that asks the same over a few connections, as fast as it is answered, as a process: `python -m tests.support.flooder`.

Reads one JSON object from standard input: `port`, `connections`, `seconds`, `requests` (each the text of an HTTP/1.1 request, in turn).
Prints `go` once it has begun, and at the end how often each status was answered.
"""

import asyncio
import json
import sys
import time
from collections import Counter


async def ask(port: int, requests: list[bytes], until: float, statuses: Counter[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    try:
        while time.monotonic() < until:
            writer.write(requests[number % len(requests)])
            number += 1
            head = await reader.readuntil(b"\r\n\r\n")
            statuses[head[9:12].decode()] += 1
            length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
            await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        statuses["closed"] += 1
    finally:
        writer.close()


async def flood(port: int, connections: int, seconds: float, requests: list[bytes]) -> Counter[str]:
    statuses: Counter[str] = Counter()
    until = time.monotonic() + seconds
    await asyncio.gather(*(ask(port, requests, until, statuses) for _ in range(connections)))
    return statuses


if __name__ == "__main__":
    wanted = json.loads(sys.stdin.readline())
    print("go", flush=True)
    told = [text.encode() for text in wanted["requests"]]
    print(json.dumps(asyncio.run(flood(wanted["port"], wanted["connections"], wanted["seconds"], told))), flush=True)
