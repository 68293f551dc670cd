"""The servers of the demo, each on a thread with an event loop of its own: a gateway, and the scripted model."""

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from gateway.app.development.address import note_url
from gateway.app.development.composition import DEVELOPMENT
from gateway.app.development.settings import development
from gateway.app.gateway import Gateway
from gateway.app.serving import serve
from gateway.commands.demo.means import ToolMeans
from gateway.commands.scripted_model import standin

START_S = 30

_T = TypeVar("_T")
_Stops = queue.Queue[Callable[[], None]]


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """Where the model is. `credential`: a file with its bearer token."""

    url: str
    name: str
    key: str
    credential: Path | None


@dataclass(slots=True)
class RunningGateway:
    """A gateway on a thread of its own, as a back end meets it: by its URL. The log is read on the gateway's loop."""

    url: str
    gateway: Gateway
    loop: asyncio.AbstractEventLoop

    def on_loop(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(START_S)


@contextmanager
def gateway_server(folder: Path, model: ModelEndpoint, means: ToolMeans) -> Iterator[RunningGateway]:
    """A gateway in development mode, asking this model, with the tools that there are means for."""
    started: queue.Queue[RunningGateway | BaseException] = queue.Queue()

    async def work(stops: _Stops) -> None:
        loop = asyncio.get_running_loop()

        def ready(url: str, gateway: Gateway, stop: Callable[[], None]) -> None:
            note_url(folder, url)
            stops.put(lambda: _soon(loop, stop))
            started.put(RunningGateway(url, gateway, loop))

        # A disk that is busy for a moment is no part of what is shown: at 250 ms a call would be refused, and the story with it
        settings = means.settings(replace(development(folder, port=0), audit_wait_ms=5_000))
        model_settings = replace(settings, model_url=model.url, model_api="responses", model_credential_file=model.credential)
        await serve(model_settings, DEVELOPMENT, started=ready)

    yield from _on_thread(work, started)


@contextmanager
def scripted_model_server() -> Iterator[str]:
    """The scripted model on loopback: its base URL."""
    started: queue.Queue[str | BaseException] = queue.Queue()

    async def work(stops: _Stops) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(standin(), log_level="warning", access_log=False))
        stops.put(lambda: setattr(server, "should_exit", True))
        started.put(f"http://127.0.0.1:{listening.getsockname()[1]}")
        await server.serve(sockets=[listening])

    yield from _on_thread(work, started)


def _soon(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(work)


def _on_thread(work: Callable[[_Stops], Coroutine[Any, Any, None]], started: "queue.Queue[_T | BaseException]") -> Iterator[_T]:
    """Run a server on a thread with a loop of its own; give what it says when it has started, and stop it afterwards."""
    stops: _Stops = queue.Queue()

    def body() -> None:
        try:
            asyncio.run(work(stops))
        except BaseException as error:  # noqa: BLE001  # told to the starting thread, which raises it
            started.put(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    first = started.get(timeout=START_S)
    if isinstance(first, BaseException):
        raise first
    try:
        yield first
    finally:
        stops.get(timeout=START_S)()
        thread.join(START_S)
