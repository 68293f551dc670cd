"""File search as an assistant's tool: a question to the vector stores of its run, within what the customer sees.

What is found is other people's text. It is cited by marks that this makes, of numbers alone, so that no file's name stands in an answer.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from heapq import nlargest

from sqlalchemy import Connection

from gateway.domain.errors import Unavailable
from gateway.domain.stages import Call
from gateway.domain.tools import PART_CHUNKS, ToolContext
from gateway.files.indexing import IndexDependencies
from gateway.files.sealing import ContentDamaged
from gateway.files.searching import FoundText, TextsWanted, search, texts_of
from gateway.files.vector_search import LongReader
from gateway.store.assistants import Maker
from gateway.store.documents import Document, find_document
from gateway.store.vector_files import VectorFile, find_entry
from gateway.store.vector_index import SealedChunk, SearchScope, chunks_of
from gateway.store.vectors import UseVectorStore, VectorStore, find_store

USED_AGAIN = timedelta(minutes=1)
"""How much later a store is used for another use to be written down: it lasts for days."""

_BY_CALL = 100
"""More than the results of one call: with the place of the call in its turn they make one number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSearch:
    """See `Tool`."""

    index: IndexDependencies
    reader: LongReader

    async def use(self, call: Call) -> Mapping[str, object]:
        """The passages that fit best. Unavailable."""
        context = call.received.request.tools
        if context is None:
            return {"results": []}
        principal = call.received.principal
        who = Maker(principal.client, principal.customer)
        if context.document:
            return {"results": list(_told(await self._read(who, context), call, context))}
        wanted = TextsWanted([call.arguments.must("query", str)], context.results_most, context.threshold)
        name, found = call.arguments.may("document", str), list[FoundText]()
        for id_ in context.vector_stores:
            store = await self._found(who, id_)
            if store is not None:
                found += await self._searched(store, who, name, wanted)
        best = nlargest(context.results_most, found, key=lambda text: text.score)
        return {"results": list(_told(best, call, context))}

    async def _read(self, who: Maker, context: ToolContext) -> Sequence[FoundText]:
        """A part of one document of the first store, in its order: a passage is no longer than an answer's text may be. None where
        it is not there any more."""
        store, at = await self._found(who, context.vector_stores[0]), self.index.clock()
        if store is None:
            return []
        first, file = context.part * PART_CHUNKS, context.document

        def looked_up(connection: Connection) -> tuple[Document, VectorFile, Sequence[SealedChunk]] | None:
            document = find_document(connection, who, at, (store.id, file))
            entry = find_entry(connection, who, store.id, file)
            if document is None or entry is None:
                return None
            return document, entry, chunks_of(connection, entry, range(first, first + PART_CHUNKS))

        found = await self.reader.read_long(looked_up)
        if found is None:
            return []
        document, entry, chunks = found
        try:
            pieces = await asyncio.to_thread(texts_of, await self.index.key(store), entry.entry, chunks)
        except ContentDamaged:
            raise Unavailable("index_damaged") from None
        await used(self.index, store, SearchScope(who, store.id, at, None))
        return [FoundText(file, document.name, entry.attributes, 1.0, piece) for piece in pieces]

    async def _found(self, who: Maker, id_: str) -> VectorStore | None:
        """A store that is there, seen by them, and not expired."""
        store = await self.index.keeper.store.read(lambda connection: find_store(connection, who, id_))
        return None if store is None or store.has_expired(self.index.clock()) else store

    async def _searched(self, store: VectorStore, who: Maker, name: str | None, wanted: TextsWanted) -> Sequence[FoundText]:
        scope = SearchScope(who, store.id, self.index.clock(), None, name)
        try:
            found = await search(self.reader, await self.index.key(store), scope, wanted, self.index.meant)
        except ContentDamaged:
            raise Unavailable("index_damaged") from None
        await used(self.index, store, scope)
        return found


async def used(index: IndexDependencies, store: VectorStore, scope: SearchScope) -> None:
    """Write down that a store was searched, unless that was done just before."""
    if scope.at - store.active > USED_AGAIN:
        await index.keeper.store.write(UseVectorStore(scope.who, store.id, scope.at))


def _told(found: Sequence[FoundText], call: Call, context: ToolContext) -> Iterator[Mapping[str, object]]:
    natives = [native.native_id for native in call.received.request.calls]
    first = natives.index(call.received.native.native_id) * _BY_CALL
    for number, text in enumerate(found):
        yield {
            "cite": f"【{context.turn}:{first + number}†source】",
            "file": text.file,
            "name": text.name,
            "score": f"{text.score:.4f}",
            "text": text.text,
        }
