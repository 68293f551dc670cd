"""Whom a client of ours believes over https. The one place where such a context is made."""

import ssl
from pathlib import Path


def client_tls(authorities: str | Path | None = None) -> ssl.SSLContext:
    """A server is believed by a certificate of the system's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` say whom else), or of those in
    this PEM file alone, over its alternative names alone. To read the system's takes 50 ms. OSError and ssl.SSLError for a bad file."""
    tls = ssl.create_default_context(cafile=authorities)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2  # some builds of Python leave it to the system
    tls.hostname_checks_common_name = False  # a free text, which an authority need not have checked (RFC 9525, 2)
    return tls


def nobody() -> ssl.SSLContext:
    """Believes no server: for a client that is to ask over plain HTTP alone, whatever it is told."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def tls_for(url: str) -> ssl.SSLContext | None:
    """What this URL is asked with: None where it is not https."""
    return client_tls() if url.startswith("https:") else None
