"""What responses may search and run code over: what their request names, as far as who asks may read it, and nothing for longer."""

from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conformance.test_openai_responses import responses
from tests.conformance.test_openai_tools import FEES, citing, stored
from tests.conformance.test_openai_vectors import put
from tests.conformance.test_responses_tools import found_in, searching
from tests.support.assisted import Assisted, assisted
from tests.support.models import Reply, asks


def looking_up(body: dict[str, Any]) -> Reply:
    """A model that searches whatever it is asked, also where nothing is to be searched."""
    last = body["messages"][-1]
    return Reply(text=last["content"]) if last["role"] == "tool" else Reply(calls=(asks("file_search", query="Überweisung"),))


def going_on(body: dict[str, Any]) -> Reply:
    """One that shows a screen of the app's, then searches, and then tells what it found."""
    steps = (Reply(calls=(asks("show_screen"),)), Reply(calls=(asks("file_search", query="Überweisung"),)))
    made = [item["content"] for item in body["messages"] if item["role"] == "tool"]
    return Reply(text=made[-1]) if len(made) > 1 else steps[len(made)]


async def refused(all_of: Assisted, **asked: Any) -> tuple[str, str]:
    seen = len(all_of.model.seen)
    with pytest.raises(openai.APIStatusError) as error:
        await responses(all_of).create(model="a-model", input="Überweisung?", **asked)
    assert len(all_of.model.seen) == seen
    body: Any = error.value.body
    return body["code"], body["param"]


