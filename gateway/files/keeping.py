"""A file comes in: bounded, hashed, sealed and kept as it comes, looked at, and only then somebody's. And goes out again."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.files.content_type import SNIFFED_BYTES, content_type
from gateway.files.scanning import FileScanner
from gateway.files.sealing import FRAME_BYTES, SEALED_FRAME_BYTES, ContentDamaged, ContentKey, framed, new_key, unwrapped
from gateway.files.storage import ContentStorage, NoSuchContent
from gateway.store.assistants import Maker
from gateway.store.files import AddFile, FilesMost, StoredContent, StoredFile, TooManyFiles, nobody_has
from gateway.store.items import ItemStore

LEFT_OVER_S = 3600
"""Age of what is kept under a name that nobody has: longer than any upload takes from its content to its row."""

_NAMES_AT_ONCE = 500


class ContentTooLarge(Exception):
    """It has more bytes than it may. Nothing of it is kept."""


class ContentRefused(Exception):
    """What looks at files would not have it. Nothing of it is kept."""


class OwnersKeys(Protocol):
    """The keys that wrap those of contents: one of each customer, which goes when they are erased; and one for what is a client's."""

    async def of(self, customer: str | None) -> AESGCM: ...


@dataclass(frozen=True, slots=True)
class _Passed:
    """What was seen of a content while it passed."""

    size: int
    sha256: bytes
    head: bytes


class _Passing:
    """Plain pieces to sealed frames, bounded and hashed on the way. The work of a frame is done in a thread."""

    def __init__(self, key: ContentKey, most: int) -> None:
        self._key, self._most = key, most
        self._size, self._head = 0, b""
        self._hash = hashlib.sha256()

    async def sealed(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """ContentTooLarge."""
        number = 0
        async for frame, is_last in framed(parts, FRAME_BYTES):
            self._size += len(frame)
            if self._size > self._most:
                raise ContentTooLarge
            self._head = self._head or frame[:SNIFFED_BYTES]
            yield await asyncio.to_thread(self._frame, number, frame, is_last)
            number += 1

    def _frame(self, number: int, frame: bytes, is_last: bool) -> bytes:
        self._hash.update(frame)
        return self._key.seal(number, frame, is_last=is_last)

    def passed(self) -> _Passed:
        return _Passed(self._size, self._hash.digest(), self._head)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKeeper:
    """Contents of files, from and to who owns them. Nothing of a file is ever on a disk unsealed."""

    store: ItemStore
    storage: ContentStorage
    keys: OwnersKeys
    scanner: FileScanner
    clock: Callable[[], datetime]

    async def keep(self, owner: Maker, parts: AsyncIterator[bytes], *, name: str, most: int) -> StoredContent:
        """Keep this for `owner`; it is theirs once a row says so, and swept away if none does. `name`: of the file, which says what a text
        is. ContentTooLarge, Unavailable, and what `parts` raises; nothing is kept then."""
        key = new_key(secrets.token_hex(16))
        passing = _Passing(key, most)
        await self.storage.put(key.name, passing.sealed(parts))
        seen = passing.passed()
        return StoredContent(
            name=key.name,
            owner=owner,
            created=self.clock(),
            size=seen.size,
            sha256=seen.sha256,
            type=await asyncio.to_thread(content_type, seen.head, name),
            key=key.wrapped(await self.keys.of(owner.customer)),
        )

    async def looked_at(self, content: StoredContent) -> None:
        """ContentRefused, Unavailable; nothing of it is kept then."""
        async with self.kept_if_well(content.name), aclosing(self.read(content)) as parts:
            if not await self.scanner.is_clean(parts):
                raise ContentRefused

    @asynccontextmanager
    async def kept_if_well(self, name: str) -> AsyncIterator[None]:
        """Deletes this content unless the block ends well."""
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.storage.delete, name)
            yield
            undo.pop_all()

    async def added(self, file: StoredFile, most: FilesMost) -> StoredFile:
        """The file, now its owner's. Its content is the one that they had, if they had the same. TooManyFiles; nothing is kept then.
        Unavailable: it may be theirs or not, so its content stays, and is swept if nobody has it."""
        try:
            added = await self.store.write(AddFile(file, most))
        except TooManyFiles:
            await self.forget([file.content.name])
            raise
        if added.content.name != file.content.name:
            await self.forget([file.content.name])
        return added

    async def read(self, content: StoredContent) -> AsyncGenerator[bytes, None]:
        """The plain bytes, frame by frame, each verified before it is handed out. ContentDamaged, Unavailable."""
        key = unwrapped(content.name, content.key, await self.keys.of(content.owner.customer))
        number = 0
        try:
            async with aclosing(self.storage.read(content.name)) as sealed:
                async for frame, is_last in framed(sealed, SEALED_FRAME_BYTES):
                    yield await asyncio.to_thread(key.open, number, frame, is_last=is_last)
                    number += 1
        except NoSuchContent:
            raise ContentDamaged(content.name) from None

    async def forget(self, names: Sequence[str]) -> None:
        """Delete contents that nobody has any more. What is left over is swept later."""
        for name in names:
            await self.storage.delete(name)

    async def sweep(self) -> int:
        """Delete what is kept for nobody: after a crash between a content and its row, or after rows went. How much that was."""
        count, names = 0, []
        async for name in self.storage.names(LEFT_OVER_S):
            names.append(name)
            if len(names) == _NAMES_AT_ONCE:
                count += await self._swept(names)
                names = []
        return count + await self._swept(names)

    async def _swept(self, names: Sequence[str]) -> int:
        free = await self.store.read(lambda connection: nobody_has(connection, names)) if names else []
        await self.forget(free)
        return len(free)
