"""What customers are told of tools: out of the trail, ids of files and how code ended, with names where the files are theirs to see."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app.clock import utc_now
from gateway.calls.tools import FUNCTIONS
from gateway.doors.pages.own_view import ActivityFacts, entries
from gateway.oversight import activity
from tests.support.assisted import Assisted, assisted
from tests.support.models import Reply, asks, outputs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

POLL_MS = 50
SECRET = "A lost card is replaced within five days."


def model(body: Mapping[str, Any]) -> Reply:
    calls = (asks("file_search", query="lost card"), asks("code_interpreter", code="print(6 * 7)"))
    turn = len(outputs(body))
    return Reply(calls=calls[turn : turn + 1]) if turn < len(calls) else Reply("42.")


async def told(all_of: Assisted, customer: str) -> list[Mapping[str, Any]]:
    async with httpx.AsyncClient(base_url=all_of.url) as http:
        token = all_of.token(customer, scope="confirm")
        answered = await http.get("/v1/activity", headers={"authorization": f"Bearer {token}"})
    assert answered.status_code == 200, answered.text
    data: list[Mapping[str, Any]] = answered.json()["data"]
    assert SECRET not in answered.text, "which passages were read is not told"
    assert "6 * 7" not in answered.text
    return data


async def test_a_customer_sees_what_was_read_and_computed_for_them(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", model, code_interpreter="compute") as all_of:
        client: Any = all_of.client(all_of.token())
        file = await client.files.create(file=("terms.txt", SECRET.encode()), purpose="assistants")
        assistant = await all_of.service.assistants.create(
            model="a-model", tools=[{"type": "file_search"}, {"type": "code_interpreter"}]
        )
        both = [{"type": "file_search"}, {"type": "code_interpreter"}]
        said = {"role": "user", "content": "And?", "attachments": [{"file_id": file.id, "tools": both}]}
        run = await client.beta.threads.create_and_run_poll(
            assistant_id=assistant.id, thread={"messages": [said]}, poll_interval_ms=POLL_MS
        )
        assert run.status == "completed", run.last_error
        items = await told(all_of, "alice")
        tools = {item["function"]: item["tool"] for item in items if item["tool"] is not None}
        assert tools == {
            "file_search": {"ending": None, "read": [file.id], "given": [], "made": []},
            "code_interpreter": {"ending": "done", "read": [], "given": [file.id], "made": []},
        }
        assert [item["word"] for item in items if item["function"] == "code_interpreter"] == ["begins", None]

        book, log, functions = all_of.gateway.book, all_of.gateway.log, {each.name: each for each in FUNCTIONS}
        page = await activity.of_customer(log, book, "alice", None, newest_first=True)

        async def lines() -> list[str]:
            names = await book.file_names("alice", {file.id}, utc_now())
            listed = entries(page.items, ActivityFacts(functions, frozenset(), files=names))
            return [f"{line.words}: {line.mark}. {line.files}" for line in listed if line.files and line.call_id]

        assert await lines() == [
            "Calculate and draw: done. Given: terms.txt.",
            "Look something up in your documents: told to the assistant. Read: terms.txt.",
        ]
        calls = {str(item["call_id"]) for item in page.items if item["tool"] is not None}
        code = {str(item["call_id"]) for item in page.items if item["word"] == "begins"}
        assert await activity.ended(log, calls) == code, "two records each: that it began, and how it ended"
        assert await book.file_names("bruno", {file.id}, utc_now()) == {}, "another's file has no name"
        listed = entries(page.items, ActivityFacts(functions, frozenset(), files={file.id: "terms.txt"}))
        assert ("A file of yours was kept", "terms.txt") in [(line.words, line.files) for line in listed]
        assert not [line.words for line in listed if line.words.startswith("Something")]
        await client.files.delete(file.id)
        assert await lines() == [
            f"Calculate and draw: done. Given: {file.id}.",
            f"Look something up in your documents: told to the assistant. Read: {file.id}.",
        ]
        assert [item for item in await told(all_of, "bruno") if item["tool"] is not None] == []
