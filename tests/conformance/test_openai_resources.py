"""What tools may use, and attachments of messages, with the unmodified `openai` package and its strict check of every answer."""

from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conformance.test_openai_files import silent
from tests.conformance.test_openai_vectors import CARDS, FEES, POLL_MS, put
from tests.support.assisted import Assisted, assisted
from tests.support.models import Reply
from tests.support.tools import BUILT_IN, serve

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

WEEK_S = 7 * 86_400
SEARCH: Any = {"type": "file_search"}
CODE: Any = {"type": "code_interpreter"}


@pytest.fixture(autouse=True)
def _served(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, *BUILT_IN)


def named(found: Any) -> tuple[list[str] | None, list[str] | None]:
    """Files for code, and vector stores."""
    resources = found.tool_resources
    code, search = (None, None) if resources is None else (resources.code_interpreter, resources.file_search)
    return None if code is None else code.file_ids, None if search is None else search.vector_store_ids


async def names_of(client: Any, store: str) -> list[str]:
    """The files in a store, by their ids."""
    return sorted([file.id async for file in client.vector_stores.files.list(store)])


async def refused(asked: Any, kind: type[openai.APIStatusError] = openai.BadRequestError) -> Any:
    with pytest.raises(kind) as raised:
        await asked
    return raised.value.body


async def test_tools_of_assistants_and_runs(tmp_path: Path) -> None:
    options = {"max_num_results": 7, "ranking_options": {"score_threshold": 1, "ranker": "auto"}}
    tools = [{**SEARCH, "file_search": options}, CODE, {"type": "function", "function": {"name": "show_screen"}}]
    async with assisted(tmp_path / "data", silent) as all_of:
        beta, threads = all_of.service, all_of.of()
        made = await beta.assistants.create(model="m", tools=tools)
        assert (made.tools[0].file_search.max_num_results, made.tools[0].file_search.ranking_options.score_threshold) == (7, 1.0)
        assert [tool.type for tool in made.tools] == ["file_search", "code_interpreter", "function"]
        assert await beta.assistants.retrieve(made.id) == made
        changed = await beta.assistants.update(made.id, tools=[SEARCH])
        assert [tool.to_dict() for tool in changed.tools] == [SEARCH]
        thread = await threads.create()
        run = await threads.runs.create(thread.id, assistant_id=made.id, tools=tools, tool_choice=CODE)
        assert run.tool_choice.type == "code_interpreter"
        assert len(run.tools) == 3
        await all_of.until(run)
        for body in (
            {"tools": [SEARCH, {**SEARCH, "file_search": {}}]},
            {"tools": [CODE, CODE]},
            {"tools": [{"type": "function", "function": {"name": "code_interpreter"}}]},
            {"tools": [{**SEARCH, "file_search": {"max_num_results": 51}}]},
            {"tools": [{**SEARCH, "file_search": {"ranking_options": {"score_threshold": 1.01}}}]},
        ):
            assert (await refused(beta.assistants.create(model="m", **body)))["param"].startswith("tools")
            assert (await refused(threads.runs.create(thread.id, assistant_id=made.id, **body)))["param"].startswith("tools")
        choice = await refused(threads.runs.create(thread.id, assistant_id=made.id, tools=[SEARCH], tool_choice=CODE))
        assert choice["param"] == "tool_choice"


