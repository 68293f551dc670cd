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
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, FrameType

import greenlet

HELD_MOST_S = 0.05

LOOK_EVERY_S = HELD_MOST_S / 5

ASKS = signal.SIGURG
"""The signal that asks the main thread what it is in: one that nobody here uses, and that is ignored where nobody waits for it."""

AT_ONCE = 20
"""Held for so many times as long, a loop is held by the code and by nothing else; for less, the second time in the same function counts."""

ROOT = Path(__file__).parents[2]

OURS = tuple(f"{ROOT / package}/" for package in ("gateway", "policies", "adapters", "audit"))

ALLOWED: Mapping[str, str] = {
    "gateway/commands/": "a command has its loop to itself",
    "audit/migration.py": "tables and migrations, before anything is served",
    "audit/store/migration/": "the same",
    "gateway/app/keys.py:make_gateway_keys": "a first start: the keys are made",
    "gateway/app/databases.py:DatabaseLocations.open": "a start: a driver is imported, a file made",
    "gateway/app/main.py:open_gateway": "a start: nobody is served yet",
    "audit/postgres.py:PostgresDatabase.create": "a start: the first connection, for which the driver is made ready",
    "adapters/cores/sandbox/": "the bank of development, which no customer's gateway has in its process",
    "adapters/declared/core.py:open_declared": "a start: the journal is made",
    "adapters/declared/manifest.py": "a start: the manifest is read",
    "adapters/declared/source.py": "the same",
    "gateway/app/gateway.py:Gateway.close": "a stop: nobody is served any more",
    "gateway/app/serving.py:build_app": "a start: the routes are made",
    "gateway/app/operations.py:operations_application": "the same, of the operations listener",
    "gateway/doors/openapi.py": "the document is made once, when it is first asked for",
    "gateway/doors/rest.py:mount": "the same, by a test that serves this door alone",
    "gateway/app/development/local_issuer.py": "development's issuer, which tests ask for tokens",
    "gateway/runs/endpoint.py:open_model": "a start: the client of the model is made",
    "policies/engine.py:Engine.__init__": "a start: the policies are read and specialised",
    "policies/monotone.py": "a review of policies before they are activated",
    "audit/verify.py": "an auditor's own command",
    "gateway/sandbox/bubblewrap.py:BubblewrapSandbox.refusal": "a check of the host, by settings and commands, and by tests",
    "gateway/runs/outgoing.py:": "tests feed it whole collections of answers in one go; a run feeds it pieces",
}
"""Beginnings of what stands in a stack where a loop may be held, and why."""


@dataclass(frozen=True)
class Moment:
    """In a callback that runs: which one, by when it began, and what had been used until then, in seconds."""

    began_s: float
    at_s: float
    computed_s: float
    queued_s: Mapping[str, float]
    collected_s: float
    stolen_s: float
    """By the host, and by other threads that collected garbage."""


@dataclass(frozen=True)
class Stretch:
    """Of a callback: from the first look at a call of ours in it to the last one."""

    call: tuple[int, CodeType]
    """The outermost call of ours, by its frame. The frame itself is not kept: what it holds would live longer than in the code."""
    stack: tuple[str, ...]
    """The names of all calls of ours, the innermost first."""
    first: Moment
    last: Moment


@dataclass
class Watch:
    """Of the main thread. `found`: what held a loop since the last look at it.

    A thread beside sees that a callback takes long, and sends the main thread a signal; what it is in, the main thread looks at itself, as
    soon as it runs Python again: its frames change while another thread reads them.
    """

    main: int = field(default_factory=lambda: threading.main_thread().ident or 0)
    beside: int = 0
    """The thread that looks, as the kernel names it: no loop waits for it."""
    found: list[str] = field(default_factory=list)
    began_s: float | None = None
    asked: Moment | None = None
    """When the thread beside sent the signal that was not answered yet."""
    stretch: Stretch | None = None
    on_disk: bool = False
    """Whether it was seen to wait for the disk: how long that lasts is the disk's, and who else writes to it."""
    collected_s: float = 0.0
    collecting_since_s: float = 0.0
    stopped_s: float = 0.0
    """While another thread collected garbage."""
    quickest_s: float = field(default_factory=lambda: min(_yardstick() for _ in range(20)))
    once: set[str] = field(default_factory=set)
    """Where a loop was held once."""

    def ask(self) -> None:
        """Called by the thread beside: it costs the loop nothing while no callback runs for long."""
        began_s, asked = self.began_s, self.asked
        if began_s is None or time.perf_counter() - began_s < LOOK_EVERY_S:
            return
        self.on_disk = self.on_disk or _waits_for_the_disk()
        if asked is None or asked.began_s != began_s:
            self.asked = self._moment(began_s)
            signal.pthread_kill(self.main, ASKS)

    def look(self, _signal: int, frame: FrameType | None) -> None:
        """The answer to the signal. Where the main thread was in C until now, it was there since it was asked."""
        asked, self.asked = self.asked, None
        is_own = greenlet.getcurrent().parent is None  # in a greenlet it waits for PostgreSQL, and the loop goes on
        calls = list(_calls_of_ours(frame)) if is_own else []
        if asked is None or asked.began_s != self.began_s or not calls:
            return self.judge()
        call, stack, now = (id(calls[-1]), calls[-1].f_code), tuple(map(_named, calls)), self._moment(asked.began_s)
        known = self.stretch
        if known is None or (known.call, known.first.began_s) != (call, asked.began_s):
            self.judge()  # what a test does between two calls of ours is its own
            known = Stretch(call, stack, asked, asked)
        self.stretch = replace(known, stack=stack, last=now)
        return None

    def ended(self, began_s: float) -> None:
        """A long callback that began then has ended, seen by itself."""
        known = self.stretch
        if known is not None and known.first.began_s == began_s:
            self.stretch = replace(known, last=self._moment(began_s))
        self.judge()

    def _moment(self, began_s: float) -> Moment:
        computed_s = time.clock_gettime(time.pthread_getcpuclockid(self.main))
        stolen_s = _stolen_s() + self.stopped_s
        return Moment(began_s, time.perf_counter(), computed_s, _queued_s(self.beside), self.collected_s, stolen_s)

    def judge(self) -> None:
        """Of the stretch that is over."""
        known, self.stretch = self.stretch, None
        on_disk, self.on_disk = self.on_disk, False
        if known is None or on_disk or _is_allowed(known.stack):
            return
        first, last, place = known.first, known.last, known.stack[0]
        if last.at_s - first.at_s <= HELD_MOST_S:
            return
        collected_s = last.collected_s - first.collected_s
        computed_s = last.computed_s - first.computed_s - collected_s
        queued_s = sum(max(0.0, waited_s - first.queued_s.get(thread, 0.0)) for thread, waited_s in last.queued_s.items())
        slept_s = max(0.0, last.at_s - first.at_s - computed_s - collected_s - queued_s - (last.stolen_s - first.stolen_s))
        held_s = slept_s + computed_s / max(1.0, _yardstick() / self.quickest_s)
        if held_s > HELD_MOST_S * AT_ONCE or (held_s > HELD_MOST_S and place in self.once):
            self.found.append(f"{held_s * 1000:.0f} ms in " + " < ".join(known.stack))
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
    while frame is not None:
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
            run(handle)  # a loop inside a greenlet is Playwright's own
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
        while not ended.wait(LOOK_EVERY_S):
            watch.ask()

    before = signal.signal(ASKS, watch.look)
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
        signal.signal(ASKS, before)


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
