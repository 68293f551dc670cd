"""The answer that is the events of a run."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.runs.broadcast import Listener


class Streamed(StreamingResponse):
    """The events of a run, until it has ended or waits for the app. Who hangs up does not end the run."""

    def __init__(self, first: list[bytes], listener: Listener, listening: ExitStack) -> None:
        super().__init__(self._events(first, listener), media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._listening = listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._listening:
            await super().__call__(scope, receive, send)

    @staticmethod
    async def _events(first: list[bytes], listener: Listener) -> Any:
        for item in first:
            yield item
        async for item in listener.stream():
            yield item


class StreamedInForeground(Streamed):
    """Who hangs up wants no answer any more: `let_go` is called at the end, however it came to it."""

    def __init__(self, first: list[bytes], listener: Listener, listening: ExitStack, let_go: Callable[[], Awaitable[None]]) -> None:
        super().__init__(first, listener, listening)
        self._let_go = let_go

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.shield(self._let_go())
