"""Vector stores with the unmodified `openai` package and its strict check of every answer."""

from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.app.kept_settings import BUBBLEWRAP
from gateway.files.documents import PACKAGES
from tests.conformance.test_openai_files import silent
from tests.support.assisted import assisted
from tests.support.documents import pdf, word
from tests.support.jails import jail

POLL_MS = 50
FEES = "Gebühren: eine Überweisung ins Ausland kostet 3 €.\n".encode()
CARDS = b"A lost card is replaced within five days, for ten euros.\n"


async def put(client: Any, text: bytes, name: str = "a.txt") -> str:
    file: str = (await client.files.create(file=(name, text), purpose="assistants")).id
    return file


async def test_a_store_is_filled_searched_and_emptied(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", silent) as all_of:
        client = all_of.client(all_of.token())
        stores = client.vector_stores
        made = await stores.create(name="Terms", metadata={"of": "bank"}, expires_after={"anchor": "last_active_at", "days": 3})
        assert made.expires_at == (made.last_active_at or 0) + 3 * 86_400
        attached = await stores.files.upload_and_poll(
            vector_store_id=made.id, file=("fees.txt", FEES), attributes={"year": 2026, "draft": False}, poll_interval_ms=POLL_MS
        )
        assert (attached.status, attached.last_error) == ("completed", None)
        batch = await stores.file_batches.upload_and_poll(
            made.id, files=[("cards.md", CARDS), ("pic.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 60)], poll_interval_ms=POLL_MS
        )
        counts = batch.file_counts
        assert (counts.completed, counts.failed, counts.total, batch.status) == (1, 1, 2, "completed")
        failed = [file async for file in stores.file_batches.list_files(batch.id, vector_store_id=made.id, filter="failed")]
        assert [file.last_error and file.last_error.code for file in failed] == ["unsupported_file"]
        found = [item async for item in stores.search(made.id, query="ÜBERWEISUNG gebuhren")]
        assert [(item.filename, item.attributes) for item in found] == [("fees.txt", {"year": 2026.0, "draft": False})]
        assert found[0].content[0].text == FEES.decode()
        assert 0.3 < found[0].score <= 1
        assert [item async for item in stores.search(made.id, query="nothing of the kind")] == []
        pages = [part.text async for part in stores.files.content(attached.id, vector_store_id=made.id)]
        assert "".join(text or "" for text in pages) == FEES.decode()
        seen = await stores.retrieve(made.id)
        assert (seen.status, seen.file_counts.total, seen.file_counts.completed) == ("completed", 3, 2)
        assert seen.usage_bytes > len(FEES)
        changed = await stores.update(made.id, name="New terms", expires_after=None)
        assert (changed.name, changed.expires_at, changed.metadata) == ("New terms", None, {"of": "bank"})
        assert (await stores.files.delete(attached.id, vector_store_id=made.id)).deleted
        assert [item async for item in stores.search(made.id, query="Überweisung")] == []
        assert (await client.files.retrieve(attached.id)).filename == "fees.txt", "the file itself stays"
        assert [store.id async for store in stores.list()] == [made.id]
        assert (await stores.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await stores.retrieve(made.id)


async def test_documents_are_read_in_the_jail_and_found(tmp_path: Path) -> None:
    jail(PACKAGES)
    documents = {
        "terms.pdf": pdf("A transfer abroad costs three euros."),
        "cards.docx": word("A lost card is replaced within five days."),
        "broken.pdf": b"%PDF-1.7 and no more",
    }
    async with assisted(tmp_path / "data", silent, sandbox=BUBBLEWRAP) as all_of:
        client = all_of.client(all_of.token())
        made = await client.vector_stores.create()
        batch = await client.vector_stores.file_batches.upload_and_poll(
            made.id, files=list(documents.items()), poll_interval_ms=POLL_MS
        )
        assert (batch.file_counts.completed, batch.file_counts.failed) == (2, 1)
        for query, name in (("transfer abroad", "terms.pdf"), ("lost card", "cards.docx")):
            found = [item async for item in client.vector_stores.search(made.id, query=query)]
            assert [item.filename for item in found] == [name]
        failed = [file async for file in client.vector_stores.files.list(made.id, filter="failed")]
        assert [file.last_error and file.last_error.code for file in failed] == ["invalid_file"]
