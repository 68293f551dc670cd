"""Vector stores as they are made: each with a key of its own, wrapped under that of whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.files.keeping import OwnersKeys
from gateway.files.sealing import new_key
from gateway.store.assistants import Maker
from gateway.store.vector_files import AttachedMost
from gateway.store.vectors import VectorStore


@dataclass(frozen=True, slots=True)
class NewStores:
    """`most`: what one owner may have in vector stores."""

    keys: OwnersKeys
    most: AttachedMost

    async def new(
        self, id_: str, owner: Maker, at: datetime, *, lasts: timedelta | None = None, metadata: Mapping[str, str] | None = None
    ) -> VectorStore:
        """Without a name, and not written yet. Unavailable."""
        return VectorStore(
            id=id_,
            owner=owner,
            created=at,
            name="",
            description=None,
            metadata=metadata or {},
            lasts=lasts,
            active=at,
            key=new_key(id_).wrapped(await self.keys.of(owner.customer)),
        )
