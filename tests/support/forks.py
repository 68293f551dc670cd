"""Commands in processes that are forked off one which has imported all of them: a start takes milliseconds, not two seconds, of processor.

One such process for all workers of a run. What it forks is the command as it is: a process with its own id, arguments, environment, folder,
standard streams and end. `fork` starts one for a test; a shell finds it as `tellergate` in `FOLDER`, with `ADDRESS` in its environment.
Each command of the first lines of the README, and each that is run as another user, still starts from nothing.
"""

import atexit
import contextlib
import fcntl
import functools
import gc
import importlib
import json
import os
import pkgutil
import random
import secrets
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from tests.support import postgres

FOLDER = Path(__file__).parent / "forked"
"""What stands first in the PATH of a shell."""

ADDRESS = "FORKS_ADDRESS"
_MESSAGE = 1 << 20

_LATE = (
    "anyio._backends._asyncio",
    "cryptography.hazmat.backends.openssl.backend",
    "encodings.idna",
    "h11",
    "httpcore2",
    "openai.resources.beta.beta",
    "openai.resources.chat",
    "openai.resources.responses",
    "pydantic.v1",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.auto",
)
"""What commands import only while they run: half a second of processor for each demo."""


class Forked:
    """A command that runs; what subprocess.Popen has, as far as tests ask for it."""

    def __init__(self, asked: socket.socket, pid: int, stdout: IO[str]) -> None:
        self._asked = asked
        self.pid = pid
        self.stdout = stdout
        """Text, to be closed by whoever reads it."""
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Its status, below zero for a signal. subprocess.TimeoutExpired after `timeout` seconds."""
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("tellergate", timeout or 0.0)
        return status

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as ready:
                ready.register(self._asked, selectors.EVENT_READ)
                if not ready.select(timeout):
                    return None
            self.returncode = json.loads(self._asked.recv(_MESSAGE) or b"-9")
            self._asked.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork(arguments: Sequence[str], *, stderr: int | None = None) -> Forked:
    """`tellergate ARGUMENTS`, its standard output in a pipe. `stderr`: a file's number; without one, this process' own."""
    asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked.connect(f"\0{address()}")
    reading, writing = os.pipe()
    with open(os.devnull) as nothing:
        wanted = {"arguments": list(arguments), "cwd": str(Path.cwd()), "env": dict(os.environ)}
        streams = [nothing.fileno(), writing, 2 if stderr is None else stderr]
        socket.send_fds(asked, [json.dumps(wanted).encode()], streams)
    os.close(writing)
    return Forked(asked, json.loads(asked.recv(_MESSAGE)), os.fdopen(reading))


def command(*arguments: str) -> list[str]:
    """What a shell or subprocess runs for `tellergate ARGUMENTS`, with this process' environment."""
    os.environ[ADDRESS] = address()
    return [str(FOLDER / "tellergate"), *arguments]


@functools.cache
def address() -> str:
    """Where the process of this run takes what is to be run: the first worker that needs it starts it."""
    folder = postgres.shared()
    if folder is None:
        return _started(os.getpid())
    told = folder / "forks"
    with (folder / "forks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            told.write_text(_started(os.getppid()))
    return told.read_text()


def _started(run: int) -> str:
    """Where it listens. It ends with the process whose id is `run`, whatever ends that."""
    command = [sys.executable, "-m", "tests.support.forks", str(run)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    with process.stdout as told:
        name = told.readline().strip()
    assert name, "it ended before it listened"
    process.returncode = 0  # it outlives this worker on purpose
    return name


def _main() -> int:
    for package in ("gateway", "policies", "adapters", "audit"):
        for module in pkgutil.walk_packages([package], f"{package}."):
            if "history" not in module.name:  # Alembic loads those itself, by their files
                importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    from audit.key_format import Passphrase
    from tests.support import templates

    templates.repeat()
    templates.make_all()
    Passphrase.__init__.__kwdefaults__ = {"log2_n": 10}  # seals that cost little to open: a third of a second of each command
    assert threading.active_count() == 1, "a thread would not be there in what is forked"
    gc.collect()
    gc.freeze()  # or the first collection in each process copies all pages
    name = f"tellergate-tests-{secrets.token_hex(16)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(f"\0{name}")  # in the abstract namespace: no file to clean up, in this process or in what it forks
        listening.listen(64)
        print(name, flush=True)
        wanted = _Server(listening, os.pidfd_open(int(sys.argv[1]))).run()
    if wanted is None:
        return 0
    try:
        status = _command(wanted)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return _end(status)


def _end(status: int) -> NoReturn:
    """End as the interpreter does, but for taking thousands of modules apart, which costs more than most commands do."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        status = 120  # as the interpreter ends, where nobody reads what was printed
    os._exit(status)


class _Server:
    def __init__(self, listening: socket.socket, run: int) -> None:
        self._listening = listening
        self._run = run
        """Ready to be read when the process that runs the tests has ended."""
        self._asked_by: dict[int, socket.socket] = {}
        """Whom to tell of each process' end."""

    def run(self) -> "dict[str, Any] | None":
        """In each forked process, what it is to run; in this one, nothing, when the run of the tests has ended."""
        ended, told = socket.socketpair()
        told.setblocking(False)
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as ready:
            for source in (self._run, self._listening, ended):
                ready.register(source, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    if key.fileobj == self._run:
                        for pid in self._asked_by:
                            os.kill(pid, signal.SIGKILL)
                        return None
                    if key.fileobj is ended:
                        ended.recv(4096)
                        self._tell(ready)
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj is not self._listening:
                        self._end(ready, key.fileobj)
                    elif (wanted := self._start(ready)) is not None:
                        signal.set_wakeup_fd(-1)
                        return wanted

    def _start(self, ready: selectors.BaseSelector) -> "dict[str, Any] | None":
        asked, _ = self._listening.accept()
        _, user, _ = struct.unpack("3i", asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        if user != os.getuid():
            asked.close()
            return None
        text, streams, _, _ = socket.recv_fds(asked, _MESSAGE, 3)
        wanted: dict[str, Any] = json.loads(text)
        pid = os.fork()
        if pid == 0:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            for other in (*self._asked_by.values(), asked):
                other.close()
            return wanted
        for stream in streams:
            os.close(stream)
        self._asked_by[pid] = asked
        asked.send(json.dumps(pid).encode())
        ready.register(asked, selectors.EVENT_READ)
        return None

    def _tell(self, ready: selectors.BaseSelector) -> None:
        while self._asked_by:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with self._asked_by.pop(pid) as asked, contextlib.suppress(OSError):  # who asked may be gone
                if asked in ready.get_map():
                    ready.unregister(asked)
                asked.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())

    def _end(self, ready: selectors.BaseSelector, asked: socket.socket) -> None:
        """Who asked is gone: what it had started ends with it."""
        ready.unregister(asked)
        os.kill(next(pid for pid, other in self._asked_by.items() if other is asked), signal.SIGKILL)


def _command(wanted: "dict[str, Any]") -> int:
    """The command, in a process that was forked for it."""
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.setsid()
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    os.environ.pop(ADDRESS, None)
    sys.argv = ["tellergate", *wanted["arguments"]]
    random.seed()
    from gateway.cli import main

    return main(wanted["arguments"])


if __name__ == "__main__":
    sys.exit(_main())
