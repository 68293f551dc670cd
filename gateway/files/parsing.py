"""What text is in a file: the port that parsers fill, and the parser of what is text already."""

import codecs
from collections.abc import AsyncIterator
from typing import Protocol

TEXT_MOST = 16 * 1024 * 1024
"""Bytes of a text that is read."""

_TEXTS = frozenset({"application/json", "application/xml", "application/javascript", "application/x-sh"})
_NOT_PLAIN = frozenset({"text/html", "text/rtf"})
"""Texts whose words are between what is none."""


class NotParsed(Exception):
    """There is no text to be had of this file. `reason`: in plain words, for whose file it is. `is_unsupported`: of no file of its type."""

    def __init__(self, reason: str, *, is_unsupported: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.is_unsupported = reason, is_unsupported


class Parser(Protocol):
    """Concurrency: safe. Bounded in time and memory, whatever the file holds; nothing of it is executed. Errors: NotParsed for the file;
    Unavailable where it may be tried again; what `parts` raises."""

    async def text(self, type: str, parts: AsyncIterator[bytes]) -> str:  # noqa: A002  # as the port has it
        """All text of a file of this media type."""


class PlainTextParser:
    """Reads plain text, Markdown, CSV, JSON and source code, in UTF-8 or, with a byte order mark, UTF-16."""

    async def text(self, type: str, parts: AsyncIterator[bytes]) -> str:  # noqa: A002  # as the port has it
        if not _is_plain(type):
            raise NotParsed(f"files of the type {type} are not read here", is_unsupported=True)
        content = bytearray()
        async for part in parts:
            content += part
            if len(content) > TEXT_MOST:
                raise NotParsed(f"the text has more than {TEXT_MOST} bytes: split it into several files")
        return _decoded(bytes(content))


def _is_plain(type_: str) -> bool:
    return (type_.startswith("text/") or type_ in _TEXTS) and type_ not in _NOT_PLAIN


def _decoded(content: bytes) -> str:
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise NotParsed("the text is neither UTF-8 nor UTF-16 with a byte order mark") from None
    return text.replace("\0", "")
