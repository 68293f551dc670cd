"""A database with vector stores and files in it, and the pool that indexes them, without a gateway around."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.migration import prepare
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.domain.states import IndexState
from gateway.files.indexing import IndexDependencies, IndexPool
from gateway.files.keeping import FileKeeper
from gateway.files.parsing import PlainTextParser
from gateway.files.scanning import NoFileScanner
from gateway.files.sealing import new_key
from gateway.files.searching import FoundText, TextsWanted, search
from gateway.files.storage import FolderStorage
from gateway.files.vector_search import VectorSearch
from gateway.store.assistants import Maker
from gateway.store.book import SqlBook
from gateway.store.files import AddFile, FilesMost, StoredFile
from gateway.store.vector_files import AttachedMost, AttachFiles, Chunking, NewEntry, find_entry
from gateway.store.vector_index import SearchScope
from gateway.store.vectors import CreateVectorStore, VectorStore

ALICE, BRUNO = Maker("app", "alice"), Maker("app", "bruno")
MOST = AttachedMost(10_000, 1_000_000_000)


class OneKey:
    """Wraps what is everybody's by one key."""

    cipher = AESGCM(b"k" * 32)

    async def of(self, customer: str | None) -> AESGCM:
        return self.cipher


@dataclass
class Shelf:
    """A database with stores and files in it. `now` goes on when it is told to."""

    book: SqlBook
    keeper: FileKeeper
    now: datetime
    meant: VectorSearch | None = None
    stores: dict[str, VectorStore] = field(default_factory=dict)

    def clock(self) -> datetime:
        return self.now

    def parts(self, store: Any = None) -> IndexDependencies:
        keeper = self.keeper if store is None else replace(self.keeper, store=store)
        return IndexDependencies(keeper=keeper, parser=PlainTextParser(), clock=self.clock, meant=self.meant)

    async def store(self, id_: str, owner: Maker) -> None:
        key = new_key(id_).wrapped(OneKey.cipher)
        made = VectorStore(id_, owner, self.now, id_, None, {}, None, self.now, key)
        self.stores[id_] = made
        await self.book.write(CreateVectorStore(made))

    async def file(self, id_: str, owner: Maker, text: bytes) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield text

        content = await self.keeper.keep(owner, parts(), name="a.txt", most=10_000_000)
        await self.book.write(
            AddFile(StoredFile(id_, owner, self.now, "assistants", "a.txt", None, content), FilesMost(10_000, 10**9))
        )

    async def attach(self, store: str, *files: str, chunking: Chunking = Chunking(100, 50)) -> None:  # noqa: B008  # frozen
        entries = tuple(NewEntry(file, {}, chunking) for file in files)
        await self.book.write(AttachFiles(self.stores[store].owner, store, entries, self.now, MOST))

    async def state(self, store: str, file: str) -> IndexState:
        found = await self.book.read(lambda connection: find_entry(connection, self.stores[store].owner, store, file))
        assert found is not None
        return found.state

    async def found(self, store: str, question: str, most: int = 50) -> list[FoundText]:
        made = self.stores[store]
        key = await self.parts().key(made)
        scope = SearchScope(made.owner, store, self.now, None)
        return list(await search(self.book, key, scope, TextsWanted([question], most, 0.0), self.meant))


@asynccontextmanager
async def shelving(folder: Path, database_url: str = "") -> AsyncIterator[Shelf]:
    """`database_url` empty: SQLite."""
    database = DatabaseLocations(folder, database_url).open(DatabaseName.GATEWAY, name="test")
    await prepare(database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=False)
    book = SqlBook(database, mandate_key=Ed25519PrivateKey.generate().public_key(), duplicate_window_s=900)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    keeper = FileKeeper(
        store=book, storage=FolderStorage(folder / "files"), keys=OneKey(), scanner=NoFileScanner(), clock=lambda: now
    )
    try:
        yield Shelf(book, keeper, now)
    finally:
        await book.close()


async def until_idle(pool: IndexPool) -> None:
    while pool._having:
        await asyncio.gather(*list(pool._having))
