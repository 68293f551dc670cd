"""A PostgreSQL server of the tests' own: started when first asked for, ended with the tests."""

import atexit
import contextlib
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

import pytest

START_S = 30


@dataclass(frozen=True)
class Server:
    port: int

    def url(self, database: str) -> str:
        return f"postgresql://{_user()}@127.0.0.1:{self.port}/{database}"


@cache
def server(*, fsync: bool = False) -> Server:
    """The running server. Skips the test where PostgreSQL is not installed; fails it if REQUIRE_PEERS is set.

    Without fsync: the tests kill gateways, never the server, and what was committed survives in it.
    """
    binaries = _binaries()
    if binaries is None:
        absent("PostgreSQL (Debian package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="tellergate-postgres-"))
    shutil.chown(folder, _user())
    durable = "on" if fsync else "off"
    run = {"user": _user() if os.getuid() == 0 else None, "cwd": folder, "stdout": subprocess.DEVNULL}
    make = [binaries / "initdb", "-D", folder / "data", "-A", "trust", "-U", _user(), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run(make, check=True, **run)  # type: ignore[call-overload]
    port = _free_port()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": 400,
        "fsync": durable,
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([binaries / "postgres", "-D", folder / "data", *options], stderr=log, **run)  # type: ignore[call-overload]
    atexit.register(_stop, process, folder)
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            if _is_ready(binaries, port):
                return Server(port)
        if time.monotonic() > deadline or process.poll() is not None:
            raise RuntimeError((folder / "log").read_text())
        time.sleep(0.02)


def absent(peer: str) -> None:
    """The test needs a peer that is not installed."""
    if os.environ.get("REQUIRE_PEERS"):
        pytest.fail(f"{peer} is not installed, and REQUIRE_PEERS is set")
    pytest.skip(f"{peer} is not installed")


def _is_ready(binaries: Path, port: int) -> bool:
    asked = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(asked, check=False).returncode == 0


def _stop(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    process.send_signal(signal.SIGQUIT)
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _user() -> str:
    """PostgreSQL refuses to run as root; Debian's package brings a user for it."""
    return "postgres" if os.getuid() == 0 else os.environ.get("USER", "postgres")


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(path) for path in [shutil.which("initdb")] if path]
    return found[-1].parent if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