async def test_resources_of_an_assistant(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", silent) as all_of:
        client = all_of.client(all_of.token("dev-app", scope="assistants"))
        fees, cards = await put(client, FEES), await put(client, CARDS, "b.txt")
        store = await client.vector_stores.create(name="Terms")
        create = client.beta.assistants.create
        sizes: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
        helper: Any = {"file_ids": [fees, cards, fees], "chunking_strategy": sizes, "metadata": {"of": "terms"}}
        made = await create(model="m", tool_resources={"file_search": {"vector_stores": [helper]}})
        assert named(made)[0] is None
        (own,) = named(made)[1] or []
        kept = await client.vector_stores.retrieve(own)
        assert (kept.metadata, kept.expires_at, kept.name) == ({"of": "terms"}, None, "")
        assert await names_of(client, own) == sorted([fees, cards])
        entry = await client.vector_stores.files.poll(fees, vector_store_id=own, poll_interval_ms=POLL_MS)
        assert (entry.status, entry.to_dict()["chunking_strategy"]) == ("completed", sizes)
        assert await client.beta.assistants.retrieve(made.id) == made
        update = client.beta.assistants.update
        changed = await update(made.id, tool_resources={"code_interpreter": {"file_ids": [cards]}})
        assert named(changed) == ([cards], [own]), "what is absent stays"
        changed = await update(made.id, tool_resources={"file_search": {"vector_store_ids": [store.id]}}, name="Teller")
        assert named(changed) == ([cards], [store.id])
        changed = await update(made.id, tool_resources={"file_search": {"vector_store_ids": []}})
        assert named(changed) == ([cards], [])
        assert named(await update(made.id, name="Other")) == ([cards], [])
        assert (await update(made.id, extra_body={"tool_resources": None})).tool_resources is None
        assert (await create(model="m", tool_resources={})).tool_resources is None
        empty: Any = {"code_interpreter": {}, "file_search": {"vector_stores": [{}]}}
        made = await create(model="m", tool_resources=empty)
        assert (named(made)[0], len(named(made)[1] or [])) == ([], 1)
        unfit: Any
        for unfit in (
            {"code_interpreter": {"file_ids": [f"file_{number}" for number in range(21)]}},
            {"file_search": {"vector_store_ids": [store.id, own]}},
            {"file_search": {"vector_stores": [{}, {}]}},
            {"file_search": {"vector_stores": [{}], "vector_store_ids": [own]}},
            {"image_search": {}},
        ):
            assert (await refused(create(model="m", tool_resources=unfit)))["param"].startswith("tool_resources")


async def test_resources_of_a_thread(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", silent) as all_of:
        client = all_of.client(all_of.token())
        threads, (fees, cards) = client.beta.threads, (await put(client, FEES), await put(client, CARDS))
        thread = await threads.create(
            tool_resources={"code_interpreter": {"file_ids": [fees]}, "file_search": {"vector_stores": [{"file_ids": [cards]}]}}
        )
        code, (own,) = named(thread)[0], named(thread)[1] or []
        assert code == [fees]
        assert await threads.retrieve(thread.id) == thread
        store = await client.vector_stores.retrieve(own)
        assert (store.expires_at or 0) == (store.last_active_at or 0) + WEEK_S
        mine = await client.vector_stores.create()
        changed = await threads.update(thread.id, tool_resources={"file_search": {"vector_store_ids": [mine.id]}})
        assert (named(changed), changed.metadata) == (([fees], [mine.id]), {})
        changed = await threads.update(thread.id, metadata={"a": "b"})
        assert (named(changed), changed.metadata) == (([fees], [mine.id]), {"a": "b"})
        assert (await threads.update(thread.id, extra_body={"tool_resources": None})).tool_resources is None
        assert (await threads.retrieve(thread.id)).metadata == {"a": "b"}
        await threads.delete(thread.id)
        assert [item.id async for item in client.vector_stores.list()] == [mine.id], "its own store went with it"
        assert {file.id async for file in client.files.list()} == {fees, cards}
        await refused(threads.create(tool_resources={"file_search": {"vector_stores": [{"file_ids": ["a"] * 501}]}}))
        assert [item.id async for item in client.vector_stores.list()] == [mine.id]


async def test_attachments(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", silent) as all_of:
        client = all_of.client(all_of.token())
        threads = client.beta.threads
        fees, cards, data = [await put(client, text, name) for text, name in ((FEES, "a"), (CARDS, "b"), (b"1,2", "c.csv"))]
        thread = await threads.create()
        both: Any = {"file_id": fees, "tools": [SEARCH, CODE]}
        message = await threads.messages.create(thread.id, role="user", content="Fees?", attachments=[both])
        assert [item.to_dict() for item in message.attachments or []] == [both]
        assert await threads.messages.retrieve(message.id, thread_id=thread.id) == message
        code, (own,) = named(await threads.retrieve(thread.id))[0], named(await threads.retrieve(thread.id))[1] or []
        assert (code, await names_of(client, own)) == ([fees], [fees])
        store = await client.vector_stores.retrieve(own)
        assert store.expires_at == (store.last_active_at or 0) + WEEK_S
        entry = await client.vector_stores.files.poll(fees, vector_store_id=own, poll_interval_ms=POLL_MS)
        assert entry.status == "completed"
        more: Any = [
            {"file_id": cards, "tools": [SEARCH]},
            {"file_id": data, "tools": [CODE]},
            {"file_id": fees, "tools": [SEARCH]},
        ]
        await threads.messages.create(thread.id, role="user", content="Cards?", attachments=more)
        assert named(await threads.retrieve(thread.id)) == ([fees, data], [own])
        assert await names_of(client, own) == sorted([fees, cards])
        again = await client.vector_stores.files.retrieve(fees, vector_store_id=own)
        assert again == entry, "what is there already is not indexed anew"
        await threads.delete(thread.id)
        await refused(client.vector_stores.retrieve(own), openai.NotFoundError)
        many = [await put(client, b"x", str(number)) for number in range(21)]
        thread = await threads.create(tool_resources={"code_interpreter": {"file_ids": many[:20]}})
        asked = threads.messages.create(
            thread.id, role="user", content="x", attachments=[{"file_id": many[20], "tools": [CODE, SEARCH]}]
        )
        assert (await refused(asked))["param"] == "attachments"
        assert (await threads.messages.list(thread.id)).data == []
        assert [item.id async for item in client.vector_stores.list()] == []
        await threads.messages.create(thread.id, role="user", content="x", attachments=[{"file_id": many[3], "tools": [CODE]}])
        unfit: Any
        for unfit in ({"file_id": fees}, {"file_id": fees, "tools": []}, {"file_id": fees, "tools": [{"type": "function"}]}):
            body = await refused(threads.messages.create(thread.id, role="user", content="x", attachments=[unfit]))
            assert body["param"].startswith("attachments[0]")


async def test_runs_hold_what_their_assistant_had(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", silent) as all_of:
        client = all_of.client(all_of.token(scope="assistants threads customer_words function_calls"))
        fees, cards = await put(client, FEES), await put(client, CARDS)
        store = (await client.vector_stores.create()).id
        resources: Any = {"code_interpreter": {"file_ids": [fees]}, "file_search": {"vector_store_ids": [store]}}
        assistant = await client.beta.assistants.create(model="m", tools=[SEARCH, CODE], tool_resources=resources)
        attachment: Any = {"file_id": cards, "tools": [SEARCH]}
        message: Any = {"role": "user", "content": "Cards?", "attachments": [attachment]}
        run = await client.beta.threads.create_and_run_poll(
            assistant_id=assistant.id,
            thread={"messages": [message], "tool_resources": {"file_search": {"vector_stores": [{"file_ids": [fees]}]}}},
            tool_resources={"code_interpreter": {"file_ids": [cards]}},
            poll_interval_ms=POLL_MS,
        )
        assert (await own_of(all_of, run))["resources"] == {
            "code_interpreter": {"file_ids": [cards]},
            "file_search": {"vector_store_ids": [store]},
        }
        (own,) = named(await client.beta.threads.retrieve(run.thread_id))[1] or []
        assert await names_of(client, own) == sorted([fees, cards])
        run = await client.beta.threads.runs.create_and_poll(
            thread_id=run.thread_id,
            assistant_id=assistant.id,
            additional_messages=[{"role": "user", "content": "Again", "attachments": [{"file_id": cards, "tools": [CODE]}]}],
            poll_interval_ms=POLL_MS,
        )
        assert (await own_of(all_of, run))["resources"] == resources
        assert named(await client.beta.threads.retrieve(run.thread_id)) == ([cards], [own])


async def own_of(all_of: Assisted, run: Any) -> Any:
    """What a run keeps of its assistant's."""
    from gateway.runs.objects import own_of as kept_of
    from gateway.store import runs

    kept = await all_of.gateway.book.read(lambda connection: runs.find(connection, "alice", run.thread_id, run.id))
    assert kept is not None
    return kept_of(kept)


async def test_what_steps_tell_beside(tmp_path: Path) -> None:
    content: Any = "step_details.tool_calls[*].file_search.results[*].content"
    async with assisted(tmp_path / "data", Reply(text="Hello.")) as all_of:
        assistant, runs = await all_of.assistant(), all_of.of().runs
        thread = await all_of.of().create(messages=[{"role": "user", "content": "Hello"}])
        run = await all_of.until(await runs.create(thread.id, assistant_id=assistant.id, include=[content]))
        own = await own_of(all_of, run)
        assert (own["include"], "resources" in own) == ([content], False)
        steps = [step async for step in runs.steps.list(run.id, thread_id=thread.id, include=[content])]
        assert [step async for step in runs.steps.list(run.id, thread_id=thread.id)] == steps
        assert await runs.steps.retrieve(steps[0].id, thread_id=thread.id, run_id=run.id, include=[content]) == steps[0]
        unfit: Any
        for unfit in (["content"], [content, "usage"], [content.replace("*", "0")]):
            for asked in (
                runs.create(thread.id, assistant_id=assistant.id, include=unfit),
                runs.steps.list(run.id, thread_id=thread.id, include=unfit),
                runs.steps.retrieve(steps[0].id, thread_id=thread.id, run_id=run.id, include=unfit),
            ):
                assert (await refused(asked))["param"].startswith("include[]")
        assert [run.id async for run in runs.list(thread.id)] == [run.id]
