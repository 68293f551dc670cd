"""What a search of vector stores finds, and what it costs: by words, by vectors, and by both.

    python -m tests.benchmarks.retrieval [--json] [--questions 500] [--chunks 100000] [--dimensions 768] [--postgresql]

What is found: recall at 10 over docstrings of the standard library and of packages that are installed here, of which the first sentence is
the question and the rest the document that it should find; no set of questions with answers is in any package that we install. Vectors are
of a stand-in, hashed groups of three characters: spelling, not meaning. So the figures compare the ways of searching, and what packing
costs; they do not say what a real model is worth.

What it costs: a store of so many chunks of the same texts, and questions of three to six words of one chunk. Bounded; asserts no time.
"""

import argparse
import asyncio
import importlib
import inspect
import json
import pkgutil
import random
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text

from gateway.files.index import IndexKey, indexed, ranked
from gateway.files.indexing import IndexPool
from gateway.files.searching import RANKED_MOST
from gateway.files.vector_search import VectorSearch
from gateway.files.vectors import PackedVectors, fused, nearest
from gateway.files.words import words
from gateway.store.vector_files import Chunking
from gateway.store.vector_index import WordsFound
from gateway.store.vector_tables import VECTOR_CHUNKS, VECTOR_EMBEDDINGS, VECTOR_WORDS
from tests.support.databases import postgresql
from tests.support.embeddings import LocalEmbedder
from tests.support.shelves import ALICE, Shelf, shelving, until_idle

PACKAGES = ("numpy", "sqlalchemy", "openpyxl", "rich", "email", "unittest", "asyncio", "xml", "http", "json", "logging")
MODULES = (
    "argparse",
    "decimal",
    "difflib",
    "statistics",
    "random",
    "tarfile",
    "zipfile",
    "shutil",
    "pathlib",
    "turtle",
    "ssl",
    "socket",
)
BEST = 10
ROUNDS = 60


def docstrings() -> Iterator[str]:
    for name in PACKAGES:
        package = importlib.import_module(name)
        inner = (item.name for item in pkgutil.iter_modules(package.__path__, f"{name}.") if "test" not in item.name)
        yield from _of_modules([name, *inner])
    yield from _of_modules(MODULES)


