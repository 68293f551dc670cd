"""What happens in a run, told to those who listen to it in this process: the streams of its clients, each in the shape of its API."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Protocol

import orjson

from gateway.runs.objects import Object

WAITING_MOST = 20_000
"""Events that may wait for one listener: more than the longest answer has. Who falls so far behind is let go."""

KEEP_ALIVE_S = 10.0

KEEP_ALIVE = b": the run goes on\n\n"

_BROKEN = b"broken"
"""Stands in a queue for the end of a stream that has none."""


class RunEvents(Protocol):
    """How one client is told of a run: what happens comes by the names and in the shapes of the Assistants API."""

    done: bytes
    """The end of the stream."""
    broken: bytes
    """The end of one that broke: a stream without an end would look like success."""

    def told(self, name: str, shown: Object) -> bytes:
        """What goes over the wire of this; empty for nothing."""

    @property
    def is_over(self) -> bool:
        """Whether this client hears no more, though the run may go on."""


class AssistantsEvents:
    """Server-sent events as the clients of the Assistants API read them."""

    done = b"event: done\ndata: [DONE]\n\n"
    broken = (
        b"event: error\n"
        b'data: {"error":{"message":"the stream broke; ask for the run","type":"server_error","param":null,"code":"internal_error"}}\n\n'
    )
    """Only wrapped like this the client of the `openai` package raises it."""
    is_over = False

    def told(self, name: str, shown: Object) -> bytes:
        return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(shown) + b"\n\n"


class Listener:
    """One client's stream of one run."""

    def __init__(self, events: RunEvents) -> None:
        self._events = events
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._is_lost = False

    def tell(self, name: str, shown: Object) -> None:
        if self._queue.qsize() >= WAITING_MOST:
            self._is_lost = True
            self.end()
            return
        if told := self._events.told(name, shown):
            self._queue.put_nowait(told)
        if self._events.is_over:
            self.end()

    def break_off(self) -> None:
        """Nothing more comes, although the run has neither ended nor waits for the app."""
        self._queue.put_nowait(_BROKEN)
        self.end()

    def end(self) -> None:
        """Nothing more comes."""
        self._queue.put_nowait(None)

    async def stream(self) -> AsyncIterator[bytes]:
        """What goes over the wire, with its end; a comment now and then while nothing happens."""
        while True:
            try:
                chunk = await asyncio.wait_for(self._queue.get(), KEEP_ALIVE_S)
            except TimeoutError:
                yield KEEP_ALIVE
                continue
            chunks = [chunk, *(self._queue.get_nowait() for _ in range(self._queue.qsize()))]  # what waits goes out as one
            told = [*itertools.takewhile(_goes_on, chunks)]
            if len(told) == len(chunks):
                yield b"".join(filter(None, told))
                continue
            is_broken = chunks[len(told)] is _BROKEN or self._is_lost
            last = self._events.broken if is_broken else self._events.done
            yield b"".join([*filter(None, told), last])
            return


def _goes_on(chunk: bytes | None) -> bool:
    return chunk is not None and chunk is not _BROKEN


class Broadcast:
    """By run. Not for several processes: who streams a run also has it."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    def is_heard(self, run: str) -> bool:
        return run in self._listeners

    def tell(self, run: str, name: str, shown: Object) -> None:
        for listener in self._listeners.get(run, ()):
            listener.tell(name, shown)

    def end(self, run: str) -> None:
        """The run has ended, or waits for the app."""
        for listener in self._listeners.get(run, ()):
            listener.end()

    def break_off(self, run: str) -> None:
        """Whoever still listens is told that this worker can tell no more. Nobody does after an `end`."""
        for listener in self._listeners.get(run, ()):
            listener.break_off()

    @contextmanager
    def listening(self, run: str, events: RunEvents) -> Iterator[Listener]:
        listener = Listener(events)
        self._listeners.setdefault(run, []).append(listener)
        try:
            yield listener
        finally:
            self._listeners[run].remove(listener)
            if not self._listeners[run]:
                del self._listeners[run]
