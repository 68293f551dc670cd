"""What workers tell each other of what they measure: a text each, in memory that whoever was forked after it was made shares."""

import mmap
import struct
import zlib

PAGE_BYTES = 1 << 19
"""What one worker may tell, packed: some thousand times what it does."""

STALE_S = 20.0
"""A worker that told nothing for so long is not told of: its series end, and `tellergate_worker_up` is 0."""

_HEAD = struct.Struct("<IId")


class SharedPages:
    """The last text of each worker, in memory that is shared by who was forked after it was made."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._memory = mmap.mmap(-1, workers * PAGE_BYTES)

    def put(self, worker: int, text: bytes, at_s: float) -> None:
        """ValueError for more than `PAGE_BYTES`. One writer for each worker."""
        packed = zlib.compress(text)
        if len(packed) > PAGE_BYTES - _HEAD.size:
            raise ValueError("more than a worker may tell")
        start = worker * PAGE_BYTES
        self._memory[start : start + _HEAD.size + len(packed)] = _HEAD.pack(len(packed), zlib.crc32(packed), at_s) + packed

    def get(self, worker: int, now_s: float) -> bytes | None:
        """None for one that told nothing yet, or nothing lately, or that is telling at this moment."""
        start = worker * PAGE_BYTES
        size, check, at_s = _HEAD.unpack(self._memory[start : start + _HEAD.size])
        packed = self._memory[start + _HEAD.size : start + _HEAD.size + min(size, PAGE_BYTES - _HEAD.size)]
        if not size or now_s - at_s > STALE_S or zlib.crc32(packed) != check:
            return None
        return zlib.decompress(packed)
