"""What a question means, beside its words: its vector is compared with those of every chunk that is searched.

Vectors are opened for a search, and some are kept opened for a minute after the last one, so many bytes at most. Which of them count the
database says anew for each search: a file that is gone, or was never the asker's, has none.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from gateway.domain.alarms import Alarm
from gateway.domain.errors import Unavailable
from gateway.files.embedding import Embedder, TextsNotTaken, Vectors
from gateway.files.index import IndexKey
from gateway.files.sealing import ContentDamaged
from gateway.files.vectors import PackedVectors, Place, nearest
from gateway.store.vector_index import EntryFound, SearchScope, find_entries, find_vectors

VECTORS_MOST = 120_000
"""Chunks that are compared with one question: where more are searched, they are searched by words alone."""

OPENED_BYTES_MOST = 128 * 1024 * 1024
"""Bytes of opened vectors that a process keeps, for all stores together."""

OPENED_S = 60.0
"""How long after the last search they are kept."""

COMPARED_AT_ONCE = 2
"""Searches of a process that open and compare vectors at the same time; others wait for their turn."""

AFTER_FAILURE_S = 5.0
"""For how long nobody who searches waits for a server that did not answer."""

_READ_AT_ONCE = 8192
"""Chunks whose vectors are read from the database at once."""

_LOG = logging.getLogger("tellergate.files")
_T = TypeVar("_T")


class LongReader(Protocol):
    async def read_long(self, question: Callable[[Connection], _T]) -> _T:
        """A question beside the calls, over one snapshot. Unavailable."""


class SearchedBy(StrEnum):
    """By what a search was done, and if by words alone, why."""

    BOTH = "both"
    NOT_EMBEDDED = "words_not_embedded"
    """A file that is searched has no vectors, or another model's."""
    TOO_MANY = "words_too_many"
    NOT_ANSWERED = "words_not_answered"


@dataclass(slots=True)
class _Opened:
    vectors: PackedVectors
    used: float


class OpenedVectors:
    """Vectors of entries as they were opened, the last used last. To be used on one loop."""

    def __init__(self, clock: Callable[[], float], most: int = OPENED_BYTES_MOST) -> None:
        self._clock, self._most = clock, most
        self._of: OrderedDict[tuple[str, int], _Opened] = OrderedDict()
        self.size = 0

    def get(self, store: str, entry: int) -> PackedVectors | None:
        found = self._of.get((store, entry))
        if found is None:
            return None
        self._of.move_to_end((store, entry))
        found.used = self._clock()
        return found.vectors

    def put(self, store: str, entry: int, vectors: PackedVectors) -> None:
        self._drop((store, entry))
        self._of[store, entry] = _Opened(vectors, self._clock())
        self.size += vectors.size
        while self.size > self._most:
            self._drop(next(iter(self._of)))

    def forget_unused(self) -> None:
        """What nobody searched for `OPENED_S`."""
        until = self._clock() - OPENED_S
        while self._of and next(iter(self._of.values())).used <= until:
            self._drop(next(iter(self._of)))

    def _drop(self, which: tuple[str, int]) -> None:
        if (dropped := self._of.pop(which, None)) is not None:
            self.size -= dropped.vectors.size


