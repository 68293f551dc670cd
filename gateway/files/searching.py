"""A question to a vector store: its words, and its meaning where vectors are kept, are looked for within what the asker sees, and the best
chunks are opened."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from gateway.files.index import WORDS_MOST, IndexKey, ranked
from gateway.files.vector_search import LongReader, VectorSearch
from gateway.files.vectors import Place, fused
from gateway.files.words import words
from gateway.store.vector_files import Attributes
from gateway.store.vector_index import ChunkFound, SealedChunk, SearchScope, find_chunks, find_words

PLACES_MOST = 100_000
"""Places of the words of a question that are weighed: beyond it the most frequent words are left out."""

RANKED_MOST = 200
"""Chunks of each ranking that are fused."""


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


async def search(
    reader: LongReader, key: IndexKey, scope: SearchScope, asking: TextsWanted, meant: VectorSearch | None = None
) -> Sequence[FoundText]:
    """The best first; by words alone where `meant` is None, or says so. Unavailable, ContentDamaged."""
    asked = await asyncio.to_thread(_asked, key, asking.questions)
    if not any(asked):
        return []
    if meant is None:
        ranking = await _by_words(reader, scope, asked, asking.most)
    else:
        most = max(RANKED_MOST, asking.most)
        by_words = asyncio.create_task(_by_words(reader, scope, asked, most))
        try:
            near = await meant.nearest(reader, key, scope, asking.questions, most)
            ranking = _fused(await by_words, near, asking.most)
        finally:
            by_words.cancel()
    best = [item for item in ranking if item[0] >= asking.threshold]
    places = [place for _, place in best]
    chunks = await reader.read_long(lambda connection: find_chunks(connection, scope, places))
    return await asyncio.to_thread(lambda: [_opened(key, chunks[place], score) for score, place in best if place in chunks])


async def _by_words(
    reader: LongReader, scope: SearchScope, asked: Sequence[frozenset[int]], most: int
) -> Sequence[tuple[float, Place]]:
    wanted = {word for question in asked for word in question}
    found = await reader.read_long(lambda connection: find_words(connection, scope, wanted, PLACES_MOST))
    return await asyncio.to_thread(ranked, found, asked, most)


def _fused(by_words: Sequence[tuple[float, Place]], near: Sequence[Place] | None, most: int) -> Sequence[tuple[float, Place]]:
    return by_words[:most] if near is None else fused(([place for _, place in by_words], near), most)


def _asked(key: IndexKey, questions: Sequence[str]) -> Sequence[frozenset[int]]:
    different = (dict.fromkeys(words(question)) for question in questions)
    return [frozenset(key.macs(islice(some, WORDS_MOST)).values()) for some in different]


def texts_of(key: IndexKey, entry: int, chunks: Sequence[SealedChunk]) -> list[str]:
    """Chunks that follow each other, without what each repeats of the one before. ContentDamaged."""
    pieces, behind = list[str](), 0
    for chunk in chunks:
        pieces.append(key.open(entry, chunk)[max(behind - chunk.first, 0) :])
        behind = chunk.behind
    return pieces


def _opened(key: IndexKey, found: ChunkFound, score: float) -> FoundText:
    text = key.open(found.entry, found.chunk)
    return FoundText(found.file, found.name, found.attributes, min(score, 1.0), text)
