"""A server of the tests that makes vectors of texts: of their groups of three characters, hashed. Texts that share many are near each
other, whatever they mean: what a real model is worth is not measured by it."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.files.embedding import Vectors, normalised
from gateway.files.words import folded

DIMENSIONS = 256
MODEL = "a-model"


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    padded = f" {' '.join(folded(text).split())} ".encode()
    made = np.zeros(dimensions)
    for first in range(max(len(padded) - 2, 1)):
        code = zlib.crc32(padded[first : first + 3])
        made[code % dimensions] += 1 if code & 0x8000_0000 else -1
    made[0] += 1e-3  # never without a direction
    found: list[float] = made.tolist()
    return found


Answering = Callable[[dict[str, Any]], Awaitable[web.StreamResponse]]


@dataclass
class EmbeddingsServer:
    """`instead`: what the next questions get in the place of an answer, one each. `asked`: the bodies of all."""

    dimensions: int = DIMENSIONS
    instead: list[Answering] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    is_down: bool = False
    cut: int = 0
    """So many answers more break off in their middle."""
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        self.asked.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.is_down:
            return web.Response(status=503)
        if self.instead:
            return await self.instead.pop(0)(body)
        made = await asyncio.to_thread(lambda: [vector_of(text, self.dimensions) for text in body["input"]])
        answer = as_answer(made)
        if self.cut:
            self.cut -= 1
            return await _cut(request, answer)
        return answer

    @property
    def texts(self) -> list[str]:
        return [text for body in self.asked for text in body["input"]]


async def _cut(request: web.Request, answer: web.Response) -> web.StreamResponse:
    content = bytes(answer.body or b"")  # type: ignore[arg-type]
    response = web.StreamResponse(headers={"content-type": "application/json", "content-length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


class LocalEmbedder:
    """The same in the place of a server. `took_s`: so long altogether."""

    def __init__(self, dimensions: int = DIMENSIONS) -> None:
        self.model, self.dimensions, self.took_s = MODEL, dimensions, 0.0

    def made(self, texts: Sequence[str]) -> Vectors:
        begun = time.perf_counter()
        made = normalised(np.array([vector_of(item, self.dimensions) for item in texts]))
        self.took_s += time.perf_counter() - begun
        return made

    async def of_chunks(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self.made, texts)

    of_questions = of_chunks

    async def close(self) -> None:
        return None


def as_answer(vectors: Sequence[Sequence[object]]) -> web.Response:
    items = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    answer = {"object": "list", "model": MODEL, "data": items, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


@asynccontextmanager
async def embeddings_server(**fields: Any) -> AsyncIterator[EmbeddingsServer]:
    made = EmbeddingsServer(**fields)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/embeddings", made.answer)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/v1"))
        yield made
