"""Images of messages that are files: read when the model is asked, the newest first, within bounds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.runs.model import ImagePart, Item, MessageTurn, TextPart

FILE = "file:"
"""Scheme of an image part that is not read yet; what follows is the file's id."""

READ_MOST = 8
"""Of one question: each is held whole while the model is asked."""

GONE = "[An image that is not available any more.]"
LEFT_OUT = "[An earlier image, left out.]"


class FileImages(Protocol):
    """Images among the files of a customer and of their client. Errors: Unavailable."""

    async def is_image(self, client: str, customer: str, file: str) -> bool | None:
        """Whether a model can be told this file; None: they have no such file."""

    async def url(self, client: str, customer: str, file: str) -> str | None:
        """A `data:` URL of it; None where there is none, or none any more."""


@dataclass(frozen=True, slots=True)
class NoFileImages:
    """Where there are no files."""

    async def is_image(self, client: str, customer: str, file: str) -> bool | None:
        return None

    async def url(self, client: str, customer: str, file: str) -> str | None:
        return None


async def with_images(items: Sequence[Item], images: FileImages, client: str, customer: str) -> tuple[Item, ...]:
    """The same with each image that is a file read, or a text in its place."""
    left, told = READ_MOST, list[Item]()
    for item in reversed(items):
        if isinstance(item, MessageTurn) and any(_is_file(part) for part in item.parts):
            parts: list[TextPart | ImagePart] = []
            for part in item.parts:
                if isinstance(part, ImagePart) and _is_file(part):
                    url = await images.url(client, customer, part.url.removeprefix(FILE)) if left else None
                    parts.append(ImagePart(url, part.detail) if url else TextPart(GONE if left else LEFT_OUT))
                    left -= bool(url)
                else:
                    parts.append(part)
            told.append(replace(item, parts=tuple(parts)))
        else:
            told.append(item)
    return tuple(reversed(told))


def _is_file(part: TextPart | ImagePart) -> bool:
    return isinstance(part, ImagePart) and part.url.startswith(FILE)
