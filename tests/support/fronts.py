"""A gateway of development mode with bounds of its own at the front, and raw connections to it."""

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from gateway.app.development.local_issuer import LocalIssuer
from tests.support import databases
from tests.support.processes import started
from tests.support.waiting import WAITS_S


@dataclass
class Fronted:
    """`log`: the process' standard error. `url` has the address 127.0.0.1, and 127.0.0.2 is as near."""

    url: str
    port: int
    process_id: int
    data: Path
    log: Path

    @property
    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process_id}/statm").read_text().split()[1])
        return pages * 4096

    @property
    def alarms(self) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("alarm") == "front_refused"]

    def token(self, customer: str = "alice", **claims: object) -> str:
        return LocalIssuer(self.data).token(customer, **{"agent": "assistant", "strong": True, **claims})  # type: ignore[arg-type]

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), WAITS_S, (source, 0))

    def client(self, source: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=WAITS_S, transport=httpx.HTTPTransport(local_address=source))

    def answered(self, *sent: bytes, source: str = "127.0.0.1") -> bytes:
        """All that comes back until the end of the connection."""
        with self.connect(source) as connection:
            for part in sent:
                connection.sendall(part)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side has closed, in order or not."""
    told = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            told += part
    return told


@contextlib.contextmanager
def fronted(folder: Path, **changes: object) -> Iterator[Fronted]:
    """Such a gateway, with these settings changed."""
    file, log, data = folder / "front.toml", folder / "front.log", folder / "data"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in changes.items()))
    command = ("serve", "--dev", "--data", str(data), "--database", databases.url(data), "--port", "0", "--json")
    with started(*command, "--config", str(file), "--audit-wait-ms", "20000", log=log) as (process, said):
        url = httpx.URL(said["url"])
        yield Fronted(said["url"], int(url.port or 0), process.pid, data, log)
