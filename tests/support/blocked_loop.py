"""An alarm over the whole suite: code of ours that holds an event loop of the test's own thread for longer than `HELD_MOST_S`.

A gateway has one loop: whatever waits on it (for a connection, a lock, the disk, a name) or works on it makes every customer wait. The
alarm fails the test that provoked it, and names the functions that the loop was in. Time in which the machine gave the processor to others,
and that of the garbage collector over the test's own heap, does not count. Gateways in processes of their own run the same code unwatched.
"""

import asyncio
import contextlib
import gc
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

HELD_MOST_S = 0.05

ROOT = Path(__file__).parents[2]

OURS = ("gateway", "policies", "adapters", "audit")

ALLOWED: Mapping[str, str] = {
    "gateway/commands/": "a command has its loop to itself",
    "audit/migration.py": "tables and migrations, before anything is served",
    "audit/store/migration/": "the same",
    "gateway/app/databases.py:DatabaseLocations.open": "a start: a driver is imported, a file made",
    "gateway/app/main.py:open_gateway": "a start: nobody is served yet",
    "audit/postgres.py:PostgresDatabase.create": "a start: the first connection, for which the driver is made ready",
    "adapters/cores/sandbox/": "the bank of development, which no customer's gateway has in its process",
    "adapters/declared/core.py:open_declared": "a start: the journal is made",
    "adapters/declared/manifest.py": "a start: the manifest is read",
    "adapters/declared/source.py": "the same",
    "gateway/app/serving.py:build_app": "a start: the routes are made",
    "gateway/app/local_issuer.py": "development's issuer, which tests ask for tokens",
    "gateway/runs/endpoint.py:open_model": "a start: the client of the model is made",
    "policies/engine.py:Engine.__init__": "a start: the policies are read and specialised",
    "policies/monotone.py": "a review of policies before they are activated",
    "audit/verify.py": "an auditor's own command",
    "gateway/runs/outgoing.py:OutgoingFilter": "tests feed it whole collections of answers in one go; a run feeds it pieces",
}
"""Beginnings of what stands in a stack where a loop may be held, and why."""


@dataclass
class Watch:
    """Of the main thread. `found`: what held a loop since the last look."""

    found: list[str] = field(default_factory=list)
    began_s: float | None = None
    stack: tuple[str, ...] = ()
    collected_s: float = 0.0
    queued_s: float = 0.0

    def look(self, main: int) -> None:
        """Called by a thread beside: where the loop is, once the current callback has lasted half of what it may."""
        self.queued_s = _queued_s()
        began_s = self.began_s
        if began_s is not None and not self.stack and time.perf_counter() - began_s > HELD_MOST_S / 2:
            self.stack = tuple(_named(sys._current_frames().get(main)))

    def collecting(self, phase: str, _info: Mapping[str, int]) -> None:
        if threading.current_thread() is threading.main_thread():
            self.collected_s += time.perf_counter() * (1 if phase == "stop" else -1)


def _named(frame: FrameType | None) -> Iterator[str]:
    """The functions of ours that the frame is in, the innermost first: `audit/keys.py:KeyStore.key_for`."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS:
            yield f"{path.relative_to(ROOT).as_posix()}:{frame.f_code.co_qualname}"
        frame = frame.f_back


def _is_allowed(stack: tuple[str, ...]) -> bool:
    return any(name.startswith(tuple(ALLOWED)) for name in stack)


@contextmanager
def watched() -> Iterator[Watch]:
    """Watch every loop of the main thread until the end."""
    watch, ended, main = Watch(queued_s=_queued_s()), threading.Event(), threading.main_thread().ident or 0
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        if threading.get_ident() != main:
            run(handle)
            return
        queued_s, collected_s = watch.queued_s, watch.collected_s
        watch.stack, watch.began_s = (), time.perf_counter()
        try:
            run(handle)
        finally:
            took_s, watch.began_s = time.perf_counter() - watch.began_s, None
            if took_s > HELD_MOST_S and watch.stack and not _is_allowed(watch.stack):
                held_s = took_s - (_queued_s() - queued_s) - (watch.collected_s - collected_s)
                if held_s > HELD_MOST_S:
                    watch.found.append(f"{held_s * 1000:.0f} ms in " + " < ".join(watch.stack))

    def beside() -> None:
        while not ended.wait(HELD_MOST_S / 5):
            watch.look(main)

    sampler = threading.Thread(target=beside, name="blocked-loop", daemon=True)
    asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]
    gc.callbacks.append(watch.collecting)
    sampler.start()
    try:
        yield watch
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
        gc.callbacks.remove(watch.collecting)
        ended.set()
        sampler.join()


def _queued_s() -> float:
    """How long threads of this process were ready to run and did not, by the kernel's count; 0 where there is none. Of all of them: the
    loop may wait for one that the machine did not let run."""
    waited_ns = 0
    for told in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            waited_ns += int(told.read_text().split()[1])
    return waited_ns / 1e9
