"""The first program in the jail of a session: holds the pipe to us, and watches the one process in which the session's code runs.

As `runner`, whose frames it speaks. Between two calls the code's process stands still (SIGSTOP, which nobody can catch): nothing of it goes
on unseen, neither while files come in nor while they are collected. In: the bounds, then for each call its order and its files. Out: READY
when the libraries are loaded, then for each call how it ended in JSON, what it printed, and each file that it made or changed.
"""

import base64
import contextlib
import json
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.sandbox import kernel, runner

MEMORY = "/mnt"
FOLDER = "/mnt/data"
SCRATCH = "/mnt/scratch"
_LOOKS_S = 0.02
_WARMING_S = 60
_BACKSTOP_S = 30
"""Beyond the bound of its processor time in all calls, which is looked at here: then the kernel ends it."""
_KILLED = -signal.SIGKILL
"""How it ends when the host wants its memory; by its own hand, too, which tells it of itself."""


class _Beyond(Exception):
    """The code is beyond a bound; which."""


@dataclass(slots=True)
class _Watched:
    """The process of the code, and our ends of its pipes."""

    process: int
    code: int
    status: int
    printed: int
    text: bytearray
    flood: int = 0
    is_silent: bool = False
    """Whether it closed what it prints to, which nobody can open again."""


def main() -> None:
    """Returns when nobody asks any more."""
    report = os.dup(1)
    limits = json.loads(runner.received())
    watched = _begun(limits)
    ending = _until_status(watched, {**limits, "cpu_s": _WARMING_S}, b"", _WARMING_S)
    if ending != "done":
        sys.stderr.write(f"its libraries did not load ({ending}) {watched.text.decode(errors='replace')}")
        return
    _stop(watched)
    empty = _files_made()
    runner.send(report, runner.READY)
    while True:
        order = json.loads(runner.received())
        _call(report, watched, limits, order, empty)


def _begun(limits: dict[str, int | str]) -> _Watched:
    code_in, code = os.pipe()
    status, status_out = os.pipe()
    printed, out = os.pipe()
    process = os.fork()
    if process == 0:
        for source, target in ((os.open("/dev/null", os.O_RDONLY), 0), (out, 1), (out, 2), (code_in, 3), (status_out, 4)):
            os.dup2(source, 100 + target)
        for target in range(5):
            os.dup2(100 + target, target)
        os.closerange(5, 1024)
        bounds = {name: int(value) for name, value in limits.items() if name != "filter"}
        runner.bound({**bounds, "cpu_s": bounds["cpu_session_s"] + _BACKSTOP_S})
        sys.excepthook = lambda *_: None  # where the code breaks what runs it, what is told would be of ours
        del sys.path[0]  # where ours is
        for name in [name for name in sys.modules if name.partition(".")[0] == "gateway"]:
            del sys.modules[name]
        kernel.serve(3, 4, runner.PACKAGES, base64.b64decode(str(limits["filter"])))
    for descriptor in (code_in, status_out, out):
        os.close(descriptor)
    os.set_blocking(code, False)
    return _Watched(process, code, status, printed, bytearray())


