"""The client's certificate: what binds a token to it (RFC 8705), and how a proxy that ends TLS passes it on (RFC 9440)."""

import binascii
import hashlib
import re
from base64 import b64decode

from gateway.identity.compact import encode

MAX_CERTIFICATE_BYTES = 16 * 1024

_BINARY = re.compile(r":([A-Za-z0-9+/]+={0,2}):")


def thumbprint(certificate: bytes) -> str:
    """`x5t#S256` of a DER certificate: base64url of its SHA-256 (RFC 8705 section 3.1)."""
    return encode(hashlib.sha256(certificate).digest())


def from_header(value: str) -> bytes | None:
    """The DER certificate of a `Client-Cert` header, a Byte Sequence (RFC 9440 section 2.2); None if it is none."""
    found = _BINARY.fullmatch(value.strip()) if len(value) <= 2 * MAX_CERTIFICATE_BYTES else None
    try:
        return None if found is None else b64decode(found[1], validate=True)
    except binascii.Error:
        return None
