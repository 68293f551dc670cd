"""What of a text is written to the index of a vector store, and how it is read again: by keys that are wrapped under the store's owner's.

Texts are sealed, and words stand in the index as MACs: whoever reads the database or its backups learns which chunks share a word, and no
word. What is asked for is weighed by BM25 (Robertson and Zaragoza, 2009) over the files that are searched, and no others.
"""

import hmac
import math
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.files.chunking import cut
from gateway.files.sealing import ContentDamaged
from gateway.files.vectors import Place, best_places
from gateway.files.words import words
from gateway.store.vector_files import Chunking
from gateway.store.vector_index import PLACE_BYTES, Places, SealedChunk, WordsFound

WORDS_MOST = 64
"""Different words of a question that are looked for."""

_SATURATION, _LENGTH = 1.2, 0.75
"""k1 and b of BM25, as Lucene has them."""

_MOST = _SATURATION + 1
_SCALE = 10_000
"""Weights are kept as whole numbers of two bytes."""

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class IndexKey:
    """The key of one store's index, opened."""

    key: bytes

    def macs(self, of: Iterable[str]) -> dict[str, int]:
        """The number that stands for each of these words: 63 bits of a MAC."""
        key = hmac.digest(self.key, b"tellergate words", "sha256")
        return {word: int.from_bytes(hmac.digest(key, word.encode("utf-8", "replace"), "sha256")[:8], "big") >> 1 for word in of}

    def seal(self, entry: int, number: int, text: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher(entry).encrypt(nonce, text.encode("utf-8", "surrogatepass"), _bound(number))

    def open(self, entry: int, chunk: SealedChunk) -> str:
        """ContentDamaged."""
        nonce, sealed = chunk.text[:_NONCE_BYTES], chunk.text[_NONCE_BYTES:]
        try:
            return self._cipher(entry).decrypt(nonce, sealed, _bound(chunk.number)).decode("utf-8", "surrogatepass")
        except InvalidTag:
            raise ContentDamaged(str(entry)) from None

    def seal_vectors(self, entry: int, model: str, block: int, vectors: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher(entry).encrypt(nonce, vectors, _bound_vectors(model, block))

    def open_vectors(self, entry: int, model: str, block: int, sealed: bytes) -> bytes:
        """ContentDamaged: it was not sealed so, as vectors of this model."""
        try:
            return self._cipher(entry).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_vectors(model, block))
        except InvalidTag:
            raise ContentDamaged(str(entry)) from None

    def _cipher(self, entry: int) -> AESGCM:
        return AESGCM(hmac.digest(self.key, b"tellergate texts %d" % entry, "sha256"))


def _bound(number: int) -> bytes:
    return b"tellergate chunk %d" % number


def _bound_vectors(model: str, block: int) -> bytes:
    return b"tellergate vectors %d %s" % (block, model.encode())


@dataclass(frozen=True, slots=True)
class TextIndex:
    chunks: Sequence[SealedChunk]
    words: Sequence[tuple[int, bytes]]

    @property
    def usage(self) -> int:
        """Bytes of it."""
        return sum(len(chunk.text) for chunk in self.chunks) + sum(len(places) for _, places in self.words)


def indexed(text: str, chunking: Chunking, key: IndexKey, entry: int) -> TextIndex:
    """The index of a text. Takes about a second of processor for a megabyte: never on a loop."""
    chunks: list[SealedChunk] = []
    found: dict[str, tuple[list[int], list[int]]] = {}
    usual = chunking.tokens / 2  # words of a chunk, about
    for number, (first, behind) in enumerate(cut(text, chunking.tokens, chunking.overlap)):
        piece = text[first:behind]
        chunks.append(SealedChunk(number, first, behind, key.seal(entry, number, piece)))
        counts = Counter(words(piece))
        slack = _SATURATION * (1 - _LENGTH + _LENGTH * counts.total() / usual)
        for word, count in counts.items():
            numbers, weights = found.setdefault(word, ([], []))
            numbers.append(number)
            weights.append(round(_SCALE * count * _MOST / (count + slack)))
    macs = key.macs(found)
    packed = [(macs[word], Places(tuple(numbers), tuple(weights)).packed()) for word, (numbers, weights) in found.items()]
    return TextIndex(chunks, sorted(packed))  # in the order of the table: neighbours are written together


def ranked(found: WordsFound, questions: Sequence[Collection[int]], most: int) -> Sequence[tuple[float, Place]]:
    """The best chunks, by entry and number, with scores from 0 to 1: how much of the best that a chunk could be. Of several questions the
    one that fits best counts. ContentDamaged."""
    if not found.places:
        return []
    rarity = {word: _rarity(found, word) for question in questions for word in question}
    counts = [len(packed) // PLACE_BYTES for _, _, packed in found.places]
    packed_chunks = b"".join(packed[: 4 * count] for (_, _, packed), count in zip(found.places, counts, strict=True))
    packed_weights = b"".join(packed[4 * count :] for (_, _, packed), count in zip(found.places, counts, strict=True))
    numbers, weights = np.frombuffer(packed_chunks, "<u4").astype(np.int64), np.frombuffer(packed_weights, "<u2")
    entries, of_word = np.unique(np.array([entry for _, entry, _ in found.places], np.int64), return_inverse=True)
    of_place = np.repeat(of_word, counts)
    lengths = np.zeros(len(entries), np.int64)  # of each entry, up to the last chunk that has a word
    np.maximum.at(lengths, of_word, np.maximum.reduceat(numbers, np.cumsum([0, *counts[:-1]])) + 1)
    if lengths.sum() > found.chunks:
        raise ContentDamaged("a word is in a chunk that is not there")
    firsts = np.cumsum(lengths) - lengths
    chunk = firsts[of_place] + numbers
    scores = np.zeros(int(lengths.sum()))
    for question in questions:
        whole = sum(rarity[word] for word in question) * _MOST * _SCALE
        shares = [rarity[word] / whole if word in question else 0.0 for word, _, _ in found.places]
        by_place = np.repeat(np.array(shares, np.float64), counts) * weights
        np.maximum(scores, np.bincount(chunk, by_place, len(scores)), out=scores)
    held = np.flatnonzero(scores)
    whose = np.searchsorted(firsts, held, side="right") - 1
    return best_places(scores[held], entries[whose], held - firsts[whose], most)


def _rarity(found: WordsFound, word: int) -> float:
    count = found.counts.get(word, 0)
    return math.log(1 + (max(found.chunks, count) - count + 0.5) / (count + 0.5))