def _call(report: int, watched: _Watched, limits: dict[str, float], order: dict[str, object], empty: int) -> None:
    """One call, from its files to its report. Ends the jail where the session has come to its end."""
    try:
        fits = _filled(list(map(str, order["files"])))  # type: ignore[call-overload]
        before = dict(_listed())
    except OSError:
        os._exit(3)  # the code made the folder into something else
    watched.text.clear()
    watched.flood = 0
    if not fits:
        _report(report, watched, "too_large")
        return
    code = str(order["code"]).encode()
    os.kill(-1, signal.SIGCONT)
    ending = _until_status(watched, {**limits, "empty": empty}, len(code).to_bytes(4, "big") + code, limits["wall_s"])
    if ending not in ("done", "failed"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        _drain(watched, int(limits["output_bytes"]))
        _report(report, watched, ending, is_over=True)
        os._exit(0)
    _stop(watched)
    _drain(watched, int(limits["output_bytes"]))
    files: dict[str, bytes] = {}
    try:
        files = dict(_collected(before, limits))
    except _Beyond as beyond:
        ending = str(beyond)
        files = {}
    except OSError:
        files = {}
    _report(report, watched, ending, files)


def _report(report: int, watched: _Watched, ending: str, files: dict[str, bytes] | None = None, *, is_over: bool = False) -> None:
    made = files or {}
    head = {"ending": ending, "files": list(made), "cut": watched.flood > len(watched.text), "over": is_over}
    runner.send(report, json.dumps(head).encode(), bytes(watched.text), *made.values())


def _stop(watched: _Watched) -> None:
    """Returns when the code's process stands still, or is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGSTOP)  # all of this jail but its first process and this one
    os.waitid(os.P_PID, watched.process, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def _until_status(watched: _Watched, limits: dict[str, float], code: bytes, wall_s: float) -> str:
    """How it ended."""
    until, rest = time.monotonic() + wall_s, memoryview(code)
    processor = min(_processor_s(watched.process) + limits["cpu_s"], limits["cpu_session_s"])
    try:
        while True:
            pipes = [watched.status] if watched.is_silent else [watched.status, watched.printed]
            ready, writable, _ = select.select(pipes, [watched.code] if rest else [], [], _LOOKS_S)
            if writable:
                rest = _fed(watched, rest)
            if watched.printed in ready:
                _take(watched, int(limits["output_bytes"]))
            if watched.status in ready:
                said = os.read(watched.status, 2)
                return {kernel.DONE: "done", kernel.FAILED: "failed"}.get(said) or _ended(watched)
            if time.monotonic() > until or _processor_s(watched.process) > processor:
                return "time"
            if "empty" in limits and _files_made() - limits["empty"] > limits["files"]:
                return "files"
    except _Beyond as beyond:
        return str(beyond)


def _fed(watched: _Watched, rest: memoryview) -> memoryview:
    try:
        return rest[os.write(watched.code, rest[: 1 << 12]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        raise _Beyond(_ended(watched)) from None


def _ended(watched: _Watched) -> str:
    """It said something that is no status, or is gone: how it ended, if it did."""
    until = time.monotonic() + 1
    while time.monotonic() < until:
        if os.waitid(os.P_PID, watched.process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            exit_code = os.waitstatus_to_exitcode(os.waitpid(watched.process, 0)[1])
            return "memory" if exit_code == _KILLED else "broken"
        time.sleep(_LOOKS_S)
    return "broken"


def _processor_s(process: int) -> float:
    """Seconds that a process has used, by its clock: CPUCLOCK_SCHED of clock_gettime(2)."""
    try:
        return time.clock_gettime((~process << 3) | 2)
    except OSError:
        return 0


def _take(watched: _Watched, most: int) -> None:
    """What it prints beyond `most` is dropped, and if it does not stop then, it is stopped."""
    part = os.read(watched.printed, 1 << 16)
    watched.is_silent = not part
    watched.flood += len(part)
    watched.text += part[: max(0, most - len(watched.text))]
    if watched.flood > 64 * most:
        raise _Beyond("output")


def _drain(watched: _Watched, most: int) -> None:
    with contextlib.suppress(_Beyond):
        while not watched.is_silent and select.select([watched.printed], [], [], 0)[0]:
            _take(watched, most)


def _files_made() -> int:
    held = os.statvfs(MEMORY)
    return held.f_files - held.f_ffree


def _opened() -> int:
    return os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _filled(names: list[str]) -> bool:
    """Whether the files that come fit. What the code put under such a name is replaced, and no link of its is followed. OSError."""
    fits = True
    folder = _opened()
    try:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
            fits = runner.fill(file, fits)
            os.utime(name, (0, 0), dir_fd=folder, follow_symlinks=False)  # so that the least change is seen
            if not fits:
                os.unlink(name, dir_fd=folder)
    finally:
        os.close(folder)
    return fits


def _listed() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Each regular file in the folder, and what tells its state from another."""
    folder = _opened()
    try:
        for name in os.listdir(folder):
            state = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(state.st_mode):
                yield name, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    finally:
        os.close(folder)


def _collected(before: dict[str, tuple[int, ...]], limits: dict[str, float]) -> Iterator[tuple[str, bytes]]:
    changed = sorted(name for name, state in _listed() if before.get(name) != state)
    room = int(limits["files_out_bytes"])
    if len(changed) > limits["files_out"]:
        raise _Beyond("files")
    folder = _opened()
    try:
        for name in changed:
            try:
                content = runner.read(folder, name, room)
            except ValueError:
                raise _Beyond("files") from None
            if content is not None:
                room -= len(content)
                yield name, content
    finally:
        os.close(folder)
