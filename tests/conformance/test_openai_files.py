"""Files and uploads with the unmodified `openai` package and its strict check of every answer."""

import asyncio
import base64
import hashlib
import io
import json
import os
import random
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Upload

from gateway.runs.images import GONE, LEFT_OUT, READ_MOST
from tests.support.assisted import assisted
from tests.support.models import Reply

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MIB = 1024 * 1024


def silent(_body: dict[str, Any]) -> Reply:
    return Reply(text="")


async def test_files(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", silent) as all_of:
        client = all_of.client(all_of.token())
        text = "Gebühren: 3 € — für Überweisungen.\n".encode() * 100
        made = await client.files.create(file=("Bedingungen ü.txt", text, "text/plain"), purpose="assistants")
        assert (made.filename, made.bytes, made.purpose) == ("Bedingungen ü.txt", len(text), "assistants")
        assert (await client.files.wait_for_processing(made.id)).status == "processed"
        assert await client.files.retrieve(made.id) == made
        assert (await client.files.content(made.id)).content == text
        lasting = await client.files.create(
            file=io.BytesIO(b"x" * (MIB + 1)), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
        )
        assert lasting.expires_at == lasting.created_at + 3600
        assert [file.id async for file in client.files.list()] == [lasting.id, made.id]
        assert [file.id async for file in client.files.list(limit=1, order="asc")] == [made.id, lasting.id]
        assert [file.id async for file in client.files.list(purpose="user_data")] == [lasting.id]
        gone = await client.files.delete(made.id)
        assert gone.deleted
        with pytest.raises(openai.NotFoundError):
            await client.files.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            await client.files.content(made.id)


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB + 17])
async def test_every_size_comes_back_as_it_was(size: int, tmp_path: Path) -> None:
    content = random.Random(size).randbytes(size)
    async with assisted(tmp_path / "data", silent) as all_of:
        client = all_of.client(all_of.token())
        made = await client.files.create(file=("f.bin", content), purpose="vision")
        assert made.bytes == size
        assert (await client.files.content(made.id)).content == content
        kept = [path.read_bytes() for path in (tmp_path / "data" / "files").rglob("*") if path.is_file()]
        assert len(kept) == 1
        assert size < 64 or content[:64] not in kept[0], "nothing of it is readable on the disk"


async def test_an_upload_in_parts_of_any_order(tmp_path: Path) -> None:
    content = os.urandom(2 * MIB + 5)
    async with assisted(tmp_path / "data", silent) as all_of:
        client = all_of.client(all_of.token())
        whole = await client.uploads.upload_file_chunked(
            file=content, filename="chart.png", bytes=len(content), mime_type="image/png", purpose="vision", part_size=MIB
        )
        assert whole.status == "completed"
        assert whole.file is not None
        assert (await client.files.content(whole.file.id)).content == content
        begun = await client.uploads.create(bytes=6, filename="a.txt", mime_type="text/plain", purpose="assistants")
        pieces = await asyncio.gather(*(client.uploads.parts.create(begun.id, data=piece) for piece in (b"ef", b"ab", b"cd")))
        order = [pieces[1].id, pieces[2].id, pieces[0].id]
        digest = hashlib.md5(b"abcdef", usedforsecurity=False).hexdigest()
        with pytest.raises(openai.BadRequestError, match="md5"):
            await client.uploads.complete(begun.id, part_ids=order, md5="0" * 32)
        with pytest.raises(openai.BadRequestError, match="6 bytes"):
            await client.uploads.complete(begun.id, part_ids=order[:2])
        with pytest.raises(openai.BadRequestError, match="twice"):
            await client.uploads.complete(begun.id, part_ids=[order[0], order[0], order[1]])
        done = await client.uploads.complete(begun.id, part_ids=order, md5=digest)
        assert done.file is not None
        assert (await client.files.content(done.file.id)).content == b"abcdef"
        for ended in (client.uploads.complete(begun.id, part_ids=order), client.uploads.cancel(begun.id)):
            with pytest.raises(openai.BadRequestError, match="completed or cancelled"):
                await ended
        raced = await client.uploads.create(bytes=MIB, filename="r.bin", mime_type="image/png", purpose="vision")
        part = await client.uploads.parts.create(raced.id, data=content[:MIB])
        ends = [client.uploads.complete(raced.id, part_ids=[part.id]) for _ in range(4)]
        told = await asyncio.gather(*ends, return_exceptions=True)
        won = [item for item in told if isinstance(item, Upload)]
        lost = [item for item in told if isinstance(item, openai.BadRequestError) and "completed or cancelled" in str(item)]
        assert (len(won), len(lost)) == (1, 3), told
        assert won[0].file is not None
        await client.files.delete(won[0].file.id)
        other = await client.uploads.create(bytes=3, filename="b.txt", mime_type="text/plain", purpose="assistants")
        await client.uploads.parts.create(other.id, data=b"ab")
        with pytest.raises(openai.APIStatusError, match="3 bytes announced"):
            await client.uploads.parts.create(other.id, data=b"cd")
        assert (await client.uploads.cancel(other.id)).status == "cancelled"
        with pytest.raises(openai.BadRequestError):
            await client.uploads.parts.create(other.id, data=b"c")
        kept = [path for path in (tmp_path / "data" / "files").rglob("*") if path.is_file()]
        assert len(kept) == 2, "no part is left over"