class VectorSearch:
    """Searches by meaning, in one process. To be made where its loop runs."""

    def __init__(self, embedder: Embedder) -> None:
        clock = asyncio.get_running_loop().time
        self.embedder, self.opened, self.searches = embedder, OpenedVectors(clock), Counter[str]()
        self._clock, self._again, self._turns = clock, 0.0, asyncio.Semaphore(COMPARED_AT_ONCE)

    async def nearest(
        self, reader: LongReader, key: IndexKey, scope: SearchScope, questions: Sequence[str], most: int
    ) -> Sequence[Place] | None:
        """The chunks within the scope that are nearest to one of the questions, the best first. None: it is to be searched by words alone;
        that is counted, and an alarm where the server is why. Unavailable: the database. ContentDamaged."""
        entries = await reader.read_long(lambda connection: find_entries(connection, scope))
        found, by = list[tuple[int, NDArray[np.float32]]](), self._hindered(entries)
        if by is SearchedBy.BOTH and entries:
            asked = await self._asked(questions)
            if asked is None:
                by = SearchedBy.NOT_ANSWERED
            else:
                try:
                    async with self._turns:
                        found = await self._compared(reader, key, scope, entries, asked)
                except ValueError:  # the server makes others by the same name: they are compared with none that it made before
                    _LOG.log(*Alarm.EMBEDDINGS_NOT_ANSWERED.line(why="other dimensions"))
                    by = SearchedBy.NOT_EMBEDDED
        self.searches[by] += 1
        return await asyncio.to_thread(nearest, found, most) if by is SearchedBy.BOTH else None

    def _hindered(self, entries: Sequence[EntryFound]) -> SearchedBy:
        if any(item.embedded != self.embedder.model for item in entries):
            return SearchedBy.NOT_EMBEDDED
        return SearchedBy.TOO_MANY if sum(item.chunks for item in entries) > VECTORS_MOST else SearchedBy.BOTH

    async def _asked(self, questions: Sequence[str]) -> Vectors | None:
        if self._clock() < self._again:
            return None
        try:
            return await self.embedder.of_questions(questions)
        except TextsNotTaken:
            _LOG.log(*Alarm.EMBEDDINGS_NOT_ANSWERED.line(why="a question was not taken"))
        except Unavailable:
            self._again = self._clock() + AFTER_FAILURE_S
            _LOG.log(*Alarm.EMBEDDINGS_NOT_ANSWERED.line(why="no answer"))
        return None

    async def _compared(
        self, reader: LongReader, key: IndexKey, scope: SearchScope, entries: Sequence[EntryFound], asked: Vectors
    ) -> list[tuple[int, NDArray[np.float32]]]:
        """Of each entry, how near each of its chunks is. ValueError: other dimensions. Unavailable, ContentDamaged."""
        here = [(item.entry, self.opened.get(scope.store, item.entry)) for item in entries]
        known = [(entry, vectors) for entry, vectors in here if vectors is not None]
        found = await asyncio.to_thread(lambda: [(entry, vectors.likeness(asked)) for entry, vectors in known])
        unread = [item for item, (_, vectors) in zip(entries, here, strict=True) if vectors is None]
        for some in _pages(unread):
            wanted = [item.entry for item in some]
            sealed = await reader.read_long(partial(find_vectors, store=scope.store, entries=wanted))
            there = [item for item in some if item.entry in sealed]  # the others went meanwhile
            opened = await asyncio.to_thread(self._opened, key, there, sealed, asked)
            for entry, vectors, likeness in opened:
                self.opened.put(scope.store, entry, vectors)
                found.append((entry, likeness))
        return found

    def _opened(
        self, key: IndexKey, entries: Sequence[EntryFound], sealed: Mapping[int, Sequence[tuple[int, bytes]]], asked: Vectors
    ) -> Sequence[tuple[int, PackedVectors, NDArray[np.float32]]]:
        opened = []
        for of in entries:
            plain = (key.open_vectors(of.entry, self.embedder.model, block, vectors) for block, vectors in sealed[of.entry])
            vectors = PackedVectors.together([PackedVectors.unpacked(some) for some in plain])
            if len(vectors.scales) != of.chunks:
                raise ContentDamaged(str(of.entry))
            opened.append((of.entry, vectors, vectors.likeness(asked)))
        return opened


def _pages(entries: Sequence[EntryFound]) -> Iterator[Sequence[EntryFound]]:
    """Entries with `_READ_AT_ONCE` chunks together, or one that has more."""
    page, count = list[EntryFound](), 0
    for item in entries:
        if page and count + item.chunks > _READ_AT_ONCE:
            yield page
            page, count = [], 0
        page.append(item)
        count += item.chunks
    if page:
        yield page
