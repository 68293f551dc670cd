"""A gateway process over a scripted model: what a client of the Assistants API, or the playground, talks to."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.doors.conftest import Served
from tests.support import databases
from tests.support.assisted import OWN
from tests.support.models import Script, ScriptedModel, model_server
from tests.support.processes import started
from tests.support.waiting import WAITS_S


@contextmanager
def scripted(script: Script) -> Iterator[tuple[ScriptedModel, Callable[[asyncio.Event], None]]]:
    """The model's server on a loop of its own, in a thread, for tests that have none; and what sets an event there."""
    started_up, stop = threading.Event(), asyncio.Event()
    found: list[Any] = []

    async def serve() -> None:
        async with model_server(script) as model:
            found.extend((model, asyncio.get_running_loop()))
            started_up.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started_up.wait(WAITS_S), "the model's server never started"
    model, loop = found
    try:
        yield model, lambda event: loop.call_soon_threadsafe(event.set)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(WAITS_S)


@contextmanager
def chatting(folder: Path, model: ScriptedModel, more: str = "") -> Iterator[Served]:
    """The real gateway over that model. `more`: further lines of its settings."""
    data, settings = folder / "data", folder / "settings.toml"
    settings.write_text(f'model_url = "{model.url}"\n{more}')
    command = ["serve", "--dev", "--data", str(data), "--port", "0", "--json", "--audit-wait-ms", "20000"]
    command += ["--database", databases.url(data), "--config", str(settings)]
    with contextlib.ExitStack() as stack:
        _, said = stack.enter_context(started(*command))
        client = stack.enter_context(httpx.Client(base_url=said["url"], timeout=WAITS_S))
        yield Served(said["url"], data, client)


def customer_token(served: Served, customer: str = "alice", **claims: Any) -> str:
    """The customer's own: their words are theirs."""
    return served.token(customer, **{"agent": None, "scope": OWN, **claims})


def service_token(served: Served) -> str:
    """Of the bank's back end, which makes assistants: they are its client's, and that of the customer's token is the same."""
    return served.token("dev-app", agent=None, scope="assistants")
