"""What a thread writes goes to whoever reads it on the loop, a few parts ahead and no more: a bundle of any size takes the same memory.

Must never take for handed over what nobody read, nor wait for a reader without end.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NotInTime

PART_BYTES = 2**18
PARTS_AHEAD = 4

PATIENCE_S = 30.0
"""How long one part may wait for a reader: the snapshot of the log that it is written from is held meanwhile."""

TIME_MOST_S = 900.0
"""How long all of it may take."""


class NotHandedOver(OSError):
    """The reader went, or took too long."""


class Handover:
    """Of one bundle. `write` and `flush` are the writer's, in its thread; `parts` and `abandon` the reader's, on the loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, patience_s: float = PATIENCE_S, time_most_s: float = TIME_MOST_S
    ) -> None:
        self._loop, self._patience_s = loop, patience_s
        self._until = time.monotonic() + time_most_s
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue(PARTS_AHEAD)
        self._begun = bytearray()
        self._over = threading.Event()
        self._is_whole = False
        self.ended = asyncio.Event()
        """Set when the writer is done, well or not."""

    def write(self, content: bytes, /) -> int:
        """Waits while the reader is too far behind. NotHandedOver."""
        self._begun += content
        while len(self._begun) >= PART_BYTES:
            part = bytes(self._begun[:PART_BYTES])
            del self._begun[:PART_BYTES]
            self._put(part)
        return len(content)

    def flush(self) -> None:
        """The end: returns once the reader has taken everything. NotHandedOver."""
        if self._begun:
            self._put(bytes(self._begun))
            self._begun.clear()
        self._put(None)
        if not self._over.wait(self._patience_s) or not self._is_whole:
            raise NotHandedOver("the reader did not take the end")

    def _put(self, part: bytes | None) -> None:
        if self._over.is_set() or time.monotonic() >= self._until:
            raise NotHandedOver("the reader went, or it takes too long")
        waiting = asyncio.run_coroutine_threadsafe(self._parts.put(part), self._loop)
        try:
            waiting.result(self._patience_s)
        except (NotInTime, CancelledError):
            waiting.cancel()
            raise NotHandedOver("the reader does not read") from None

    async def parts(self) -> AsyncIterator[bytes]:
        """Each part; what the writer ended with is raised by who runs it. NotHandedOver where it ended before the last one."""
        while True:
            reading, ending = asyncio.ensure_future(self._parts.get()), asyncio.ensure_future(self.ended.wait())
            try:
                await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    raise NotHandedOver("the writer ended before the last part")
                part = reading.result()
            finally:
                reading.cancel()
                ending.cancel()
            if part is None:
                self._is_whole = True
                self._over.set()
                return
            yield part

    def abandon(self) -> None:
        """Nobody reads any more: the writer's next part fails."""
        self._over.set()
        while not self._parts.empty():
            self._parts.get_nowait()
