"""Sealed contents in a bucket that speaks S3: for gateways that share a database and no folder. Needs the extra `s3`."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from gateway.domain.errors import Unavailable
from gateway.files.storage import NO_STORAGE, READ_BYTES, NoSuchContent, place_of

CONNECT_S, ANSWER_S = 5, 60
_RETRIES: Any = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"base": 2, "init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2)},
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """`endpoint` empty: Amazon's own for the region. Without a key those of the environment are used, as Amazon's tools use them."""

    name: str
    prefix: str
    endpoint: str
    region: str
    key_id: str = ""
    secret: str = ""


class BucketStorage:
    """In a bucket, a content an object: `put` is seen whole or not at all (a multipart upload that is completed, or aborted)."""

    def __init__(self, bucket: Bucket) -> None:
        told: dict[str, Any] = {"region": bucket.region}
        if bucket.endpoint:
            told["endpoint"] = bucket.endpoint
        if bucket.key_id:
            told |= {"access_key_id": bucket.key_id, "secret_access_key": bucket.secret}
        self._store = S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            client_options={
                "allow_http": bucket.endpoint.startswith("http://"),
                "connect_timeout": f"{CONNECT_S}s",
                "timeout": f"{ANSWER_S}s",
            },
            retry_config=_RETRIES,
            **told,
        )

    async def put(self, name: str, parts: AsyncIterator[bytes]) -> None:
        with _answering():
            await obstore.put_async(self._store, place_of(name), parts)

    async def read(self, name: str) -> AsyncGenerator[bytes, None]:
        with _answering():
            try:
                found = await obstore.get_async(self._store, place_of(name))
            except FileNotFoundError:
                raise NoSuchContent(name) from None
            async for part in found.stream(min_chunk_size=READ_BYTES):
                yield bytes(part)

    async def delete(self, name: str) -> None:
        with _answering():
            await obstore.delete_async(self._store, place_of(name))

    async def names(self, age_s: float) -> AsyncIterator[str]:
        before_s = time.time() - age_s
        with _answering():
            async for page in obstore.list(self._store):
                for item in page:
                    if item["last_modified"].timestamp() < before_s:
                        yield item["path"].rpartition("/")[2]


@contextmanager
def _answering() -> Any:
    try:
        yield
    except (BaseError, OSError) as error:
        raise Unavailable(NO_STORAGE) from error
