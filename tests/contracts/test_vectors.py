"""The index of vector stores on both databases: filters against plain Python, indexing that is killed at any point, whose turn it is."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from gateway.domain.errors import Unavailable
from gateway.domain.states import IndexState
from gateway.files.indexing import LEASE, IndexPool
from gateway.files.vector_search import VectorSearch
from gateway.store.book import SqlBook
from gateway.store.items import Item
from gateway.store.vector_files import (
    TRIES_MOST,
    Attributes,
    ChangeAttributes,
    LeaseFiles,
)
from gateway.store.vector_filters import Compared, Filter, FiltersTogether, OneOf, Value, condition
from gateway.store.vector_index import is_any_left
from gateway.store.vector_tables import VECTOR_CHUNKS, VECTOR_EMBEDDINGS, VECTOR_FILES, VECTOR_WORDS
from tests.support.databases import lent
from tests.support.embeddings import LocalEmbedder
from tests.support.options import examples, long_or
from tests.support.shelves import ALICE, BRUNO, Shelf, shelving, until_idle

TEXT = " ".join(f"word{number % 97} fact{number}" for number in range(3000)).encode()


@pytest.fixture(params=["sqlite", "postgresql"])
async def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shelf]:
    async with shelving(tmp_path, lent(tmp_path) if request.param == "postgresql" else "") as made:
        yield made


KEYS = ["a", "b", "c"]
VALUES: st.SearchStrategy[Value] = st.one_of(
    st.booleans(), st.sampled_from(["", "a", "B", "ä", "Z", "zz", "1", "\U0001f4b6"]), st.sampled_from([0.0, 1.0, -1.5, 2.0, 1e300])
)
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    st.one_of(
        st.builds(OneOf, st.sampled_from(KEYS), st.lists(VALUES, max_size=3).map(tuple), st.booleans()),
        st.builds(
            Compared,
            st.sampled_from(KEYS),
            st.sampled_from(["gt", "gte", "lt", "lte"]),
            VALUES.filter(lambda value: not isinstance(value, bool)),
        ),
    ),
    lambda inner: st.builds(FiltersTogether, st.lists(inner, min_size=1, max_size=3).map(tuple), st.booleans()),
    max_leaves=6,
)


def fits(wanted: Filter, attributes: Attributes) -> bool:
    """The same in plain Python."""
    match wanted:
        case FiltersTogether(filters, is_any):
            return (any if is_any else all)(fits(item, attributes) for item in filters)
        case OneOf(key, values, is_none):
            here = attributes.get(key)
            return is_none != any(_kind(value) is _kind(here) and value == here for value in values)
        case Compared(key, order, value):
            here = attributes.get(key)
            if _kind(here) is not _kind(value):
                return False
            one, other = (item.encode() if isinstance(item, str) else item for item in (here, value))
            compared: dict[str, Callable[[Any, Any], bool]] = {
                "gt": lambda a, b: a > b,
                "gte": lambda a, b: a >= b,
                "lt": lambda a, b: a < b,
                "lte": lambda a, b: a <= b,
            }
            return compared[order](one, other)


def _kind(value: object) -> type:
    return type(value)


async def test_filters_choose_what_plain_python_chooses(shelf: Shelf) -> None:
    await shelf.store("vs", ALICE)
    names = [f"file-{number}" for number in range(6)]
    for name in names:
        await shelf.file(name, ALICE, name.encode())
    await shelf.attach("vs", *names)
    loop = asyncio.get_running_loop()

    async def chosen(wanted: Filter, attributes: list[dict[str, Value]]) -> set[str]:
        for name, some in zip(names, attributes, strict=True):
            await shelf.book.write(ChangeAttributes(ALICE, "vs", name, some))
        asked = await shelf.book.read(
            lambda connection: list(connection.execute(select(VECTOR_FILES.c.id).where(condition(connection, wanted))).scalars())
        )
        return set(asked)

    @settings(max_examples=examples(200), deadline=None)
    @given(FILTERS, st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), min_size=6, max_size=6))
    def agrees(wanted: Filter, attributes: list[dict[str, Value]]) -> None:
        found = asyncio.run_coroutine_threadsafe(chosen(wanted, attributes), loop).result()
        assert found == {name for name, some in zip(names, attributes, strict=True) if fits(wanted, some)}

    await asyncio.to_thread(agrees)


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Mortal:
    """A store whose process dies at its `dies`-th write, before or after it is done."""

    book: SqlBook
    dies: int
    is_done: bool

    async def write(self, item: Item[Any]) -> Any:
        self.dies -= 1
        if self.dies < 0 or (self.dies == 0 and not self.is_done):
            raise Killed
        answer = await self.book.write(item)
        if self.dies == 0:
            raise Killed
        return answer

    async def read(self, question: Any) -> Any:
        return await self.book.read(question)


async def test_an_index_that_was_killed_at_any_point_is_made_whole_and_once(shelf: Shelf) -> None:
    shelf.meant = VectorSearch(LocalEmbedder())
    await shelf.store("vs", ALICE)
    await shelf.file("file", ALICE, TEXT)
    chance = random.Random(7)
    expected = None
    for number in range(long_or(40, 8)):
        await shelf.attach("vs", "file")
        for _ in range(chance.choice((0, 1, 1, 2))):
            mortal = Mortal(shelf.book, chance.randrange(1, 14), chance.random() < 0.5)
            pool = IndexPool(shelf.parts(mortal))
            with contextlib.suppress(Killed):
                await pool.step()
            with contextlib.suppress(Killed):
                await until_idle(pool)
            if await shelf.state("vs", "file") is IndexState.IN_PROGRESS:
                assert await shelf.found("vs", "fact17") == [], "nothing counts before it is whole"
            shelf.now += LEASE + timedelta(seconds=1)
        pool = IndexPool(shelf.parts())
        await pool.step()
        await until_idle(pool)
        assert await shelf.state("vs", "file") is IndexState.COMPLETED, number
        while await shelf.book.read(is_any_left):
            await pool.step()

        def rows(connection: Any) -> tuple[int, ...]:
            chunks = connection.execute(select(VECTOR_CHUNKS.c.number).order_by(VECTOR_CHUNKS.c.number)).scalars().all()
            words = connection.execute(select(VECTOR_WORDS.c.word)).scalars().all()
            blocks = connection.execute(select(VECTOR_EMBEDDINGS.c.block)).scalars().all()
            return len(chunks), len(set(words)), len(words), len(set(blocks)), len(blocks)

        made = await shelf.book.read(rows)
        expected = expected or made
        assert made[4] > 1, "vectors are written in pieces too"
        assert made == expected, "as the index that nobody disturbed"
        assert len(await shelf.found("vs", "fact17")) == len({text.text for text in await shelf.found("vs", "fact17")}) > 0


async def test_what_ends_every_process_that_takes_it_up_is_given_up(shelf: Shelf) -> None:
    await shelf.store("vs", ALICE)
    await shelf.file("file", ALICE, TEXT)
    await shelf.attach("vs", "file")
    for _ in range(TRIES_MOST):
        (_,) = await shelf.book.write(LeaseFiles("gone", shelf.now, shelf.now + LEASE, 9))
        assert await shelf.book.write(LeaseFiles("other", shelf.now, shelf.now + LEASE, 9)) == [], "it is had"
        shelf.now += LEASE
    assert await shelf.book.write(LeaseFiles("gone", shelf.now, shelf.now + LEASE, 9)) == []
    assert await shelf.state("vs", "file") is IndexState.FAILED


async def test_a_thousand_files_of_one_hold_nobody_else_s(shelf: Shelf) -> None:
    await shelf.store("vs-a", ALICE)
    await shelf.store("vs-b", BRUNO)
    names = [f"file-{number:04}" for number in range(long_or(1000, 60))]
    for name in names:
        await shelf.file(name, ALICE, name.encode())
    await shelf.file("his", BRUNO, b"his")
    await shelf.attach("vs-a", *names)
    shelf.now += timedelta(seconds=2)
    await shelf.attach("vs-b", "his")
    taken = await shelf.book.write(LeaseFiles("one", shelf.now, shelf.now + LEASE, 2))
    assert {entry.owner for entry in taken} == {ALICE, BRUNO}, "one of each"
    assert await shelf.book.write(LeaseFiles("two", shelf.now, shelf.now + LEASE, 9)) == [], "and of one owner one at a time"


async def test_a_database_that_does_not_answer_is_asked_again(shelf: Shelf) -> None:
    await shelf.store("vs", ALICE)
    await shelf.file("file", ALICE, TEXT)
    await shelf.attach("vs", "file")

    class Silent(Mortal):
        async def read(self, question: Any) -> Any:
            raise Unavailable("store_unavailable")

    pool = IndexPool(shelf.parts(Silent(shelf.book, 99, True)))
    with pytest.raises(Unavailable):
        await pool.step()
    (entry,) = await shelf.book.write(LeaseFiles(pool.lease, shelf.now, shelf.now + LEASE, 1))
    await pool._indexed(entry)
    assert await shelf.state("vs", "file") is IndexState.IN_PROGRESS
    shelf.now += timedelta(seconds=11)
    again = IndexPool(shelf.parts())
    await again.step()
    await until_idle(again)
    assert await shelf.state("vs", "file") is IndexState.COMPLETED
