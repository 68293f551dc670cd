"""How connections are taken: by the front, then over TLS if the settings say so, then by uvicorn's protocol.

TLS begins once the front has admitted a connection, so that no handshake is made for others and none is open without being counted. The
client's certificate is put into the scope (RFC 8705): one that OpenSSL verified against `tls_client_ca`; without one in the settings, none
is asked for.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from gateway.app.front import Front, FrontRefusal
from gateway.app.front_protocol import FrontProtocol
from gateway.app.key_files import refuse_others
from gateway.app.settings import Settings
from gateway.doors.credentials import CERTIFICATE


class CertificateProtocol(FrontProtocol):
    """HTTP over TLS whose scopes carry the certificate of their connection."""

    _certificate: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        self._certificate = None if connection is None else connection.getpeercert(binary_form=True)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._certificate is not None:
            self.scope["extensions"] = {CERTIFICATE: self._certificate}  # type: ignore[dict-item]  # a key of ours, a value of bytes


class _Opening(asyncio.Protocol):
    """A connection from its acceptance until HTTP, or TLS before it, can begin on it."""

    def __init__(self, front: Front, made: Callable[[str], FrontProtocol], tls: ssl.SSLContext | None) -> None:
        self._front = front
        self._made = made
        self._tls = tls
        self._securing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's, as in uvicorn
        peer = transport.get_extra_info("peername")
        if not peer or not self._front.admits(peer[0]):
            transport.abort()
        elif self._tls is None:
            protocol = self._made(peer[0])
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
        else:
            connection = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
            transport.abort()  # ours goes on; this one has read nothing, and `start_tls` would begin too late to have it so
            self._securing = asyncio.create_task(self._secured(connection, peer[0], self._tls))

    async def _secured(self, connection: socket.socket, address: str, tls: ssl.SSLContext) -> None:
        protocol, within_s = self._made(address), self._front.settings.head_s
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: protocol, connection, ssl=tls, ssl_handshake_timeout=within_s)
        except OSError:  # what TLS says is wrong, an end, or the time
            self._front.count(FrontRefusal.HANDSHAKE)
        if protocol.transport is None:  # HTTP did not begin, and will not end
            self._front.left(address)


class SignalFreeServer(uvicorn.Server):
    """Takes no signals: uvicorn raises what it caught once more when it has ended, before the gateway has."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Config(uvicorn.Config):
    """Its listener takes connections as they are: TLS is begun by `_Opening`."""

    def __init__(self, app: ASGIApp, front: Front, **options: Any) -> None:
        super().__init__(app, http=cast("type[asyncio.Protocol]", self._opening), **options)
        self._front = front
        self._tls: ssl.SSLContext | None = None

    def load(self) -> None:
        super().load()
        self._tls, self.ssl = self.ssl, None

    def _opening(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        kind = CertificateProtocol if self._front.settings.tls_client_ca is not None else FrontProtocol
        return _Opening(
            self._front, lambda address: kind(config, server_state, app_state, front=self._front, address=address), self._tls
        )


def server_config(
    app: ASGIApp,
    settings: Settings,
    front: Front,
    *,
    lifespan: Literal["on", "off"] = "on",
    certificates: ssl.VerifyMode = ssl.CERT_OPTIONAL,
) -> uvicorn.Config:
    """How uvicorn serves the application, over TLS if the settings say so. `certificates`: whether clients need one, where there are
    authorities for them. UnsafeSettings: others may read the private key."""
    if settings.tls_key is not None:
        refuse_others(settings.tls_key)
    return _Config(
        app,
        front,
        lifespan=lifespan,
        loop="uvloop",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        headers=[("strict-transport-security", f"max-age={settings.told_hsts_s}")] if settings.told_hsts_s else [],
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=30,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=None if settings.tls_client_ca is None else str(settings.tls_client_ca),
        ssl_cert_reqs=ssl.CERT_NONE if settings.tls_client_ca is None else certificates,
    )
