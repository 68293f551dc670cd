"""A question to a vector store: its words are looked for within what the asker sees, and the best chunks are opened."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from gateway.files.index import WORDS_MOST, IndexKey, ranked
from gateway.files.words import words
from gateway.store.vector_files import Attributes
from gateway.store.vector_index import ChunkFound, SearchScope, find_chunks, find_words

PLACES_MOST = 100_000
"""Places of the words of a question that are weighed: beyond it the most frequent words are left out."""

_T = TypeVar("_T")


class LongReader(Protocol):
    async def read_long(self, question: Callable[[Connection], _T]) -> _T:
        """A question beside the calls, over one snapshot. Unavailable."""


@dataclass(frozen=True, slots=True)
class FoundText:
    """`score`: from 0 to 1."""

    file: str
    name: str
    attributes: Attributes
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class TextsWanted:
    """The chunks that fit one of the questions best, `most` at most, with a score of `threshold` at least."""

    questions: Sequence[str]
    most: int
    threshold: float


async def search(reader: LongReader, key: IndexKey, scope: SearchScope, asking: TextsWanted) -> Sequence[FoundText]:
    """The best first. Unavailable, ContentDamaged."""
    asked = await asyncio.to_thread(_asked, key, asking.questions)
    wanted = {word for question in asked for word in question}
    if not wanted:
        return []
    found = await reader.read_long(lambda connection: find_words(connection, scope, wanted, PLACES_MOST))
    best = [item for item in await asyncio.to_thread(ranked, found, asked, asking.most) if item[0] >= asking.threshold]
    places = [place for _, place in best]
    chunks = await reader.read_long(lambda connection: find_chunks(connection, scope, places))
    return await asyncio.to_thread(lambda: [_opened(key, chunks[place], score) for score, place in best if place in chunks])


def _asked(key: IndexKey, questions: Sequence[str]) -> Sequence[frozenset[int]]:
    different = (dict.fromkeys(words(question)) for question in questions)
    return [frozenset(key.macs(islice(some, WORDS_MOST)).values()) for some in different]


def _opened(key: IndexKey, found: ChunkFound, score: float) -> FoundText:
    text = key.open(found.entry, found.chunk)
    return FoundText(found.file, found.name, found.attributes, min(score, 1.0), text)
