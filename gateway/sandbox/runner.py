"""The first program in the jail, and of ours the only one: takes a program and its files, runs it within its bounds, reports and ends.

Imports nothing of ours, since nothing of ours is in the jail. What it runs is a child that shares its user: it can stop this process, but
reaches neither its memory (no ptrace, no /proc) nor its pipes. Whoever reads the report must believe no more of it than of the program.

Each message, in and out, is its length in four bytes, and so many bytes. In: the order in JSON, then each file in pieces, an empty one
last. Out: READY, then the ending in JSON, standard output, standard error and each file.
"""

import contextlib
import json
import os
import resource
import select
import signal
import stat
import sys
import time
from collections.abc import Iterator

READY = b"ready"
BOX = "/box"
OUT = "out"
PACKAGES = "/packages"
NAME_BYTES = 120
_OF_OURS = 2
"""Processes of the jail that are not the program's: bubblewrap's first one, and this."""
_LOOKS_S = 0.02


class _Stopped(Exception):
    """The program is beyond a bound; which."""


def main() -> None:
    """Returns twice: here with nothing more to do, when the report is out; and in the program's process, which is to run it."""
    report = os.dup(1)
    order = json.loads(received())
    send(report, READY)
    limits = order["limits"]
    if not _filled(order["files"]):
        send(report, json.dumps({"ending": "too_large", "exit_code": None, "files": []}).encode(), b"", b"")
        return
    out_reading, out_writing = os.pipe()
    error_reading, error_writing = os.pipe()
    child = os.fork()
    if child == 0:
        _become(limits, out_writing, error_writing)
        _run(order["program"], order["arguments"])
        return
    os.close(out_writing)
    os.close(error_writing)
    ending, exit_code, texts = _watched(child, limits, (out_reading, error_reading))
    files: dict[str, bytes] = {}
    if ending in ("done", "failed"):
        try:
            files = dict(_collected(limits))
        except _Stopped as stopped:
            ending = str(stopped)
            files = {}
    said = json.dumps({"ending": ending, "exit_code": exit_code, "files": list(files)}).encode()
    send(report, said, *texts, *files.values())


def received() -> bytes:
    return _exactly(int.from_bytes(_exactly(4), "big"))


def _exactly(size: int) -> bytes:
    parts = []
    while size:
        part = os.read(0, min(size, 1 << 20))
        if not part:
            os._exit(2)  # nobody asks any more
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def send(to: int, *messages: bytes) -> None:
    for message in messages:
        rest = memoryview(len(message).to_bytes(4, "big") + message)
        while rest:
            rest = rest[os.write(to, rest) :]


def _filled(names: list[str]) -> bool:
    """Whether the files that come fit."""
    os.mkdir(OUT)
    fits = True
    for name in names:
        fits = fill(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600), fits)
    return fits


def fill(file: int, fits: bool) -> bool:
    """Whether a file that comes fits as well. Closes it."""
    with open(file, "wb", buffering=0) as into:
        while part := received():
            try:
                rest = memoryview(part)
                while fits and rest:
                    rest = rest[into.write(rest) :]
            except OSError:
                fits = False  # what still comes is read, and dropped
    return fits


def _become(limits: dict[str, int], out: int, error: int) -> None:
    """The child: nothing of the runner's is left but its own memory."""
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (error, 2)):
        os.dup2(source, target)
    os.closerange(3, 1024)
    bound(limits)


def bound(limits: dict[str, int]) -> None:
    """Sets the bounds of this process, which nobody in the jail can raise."""
    bounds = {
        resource.RLIMIT_CPU: limits["cpu_s"],
        resource.RLIMIT_AS: limits["memory_bytes"],
        resource.RLIMIT_FSIZE: limits["box_bytes"],
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_NPROC: limits["processes"] + _OF_OURS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for bound, value in bounds.items():
        resource.setrlimit(bound, (value, value))


def _run(program: str, arguments: list[str]) -> None:
    """As the interpreter would run it: what it raises, and how it ends, is the interpreter's from here."""
    sys.path.append(PACKAGES)
    sys.argv = ["program.py", *arguments]
    exec(compile(program, "program.py", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})  # noqa: S102  # what it is for


def _watched(child: int, limits: dict[str, float], pipes: tuple[int, int]) -> tuple[str, int | None, list[bytes]]:
    texts = {pipe: bytearray() for pipe in pipes}
    until = time.monotonic() + limits["wall_s"]
    empty = _files_made()
    ending, exit_code = "", None
    try:
        while exit_code is None:
            ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            _drain(texts, int(limits["output_bytes"]), 0 if ended else _LOOKS_S)
            if ended:
                exit_code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if time.monotonic() > until:
                raise _Stopped("time")
            if _files_made() - empty > limits["files"]:
                raise _Stopped("files")
    except _Stopped as stopped:
        ending = str(stopped)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # all of this jail but its first process and this one
    return ending or ("failed" if exit_code else "done"), exit_code, [bytes(text) for text in texts.values()]


def _drain(texts: dict[int, bytearray], most: int, wait_s: float) -> None:
    """Takes what stands in the pipes; with `wait_s` of 0 all of it, else what comes within."""
    while ready := select.select(list(texts), [], [], wait_s)[0]:
        parts = [(pipe, os.read(pipe, 1 << 16)) for pipe in ready]
        for pipe, part in parts:
            texts[pipe] += part[: most - len(texts[pipe])] if len(texts[pipe]) + len(part) > most else part
            if len(texts[pipe]) >= most and part:
                raise _Stopped("output")
        if wait_s or not any(part for _, part in parts):
            if wait_s and not any(part for _, part in parts):
                time.sleep(wait_s)  # closed, and not ended: it would be ready at once for ever
            return


def _files_made() -> int:
    box = os.statvfs(BOX)
    return box.f_files - box.f_ffree


def _collected(limits: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    """The regular files that lie in `out` itself. Nothing of the program runs any more, so what is looked at stays as it is."""
    try:
        folder = os.open(f"{BOX}/{OUT}", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    count, room = 0, limits["files_out_bytes"]
    for name in sorted(os.listdir(folder)):
        try:
            content = read(folder, name, room)
        except ValueError:
            raise _Stopped("files") from None
        if content is not None:
            count += 1
            room -= len(content)
            if count > limits["files_out"]:
                raise _Stopped("files")
            yield name, content


def read(folder: int, name: str, room: int) -> bytes | None:
    """The content of a regular file in this folder; None for what is a link, a socket, or what nobody may read. ValueError: too much."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    state = os.fstat(file)
    if not stat.S_ISREG(state.st_mode):
        os.close(file)
        return None
    if state.st_size > room or len(os.fsencode(name)) > NAME_BYTES:
        os.close(file)
        raise ValueError(name)
    with open(file, "rb") as content:
        return content.read(state.st_size)


if __name__ == "__main__":
    main()