async def test_what_a_client_brings_its_customers_read_and_nobody_else(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", silent) as all_of:
        service = all_of.client(all_of.token("dev-app", scope="assistants"))
        alice, bruno = (all_of.client(all_of.token(name)) for name in ("alice", "bruno"))
        other_app = all_of.client(all_of.token("alice", client="other-app"))
        terms = await service.files.create(file=("terms.pdf", b"%PDF-1.7 terms"), purpose="assistants")
        private = await alice.files.create(file=("payslip.pdf", b"%PDF-1.7 pay"), purpose="assistants")
        assert {file.id async for file in alice.files.list()} == {terms.id, private.id}
        assert {file.id async for file in bruno.files.list()} == {terms.id}
        assert {file.id async for file in service.files.list()} == {terms.id}
        assert {file.id async for file in other_app.files.list()} == set()
        assert (await bruno.files.content(terms.id)).content == b"%PDF-1.7 terms"
        with pytest.raises(openai.PermissionDeniedError):
            await alice.files.delete(terms.id)
        upload = await alice.uploads.create(bytes=3, filename="a", mime_type="text/plain", purpose="assistants")

        def attempts(client: Any, file: str, uploaded: str) -> list[Any]:
            return [
                client.files.retrieve(file),
                client.files.content(file),
                client.files.delete(file),
                client.uploads.parts.create(uploaded, data=b"abc"),
                client.uploads.complete(uploaded, part_ids=["part_1"]),
                client.uploads.cancel(uploaded),
            ]

        told = set()
        for client in (bruno, service, other_app):
            for attempt in (*attempts(client, private.id, upload.id), *attempts(client, "file_" + "0" * 24, "upload_" + "0" * 24)):
                with pytest.raises(openai.NotFoundError) as refused:
                    await attempt
                told.add(refused.value.message)
        assert len(told) == 2, "one answer for each kind, whether it is there or not"


async def test_the_same_content_is_kept_once_for_each_owner(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", silent) as all_of:
        alice, bruno = (all_of.client(all_of.token(name)) for name in ("alice", "bruno"))

        def kept() -> int:
            return sum(path.is_file() for path in (tmp_path / "data" / "files").rglob("*"))

        first = await alice.files.create(file=("a.txt", b"the same"), purpose="assistants")
        second = await alice.files.create(file=("b.txt", b"the same"), purpose="assistants")
        assert kept() == 1
        await bruno.files.create(file=("a.txt", b"the same"), purpose="assistants")
        assert kept() == 2
        await alice.files.delete(first.id)
        assert (await alice.files.content(second.id)).content == b"the same"
        await alice.files.delete(second.id)
        assert kept() == 1


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


async def test_a_model_is_told_the_images_of_messages_that_are_files(tmp_path: Path) -> None:
    """Of the customer and of their client, and nobody else's; one that is gone is said to be."""
    told: list[Any] = []

    def looks(body: dict[str, Any]) -> Reply:
        told.append(body["messages"])
        return Reply(text="I see.")

    async with assisted(tmp_path / "data", looks) as all_of:
        alice, bruno = (all_of.client(all_of.token(name)) for name in ("alice", "bruno"))
        service = all_of.client(all_of.token("dev-app", scope="assistants"))
        own = await alice.files.create(file=("own.png", PNG + b"own"), purpose="vision")
        shared = await service.files.create(file=("shared.png", PNG + b"shared"), purpose="vision")
        foreign = await bruno.files.create(file=("his.png", PNG + b"his"), purpose="vision")
        text = await alice.files.create(file=("a.png", b"no image at all"), purpose="vision")
        threads = alice.beta.threads

        def asking(*files: str) -> Any:
            images = [{"type": "image_file", "image_file": {"file_id": file, "detail": "low"}} for file in files]
            return {"role": "user", "content": [{"type": "text", "text": "What is this?"}, *images]}

        for file, status in ((foreign.id, 404), ("file_" + "0" * 24, 404), (text.id, 400)):
            with pytest.raises(openai.APIStatusError) as refused:
                await threads.create(messages=[asking(file)])
            assert refused.value.status_code == status
        thread = await threads.create(messages=[asking(own.id, shared.id)])
        (message,) = (await threads.messages.list(thread.id)).data
        images = [part.image_file for part in message.content if part.type == "image_file"]
        assert [(image.file_id, image.detail) for image in images] == [(own.id, "low"), (shared.id, "low")]
        assistant = await all_of.assistant()
        run = await threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        assert run.status == "completed", run.last_error
        parts = next(message["content"] for message in told[-1] if message["role"] == "user")
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        assert [base64.b64decode(url.removeprefix("data:image/png;base64,")) for url in urls] == [PNG + b"own", PNG + b"shared"]
        await alice.files.delete(own.id)
        await threads.messages.create(thread.id, **asking(*[shared.id] * READ_MOST))
        run = await threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        assert run.status == "completed", run.last_error
        (before, now) = (message["content"] for message in told[-1] if message["role"] == "user")
        assert sum(part["type"] == "image_url" for part in now) == READ_MOST
        assert [part["text"] for part in before if part["type"] == "text"] == ["What is this?", LEFT_OUT, LEFT_OUT]
        fresh = await threads.create(messages=[asking(shared.id)])
        await service.files.delete(shared.id)
        run = await threads.runs.create_and_poll(thread_id=fresh.id, assistant_id=assistant.id)
        assert run.status == "completed", run.last_error
        (content,) = (message["content"] for message in told[-1] if message["role"] == "user")
        assert GONE in json.dumps(content)
