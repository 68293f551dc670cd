"""Vector stores against those who would read what is others', learn of it by scores, or break the search."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from sqlalchemy import func, select

from gateway.store.vector_tables import VECTOR_CHUNKS, VECTOR_LEFT, VECTOR_WORDS
from tests.conformance.test_openai_files import silent
from tests.conformance.test_openai_vectors import POLL_MS, put
from tests.support.assisted import Assisted, assisted, wait_until
from tests.support.teller import leaves_of

SECRET = b"Zebrafish consortium acquires Quagga holding for 7000000 euros. "


@dataclass
class Stored:
    all_of: Assisted

    def client(self, customer: str = "alice", **claims: Any) -> Any:
        return self.all_of.client(self.all_of.token(customer, **claims))

    async def filled(self, client: Any, *texts: bytes, **fields: Any) -> str:
        """A store with these texts, indexed."""
        store = await client.vector_stores.create(name="s")
        files = [await put(client, text) for text in texts]
        await client.vector_stores.file_batches.create_and_poll(store.id, file_ids=files, poll_interval_ms=POLL_MS, **fields)
        return str(store.id)

    async def found(self, client: Any, store: str, query: str, **more: Any) -> list[Any]:
        return [item async for item in client.vector_stores.search(store, query=query, **more)]

    async def rows(self, *tables: Any) -> list[int]:
        def count(connection: Any) -> list[int]:
            return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]

        return await self.all_of.gateway.book.read(count)


@asynccontextmanager
async def storing(folder: Path, **changes: Any) -> AsyncIterator[Stored]:
    async with assisted(
        folder / "data", silent, requests_per_minute=1_000_000, thread_writes_per_minute=1_000_000, **changes
    ) as all_of:
        yield Stored(all_of)


async def test_the_same_text_of_two_owners_is_found_by_each_as_their_own(tmp_path: Path) -> None:
    async with storing(tmp_path) as stored:
        alice, bruno, service = stored.client(), stored.client("bruno"), stored.client("dev-app", scope="assistants")
        other = stored.client("alice", client="other-app")
        mine, his, terms = [await stored.filled(one, SECRET) for one in (alice, bruno, service)]
        for reader in (alice, bruno, service):
            assert [item.content[0].text for item in await stored.found(reader, terms, "zebrafish")] == [SECRET.decode()]
        (hit,) = await stored.found(alice, mine, "zebrafish")
        (same,) = await stored.found(bruno, his, "zebrafish")
        assert hit.file_id != same.file_id
        assert {store.id async for store in alice.vector_stores.list()} == {mine, terms}
        told = set()
        for client, store in ((bruno, mine), (service, mine), (other, mine), (other, terms), (alice, "vs_" + "0" * 24)):
            for attempt in (
                client.vector_stores.retrieve(store),
                client.vector_stores.search(store, query="zebrafish"),
                client.vector_stores.delete(store),
                client.vector_stores.update(store, name="mine"),
                client.vector_stores.files.list(store),
                client.vector_stores.files.retrieve(hit.file_id, vector_store_id=store),
                client.vector_stores.files.create(store, file_id=hit.file_id),
                client.vector_stores.file_batches.create(store, file_ids=[hit.file_id]),
            ):
                with pytest.raises(openai.NotFoundError) as refused:
                    await attempt
                told.add(refused.value.message)
        assert len(told) == 2, "one answer for each kind, whether it is there or not"
        for attempt in (
            alice.vector_stores.delete(terms),
            alice.vector_stores.update(terms, name="mine"),
            alice.vector_stores.files.create(terms, file_id=hit.file_id),
        ):
            with pytest.raises(openai.PermissionDeniedError):
                await attempt
        with pytest.raises(openai.NotFoundError, match="no such file"):
            await alice.vector_stores.files.create(mine, file_id=same.file_id)


async def test_a_score_tells_nothing_of_what_others_have(tmp_path: Path) -> None:
    async with storing(tmp_path) as stored:
        alice, bruno = stored.client(), stored.client("bruno")
        mine = await stored.filled(alice, SECRET, b"Bread and butter.")
        before = [item.score for item in await stored.found(alice, mine, "zebrafish bread quagga")]
        await stored.filled(bruno, *(SECRET + b"%d" % number for number in range(5)))
        await stored.filled(alice, SECRET * 2)
        assert [item.score for item in await stored.found(alice, mine, "zebrafish bread quagga")] == before
        assert len(before) == 2


HOSTILE = [
    '" OR 1=1 --',
    "NEAR(zebrafish quagga)",
    "*",
    "zebra*",
    "text:zebrafish",
    "a AND",
    "NOT",
    "(((((",
    "'; DROP TABLE vector_words; --",
    "%_\\",
    "\u202e\ufeff\u200b",
    "\U0001f4b6" * 1000,
    "zebrafish " * 1600,
    "x" * 16_384,
    "!&|<->:*",
]


async def test_a_hostile_question_finds_words_and_nothing_else(tmp_path: Path) -> None:
    async with storing(tmp_path) as stored:
        alice, bruno = stored.client(), stored.client("bruno")
        mine = await stored.filled(alice, b"Bread and butter. Near or not.")
        await stored.filled(bruno, SECRET)
        for question in HOSTILE:
            texts = [item.content[0].text for item in await stored.found(alice, mine, question)]
            assert all("Bread" in text for text in texts), question
        for bad in ("", "a\0b", "x" * 16_385, "x" * 1_000_000, [], ["a"] * 11, ["\0"]):
            with pytest.raises(openai.BadRequestError):
                await stored.found(alice, mine, bad)  # type: ignore[arg-type]
        deep: Any = {"type": "eq", "key": "a", "value": 1}
        for _ in range(9):
            deep = {"type": "and", "filters": [deep]}
        wide = {"type": "or", "filters": [{"type": "eq", "key": "a", "value": 1}] * 101}
        for filters in (deep, wide, {"type": "gt", "key": "a", "value": True}, {"type": "like", "key": "a", "value": "%"}):
            with pytest.raises(openai.BadRequestError):
                await stored.found(alice, mine, "bread", filters=filters)


async def test_nothing_of_a_text_stands_in_the_database_or_the_trail(tmp_path: Path) -> None:
    async with storing(tmp_path) as stored:
        alice = stored.client()
        mine = await stored.filled(alice, SECRET)
        assert len(await stored.found(alice, mine, "quagga consortium")) == 1
        leaves = [json.loads(leaf.leaf) for leaf in await leaves_of(stored.all_of.gateway)]
        facts = [leaf["facts"] for leaf in leaves if "vector_store" in leaf.get("facts", {})]
        assert [(fact["word"], fact["vector_store"], fact["found"]) for fact in facts] == [("searched", mine, 1)]
        kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()).lower()
        for word in (b"zebrafish", b"quagga", b"consortium"):
            assert word not in kept


async def test_what_is_taken_out_is_found_no_more_and_its_index_goes(tmp_path: Path) -> None:
    async with storing(tmp_path) as stored:
        alice = stored.client()
        first, second = [await stored.filled(alice, SECRET, b"Zebrafish again.") for _ in range(2)]
        hits = await stored.found(alice, first, "zebrafish")
        assert len(hits) == 2
        await alice.files.delete(hits[0].file_id)
        assert len(await stored.found(alice, first, "zebrafish")) == 1
        await alice.vector_stores.files.delete(hits[1].file_id, vector_store_id=first)
        assert await stored.found(alice, first, "zebrafish") == []
        await alice.vector_stores.delete(second)

        async def is_empty() -> bool | None:
            return await stored.rows(VECTOR_CHUNKS, VECTOR_WORDS, VECTOR_LEFT) == [0, 0, 0] or None

        await wait_until(is_empty)


async def test_stores_are_bounded_by_what_an_owner_may_keep(tmp_path: Path) -> None:
    async with storing(tmp_path, files_most=2) as stored:
        alice = stored.client()
        store = await stored.filled(alice, b"one", b"two")
        again = await alice.vector_stores.create()
        file = (await stored.found(alice, store, "one"))[0].file_id
        with pytest.raises(openai.BadRequestError, match="at most 2 files"):
            await alice.vector_stores.files.create(again.id, file_id=file)
        with pytest.raises(openai.BadRequestError, match="at most 2 files"):
            await alice.vector_stores.create(file_ids=[file])
        assert len([one async for one in alice.vector_stores.list()]) == 2, "the one that could not be filled is gone"
        await alice.vector_stores.files.create_and_poll(file, vector_store_id=store, poll_interval_ms=POLL_MS)
        assert len(await stored.found(alice, store, "one")) == 1, "indexed anew, and once"
