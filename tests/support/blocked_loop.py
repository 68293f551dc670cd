"""An alarm over the whole suite: code of ours that holds an event loop of the test's own thread for longer than `HELD_MOST_S`.

A gateway has one loop: whatever waits on it (for a connection, a lock, the disk, a name) or works on it makes every customer wait. The
alarm fails the test that provoked it, and names the functions that the loop was in. No test may depend on how busy the machine is, so what
counts is what the thread itself slept or computed, measured by how quick it is at that moment: not the time in which the machine gave the
processor to others or the disk kept it waiting, nor that of the garbage collector over the test's own heap. Gateways in processes of their
own run unwatched.
"""

import asyncio
import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import greenlet

HELD_MOST_S = 0.05

AT_ONCE = 20
"""Held for so many times as long, a loop is held by the code and by nothing else; for less, the second time in the same function counts."""

ROOT = Path(__file__).parents[2]

OURS = tuple(f"{ROOT / package}/" for package in ("gateway", "policies", "adapters", "audit"))

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
    "gateway/app/gateway.py:Gateway.close": "a stop: nobody is served any more",
    "gateway/app/serving.py:build_app": "a start: the routes are made",
    "gateway/doors/openapi.py": "the document is made once, when it is first asked for",
    "gateway/doors/rest.py:mount": "the same, by a test that serves this door alone",
    "gateway/app/local_issuer.py": "development's issuer, which tests ask for tokens",
    "gateway/runs/endpoint.py:open_model": "a start: the client of the model is made",
    "policies/engine.py:Engine.__init__": "a start: the policies are read and specialised",
    "policies/monotone.py": "a review of policies before they are activated",
    "audit/verify.py": "an auditor's own command",
    "gateway/runs/outgoing.py:": "tests feed it whole collections of answers in one go; a run feeds it pieces",
}
"""Beginnings of what stands in a stack where a loop may be held, and why."""


@dataclass(frozen=True)
class Look:
    """At a callback that runs: which one, by when it began; the outermost call of ours that it is in, and the names of all of them; and
    what had been used until then, in seconds."""

    began_s: float
    call: FrameType
    stack: tuple[str, ...]
    at_s: float
    computed_s: float
    queued_s: Mapping[str, float]
    collected_s: float
    stolen_s: float
    """By the host, and by other threads that collected garbage."""


@dataclass
class Watch:
    """Of the main thread. `found`: what held a loop since the last look at it."""

    main: int = field(default_factory=lambda: threading.main_thread().ident or 0)
    in_greenlet: bool = False
    """Whether the main thread is in a greenlet, whose frames may be gone while another thread reads them."""
    switches: int = 0
    """Of the main thread, between greenlets."""
    beside: int = 0
    """The thread that looks, as the kernel names it: no loop waits for it."""
    found: list[str] = field(default_factory=list)
    began_s: float | None = None
    first: Look | None = None
    """The first look at the call of ours that runs, or ran last."""
    last: Look | None = None
    """And the last one."""
    on_disk: bool = False
    """Whether it was seen to wait for the disk: how long that lasts is the disk's, and who else writes to it."""
    collected_s: float = 0.0
    collecting_since_s: float = 0.0
    stopped_s: float = 0.0
    """While another thread collected garbage."""
    quickest_s: float = field(default_factory=lambda: min(_yardstick() for _ in range(20)))
    once: set[str] = field(default_factory=set)
    """Where a loop was held once."""

    def look(self) -> None:
        """Called by a thread beside: it costs nothing while no callback runs for long."""
        began_s = self.began_s
        switches = self.switches
        frame = sys._current_frames().get(self.main)
        # Of the main greenlet's own frames none goes away while it is read; which it was is known if nobody switched meanwhile
        is_own = not self.in_greenlet and self.switches == switches
        calls = list(_calls_of_ours(frame)) if began_s is not None and is_own else []
        if began_s is None or not calls:
            self._judge(self.first, self.last)
            self.first = self.last = None
            return
        seen = self._seen(began_s, calls)
        if self.first is not None and (self.first.began_s, self.first.call) == (began_s, calls[-1]):
            self.last = seen
            self.on_disk = self.on_disk or _waits_for_the_disk()
        else:  # what a test does between two calls of ours is its own
            self._judge(self.first, self.last)
            self.first, self.last, self.on_disk = seen, None, _waits_for_the_disk()

    def ended(self, began_s: float) -> None:
        """A long callback that began then has ended, seen by itself."""
        first, self.first, self.last = self.first, None, None
        if first is not None and first.began_s == began_s:
            self._judge(first, self._seen(began_s, [first.call], first.stack))

    def _seen(self, began_s: float, calls: Sequence[FrameType], stack: tuple[str, ...] = ()) -> Look:
        computed_s = time.clock_gettime(time.pthread_getcpuclockid(self.main))
        names = stack or tuple(map(_named, calls))
        return Look(
            began_s,
            calls[-1],
            names,
            time.perf_counter(),
            computed_s,
            _queued_s(self.beside),
            self.collected_s,
            _stolen_s() + self.stopped_s,
        )

    def _judge(self, first: Look | None, last: Look | None) -> None:
        if first is None or last is None or last.at_s - first.at_s <= HELD_MOST_S or self.on_disk or _is_allowed(last.stack):
            return
        collected_s = last.collected_s - first.collected_s
        computed_s = last.computed_s - first.computed_s - collected_s
        queued_s = sum(max(0.0, waited_s - first.queued_s.get(thread, 0.0)) for thread, waited_s in last.queued_s.items())
        slept_s = max(0.0, last.at_s - first.at_s - computed_s - collected_s - queued_s - (last.stolen_s - first.stolen_s))
        held_s = slept_s + computed_s / max(1.0, _yardstick() / self.quickest_s)
        place = last.stack[0]
        if held_s > HELD_MOST_S * AT_ONCE or (held_s > HELD_MOST_S and place in self.once):
            self.found.append(f"{held_s * 1000:.0f} ms in " + " < ".join(last.stack))
        elif held_s > HELD_MOST_S:
            self.once.add(place)

    def collecting(self, phase: str, _info: Mapping[str, int]) -> None:
        if phase == "start":
            self.collecting_since_s = time.perf_counter()
        elif threading.get_ident() == self.main:
            self.collected_s += time.perf_counter() - self.collecting_since_s
        else:  # meanwhile no thread runs
            self.stopped_s += time.perf_counter() - self.collecting_since_s


