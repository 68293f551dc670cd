"""What a file is, by its first bytes; its name only where the bytes leave it open, and never against them."""

import codecs
from pathlib import PurePosixPath

import puremagic

SNIFFED_BYTES = 8 * 1024
UNKNOWN = "application/octet-stream"

_ZIP = b"PK\x03\x04"
_TEXTS = {
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
    ".eml": "message/rfc822",
    ".py": "text/x-python",
}
"""Of texts the name says what they are: their bytes do not."""


def content_type(head: bytes, name: str) -> str:
    """The media type of a file that begins so."""
    if _is_text(head):
        return _TEXTS.get(PurePosixPath(name).suffix.lower(), "text/plain")
    try:
        found = [match for match in puremagic.magic_string(head) if match.mime_type]
    except puremagic.PureError:
        return UNKNOWN
    suffix = PurePosixPath(name).suffix.lower()
    if head.startswith(_ZIP) and all(match.extension != suffix for match in found):
        return "application/zip"
    named = (match.mime_type for match in found if match.extension == suffix)  # of those that begin so, as all kinds of archives do
    return next(named, found[0].mime_type if found else UNKNOWN)


def _is_text(head: bytes) -> bool:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _is_wide_text(head)
    if b"\0" in head or head.startswith(b"%PDF"):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return len(head) == SNIFFED_BYTES and error.start > len(head) - 4  # cut inside a character
    return True


def _is_wide_text(head: bytes) -> bool:
    """Almost any bytes are UTF-16: it is a text if it holds no control character either."""
    decoded = codecs.getincrementaldecoder("utf-16")().decode
    try:
        text = decoded(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isspace() or ord(letter) >= ord(" ") for letter in text)
