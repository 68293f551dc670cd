"""Search by meaning, against those who would read what is others' by it, and a server of vectors that fails, lies or is exchanged."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from aiohttp import web
from sqlalchemy import select

from adapters.tls import nobody
from gateway.domain.errors import Unavailable
from gateway.domain.states import IndexState
from gateway.files import embedding
from gateway.files.embedding import ServerEmbedder, TextsNotTaken
from gateway.files.indexing import LEASE, TRY_AGAIN, IndexPool
from gateway.files.sealing import ContentDamaged
from gateway.files.vector_search import OPENED_S, OpenedVectors, SearchedBy, VectorSearch
from gateway.files.vectors import PackedVectors
from gateway.store.vector_index import is_any_left
from gateway.store.vector_tables import VECTOR_EMBEDDINGS, VECTOR_LEFT
from tests.attacks.test_vectors import SECRET, storing
from tests.support.assisted import wait_until
from tests.support.embeddings import DIMENSIONS, MODEL, Answering, EmbeddingsServer, as_answer, embeddings_server, vector_of
from tests.support.shelves import ALICE, Shelf, shelving, until_idle

NEAR = "zebrafishes consortiums acquiring quaggas"
"""No word of it is in the secret."""

LONG = " ".join(f"word{number % 97} fact{number}" for number in range(3000)).encode()


def meant(server: EmbeddingsServer, model: str = MODEL, credential: str | None = None) -> VectorSearch:
    return VectorSearch(ServerEmbedder(server.url, model, credential, nobody()))


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingsServer]:
    async with embeddings_server() as made:
        yield made


@pytest.fixture
async def shelf(tmp_path: Path, server: EmbeddingsServer) -> AsyncIterator[Shelf]:
    """With a store of Alice's, in which a file is attached and not indexed yet."""
    async with shelving(tmp_path) as made:
        made.meant = meant(server)
        await made.store("vs", ALICE)
        await made.file("file", ALICE, SECRET)
        await made.attach("vs", "file")
        yield made
        await made.meant.embedder.close()


async def index(shelf: Shelf, **fields: Any) -> None:
    pool = IndexPool(shelf.parts(), **fields)
    await pool.step()
    await until_idle(pool)


async def test_the_same_text_of_two_owners_is_near_to_each_as_their_own(tmp_path: Path, server: EmbeddingsServer) -> None:
    async with storing(tmp_path, embeddings_url=server.url, embeddings_model=MODEL) as stored:
        alice, bruno, service = stored.client(), stored.client("bruno"), stored.client("dev-app", scope="assistants")
        mine, his, terms = [await stored.filled(one, SECRET, b"Bread and butter.") for one in (alice, bruno, service)]
        own = {
            store: {file.id async for file in one.vector_stores.files.list(store)} for one, store in ((alice, mine), (bruno, his))
        }
        for one, store in ((alice, mine), (bruno, his)):
            found = await stored.found(one, store, NEAR)
            assert found[0].content[0].text == SECRET.decode(), "by its meaning: no word of it fits"
            assert {item.file_id for item in found} == own[store], "and of the files of this store, all and no other"
            assert all(0 < item.score <= 1 for item in found)
            assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
        before = [item.score for item in await stored.found(alice, mine, NEAR)]
        await stored.filled(bruno, *(SECRET + b"%d" % number for number in range(3)))
        assert [item.score for item in await stored.found(alice, mine, NEAR)] == before, "what others have changes nothing"
        assert [item.content[0].text for item in await stored.found(bruno, terms, NEAR, max_num_results=1)] == [SECRET.decode()]
        assert await stored.found(alice, mine, NEAR, ranking_options={"score_threshold": 1}) == []
        filters: Any = {"type": "eq", "key": "a", "value": 1}
        assert await stored.found(alice, mine, NEAR, filters=filters) == [], "what a filter leaves out is near to nothing"
        assert set(stored.all_of.gateway.running.files.meant.searches) == {SearchedBy.BOTH}  # type: ignore[union-attr]
        assert not any("authorization" in headers for headers in server.headers)
        kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
        packed = PackedVectors.of(embedding.normalised(np.array([vector_of(SECRET.decode())])))
        assert packed.steps.tobytes()[:64] not in kept, "no vector stands anywhere in clear"
        for store, one in ((mine, alice), (his, bruno)):
            await one.vector_stores.delete(store)

        async def left() -> bool | None:
            rows = await stored.rows(VECTOR_EMBEDDINGS, VECTOR_LEFT)
            return rows[1] == 0 or None

        await wait_until(left)
        with pytest.raises(Exception, match="no such"):
            await stored.found(alice, mine, NEAR)


