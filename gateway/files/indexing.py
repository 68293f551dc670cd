"""Files that were attached to vector stores are indexed in the background, each by one process, under a lease.

Any number of processes share one database. What a process that was killed had is taken up again when its lease is over: what it left is
removed first, and nothing counts before the whole of it is there.
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from gateway.domain.alarms import Alarm
from gateway.domain.errors import Unavailable
from gateway.files.embedding import TEXTS_AT_ONCE, UNAVAILABLE, Embedder, TextsNotTaken, Vectors
from gateway.files.index import IndexKey, TextIndex, indexed
from gateway.files.keeping import FileKeeper
from gateway.files.parsing import NotParsed, Parser
from gateway.files.sealing import ContentDamaged, unwrapped
from gateway.files.vector_search import VectorSearch
from gateway.files.vectors import PackedVectors, blocks_of
from gateway.store.files import find_file
from gateway.store.vector_files import FreeFiles, IndexProblem, LeaseFiles, RenewFiles, VectorFile, is_any_due
from gateway.store.vector_index import (
    ClearIndex,
    FailIndex,
    FinishIndex,
    ForgetLeft,
    PostponeIndex,
    WriteIndex,
    is_any_left,
)
from gateway.store.vectors import VectorStore, find_store

LEASE = timedelta(seconds=20)
RENEW_S = 5.0
LOOK_S = 0.2
"""How often this process looks whether a file is due."""

FILES_AT_ONCE = 2
"""Files that one process indexes at once, each of another owner."""

TRY_AGAIN = timedelta(seconds=10)

EMBEDDED_AGAIN = 30
"""How often the vectors of some chunks are asked for once more, each time after `TRY_AGAIN`, with all that is made of the file kept in
memory; after that the whole file waits."""

_CHUNKS_AT_ONCE, _WORDS_AT_ONCE, _BLOCKS_AT_ONCE = 100, 200, 10
"""Rows of one transaction: on SQLite whoever asks waits for it, some milliseconds."""

_LOG = logging.getLogger("tellergate.files")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDependencies:
    keeper: FileKeeper
    parser: Parser
    clock: Callable[[], datetime]
    meant: VectorSearch | None = None
    """None: no vectors are made, and words alone are searched."""

    async def key(self, store: VectorStore) -> IndexKey:
        """ContentDamaged, Unavailable."""
        return IndexKey(unwrapped(store.id, store.key, await self.keeper.keys.of(store.owner.customer)).key)


@dataclass(slots=True)
class IndexPool:
    """What this process indexes: taken up when it is due, kept by saying so, let go when it stops."""

    parts: IndexDependencies
    most: int = FILES_AT_ONCE
    lease: str = field(default_factory=lambda: secrets.token_hex(16))
    again_s: float = TRY_AGAIN.total_seconds()
    _having: set[asyncio.Task[None]] = field(default_factory=set)
    _renewed: float = 0.0
    _is_closed: bool = False

    async def step(self) -> None:
        """Take up what is due, keep what we have, and remove a piece of what nobody has. Unavailable."""
        await self.take_due()
        now = asyncio.get_running_loop().time()
        if self._having and now - self._renewed > RENEW_S:
            self._renewed = now
            await self.parts.keeper.store.write(RenewFiles(self.lease, self.parts.clock() + LEASE))
        if await self.parts.keeper.store.read(is_any_left):
            await self.parts.keeper.store.write(ForgetLeft())
        if self.parts.meant is not None:
            self.parts.meant.opened.forget_unused()

    async def take_due(self) -> int:
        """Take up what is due, as much as there is room for; how many files."""
        store, at, room = self.parts.keeper.store, self.parts.clock(), self.most - len(self._having)
        if self._is_closed or room <= 0 or not await store.read(lambda connection: is_any_due(connection, at)):
            return 0
        due = await store.write(LeaseFiles(self.lease, at, at + LEASE, room))
        for entry in due:
            task = asyncio.create_task(self._indexed(entry))
            self._having.add(task)
            task.add_done_callback(self._having.discard)
        return len(due)

    async def free(self) -> None:
        """At the start of the only process: whatever was had by the one before is due."""
        await self.parts.keeper.store.write(FreeFiles(self.parts.clock()))

    async def close(self) -> None:
        """Stop, and let go of everything: others may go on with it at once. It may be called again."""
        self._is_closed = True
        having = list(self._having)
        for task in having:
            task.cancel()
        await asyncio.gather(*having, return_exceptions=True)
        if having:
            with contextlib.suppress(Unavailable):
                await self.parts.keeper.store.write(RenewFiles(self.lease, self.parts.clock()))

    async def _indexed(self, entry: VectorFile) -> None:
        """What a dependency does not answer is tried again; a defect is the end of this file, and of no other."""
        store = self.parts.keeper.store
        try:
            problem = await self._index(entry)
            if problem is not None:
                await store.write(FailIndex(entry, self.lease, problem=problem))
        except Unavailable as unavailable:
            _LOG.log(*Alarm.RUN_WAITS.line(cause=unavailable.reason))
            with contextlib.suppress(Unavailable):
                await store.write(PostponeIndex(entry, self.lease, until=self.parts.clock() + TRY_AGAIN))
        except Exception as error:  # noqa: BLE001  # whatever it was, the file must not be tried for ever
            where = traceback.extract_tb(error.__traceback__)[-1]
            _LOG.log(*Alarm.DEFECT.line(error=type(error).__name__, at=f"{where.name}:{where.lineno or 0}", request_id=None))
            with contextlib.suppress(Unavailable):
                await store.write(FailIndex(entry, self.lease))

    async def _index(self, entry: VectorFile) -> IndexProblem | None:
        """What is in the way of it, if anything. Unavailable."""
        keeper, at = self.parts.keeper, self.parts.clock()
        store = await keeper.store.read(lambda connection: find_store(connection, entry.owner, entry.store))
        file = await keeper.store.read(lambda connection: find_file(connection, entry.owner, entry.file, at))
        if store is None or file is None:
            return IndexProblem("invalid_file", "the file is there no more")
        while entry.tries > 1 and not await keeper.store.write(ClearIndex(entry, self.lease)):
            pass
        try:
            key = await self.parts.key(store)
            async with aclosing(keeper.read(file.content)) as content:
                text = await self.parts.parser.text(file.content.type, content)
        except NotParsed as reason:
            return IndexProblem("unsupported_file" if reason.is_unsupported else "invalid_file", reason.reason)
        except ContentDamaged:
            return IndexProblem("server_error", "what is kept of the file cannot be read")
        made = await asyncio.to_thread(indexed, text, entry.chunking, key, entry.entry)
        embedder = None if self.parts.meant is None else self.parts.meant.embedder
        try:
            vectors = [] if embedder is None else [item async for item in self._vectors(embedder, text, made, key, entry)]
        except TextsNotTaken:
            return IndexProblem("invalid_file", NOT_TAKEN)
        await self._written(entry, made, vectors, None if embedder is None else embedder.model)
        return None

    async def _written(self, entry: VectorFile, made: TextIndex, vectors: Sequence[tuple[int, bytes]], model: str | None) -> None:
        """It counts once all of it is written. Nothing more is written once it is another's, or nobody's. Unavailable."""
        store, lease = self.parts.keeper.store, self.lease
        pieces = itertools.chain(
            (WriteIndex(entry, lease, chunks=some) for some in _some(made.chunks, _CHUNKS_AT_ONCE)),
            (WriteIndex(entry, lease, words=some) for some in _some(made.words, _WORDS_AT_ONCE)),
            (WriteIndex(entry, lease, vectors=some) for some in _some(vectors, _BLOCKS_AT_ONCE)),
        )
        for piece in pieces:
            if not await store.write(piece):
                return
        usage = made.usage + sum(len(sealed) for _, sealed in vectors)
        await store.write(FinishIndex(entry, lease, chunks=len(made.chunks), usage=usage, embedded=model))

    async def _vectors(
        self, embedder: Embedder, text: str, made: TextIndex, key: IndexKey, entry: VectorFile
    ) -> AsyncIterator[tuple[int, bytes]]:
        """Sealed, by block. Nothing is written before all are there, so that a server that is down for long costs no writes. Unavailable,
        TextsNotTaken."""
        dimensions = None
        for block, numbers in enumerate(blocks_of(len(made.chunks), TEXTS_AT_ONCE)):
            chunks = (made.chunks[number] for number in numbers)
            vectors = await self._patiently(embedder, [text[chunk.first : chunk.behind] for chunk in chunks])
            dimensions = dimensions or vectors.shape[1]
            if vectors.shape[1] != dimensions:
                raise Unavailable(UNAVAILABLE)  # another model behind the same name, from now on
            packed = await asyncio.to_thread(lambda some: PackedVectors.of(some).packed(), vectors)
            yield block, key.seal_vectors(entry.entry, embedder.model, block, packed)

    async def _patiently(self, embedder: Embedder, texts: Sequence[str]) -> Vectors:
        for _ in range(EMBEDDED_AGAIN):
            try:
                return await embedder.of_chunks(texts)
            except Unavailable:
                _LOG.log(*Alarm.EMBEDDINGS_NOT_ANSWERED.line(why="a file waits"))
                await asyncio.sleep(self.again_s)
        return await embedder.of_chunks(texts)


NOT_TAKEN = "the server that makes vectors does not take a chunk of it: attach it again with smaller chunks"


def _some(items: Iterable[_T], count: int) -> Iterator[Sequence[_T]]:
    rest = iter(items)
    while some := list(itertools.islice(rest, count)):
        yield some
