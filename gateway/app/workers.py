"""Several processes that serve one address, and the one that keeps them: it replaces whoever dies, and ends with them.

Why not uvicorn's own: it asks its workers one after the other whether they are well, so that one which dies while it starts holds up the
replacement of all others until that question times out.

Workers are forked off the process that keeps them, which has imported everything and runs no thread: a start takes milliseconds
instead of two seconds of processor, and what was imported is in memory once.
"""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

import uvloop

from gateway.app.composition import Composition
from gateway.app.gateway import Gateway
from gateway.app.listening import Listening, both_bound, url_of
from gateway.app.logs import start_logging
from gateway.app.main import open_gateway
from gateway.app.serving import serve_on
from gateway.app.settings import Settings
from gateway.app.shared_pages import SharedPages
from gateway.app.stopping import ASKED, StopRequest
from gateway.domain.alarms import Alarm

QUICK_DEATH_S = 5.0
"""A worker that lived no longer failed to start; its place is filled after as long again, so that a lasting fault is no busy loop."""

KEEPER_ASKED_S = 0.5
"""How often a worker looks whether the process that keeps it is there."""

STOP_WAIT_S = 40.0
"""How long workers may take to end their effects; uvicorn gives open requests 30 s."""

_LOG = logging.getLogger("tellergate.workers")
_PROCESSES = multiprocessing.get_context("fork") if sys.platform == "linux" else multiprocessing.get_context("spawn")
"""Elsewhere the system's own libraries forbid to fork."""


def serve_several(settings: Settings, composition: Composition, *, started: Callable[[str], None]) -> int:
    """Serve with as many processes as `workers` says, until SIGINT or SIGTERM; the exit status.

    `started` gets the base URL, where requests wait for the first of them.

    UnsafeSettings before anything listens.
    """
    composition.check(settings)
    with both_bound(settings) as listening:
        url = url_of(settings, listening.api)
        settings = replace(settings, public_url=settings.public_url or url)
        asyncio.run(_tried(settings, composition))  # makes keys and tables once, and says what is wrong where it is seen
        listening.listen()
        gc.collect()
        gc.freeze()  # or the first collection of each worker copies all pages
        return _Workers(settings, composition, listening, _pages(settings)).run(lambda: started(url))


async def _tried(settings: Settings, composition: Composition) -> None:
    await (await open_gateway(settings, composition)).close()


def _pages(settings: Settings) -> SharedPages | None:
    """Where the workers tell each other what they measure: made before they are forked."""
    if not settings.metrics or sys.platform != "linux":
        return None
    return SharedPages(settings.workers)


@dataclass(slots=True)
class _Workers:
    settings: Settings
    composition: Composition
    listening: Listening
    pages: SharedPages | None = None
    numbers: dict[BaseProcess, int] = field(default_factory=dict)
    """The number of each worker, which the one has that takes its place."""
    running: dict[BaseProcess, float] = field(default_factory=dict)
    """Each worker, and when it was started."""
    request: StopRequest = field(default_factory=StopRequest)

    def run(self, started: Callable[[], None]) -> int:
        for asked in ASKED:
            signal.signal(asked, self._stop)
        for _ in range(self.settings.workers):
            self._start()
        started()
        while self.request.by is None:
            wait([chore.sentinel for chore in self.running], timeout=0.5)
            for item in [chore for chore in self.running if chore.exitcode is not None]:
                self._replace(item)
        for chore in self.running:
            chore.terminate()
        deadline = time.monotonic() + STOP_WAIT_S
        for chore in self.running:
            chore.join(max(0.0, deadline - time.monotonic()))
            if chore.exitcode is None:
                chore.kill()
                chore.join()
        return self.request.status

    def _stop(self, number: int, _frame: object) -> None:
        """The first signal asks for an orderly end; the second ends all of them at once."""
        if self.request.by is None:
            self.request.by = signal.Signals(number)
            return
        for chore in list(self.running):
            chore.kill()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _start(self) -> None:
        number = next(free for free in range(self.settings.workers) if free not in self.numbers.values())
        told = (self.pages, number)
        worker = _PROCESSES.Process(target=_work, args=(self.settings, self.composition, self.listening, os.getpid(), told))
        signal.pthread_sigmask(signal.SIG_BLOCK, ASKED)  # until the worker has put this process' handlers away
        try:
            worker.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED)
        self.running[worker] = time.monotonic()
        self.numbers[worker] = number

    def _replace(self, dead: BaseProcess) -> None:
        lived_s = time.monotonic() - self.running.pop(dead)
        del self.numbers[dead]
        _LOG.log(*Alarm.WORKER_DIED.line(status=dead.exitcode or 0))
        if lived_s < QUICK_DEATH_S and dead.exitcode != -signal.SIGKILL:
            time.sleep(QUICK_DEATH_S)
        if self.request.by is None:
            self._start()


def _work(
    settings: Settings, composition: Composition, listening: Listening, keeper: int, beside: tuple[SharedPages | None, int]
) -> None:
    """A worker's whole life. It ends by SIGTERM, or when the process that started it, whose id is `keeper`, is gone. `beside`: where it
    tells the others what it measures, and its number.
    """

    def started(gateway: Gateway, _stop: object) -> None:
        if gateway.prometheus is not None:
            gateway.prometheus.beside(*beside)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of us: the keeper asks each by SIGTERM
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED)
    start_logging(settings)
    threading.Thread(target=_end_with, args=(keeper,), daemon=True).start()
    uvloop.run(serve_on(listening, settings, composition, started=started, kept=True))


def _end_with(keeper: int) -> None:
    """Not by the end of a pipe: workers that were forked later hold it open."""
    while os.getppid() == keeper:
        time.sleep(KEEPER_ASKED_S)
    os.kill(os.getpid(), signal.SIGTERM)