def _of_modules(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name.rpartition(".")[2].startswith("__"):
            continue
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        for _, item in inspect.getmembers(module, lambda member: inspect.isclass(member) or inspect.isroutine(member)):
            yield inspect.getdoc(item) or ""
            if inspect.isclass(item):
                yield from (inspect.getdoc(member) or "" for _, member in inspect.getmembers(item, inspect.isroutine))


def questions_and_documents() -> list[tuple[str, str]]:
    """Each document once, in an order that is always the same."""
    found: dict[str, str] = {}
    for document in docstrings():
        lines = document.strip().split("\n\n", 1)
        if len(lines) == 2 and 4 <= len(list(words(lines[0]))) <= 30 and len(lines[1]) >= 200:
            found.setdefault(lines[1].strip()[:2400], lines[0])
    return [(question, document) for document, question in found.items()]


async def filled(shelf: Shelf, store: str, texts: dict[str, str], chunking: Chunking) -> float:
    """Seconds."""
    await shelf.store(store, ALICE)
    for name, item in texts.items():
        await shelf.file(name, ALICE, item.encode("utf-8", "replace"))
    await shelf.attach(store, *texts, chunking=chunking)
    shelf.now = shelf.now.replace(year=2027)
    begun = time.perf_counter()
    pool = IndexPool(shelf.parts())
    while await pool.take_due():
        await until_idle(pool)
    return time.perf_counter() - begun


def quality(count: int) -> dict[str, Any]:
    """Recall at 10, of questions each of which has one document. Ranked as a search does it, without a database."""
    pairs = questions_and_documents()
    asked = random.Random(7).sample(range(len(pairs)), min(count, len(pairs)))
    stand_in, key = LocalEmbedder(1024), IndexKey(b"k" * 32)
    made = [indexed(document, Chunking(800, 0), key, number) for number, (_, document) in enumerate(pairs)]
    places: dict[int, list[tuple[int, int, bytes]]] = {}
    for number, index in enumerate(made):
        for word, held in index.words:
            places.setdefault(word, []).append((word, number, held))
    exact = stand_in.made([document for _, document in pairs])
    packed = PackedVectors.of(exact)
    hits, chunks = Counter[str](), sum(len(index.chunks) for index in made)
    for number in asked:
        question = frozenset(key.macs(words(pairs[number][0])).values())
        there = [item for word in question for item in places.get(word, [])]
        counts = {word: len(places.get(word, [])) for word in question}
        by_words = [entry for _, (entry, _) in ranked(WordsFound(chunks, counts, there), [question], RANKED_MOST)]
        vector = stand_in.made([pairs[number][0]])
        near = _best(packed.likeness(vector), RANKED_MOST)
        both = fused([[(entry, 0) for entry in ranking] for ranking in (by_words, near)], BEST)
        found = {
            "words": by_words[:BEST],
            "vectors, as sent": _best((exact @ vector.T).max(axis=1), BEST),
            "vectors, packed": near[:BEST],
            "both": [entry for _, (entry, _) in both],
        }
        hits.update(name for name, ranking in found.items() if number in ranking)
    return {
        "documents": len(pairs),
        "questions": len(asked),
        "recall_at_10": {name: round(count / len(asked), 3) for name, count in hits.items()},
    }


def _best(likeness: Any, most: int) -> list[int]:
    return [number for _, number in nearest([(1, likeness)], most)]


async def costs(folder: Path, chunks: int, dimensions: int, url: str) -> dict[str, Any]:
    """Of one store of 200 files, or fewer."""
    chance = random.Random(7)
    sentences = [line for _, document in questions_and_documents() for line in document.splitlines() if len(line) > 20]
    chunking, files = Chunking(100, 0), min(200, max(chunks // 500, 1))
    size = chunks // files * 100 * 3 - 150  # bytes of a file that makes so many chunks of 100 tokens, about
    texts = {f"file-{number}": _text(chance, sentences, size) for number in range(files)}
    stand_in = LocalEmbedder(dimensions)
    folder.mkdir()
    async with shelving(folder, url) as shelf:
        shelf.meant = VectorSearch(stand_in)
        took_s = await filled(shelf, "vs", texts, chunking)
        found: dict[str, Any] = {"files": files, **await _rows(shelf)}
        plain = sum(map(len, texts.values()))
        found["indexed_chunks_per_s"] = round(found["chunks"] / (took_s - stand_in.took_s))
        found["bytes_of_text"], found["bytes_on_disk"] = plain, await _on_disk(shelf, folder, url)
        asked = [_question(chance, texts) for _ in range(ROUNDS)]
        before_mib = _rss_mib()
        meant, shelf.meant = shelf.meant, None
        found["by words"] = await _timed(shelf, asked)
        shelf.meant = meant
        found["both, vectors opened before"] = await _warm(shelf, asked)
        found["both, none opened before"] = await _timed(shelf, asked[:20], forget=True)
        found["rss_mib_before_and_after"] = [before_mib, _rss_mib()]
        found["searches"] = dict(meant.searches)
    return found


def _text(chance: random.Random, sentences: Sequence[str], size: int) -> str:
    made, length = [], 0
    while length < size:
        made.append(chance.choice(sentences))
        length += len(made[-1]) + 1
    return "\n".join(made)[:size]


def _question(chance: random.Random, texts: dict[str, str]) -> str:
    held = [word for word in words(chance.choice(list(texts.values()))[:300]) if len(word) > 2]
    return " ".join(chance.sample(held, min(len(held), chance.randint(3, 6))))


async def _rows(shelf: Shelf) -> dict[str, int]:
    def count(connection: Any) -> dict[str, int]:
        tables = {"chunks": VECTOR_CHUNKS, "words": VECTOR_WORDS, "blocks": VECTOR_EMBEDDINGS}
        return {name: connection.execute(select(func.count()).select_from(table)).scalar_one() for name, table in tables.items()}

    return await shelf.book.read_long(count)


async def _on_disk(shelf: Shelf, folder: Path, url: str) -> int:
    if url:
        asked = text("SELECT pg_database_size(current_database())")
        return int(await shelf.book.read_long(lambda connection: connection.execute(asked).scalar_one()))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and "files" not in path.parts)


async def _warm(shelf: Shelf, asked: Sequence[str]) -> dict[str, float]:
    await shelf.found("vs", asked[0], BEST)
    return await _timed(shelf, asked)


async def _timed(shelf: Shelf, asked: Sequence[str], *, forget: bool = False) -> dict[str, float]:
    """Milliseconds of a search, and of them processor."""
    took, spent = [], time.process_time()
    for question in asked:
        if forget and shelf.meant is not None:
            shelf.meant.opened = type(shelf.meant.opened)(time.monotonic)
        begun = time.perf_counter()
        assert await shelf.found("vs", question, BEST), "each is found"
        took.append((time.perf_counter() - begun) * 1000)
    processor = (time.process_time() - spent) * 1000 / len(asked)
    p95 = statistics.quantiles(took, n=20)[-1]
    return {"p50_ms": round(statistics.median(took), 1), "p95_ms": round(p95, 1), "processor_ms": round(processor, 1)}


def _rss_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def measured(args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[str, Any] = {}
        if args.questions:
            found["quality"] = quality(args.questions)
        if args.chunks:
            kind = "postgresql" if args.postgresql else "sqlite"
            url = await asyncio.to_thread(postgresql, folder) if args.postgresql else ""
            found[kind] = await costs(folder / "costs", args.chunks, args.dimensions, url)
        return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=768)
    parser.add_argument("--postgresql", action="store_true")
    args = parser.parse_args()
    found = asyncio.run(measured(args))
    if args.json:
        json.dump(found, sys.stdout, indent=1)
        print()
        return
    for part, figures in found.items():
        print(part)
        for name, value in figures.items():
            print(f"  {name}: {value}")


if __name__ == "__main__":
    main()
