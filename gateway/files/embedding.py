"""Texts to vectors, by the bank's own server: `POST {url}/embeddings` of the OpenAI API. Owns the connections.

The server is believed in nothing but its numbers: each answer is bounded, and is taken only if it has one finite vector for each text, all
of one length. No redirect is followed, no cookie kept, nothing taken from the environment, no body of an error read, none unpacked. Must
never log a text, a vector or the credential.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import aiohttp
import numpy as np
import orjson
from numpy.typing import NDArray

from gateway.domain.errors import Unavailable

Vectors: TypeAlias = NDArray[np.float32]
"""One a row, each of length 1."""

TEXTS_AT_ONCE = 64
"""Texts of one question to the server."""

DIMENSIONS_MOST = 4096
"""Numbers of a vector."""

ANSWER_BYTES_MOST = TEXTS_AT_ONCE * DIMENSIONS_MOST * 32
"""8 MiB."""

INDEX_WAIT_S, SEARCH_WAIT_S = 60.0, 2.0
"""Within which the server answers: what is indexed waits longer than who searches."""

_PAUSES_S = (0.2, 1.0)
"""Before what is indexed is asked for again; who searches asks once."""

_CONNECTIONS_MOST = 16
_KEPT_S = 4.0
"""So long a connection is kept: less than the five seconds after which common servers close it."""

_NOT_TAKEN = frozenset({400, 413, 422})
"""What servers say of texts that they do not take. All else is a fault of theirs, or of the settings, and passes."""

UNAVAILABLE = "embeddings_unavailable"


class TextsNotTaken(Exception):
    """The server does not take one of these texts, and would not tomorrow: it is too long, say."""


class Embedder(Protocol):
    """Texts to vectors. Concurrent use is safe."""

    @property
    def model(self) -> str:
        """Vectors of one model are compared with each other, and with no others."""

    async def of_chunks(self, texts: Sequence[str]) -> Vectors:
        """One for each of `TEXTS_AT_ONCE` texts at most, in their order; asked again while there is hope. Unavailable, TextsNotTaken."""

    async def of_questions(self, texts: Sequence[str]) -> Vectors:
        """The same, once and soon. Unavailable, TextsNotTaken."""

    async def close(self) -> None: ...


class _NotNow(Exception):
    """It may answer another time. The message holds nothing of what it said."""


class ServerEmbedder:
    """See `Embedder`. To be made where its loop runs, and closed."""

    def __init__(self, url: str, model: str, credential: str | None, trust: ssl.SSLContext) -> None:
        self._url, self._model, self._trust = f"{url.rstrip('/')}/embeddings", model, trust
        self._headers = {"accept": "application/json", "accept-encoding": "identity", "content-type": "application/json"}
        if credential is not None:
            self._headers["authorization"] = f"Bearer {credential}"
        self._session: aiohttp.ClientSession | None = None

    @property
    def model(self) -> str:
        return self._model

    async def of_chunks(self, texts: Sequence[str]) -> Vectors:
        for pause_s in _PAUSES_S:
            try:
                return await self._asked(texts, INDEX_WAIT_S)
            except _NotNow:
                await asyncio.sleep(pause_s)
        return await self._or_unavailable(texts, INDEX_WAIT_S)

    async def of_questions(self, texts: Sequence[str]) -> Vectors:
        return await self._or_unavailable(texts, SEARCH_WAIT_S)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _or_unavailable(self, texts: Sequence[str], wait_s: float) -> Vectors:
        try:
            return await self._asked(texts, wait_s)
        except _NotNow as error:
            raise Unavailable(UNAVAILABLE) from error

    async def _asked(self, texts: Sequence[str], wait_s: float) -> Vectors:
        # half a character, which files in UTF-16 may hold, is nothing that JSON can say
        sent = [text.encode("utf-8", "replace").decode() for text in texts]
        body = orjson.dumps({"model": self._model, "input": sent, "encoding_format": "float"})
        try:
            async with asyncio.timeout(wait_s), self._opened().post(self._url, data=body, allow_redirects=False) as response:
                if response.status != 200:
                    response.close()  # what an error says is read by nobody: it may be endless
                    if response.status in _NOT_TAKEN:
                        raise TextsNotTaken
                    raise _NotNow(f"status {response.status}")
                content = await _bounded(response)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise _NotNow(type(error).__name__) from None
        return await asyncio.to_thread(_read, content, len(texts))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # made where the loop runs
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS_MOST, keepalive_timeout=_KEPT_S, ssl=self._trust),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={**self._headers, "user-agent": "tellergate"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise _NotNow("packed, though it was not asked for")
    content = bytearray()
    async for part in response.content.iter_any():
        content += part
        if len(content) > ANSWER_BYTES_MOST:
            response.close()
            raise _NotNow("an answer that is too long")
    return bytes(content)


def _read(content: bytes, count: int) -> Vectors:
    """The vectors of an answer in the order of the texts, whatever its own is. _NotNow for what is not wholly as it must be."""
    try:
        answer = orjson.loads(content)
        items = {item["index"]: item["embedding"] for item in answer["data"]}
        if len(answer["data"]) != count or set(items) != set(range(count)) or any(type(index) is not int for index in items):
            raise _NotNow("not one vector for each text")
        rows = [items[index] for index in range(count)]
        if not all(type(row) is list and 0 < len(row) == len(rows[0]) <= DIMENSIONS_MOST for row in rows):
            raise _NotNow("vectors of no length, or of several")
        if not all(type(number) in (float, int) for row in rows for number in row):
            raise _NotNow("what is no number")
        wide = np.array(rows, dtype=np.float64)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError):
        raise _NotNow("not as the API has it") from None
    return normalised(wide)


def normalised(vectors: NDArray[np.float64]) -> Vectors:
    """Each of length 1. _NotNow where one has none."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    if not np.isfinite(largest).all() or not largest.all():
        raise _NotNow("a vector without a direction")
    scaled = vectors / largest  # first, so that no square is too large or too small
    lengths = np.sqrt((scaled * scaled).sum(axis=1, keepdims=True))
    unit: Vectors = (scaled / lengths).astype(np.float32)
    return unit
