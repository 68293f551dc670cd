"""Lines into files of a folder, for a collector on this host: appended, forced to the disk, a new file each day and at a size.

A file is only ever appended to. A line that a crash cut short is ended where it was, and its record is written again, whole. Files are
readable by their owner alone; whoever collects them takes them away.
"""

import asyncio
import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from gateway.oversight.streams import StreamBatch, StreamNotTaken


class FolderReceiver:
    """Files `STREAM-YYYYMMDD-NNNN.log` of a folder. `bytes_most`: beyond it the next batch begins the next file."""

    def __init__(self, folder: Path, stream: str, *, clock: Callable[[], datetime], bytes_most: int = 104_857_600) -> None:
        self._folder, self._stream, self._clock, self._bytes_most = folder, stream, clock, bytes_most

    async def send(self, batch: StreamBatch) -> int:
        octets = b"".join(line + b"\n" for _, line in batch.lines)
        try:
            await asyncio.to_thread(self._append, octets)
        except OSError as error:
            raise StreamNotTaken(f"{type(error).__name__} {error.errno}") from None
        return len(batch.lines)

    async def close(self) -> None:
        """Nothing is open between batches."""

    def _append(self, octets: bytes) -> None:
        path, is_new = self._current()
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(opened).st_size
            if size and os.pread(opened, 1, size - 1) != b"\n":
                octets = b"\n" + octets
            at = 0
            while at < len(octets):
                at += os.write(opened, octets[at:])
            os.fsync(opened)
        finally:
            os.close(opened)
        if is_new:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _current(self) -> tuple[Path, bool]:
        """The newest file of today that has room, else the next one."""
        day = self._clock().strftime("%Y%m%d")
        form = re.compile(rf"{re.escape(self._stream)}-{day}-(\d{{4,}})\.log")
        numbers = sorted(int(found[1]) for name in os.listdir(self._folder) if (found := form.fullmatch(name)) is not None)
        number = numbers[-1] if numbers else 1
        path = self._folder / f"{self._stream}-{day}-{number:04}.log"
        with suppress(FileNotFoundError):
            if numbers and path.stat().st_size >= self._bytes_most:
                return self._folder / f"{self._stream}-{day}-{number + 1:04}.log", True
        return path, not numbers
