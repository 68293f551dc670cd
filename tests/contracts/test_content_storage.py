"""What keeps sealed contents: one contract over a folder, and a bucket that speaks S3 (moto, over HTTP on loopback)."""

import asyncio
import os
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from gateway.domain.errors import Unavailable
from gateway.files.s3 import Bucket, BucketStorage
from gateway.files.storage import ContentStorage, FolderStorage, NoSuchContent

NAME, OTHER = "ab" + "0" * 30, "cd" + "1" * 30


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{url}/contents", method="PUT"), timeout=10).close()
    yield url
    server.stop()


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> ContentStorage:
    if request.param == "folder":
        return FolderStorage(tmp_path / "files")
    url = request.getfixturevalue("endpoint")
    return BucketStorage(Bucket("contents", f"of/{tmp_path.name}", url, "eu-west-1", "id", "secret"))


async def parts(*pieces: bytes, fails: bool = False) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece
    if fails:
        raise ValueError("the sender went")


async def whole(storage: ContentStorage, name: str) -> bytes:
    return b"".join([part async for part in storage.read(name)])


async def names(storage: ContentStorage, age_s: float) -> list[str]:
    return sorted([name async for name in storage.names(age_s)])


@pytest.mark.parametrize("size", [0, 1, 300_000, 12_000_000])
async def test_what_was_put_is_read(storage: ContentStorage, size: int) -> None:
    content = os.urandom(size)
    await storage.put(NAME, parts(*(content[at : at + 262_160] for at in range(0, size, 262_160))))
    assert await whole(storage, NAME) == content


async def test_what_did_not_come_whole_is_not_there(storage: ContentStorage) -> None:
    with pytest.raises(ValueError, match="the sender went"):
        await storage.put(NAME, parts(*[b"x" * 300_000] * 30, fails=True))
    with pytest.raises(NoSuchContent):
        await whole(storage, NAME)
    assert await names(storage, -60) == []


async def test_what_is_deleted_is_gone_and_what_is_not_there_is_deleted_all_the_same(storage: ContentStorage) -> None:
    await storage.put(NAME, parts(b"a"))
    await storage.put(OTHER, parts(b"b"))
    await storage.delete(NAME)
    await storage.delete(NAME)
    with pytest.raises(NoSuchContent):
        await whole(storage, NAME)
    assert await whole(storage, OTHER) == b"b"


async def test_names_are_told_by_their_age(storage: ContentStorage) -> None:
    await storage.put(NAME, parts(b"a"))
    await storage.put(OTHER, parts(b"b"))
    assert await names(storage, -60) == [NAME, OTHER]
    assert await names(storage, 60) == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "\N{GREEK SMALL LETTER ALPHA}b"])
async def test_a_name_that_leads_elsewhere_is_none(storage: ContentStorage, name: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        await storage.put(name, parts(b"a"))


async def test_many_at_once(storage: ContentStorage) -> None:
    each = {f"{number:02x}{'e' * 30}": os.urandom(1000 * number) for number in range(20)}
    await asyncio.gather(*(storage.put(name, parts(content)) for name, content in each.items()))
    assert [await whole(storage, name) for name in each] == list(each.values())


async def test_a_storage_that_does_not_answer_is_unavailable(tmp_path: Path, endpoint: str) -> None:
    (tmp_path / "file").touch()
    nowhere: list[ContentStorage] = [
        FolderStorage(tmp_path / "file" / "files"),
        BucketStorage(Bucket("contents", "", "http://127.0.0.1:9", "eu-west-1", "id", "secret")),
        BucketStorage(Bucket("no-such-bucket", "", endpoint, "eu-west-1", "id", "secret")),
    ]
    for storage in nowhere:
        with pytest.raises(Unavailable):
            await storage.put(NAME, parts(b"a"))
