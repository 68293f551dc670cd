"""What becomes of a text before it is in an index: decoded, cut, and taken word by word."""

import unicodedata
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.files.chunking import BYTES_PER_TOKEN, cut
from gateway.files.content_type import content_type
from gateway.files.parsing import TEXT_MOST, NotParsed, PlainTextParser
from gateway.files.words import WORD_MOST, words
from gateway.store.vector_index import Places

TEXTS = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from([" ", "\n\n", "word ", "e\u0301" * 40, "漢字" * 60, "\U0001f4b6" * 50, "x" * 500, "a " * 200]),
    ),
    max_size=30,
).map("".join)


@given(TEXTS, st.integers(100, 400), st.data())
def test_chunks_cover_a_text_in_order_within_their_bounds(text: str, tokens: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tokens // 2))
    chunks = list(cut(text, tokens, overlap))
    assert "".join(text[max(first, before) : behind] for (first, behind), before in zip(chunks, _ends(chunks), strict=True)) == text
    for (first, behind), before in zip(chunks, _ends(chunks), strict=True):
        assert first <= before < behind, "it goes on, and leaves nothing out"
        assert len(text[first:behind].encode("utf-8", "replace")) <= tokens * BYTES_PER_TOKEN
        assert len(text[first:before].encode("utf-8", "replace")) <= overlap * BYTES_PER_TOKEN


def _ends(chunks: list[tuple[int, int]]) -> list[int]:
    return [0, *(behind for _, behind in chunks)][: len(chunks)]


def test_a_letter_keeps_its_marks() -> None:
    text = "e\u0301" * 1000
    for first, behind in cut(text, 100, 50):
        assert not unicodedata.combining(text[first])
        assert behind == len(text) or not unicodedata.combining(text[behind])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Gebühren: STRASSE Straße", ["gebuhren", "strasse", "strasse"]),
        ("ﬁne café cafe\u0301", ["fine", "cafe", "cafe"]),
        ('" OR 1=1 -- NEAR(a*)', ["or", "1", "1", "near", "a"]),
        ("漢字文 x 字", ["漢字", "字文", "x", "字"]),
        ("under_score", ["under", "score"]),
        ("x" * 100, ["x" * WORD_MOST]),
        ("… — !", []),
    ],
)
def test_words_are_without_case_accents_and_signs(text: str, expected: list[str]) -> None:
    assert list(words(text)) == expected


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1)), max_size=50))
def test_places_are_unpacked_as_they_were_packed(pairs: list[tuple[int, int]]) -> None:
    places = Places(tuple(chunk for chunk, _ in pairs), tuple(weight for _, weight in pairs))
    assert Places.unpacked(places.packed()) == places


async def read(type_: str, *parts: bytes) -> str:
    async def given_parts() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return await PlainTextParser().text(type_, given_parts())


async def test_a_text_is_read_in_the_encoding_that_it_says() -> None:
    assert await read("text/plain", "ü€".encode()[:1], "ü€".encode()[1:]) == "ü€"
    assert await read("text/csv", b"\xef\xbb\xbfa,b") == "a,b"
    assert await read("application/json", "ü".encode("utf-16")) == "ü"
    assert await read("text/markdown", b"a\0b") == "ab"
    assert content_type("Gebühr\r\n".encode("utf-16"), "a.md") == "text/markdown"
    assert content_type(b"\xfe\xff" + "Gebühr".encode("utf-16-be"), "a.txt") == "text/plain"
    assert content_type(b"\xfe\xff\x00\x01\x00a", "a.txt") == "application/octet-stream"


@pytest.mark.parametrize(
    ("type_", "content", "is_unsupported"),
    [
        ("application/pdf", b"%PDF", True),
        ("text/html", b"<p>", True),
        ("image/png", b"\x89PNG", True),
        ("text/plain", b"\xff\xff", False),
        ("text/plain", b"x" * (TEXT_MOST + 1), False),
    ],
)
async def test_what_is_no_text_is_said_so(type_: str, content: bytes, is_unsupported: bool) -> None:
    with pytest.raises(NotParsed) as refused:
        await read(type_, content)
    assert refused.value.is_unsupported is is_unsupported