def _calls_of_ours(frame: FrameType | None) -> Iterator[FrameType]:
    """The calls of ours that the frame is in, the innermost first."""
    while isinstance(frame, FrameType):  # beneath the first frame of a greenlet may be anything
        if frame.f_code.co_filename.startswith(OURS):
            yield frame
        frame = frame.f_back


def _named(call: FrameType) -> str:
    """`audit/keys.py:KeyStore.key_for`."""
    return f"{Path(call.f_code.co_filename).relative_to(ROOT).as_posix()}:{call.f_code.co_qualname}"


def _is_allowed(stack: tuple[str, ...]) -> bool:
    return any(name.startswith(tuple(ALLOWED)) for name in stack)


@contextmanager
def watched() -> Iterator[Watch]:
    """Watch every loop of the main thread until the end."""
    watch, ended = Watch(), threading.Event()
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        if threading.get_ident() != watch.main or greenlet.getcurrent().parent is not None:
            run(handle)  # a loop inside a greenlet is Playwright's own, and its frames are not to be read from another thread
            return
        watch.began_s = began_s = time.perf_counter()
        try:
            run(handle)
        finally:
            watch.began_s = None
            if time.perf_counter() - began_s > HELD_MOST_S:
                watch.ended(began_s)

    def beside() -> None:
        watch.beside = threading.get_native_id()
        while not ended.wait(HELD_MOST_S / 5):
            watch.look()

    def switched(_event: str, switch: tuple[Any, Any]) -> None:
        watch.in_greenlet = switch[1].parent is not None
        watch.switches += 1

    before = greenlet.settrace(switched)
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
        greenlet.settrace(before)


def _queued_s(beside: int) -> dict[str, float]:
    """How long each thread of this process but that one was ready to run and did not, by the kernel's count; nothing where there is none.
    Of all of them: the loop may wait for one that the machine did not let run."""
    waited_s = {}
    for told in Path("/proc/self/task").glob("*/schedstat"):
        if told.parent.name == str(beside):
            continue
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            waited_s[told.parent.name] = int(told.read_text().split()[1]) / 1e9
    return waited_s


def _stolen_s() -> float:
    """How long the host let the processors of this machine stand still (proc(5), `steal`), all together."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _waits_for_the_disk() -> bool:
    """Whether the main thread is in uninterruptible sleep (proc(5))."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/self/task/{os.getpid()}/stat").read_text().rpartition(") ")[2].startswith("D")
    return False


def _yardstick() -> float:
    """How long this thread computes for what is always the same, in seconds: longer where it shares a core with others."""
    began_s = time.thread_time()
    for number in range(20_000):
        number * number
    return time.thread_time() - began_s
