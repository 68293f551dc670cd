"""What is attached, on both databases: a refused write leaves nothing, and no message, store or thread stands without its other."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from audit.database import Database
from audit.migration import prepare
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.store import vectors
from gateway.store.assistants import Assistant, Maker
from gateway.store.attaching import (
    THREAD_STORE_LASTS,
    Attachments,
    CreateAssistantWithStore,
    NoSuchAttachment,
    StoreOfAnother,
    TooManyCodeFiles,
)
from gateway.store.file_tables import FILES
from gateway.store.files import AddFile, DeleteFile, FilesMost, StoredContent, StoredFile
from gateway.store.items import Item
from gateway.store.resources import CODE_FILES_MOST, files_of, stores_of
from gateway.store.tables import ASSISTANTS, CONVERSATIONS, MESSAGES, THREADS
from gateway.store.threads import AddMessage, ChangeThread, CreateThread, DeleteThread, WriteAnswer, find
from gateway.store.vector_files import AttachedMost, Chunking, NewEntry, TooManyAttached
from gateway.store.vector_tables import VECTOR_ATTRIBUTES, VECTOR_BATCHES, VECTOR_FILES, VECTOR_STORES
from gateway.store.vectors import DeleteVectorStore, TooManyStores, VectorStore
from tests.support.databases import lent
from tests.support.options import long_or

ALICE, BY_ANOTHER = Maker("app", "alice"), Maker("other", "alice")
STEPS = 200
MOST = [AttachedMost(2, 10**9), AttachedMost(60, 10**9)]
WRITTEN = (THREADS, MESSAGES, CONVERSATIONS, ASSISTANTS, FILES, VECTOR_STORES, VECTOR_FILES, VECTOR_ATTRIBUTES, VECTOR_BATCHES)
REFUSALS = {NoSuchAttachment, StoreOfAnother, TooManyCodeFiles, TooManyAttached, TooManyStores}


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseLocations:
    return DatabaseLocations(tmp_path, lent(tmp_path) if request.param == "postgresql" else "")


@pytest.fixture
async def database(places: DatabaseLocations) -> AsyncIterator[Database]:
    opened = places.open(DatabaseName.GATEWAY, name="test")
    await prepare(opened, HISTORIES[DatabaseName.GATEWAY], may_upgrade=False)
    yield opened
    await opened.close()


def content(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    return {table.name: sorted(map(tuple, connection.execute(select(table))), key=repr) for table in WRITTEN}


@dataclass
class Walk:
    """Writes by chance. `said`: what each thread's last message attached for the search."""

    database: Database
    chance: random.Random
    now: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**6)))
    threads: list[str] = field(default_factory=list)
    files: list[tuple[Maker, str]] = field(default_factory=list)
    refused: set[type[Exception]] = field(default_factory=set)

    async def write(self, item: Item[Any]) -> Any:
        """What it is answered with; a refusal has left everything as it was."""

        def work(connection: Connection) -> tuple[Any, Any, Any]:
            before = content(connection)
            return item.apply(connection), before, content(connection)

        answer, before, after = await self.database.write(work)
        if isinstance(answer, Exception) or answer is None:
            assert after == before, answer
            self.refused |= {type(answer)} if isinstance(answer, Exception) else set()
        await self.database.read(self.holds)
        return answer

    def holds(self, connection: Connection) -> None:
        """Of every thread and store at any time."""
        threads = {row.id for row in connection.execute(select(THREADS.c.id))}
        stores = {row.id: row.thread for row in connection.execute(select(VECTOR_STORES.c.id, VECTOR_STORES.c.thread))}
        assert {thread for thread in stores.values() if thread is not None} <= threads
        assert set(connection.execute(select(VECTOR_FILES.c.store)).scalars()) <= set(stores)
        assert set(connection.execute(select(VECTOR_FILES.c.id)).scalars()) <= set(connection.execute(select(FILES.c.id)).scalars())
        for id_ in threads:
            found = find(connection, "alice", id_)
            assert found is not None
            files = files_of(found.resources)
            assert len(set(files)) == len(files) <= CODE_FILES_MOST
            assert len(stores_of(found.resources)) <= 1

    def new(self, kind: str) -> str:
        return f"{kind}_{next(self.numbers)}"

    def some(self, most: int) -> list[str]:
        return [id_ for _, id_ in self.chance.sample(self.files, min(len(self.files), self.chance.randint(0, most)))]

    def attachments(self, who: Maker) -> Attachments:
        lasts = self.chance.choice([THREAD_STORE_LASTS, None])
        store = VectorStore(self.new("vs"), who, self.now, "", None, {}, lasts, self.now, b"key")
        searched = tuple(NewEntry(file, {}, Chunking()) for file in self.some(3))
        return Attachments(
            store=store,
            searched=searched,
            computed=tuple(self.some(12)),
            most=self.chance.choice(MOST),
            makes=self.chance.random() < 0.2,
        )

    async def file(self) -> None:
        owner = self.chance.choice([ALICE, ALICE, BY_ANOTHER])
        name = self.new("content")
        kept = StoredContent(name, owner, self.now, 1, name.encode(), "text/plain", b"key")
        file = StoredFile(self.new("file"), owner, self.now, "assistants", "a", None, kept)
        await self.write(AddFile(file, FilesMost(10**6, 10**9)))
        self.files.append((owner, file.id))

    async def begin(self) -> None:
        given = self.attachments(ALICE)
        thread = await self.write(CreateThread(self.new("thread"), "alice", self.now, {}, (), None, given))
        if not isinstance(thread, Exception):
            self.threads.append(thread.id)
            await self.database.read(lambda connection: self.in_store(connection, thread.id, given))

    async def say(self) -> None:
        if not self.threads:
            return
        who, thread = self.chance.choice([ALICE, ALICE, ALICE, BY_ANOTHER]), self.chance.choice(self.threads)
        given = self.attachments(who)
        body: dict[str, Any] = {"role": "user", "content": [], "attachments": []}
        message = AddMessage(self.new("msg"), body, {}, None, False)
        answer = await self.write(WriteAnswer(thread, "alice", self.now, (message,), given))
        if not isinstance(answer, Exception):
            await self.database.read(lambda connection: self.in_store(connection, thread, given))

    def in_store(self, connection: Connection, thread: str, given: Attachments) -> None:
        """What was written with the thread, or a message, is where its tools look."""
        found = find(connection, "alice", thread)
        assert found is not None
        assert set(given.computed) <= set(files_of(found.resources))
        if given.searched or given.makes:
            (store,) = stores_of(found.resources)
            row = connection.execute(select(VECTOR_STORES).where(VECTOR_STORES.c.id == store)).one()
            assert (row.owner, row.customer) == (given.store.owner.client, given.store.owner.customer)
            assert row.expires_us is None or row.expires_us > self.now.timestamp() * 1_000_000
            inside = set(connection.execute(select(VECTOR_FILES.c.id).where(VECTOR_FILES.c.store == store)).scalars())
            assert {entry.file for entry in given.searched} <= inside

    async def assistant(self) -> None:
        made = Assistant(self.new("asst"), ALICE, self.now, {}, {})
        await self.write(CreateAssistantWithStore(made, self.attachments(ALICE)))

    async def change(self) -> None:
        stores = list(await self.database.read(lambda connection: connection.execute(select(VECTOR_STORES.c.id)).scalars().all()))
        search = {"file_search": {"vector_store_ids": self.chance.sample(stores, min(1, len(stores)))}}
        resources = self.chance.choice([None, search, {"code_interpreter": {"file_ids": self.some(15)}}])
        if self.threads:
            await self.write(ChangeThread("alice", self.chance.choice(self.threads), {"resources": resources}))

    async def remove(self) -> None:
        stores = list(await self.database.read(lambda connection: connection.execute(select(VECTOR_STORES.c.id)).scalars().all()))
        if self.chance.random() < 0.3 and self.files:
            owner, file = self.chance.choice(self.files)
            await self.write(DeleteFile(owner, file))  # it stays among those that are named
        elif self.chance.random() < 0.5 and self.threads:
            await self.write(DeleteThread("alice", self.threads.pop(self.chance.randrange(len(self.threads))), True))
        elif stores:
            await self.write(DeleteVectorStore(self.chance.choice([ALICE, BY_ANOTHER]), self.chance.choice(stores)))

    async def wait(self) -> None:
        self.now += timedelta(days=self.chance.randint(1, 4))


