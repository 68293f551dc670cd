"""Base64 in its one spelling (RFC 4648 sections 3.5, 4 and 5): text with other padding or loose bits says the same bytes, and is refused.

Pure. What stands in a file, a note or a permit has one text for its bytes, so that no changed character of it passes.
"""

import base64
import binascii


def b64(raw: bytes) -> str:
    """RFC 4648 section 4, padded."""
    return binascii.b2a_base64(raw, newline=False).decode()


def unb64(text: str | bytes) -> bytes:
    """The inverse of `b64`. ValueError for any other text."""
    given = text.encode() if isinstance(text, str) else text
    raw = base64.b64decode(given, validate=True)
    if binascii.b2a_base64(raw, newline=False) != given:
        raise ValueError("base64 in another spelling")
    return raw


def b64url(raw: bytes) -> str:
    """RFC 4648 section 5, without padding."""
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=").decode()


def unb64url(text: str) -> bytes:
    """The inverse of `b64url`. ValueError for any other text."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    if b64url(raw) != text:
        raise ValueError("base64url in another spelling")
    return raw


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
