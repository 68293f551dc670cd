"""Where sealed contents are kept, and how: whole or not at all, under names that nobody chooses."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Protocol

from gateway.domain.errors import Unavailable

READ_BYTES = 256 * 1024
NO_STORAGE = "files_unavailable"


class NoSuchContent(Exception):
    """Nothing is kept under this name."""


class ContentStorage(Protocol):
    """Sealed contents by name.

    Durability: what `put` returned for is durable, and nobody sees a part of it before. Concurrency: safe, over processes too; a name is
    put once. Errors: Unavailable, where the storage does not answer or has no room.
    """

    async def put(self, name: str, parts: AsyncIterator[bytes]) -> None:
        """Keep these bytes. What `parts` raises is raised, and nothing is kept."""

    def read(self, name: str) -> AsyncGenerator[bytes, None]:
        """The bytes in pieces of any size, to be closed. NoSuchContent before the first."""

    async def delete(self, name: str) -> None:
        """Also of what is not there."""

    def names(self, age_s: float) -> AsyncIterator[str]:
        """What has been kept for so long, and left-overs of what never was whole, in no order."""


def place_of(name: str) -> str:
    """Where a content of this name is, in a folder or a bucket."""
    if not (name.isascii() and name.isalnum()):
        raise ValueError("a name of a content is letters and digits")
    return f"{name[:2]}/{name}"


class FolderStorage:
    """In a folder: a file of its own for each, readable to its owner alone. Where several gateways share a database, they share it too."""

    _NEW = ".new"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, parts: AsyncIterator[bytes]) -> None:
        path = self._path(name)
        beside = path.with_suffix(self._NEW)
        try:
            with ExitStack() as undo:
                undo.callback(beside.unlink, missing_ok=True)
                with await asyncio.to_thread(_created, beside) as file:
                    async for part in parts:
                        await asyncio.to_thread(file.write, part)
                    await asyncio.to_thread(_made_durable, file, path)
                undo.pop_all()
        except OSError as error:
            raise Unavailable(NO_STORAGE) from error

    async def read(self, name: str) -> AsyncGenerator[bytes, None]:
        try:
            file = await asyncio.to_thread(self._path(name).open, "rb")
        except FileNotFoundError:
            raise NoSuchContent(name) from None
        except OSError as error:
            raise Unavailable(NO_STORAGE) from error
        with file:
            while part := await asyncio.to_thread(file.read, READ_BYTES):
                yield part

    async def delete(self, name: str) -> None:
        path = self._path(name)
        for found in (path, path.with_suffix(self._NEW)):
            await asyncio.to_thread(found.unlink, missing_ok=True)

    async def names(self, age_s: float) -> AsyncIterator[str]:
        for name in await asyncio.to_thread(list, self._old(time.time() - age_s)):
            yield name

    def _old(self, before_s: float) -> Iterator[str]:
        for path in self._folder.glob("??/*"):
            try:
                if path.stat().st_mtime < before_s:
                    yield path.stem if path.suffix == self._NEW else path.name
            except FileNotFoundError:
                continue

    def _path(self, name: str) -> Path:
        return self._folder / place_of(name)


def _created(path: Path) -> IO[bytes]:
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _made_durable(file: IO[bytes], path: Path) -> None:
    """Under its name once it is whole on the disk, and the name as well."""
    file.flush()
    os.fsync(file.fileno())
    path.with_suffix(".new").replace(path)
    for folder in (path.parent, path.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
