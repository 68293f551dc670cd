"""TLS of the server itself: uvicorn's protocol, with the client's certificate put into the scope (RFC 8705).

The certificate is one that OpenSSL verified against `tls_client_ca`; without one in the settings, none is asked for.
"""

import asyncio
import ssl

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.app.key_files import refuse_others
from gateway.app.settings import Settings
from gateway.doors.credentials import CERTIFICATE


class CertificateProtocol(HttpToolsProtocol):
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


def server_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application, over TLS if the settings say so. UnsafeSettings: others may read the private key."""
    if settings.tls_key is not None:
        refuse_others(settings.tls_key)
    return uvicorn.Config(
        app,
        lifespan="on",
        loop="uvloop",
        http=CertificateProtocol if settings.tls_client_ca is not None else "httptools",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=30,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=None if settings.tls_client_ca is None else str(settings.tls_client_ca),
        ssl_cert_reqs=ssl.CERT_NONE if settings.tls_client_ca is None else ssl.CERT_OPTIONAL,
    )