async def test_whatever_is_attached_changed_and_deleted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "STORES_MOST", 4)
    refused = set[type[Exception]]()
    for seed in range(long_or(20, 1)):
        walk = Walk(database, random.Random(seed))
        walk.numbers = iter(range(seed * 10_000, 10**9))
        for _ in range(10):
            await walk.file()
        acts = [walk.file, walk.file, walk.begin, walk.say, walk.say, walk.say, walk.assistant, walk.change, walk.remove, walk.wait]
        for _ in range(STEPS):
            await walk.chance.choice(acts)()
        refused |= walk.refused
    assert refused == REFUSALS


async def test_many_who_attach_at_once_fill_one_store(database: Database, places: DatabaseLocations) -> None:
    """Two processes, and a thread that has no store yet."""
    walk = Walk(database, random.Random(1))
    for _ in range(12):
        await walk.file()
    thread = await walk.write(CreateThread("thread_1", "alice", walk.now, {}))
    mine = [file for owner, file in walk.files if owner == ALICE]
    other = places.open(DatabaseName.GATEWAY, name="other")
    body: dict[str, Any] = {"role": "user", "content": [], "attachments": []}

    def saying(number: int, file: str) -> WriteAnswer:
        store = VectorStore(f"vs_of_{number}", ALICE, walk.now, "", None, {}, THREAD_STORE_LASTS, walk.now, b"key")
        given = Attachments(store=store, searched=(NewEntry(file, {}, Chunking()),), computed=(file,), most=MOST[1])
        return WriteAnswer(thread.id, "alice", walk.now, (AddMessage(f"msg_{number}", body, {}, None, False),), given)

    lanes = (database, other)
    await asyncio.gather(*(lanes[number % 2].write(saying(number, file).apply) for number, file in enumerate(mine)))
    await other.close()
    await database.read(walk.holds)

    def found(connection: Connection) -> tuple[Any, Any, Any]:
        kept = find(connection, "alice", thread.id)
        stores = connection.execute(select(VECTOR_STORES.c.id)).scalars().all()
        return kept, stores, connection.execute(select(VECTOR_FILES.c.store, VECTOR_FILES.c.id)).all()

    kept, (store,), entries = await database.read(found)
    assert stores_of(kept.resources) == (store,)
    assert sorted(files_of(kept.resources)) == sorted(mine)
    assert sorted(map(tuple, entries)) == sorted((store, file) for file in mine)
