"""Files that are images, as a model is told them: within a `data:` URL (RFC 2397)."""

from base64 import b64encode
from contextlib import aclosing
from dataclasses import dataclass

from gateway.files.keeping import FileKeeper
from gateway.files.sealing import ContentDamaged
from gateway.store.assistants import Maker
from gateway.store.files import StoredFile, find_file

IMAGE_BYTES_MOST = 8 * 1024 * 1024
IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""What models that take images take, by the file's own bytes."""


@dataclass(frozen=True, slots=True)
class KeptImages:
    """Images among the files of a customer and of their client."""

    keeper: FileKeeper

    async def is_image(self, client: str, customer: str, file: str) -> bool | None:
        """Whether this file is an image that a model can be told; None: they have no such file. Unavailable."""
        found = await self._found(client, customer, file)
        return None if found is None else _is_image(found)

    async def url(self, client: str, customer: str, file: str) -> str | None:
        """The whole image; None where there is none, or none any more. Unavailable."""
        found = await self._found(client, customer, file)
        if found is None or not _is_image(found):
            return None
        content = bytearray()
        try:
            async with aclosing(self.keeper.read(found.content)) as parts:
                async for part in parts:
                    content += part
        except ContentDamaged:
            return None
        return f"data:{found.content.type};base64,{b64encode(content).decode()}"

    async def _found(self, client: str, customer: str, file: str) -> StoredFile | None:
        who, at = Maker(client, customer), self.keeper.clock()
        return await self.keeper.store.read(lambda connection: find_file(connection, who, file, at))


def _is_image(file: StoredFile) -> bool:
    return file.content.type in IMAGE_TYPES and file.content.size <= IMAGE_BYTES_MOST
