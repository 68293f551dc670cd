"""The file of an evidence bundle, written from front to back: whatever its size, one part of a list is in memory at a time."""

import hashlib
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from audit.verify import MANIFEST, MEMBER_MOST, Entry, directory, local_header

PART_BYTES = 2**22
"""A part of a list ends with the line that passes this. With the longest leaf it stays far below what a verifier reads."""


class Sink(Protocol):
    """Where the bytes of a bundle go, from front to back: a file, or whoever waits for them."""

    def write(self, content: bytes, /) -> object: ...

    def flush(self) -> None:
        """Return once everything that was written is where it goes. OSError where it did not arrive."""


Manifest = Callable[[dict[str, dict[str, int | str]]], bytes]
"""The manifest's note, from the other members: name to `bytes` and `sha256`."""


@dataclass(slots=True)
class BundleFile:
    """A zip of stored members in the order of their names, and the manifest behind them. ValueError for another order."""

    file: Sink
    size: int = 0
    """Bytes written so far."""
    _entries: list[Entry] = field(default_factory=list)

    def add(self, name: str, content: bytes) -> None:
        """Write a member of at most 16 MiB."""
        if len(content) > MEMBER_MOST or (self._entries and name <= self._entries[-1].name != MANIFEST and name != MANIFEST):
            raise ValueError(f"{name} is too large for a member, or out of its order")
        header = local_header(name, content)
        self.file.write(header)
        self.file.write(content)
        self._entries.append(Entry(name, self.size, len(content), zlib.crc32(content), hashlib.sha256(content).hexdigest()))
        self.size += len(header) + len(content)

    def add_lines(self, folder: str, lines: Iterable[bytes]) -> int:
        """Write a list, each line with its end, in numbered parts. How many lines there were; none makes no part."""
        part, number, count = bytearray(), 0, 0
        for line in lines:
            part += line
            count += 1
            if len(part) >= PART_BYTES:
                self.add(f"{folder}/{number:06d}.txt", bytes(part))
                part, number = bytearray(), number + 1
        if part:
            self.add(f"{folder}/{number:06d}.txt", bytes(part))
        return count

    def close(self, manifest: Manifest) -> None:
        """Write the manifest over everything, and the zip's directory."""
        self.add(MANIFEST, manifest({entry.name: {"bytes": entry.size, "sha256": entry.sha256} for entry in self._entries}))
        end = directory(self._entries, self.size)
        self.file.write(end)
        self.size += len(end)