def answers(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"index": index, "embedding": vector_of(text)} for index, text in enumerate(body["input"])]


def said(content: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Answering:
    async def answer(_body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=status, body=content, headers={"content-type": "application/json", **(headers or {})})

    return answer


def changed(change: Callable[[list[dict[str, Any]]], Any]) -> Answering:
    async def answer(body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(body=orjson.dumps({"data": change(answers(body))}), content_type="application/json")

    return answer


def vector(number: object) -> Answering:
    return changed(lambda items: [{**item, "embedding": [number, *item["embedding"][1:]]} for item in items])


HOSTILE: dict[str, Answering] = {
    "none": changed(lambda items: []),
    "one too few": changed(lambda items: items[1:]),
    "one too many": changed(lambda items: [*items, {**items[0], "index": len(items)}]),
    "one twice": changed(lambda items: [items[0], *items[:-1]]),
    "an index too far": changed(lambda items: [{**item, "index": item["index"] + 1} for item in items]),
    "an index that is no number": changed(lambda items: [{**item, "index": bool(item["index"])} for item in items]),
    "a text for a number": vector("1"),
    "nothing for a number": vector(None),
    "truth for a number": vector(True),
    "a list for a number": vector([1.0]),
    "not a number": said(b'{"data": [{"index": 0, "embedding": [NaN, 1]}, {"index": 1, "embedding": [1, 1]}]}'),
    "infinite": said(b'{"data": [{"index": 0, "embedding": [1e999, 1]}, {"index": 1, "embedding": [1, 1]}]}'),
    "whole and beyond": said(b'{"data": [{"index": 0, "embedding": [1%s, 1]}, {"index": 1, "embedding": [1, 1]}]}' % (b"0" * 400)),
    "without a direction": changed(lambda items: [{**item, "embedding": [0.0] * DIMENSIONS} for item in items]),
    "of no length": changed(lambda items: [{**item, "embedding": []} for item in items]),
    "of two lengths": changed(lambda items: [items[0], {**items[1], "embedding": [1.0]}]),
    "too long a vector": changed(lambda items: [{**item, "embedding": [1] * (embedding.DIMENSIONS_MOST + 1)} for item in items]),
    "base64": changed(lambda items: [{**item, "embedding": "AACAPw=="} for item in items]),
    "no list": changed(lambda items: {"0": items}),
    "no items": changed(lambda items: [1, 2]),
    "no JSON": said(b"<html>"),
    "empty": said(b""),
    "nested": said(b"[" * 100_000),
    "huge": said(b" " * (embedding.ANSWER_BYTES_MOST + 1)),
    "packed": said(b"{}", 200, {"content-encoding": "gzip"}),
    "elsewhere": said(b"", 307, {"location": "/v1/embeddings"}),
    "forbidden": said(b"", 403),
    "no such model": said(b"", 404),
    "too often": said(b"", 429),
    "broken": said(b"", 500),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_is_none(server: EmbeddingsServer, name: str) -> None:
    asking = meant(server)
    server.instead = [HOSTILE[name]]
    with pytest.raises(Unavailable) as refused:
        await asking.embedder.of_questions(["one", "two"])
    assert refused.value.reason == embedding.UNAVAILABLE
    assert len(server.asked) == 1, "no redirect is followed, and nothing is asked twice"
    await asking.embedder.close()


async def test_vectors_are_taken_by_their_index_and_of_any_size(server: EmbeddingsServer) -> None:
    asking = meant(server, credential="a-secret")
    plain = await asking.embedder.of_questions(["one", "two"])
    for change in (
        lambda items: items[::-1],
        lambda items: [{**item, "embedding": [number * 1e200 for number in item["embedding"]]} for item in items],
        lambda items: [{**item, "embedding": [number * 1e-200 for number in item["embedding"]]} for item in items],
    ):
        server.instead = [changed(change)]
        assert np.allclose(await asking.embedder.of_questions(["one", "two"]), plain, atol=1e-6)
    assert math.isclose(float((plain[0] ** 2).sum()), 1, abs_tol=1e-5)
    assert {headers["authorization"] for headers in server.headers} == {"Bearer a-secret"}
    assert server.asked[0] == {"model": MODEL, "input": ["one", "two"], "encoding_format": "float"}
    await asking.embedder.of_questions(["half \ud83d of one"])
    assert server.asked[-1]["input"] == ["half ? of one"]
    await asking.embedder.close()


async def test_a_server_that_does_not_answer_holds_no_search_up(
    shelf: Shelf, server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(embedding, "SEARCH_WAIT_S", 0.05)
    await index(shelf)
    assert shelf.meant is not None
    assert [text.text for text in await shelf.found("vs", NEAR)] == [SECRET.decode()]
    held = asyncio.Event()

    async def never(_body: dict[str, Any]) -> web.StreamResponse:
        await held.wait()
        return as_answer([])

    server.instead = [never]
    before = len(server.asked)
    assert await shelf.found("vs", NEAR) == [], "by words alone"
    assert [text.text for text in await shelf.found("vs", "zebrafish")] == [SECRET.decode()]
    held.set()
    assert len(server.asked) == before + 1, "for some seconds nobody asks again"
    assert shelf.meant.searches == {SearchedBy.BOTH: 1, SearchedBy.NOT_ANSWERED: 2}
    assert [record.message for record in caplog.records if "embeddings_not_answered" in record.message] != []
    shelf.meant._again = 0.0
    assert [text.text for text in await shelf.found("vs", NEAR)] == [SECRET.decode()], "and then it is asked again"


@pytest.mark.parametrize("is_done", [False, True], ids=["failed and not done", "failed and done"])
async def test_a_file_waits_for_the_server_and_is_indexed_once(
    shelf: Shelf, server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    """Done: the server made the vectors, and its answer broke off."""
    monkeypatch.setattr(embedding, "_PAUSES_S", (0.0,))
    await shelf.file("long", ALICE, LONG)
    await shelf.attach("vs", "long")

    for _ in range(2):
        if is_done:
            server.cut = 3
        else:
            server.instead = [said(b"", 503)] * 3
        await index(shelf, again_s=0.0)
        assert (server.cut, server.instead) == (0, [])
        shelf.now += LEASE
    assert [await shelf.state("vs", file) for file in ("file", "long")] == [IndexState.COMPLETED] * 2
    assert len(await shelf.found("vs", "fact17")) >= 1

    def blocks(connection: Any) -> list[int]:
        return list(connection.execute(select(VECTOR_EMBEDDINGS.c.block).order_by(VECTOR_EMBEDDINGS.c.block)).scalars())

    made = await shelf.book.read(blocks)
    assert made == sorted([0, *range(made[-1] + 1)]), "each block of both files once"


async def test_a_server_that_is_down_for_long_spends_no_tries_and_leaves_nothing(
    shelf: Shelf, server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_PAUSES_S", ())
    monkeypatch.setattr("gateway.files.indexing.EMBEDDED_AGAIN", 1)
    server.is_down = True
    for _ in range(8):
        await index(shelf, again_s=0.0)
        assert await shelf.state("vs", "file") is IndexState.IN_PROGRESS
        assert await shelf.found("vs", "zebrafish") == [], "nothing counts before it is whole"
        shelf.now += TRY_AGAIN
    server.is_down = False
    await index(shelf)
    assert await shelf.state("vs", "file") is IndexState.COMPLETED
    assert not await shelf.book.read(is_any_left)


async def test_a_chunk_that_the_server_does_not_take_is_the_end_of_its_file_alone(shelf: Shelf, server: EmbeddingsServer) -> None:
    server.instead = [said(b"", 400)]
    await index(shelf)
    assert await shelf.state("vs", "file") is IndexState.FAILED
    await shelf.file("other", ALICE, b"Zebrafish again.")
    await shelf.attach("vs", "other")
    await index(shelf)
    assert [text.file for text in await shelf.found("vs", "zebrafish")] == ["other"]
    assert shelf.meant is not None
    server.instead = [said(b"", 400)]
    with pytest.raises(TextsNotTaken):
        await shelf.meant.embedder.of_questions(["too long"])


async def test_vectors_of_another_model_are_not_compared(shelf: Shelf, server: EmbeddingsServer) -> None:
    await index(shelf)
    assert shelf.meant is not None
    await shelf.meant.embedder.close()
    shelf.meant = meant(server, "another-model")
    assert await shelf.found("vs", NEAR) == []
    assert [text.text for text in await shelf.found("vs", "zebrafish")] == [SECRET.decode()], "by words, as before"
    assert shelf.meant.searches == {SearchedBy.NOT_EMBEDDED: 2}
    await shelf.attach("vs", "file")
    await index(shelf)
    assert [text.text for text in await shelf.found("vs", NEAR)] == [SECRET.decode()], "attached again, it is found by meaning"
    server.dimensions = 64
    assert await shelf.found("vs", NEAR) == [], "another model behind the same name"
    assert shelf.meant.searches[SearchedBy.NOT_EMBEDDED] == 3


async def test_vectors_that_somebody_moved_or_renamed_are_damage(shelf: Shelf, server: EmbeddingsServer) -> None:
    await shelf.file("other", ALICE, b"Bread and butter.")
    await shelf.attach("vs", "other")
    await index(shelf)
    await index(shelf)

    def swapped(connection: Any) -> None:
        table = VECTOR_EMBEDDINGS
        (one, first), (other, second) = connection.execute(select(table.c.entry, table.c.vectors)).all()
        for entry, vectors in ((one, second), (other, first)):
            connection.execute(table.update().where(table.c.entry == entry).values(vectors=vectors))

    await shelf.book._database.write(swapped)
    with pytest.raises(ContentDamaged):
        await shelf.found("vs", NEAR)


def test_opened_vectors_are_bounded_and_go_when_nobody_searches() -> None:
    now = [0.0]
    one = PackedVectors.of(embedding.normalised(np.ones((10, 96))))
    kept = OpenedVectors(lambda: now[0], most=3 * one.size)
    for entry in range(5):
        kept.put("vs", entry, one)
        kept.get("vs", 0)
    assert kept.size == 3 * one.size
    assert [entry for entry in range(5) if kept.get("vs", entry) is not None] == [0, 3, 4], "the last used stay"
    kept.put("vs", 0, one)
    assert kept.size == 3 * one.size, "none is counted twice"
    now[0] = OPENED_S - 1
    kept.get("vs", 3)
    now[0] = OPENED_S
    kept.forget_unused()
    assert (kept.size, kept.get("vs", 3) is None, kept.get("vs", 0)) == (one.size, False, None)
    kept.put("vs", 9, PackedVectors.of(embedding.normalised(np.ones((100, 96)))))
    assert kept.size == 0, "what is larger than all is not kept"
