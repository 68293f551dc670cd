"""A PostgreSQL server of the tests' own: started when first asked for, ended with the tests."""

import atexit
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

START_S = 60


@dataclass(frozen=True)
class Server:
    port: int

    def url(self, database: str) -> str:
        return f"postgresql://{user()}@127.0.0.1:{self.port}/{database}"


class _Shared:
    """Where the workers of one run of the tests find their server. None: a process of its own, which ends its server itself."""

    folder: Path | None = None
    is_own: bool = False


def shared_folder() -> Path:
    """The folder by which this process and its workers share one server; this process stops it in the end."""
    if _Shared.folder is None:
        _Shared.folder, _Shared.is_own = Path(tempfile.mkdtemp(prefix="tellergate-shared-")), True
    return _Shared.folder


def share(folder: Path | None) -> None:
    """Use the server that another process of this run shares here, and leave it running in the end."""
    _Shared.folder, _Shared.is_own = folder, False


def shared() -> Path | None:
    """The folder that the workers of this run share; None in a process of its own."""
    return None if _Shared.is_own else _Shared.folder


def stop_shared() -> None:
    """Stop the server that the workers started, if one of them did, once they have ended."""
    if _Shared.folder is None or not _Shared.is_own:
        return
    running = _Shared.folder / "running.json"
    if running.exists():
        told = json.loads(running.read_text())
        deadline = time.monotonic() + START_S
        with contextlib.suppress(ProcessLookupError):
            os.kill(told["pid"], signal.SIGQUIT)
            while time.monotonic() < deadline:
                os.kill(told["pid"], 0)
                time.sleep(0.02)
        shutil.rmtree(told["folder"], ignore_errors=True)
    shutil.rmtree(_Shared.folder, ignore_errors=True)
    _Shared.folder = None


@cache
def server(*, fsync: bool = False) -> Server:
    """The running server. Skips the test where PostgreSQL is not installed; fails it if REQUIRE_PEERS is set.

    Without fsync: the tests kill gateways, never the server, and what was committed survives in it.
    """
    found = binaries()
    if found is None:
        absent("PostgreSQL (Debian package postgresql)")
    if _Shared.folder is None:
        port, process, folder = _start(found, fsync=fsync)
        atexit.register(_stop, process, folder)
        return Server(port)
    running = _Shared.folder / "running.json"
    with (_Shared.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not running.exists():
            port, process, folder = _start(found, fsync=fsync)
            running.write_text(json.dumps({"port": port, "pid": process.pid, "folder": str(folder)}))
            process.returncode = 0  # it outlives this worker on purpose: `stop_shared` ends it
    return Server(json.loads(running.read_text())["port"])


def _start(binaries: Path, *, fsync: bool) -> "tuple[int, subprocess.Popen[bytes], Path]":
    """A new server in a folder of its own, ready to be asked."""
    folder = Path(tempfile.mkdtemp(prefix="tellergate-postgres-"))
    shutil.chown(folder, user())
    owner = user() if os.getuid() == 0 else None
    make: list[str | Path] = [binaries / "initdb", "-D", folder / "data", "-U", user(), "-A", "trust", "-E", "UTF8"]
    make += ["--locale=C.UTF-8", "--no-sync"]
    subprocess.run(make, check=True, user=owner, cwd=folder, stdout=subprocess.DEVNULL)
    port = free_port()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": 400,
        "fsync": "on" if fsync else "off",
        "autovacuum": "off",  # of databases that live for seconds
        "jit": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command: list[str | Path] = [binaries / "postgres", "-D", folder / "data", *options]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, user=owner, cwd=folder, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            if _is_ready(binaries, port):
                return port, process, folder
        if time.monotonic() > deadline or process.poll() is not None:
            raise RuntimeError((folder / "log").read_text())
        time.sleep(0.02)


def absent(peer: str) -> NoReturn:
    """The test needs a peer that is not installed."""
    if os.environ.get("REQUIRE_PEERS"):
        pytest.fail(f"{peer} is not installed, and REQUIRE_PEERS is set")
    pytest.skip(f"{peer} is not installed")


def _is_ready(binaries: Path, port: int) -> bool:
    asked: list[str | Path] = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(asked, check=False).returncode == 0


def _stop(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    process.send_signal(signal.SIGQUIT)
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def user() -> str:
    """PostgreSQL refuses to run as root; Debian's package brings a user for it."""
    return "postgres" if os.getuid() == 0 else os.environ.get("USER", "postgres")


def binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(path) for path in [shutil.which("initdb")] if path]
    return found[-1].parent if found else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
