"""Vectors of chunks: packed to be kept, compared with questions, and their ranking fused with that of words. Pure.

A number of a vector is kept as one byte of 255 steps between the largest of its vector and its negative, with one scale for each: a quarter
of what servers send. What that costs in recall is measured: "Decisions" in gateway/README.md.
"""

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.files.embedding import Vectors

Place = tuple[int, int]
"""A chunk: its entry and its number there."""

_HEAD = struct.Struct("<II")
_STEPS = 127
_ROWS_AT_ONCE = 2048
"""Vectors that are compared at once: what is made of them stays in the processor's cache."""

_K = 60
"""Of reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009)."""


@dataclass(frozen=True, slots=True)
class PackedVectors:
    """`steps`: one vector a row, whose numbers are multiples of its scale."""

    scales: NDArray[np.float32]
    steps: NDArray[np.int8]

    @classmethod
    def of(cls, vectors: Vectors) -> "PackedVectors":
        scales = np.abs(vectors).max(axis=1) / _STEPS
        return cls(scales.astype(np.float32), np.rint(vectors / scales[:, None]).astype(np.int8))

    @property
    def size(self) -> int:
        """Bytes."""
        return self.scales.nbytes + self.steps.nbytes

    def packed(self) -> bytes:
        return _HEAD.pack(*self.steps.shape) + self.scales.astype("<f4").tobytes() + self.steps.tobytes()

    @classmethod
    def unpacked(cls, packed: bytes) -> "PackedVectors":
        """ValueError for what was not packed here."""
        if len(packed) < _HEAD.size:
            raise ValueError("too short")
        rows, columns = _HEAD.unpack_from(packed)
        if len(packed) != _HEAD.size + rows * (4 + columns):
            raise ValueError("not as long as it says")
        scales = np.frombuffer(packed, "<f4", rows, _HEAD.size).astype(np.float32, copy=False)
        steps = np.frombuffer(packed, np.int8, rows * columns, _HEAD.size + 4 * rows).reshape(rows, columns)
        return cls(scales, steps)

    @classmethod
    def together(cls, blocks: Sequence["PackedVectors"]) -> "PackedVectors":
        """ValueError where they are not of one length."""
        return cls(np.concatenate([block.scales for block in blocks]), np.concatenate([block.steps for block in blocks]))

    def likeness(self, questions: Vectors) -> NDArray[np.float32]:
        """Of each vector, the cosine to the question that is nearest, about. ValueError where they are not of one length."""
        if self.steps.shape[1] != questions.shape[1]:
            raise ValueError("other dimensions")
        asked, found = np.ascontiguousarray(questions.T), np.empty(len(self.steps), np.float32)
        for first in range(0, len(self.steps), _ROWS_AT_ONCE):
            some = slice(first, first + _ROWS_AT_ONCE)
            found[some] = (self.steps[some].astype(np.float32) @ asked).max(axis=1)
        return found * self.scales


def nearest(found: Iterable[tuple[int, NDArray[np.float32]]], most: int) -> list[Place]:
    """The chunks that are most alike, the best first; equals as `ranked` has them. `found`: of each entry, by the chunk's number."""
    items = sorted(found, key=lambda item: item[0])
    if not items:
        return []
    entries = np.repeat(np.array([entry for entry, _ in items], np.int64), [len(of_entry) for _, of_entry in items])
    numbers = np.concatenate([np.arange(len(of_entry)) for _, of_entry in items])
    likeness = np.concatenate([of_entry for _, of_entry in items])
    return [place for _, place in best_places(likeness, entries, numbers, most)]


def best_places(
    scores: NDArray[np.floating], entries: NDArray[np.int64], numbers: NDArray[np.int64], most: int
) -> list[tuple[float, Place]]:
    """The chunks with the highest scores, the best first; equals in the order of their entries and numbers."""
    if len(scores) > most > 0:
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        kept = scores >= least
        scores, entries, numbers = scores[kept], entries[kept], numbers[kept]
    order = np.lexsort((numbers, entries, -scores))[:most]
    places = zip(entries[order].tolist(), numbers[order].tolist(), strict=True)
    return list(zip(scores[order].tolist(), places, strict=True))


def fused(rankings: Collection[Sequence[Place]], most: int) -> Sequence[tuple[float, Place]]:
    """The best of several rankings, by reciprocal rank; scores above 0 and up to 1, which is first in all of them. What all agree on keeps
    its order."""
    scores: dict[Place, float] = {}
    for ranking in rankings:
        for rank, place in enumerate(ranking, 1):
            scores[place] = scores.get(place, 0.0) + 1 / (_K + rank)
    share = (_K + 1) / max(len(rankings), 1)
    return sorted(((min(score * share, 1.0), place) for place, score in scores.items()), key=lambda item: (-item[0], item[1]))[
        :most
    ]


def blocks_of(count: int, size: int) -> Iterator[range]:
    """Numbers of chunks, so many together."""
    return (range(first, min(first + size, count)) for first in range(0, count, size))
