"""Two PostgreSQL servers of the tests' own, a primary and its synchronous standby, and what an operator does when the first is lost."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from tests.support.databases import in_a_thread
from tests.support.postgres import START_S, absent, binaries, free_port, user


@dataclass
class Node:
    """One server: where it keeps its data, and its process while it runs."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)


class Cluster:
    """`primary` takes writes, `standby` has each of them before they are acknowledged."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self._folder, self._bin = folder, bin_folder
        shutil.chown(folder, user())
        self.primary, self.standby = (Node(folder / name, free_port()) for name in ("a", "b"))
        self._tool("initdb", "-D", self.primary.folder, "-U", user(), "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self.start(self.primary)
        self.follow()

    def database(self, name: str) -> str:
        """A new database; its address, which names both servers."""
        self.sql(self.primary, f"CREATE DATABASE {name}")
        hosts = ",".join(f"127.0.0.1:{port}" for port in sorted((self.primary.port, self.standby.port)))
        return f"postgresql://{user()}@{hosts}/{name}"

    def follow(self) -> None:
        """Make the standby anew from the primary, and have commits wait for it."""
        shutil.rmtree(self.standby.folder, ignore_errors=True)
        at = ("-h", "127.0.0.1", "-p", str(self.primary.port), "-U", user())
        self._tool("pg_basebackup", *at, "-D", self.standby.folder, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        self.start(self.standby)
        self.sql(self.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.sql(self.primary, "SELECT pg_reload_conf()")
        self._until(lambda: self.sql(self.primary, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1)

    def lose_primary(self) -> Node:
        """Kill the primary and all of its processes at once, as when its host loses power; the node that was lost."""
        self.kill(self.primary)
        return self.primary

    def promote(self) -> None:
        """Have the standby take writes, alone."""
        self.sql(self.standby, "ALTER SYSTEM SET synchronous_standby_names = ''")
        self.sql(self.standby, "SELECT pg_reload_conf()")
        self._tool("pg_ctl", "promote", "-D", self.standby.folder, "-w", "-s")
        self.primary, self.standby = self.standby, self.primary

    def start(self, node: Node) -> None:
        """Start a server, and wait until it answers."""
        said = {"port": node.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 200}
        said |= {"fsync": "off", "jit": "off", "wal_level": "replica", "hot_standby": "on", "wal_receiver_status_interval": "1s"}
        options = [part for name, value in said.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._bin / "postgres"), "-D", str(node.folder), *options]
        with (self._folder / f"{node.folder.name}.log").open("ab") as log:
            node.process = subprocess.Popen(
                command, user=self._owner(), cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        asked = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(node.port)]
        self._until(lambda: subprocess.run(asked, check=False).returncode == 0)

    def kill(self, node: Node) -> None:
        """SIGKILL to the server and to its children."""
        if node.process is None:
            return
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
            for process in (node.process.pid, *map(int, children)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        node.process.wait()
        node.process = None
        (node.folder / "postmaster.pid").unlink(missing_ok=True)

    def sql(self, node: Node, statement: str) -> object:
        """One statement; the first value of its answer."""

        async def work() -> object:
            connection = await asyncpg.connect(host="127.0.0.1", port=node.port, user=user(), database="postgres")
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()

        return in_a_thread(work())

    def end(self) -> None:
        for node in (self.primary, self.standby):
            self.kill(node)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tool(self, name: str, *arguments: object) -> None:
        command = [str(self._bin / name), *map(str, arguments)]
        subprocess.run(command, check=True, user=self._owner(), cwd=self._folder, stdout=subprocess.DEVNULL)

    @staticmethod
    def _owner() -> str | None:
        return user() if os.getuid() == 0 else None

    @staticmethod
    def _until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("PostgreSQL")
            time.sleep(0.02)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Both servers, until the end. Skips the test where PostgreSQL is not installed."""
    found = binaries()
    if found is None:
        absent("PostgreSQL (Debian package postgresql)")
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="tellergate-cluster-")), found)
    try:
        yield cluster
    finally:
        cluster.end()
