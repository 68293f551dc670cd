"""The sockets of a gateway: where customers' requests come, and where the people who operate it come. Bound before anything is opened."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.app.descriptors import BACKLOG, OPERATIONS, OPERATIONS_BACKLOG
from gateway.app.settings import Settings


@dataclass(frozen=True, slots=True)
class Listening:
    """Bound sockets, which all workers share. `operations` None: nothing is administered over HTTP."""

    api: socket.socket
    operations: socket.socket | None

    def listen(self) -> None:
        """From now on, who comes waits, and is not refused."""
        self.api.listen(BACKLOG)
        if self.operations is not None:
            self.operations.listen(OPERATIONS_BACKLOG)


@contextlib.contextmanager
def both_bound(settings: Settings) -> Iterator[Listening]:
    """The sockets that the settings say, closed with the block. OSError for an address that is not to be had."""
    with contextlib.ExitStack() as undo:
        api, operations = undo.enter_context(bound(settings)), operations_settings(settings)
        yield Listening(api, None if operations is None else undo.enter_context(bound(operations)))


def operations_settings(settings: Settings) -> Settings | None:
    """The settings as the operations listener has them: an address, TLS and bounds of its own, no proxies. None: there is none."""
    if not settings.operations_port:
        return None
    return replace(
        settings,
        host=settings.operations_host,
        port=settings.operations_port,
        tls_certificate=settings.operations_tls_certificate,
        tls_key=settings.operations_tls_key,
        tls_client_ca=settings.operations_client_ca,
        trusted_proxies=(),
        backend_addresses=(),
        connections=OPERATIONS,
        connections_per_address=OPERATIONS // 4,
        connections_reserved=0,
    )


def url_of(settings: Settings, listening: socket.socket) -> str:
    """Base URL of a socket that is bound."""
    where = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "http" if settings.tls_certificate is None else "https"
    return f"{scheme}://{where}:{listening.getsockname()[1]}"


def bound(settings: Settings) -> socket.socket:
    """A socket of the address that the settings say: taken, so that its port is known; it listens once the server runs."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError:
        bound.close()
        raise
    return bound