async def test_no_one_names_what_is_another_customer_s(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", citing) as all_of:
        own: Any = all_of.client(all_of.token())
        bruno: Any = all_of.client(all_of.token("bruno"))
        mine, theirs = (await own.vector_stores.create()).id, (await bruno.vector_stores.create()).id
        for store in (theirs, "vs_none"):
            answered = await refused(all_of, tools=searching(mine, store))
            assert answered == ("not_found", "tools[0].vector_store_ids[1]"), "another's is as one that is not there"
        for wrong, code, param in (
            (searching(), "invalid_request", "tools[0].vector_store_ids"),
            (searching(mine, mine, mine), "invalid_request", "tools[0].vector_store_ids"),
            (searching(mine, filters={"type": "eq", "key": "k", "value": "v"}), "unsupported", "tools[0].filters"),
            ([*searching(mine), *searching(mine)], "invalid_request", "tools"),
        ):
            assert await refused(all_of, tools=wrong) == (code, param)
        assert await refused(all_of, tool_choice={"type": "file_search"}) == ("invalid_request", "tool_choice")
        outside: Any = [{"type": "file_search_call", "id": "fs_1", "queries": ["x"], "status": "completed"}]
        answered = await responses(all_of).create(model="a-model", input=[*outside, {"role": "user", "content": "Hello."}])
        assert found_in(all_of, -1)[-1].startswith('{"ok":false'), answered


async def test_a_store_is_searched_by_the_response_alone_that_names_it(tmp_path: Path) -> None:
    """Not by one that follows, forks, or goes on with the same run, though the model asks."""
    app = {"type": "function", "name": "show_screen", "parameters": {"type": "object"}}
    async with assisted(tmp_path / "data", looking_up) as all_of:
        client: Any = all_of.client(all_of.token())
        api, store = responses(all_of), await stored(client, fees=FEES)
        other = (await client.vector_stores.create()).id
        asked: dict[str, Any] = {"model": "a-model", "input": "Überweisung?"}
        first = await api.create(**asked, tools=searching(store))
        assert "3 €" in first.output_text
        for follows in (
            {"previous_response_id": first.id},
            {"previous_response_id": first.id, "tools": searching(other)},
            {"previous_response_id": first.id},  # a fork
            {},
        ):
            answered = await api.create(**asked, **follows)
            assert "3 €" not in answered.output_text, follows
            (status,) = {item.status for item in answered.output if item.type == "file_search_call"}
            assert status == ("completed" if "tools" in follows else "failed")
        for tools, is_found in (([app], False), ([app, *searching(store)], True)):
            all_of.model.script = going_on
            begun = await api.create(model="a-model", input="Go.", tools=[app, *searching(store)])
            given = [{"type": "function_call_output", "call_id": begun.output[-1].call_id, "output": "shown"}]
            gone_on = await api.create(model="a-model", input=given, previous_response_id=begun.id, tools=tools)
            assert ("3 €" in gone_on.output_text) is is_found


def computing(*file_ids: str, **container: Any) -> list[Any]:
    return [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": list(file_ids), **container}}]


def keeping(body: dict[str, Any]) -> Reply:
    """A model that runs what it is told, and tells what that printed."""
    last = body["messages"][-1]
    return Reply(text=last["content"]) if last["role"] == "tool" else Reply(calls=(asks("code_interpreter", code=last["content"]),))


async def test_code_reaches_what_another_response_had_only_where_it_names_the_same_files(tmp_path: Path) -> None:
    """A session holds files and what was made of them: one of its own for each set of files."""
    async with assisted(tmp_path / "data", keeping, code_interpreter="compute") as all_of:
        client, bruno = (all_of.client(all_of.token(customer)) for customer in ("alice", "bruno"))
        mine, theirs = [await put(whose, b"42") for whose in (client, bruno)]
        for file in (theirs, "file-none"):
            assert await refused(all_of, tools=computing(mine, file)) == ("not_found", "tools[0].container.file_ids[1]")
        for wrong, code, param in (
            ([{"type": "code_interpreter", "container": "cntr_1"}], "unsupported", "tools[0].container"),
            (computing(memory_limit="4g"), "unsupported", "tools[0].container.memory_limit"),
            ([{"type": "code_interpreter"}], "invalid_request", "tools[0].container"),
            (computing(*[f"file-{number}" for number in range(21)]), "invalid_request", "tools[0].container.file_ids"),
        ):
            assert await refused(all_of, tools=wrong) == (code, param)
        api = responses(all_of)
        first = await api.create(model="a-model", input="x = 42\nprint(x)", tools=computing(mine))
        assert '"42' in first.output_text
        follows = first.id
        for tools, is_there in ((computing(), False), (None, False), (computing(mine), True)):
            later = await api.create(model="a-model", input="print(x)", tools=tools or [], previous_response_id=follows)
            assert ('"42' in later.output_text) is is_there, tools
            assert (later.output[0].container_id == first.output[0].container_id) is is_there
            follows = later.id
        other = await api.create(model="a-model", input="print(x)", tools=computing(mine))
        assert '"42' not in other.output_text, "another thread"


async def test_no_more_calls_are_done_than_a_response_takes(tmp_path: Path) -> None:
    """Of one answer, of the next, and of a response that goes on with the run: those beyond are refused, on record."""
    app = {"type": "function", "name": "show_screen", "parameters": {"type": "object"}}
    ours = {"type": "function", "name": "list_accounts", "parameters": {"type": "object"}}
    many = Reply(calls=tuple(asks("list_accounts") for _ in range(3)))
    answers = [many, many, Reply(calls=(asks("show_screen"), asks("list_accounts"))), many, Reply(text="Done.")]
    async with assisted(tmp_path / "data", {"Go.": answers}) as all_of:
        api, asked = responses(all_of), {"model": "a-model", "tools": [app, ours]}
        first = await api.create(input="Go.", max_tool_calls=2, **asked)
        assert first.max_tool_calls == 2
        statuses = [item.status for item in first.output if item.type == "mcp_call"]
        assert statuses == ["completed", "completed", *["failed"] * 5]
        refused_calls = first.model_extra["tellergate"]["calls"][2:]
        assert {(call["code"], call["reason"]) for call in refused_calls} == {("invalid_argument", "too_often")}
        offered = [{tool["function"]["name"] for tool in seen.body.get("tools", ())} for seen in all_of.model.seen]
        assert offered == [{"show_screen", "list_accounts"}, {"show_screen"}, {"show_screen"}]
        (call,) = [item for item in first.output if item.type == "function_call"]
        given = [{"type": "function_call_output", "call_id": call.call_id, "output": "shown"}]
        second = await api.create(input=given, previous_response_id=first.id, max_tool_calls=1, **asked)
        assert [item.status for item in second.output] == ["completed", "failed", "failed", "completed"]
