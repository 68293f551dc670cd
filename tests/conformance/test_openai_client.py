"""The unmodified `openai` package over the whole Assistants API, with its strict check of every answer."""

from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncAssistantEventHandler
from openai.types.beta.threads.runs import FunctionToolCall, RunStep
from typing_extensions import override

from tests.support.assisted import OWN, Assisted, assisted, function, required
from tests.support.models import Reply, asks, outputs, turns

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def a_model(body: dict[str, Any]) -> Reply:
    """Looks at the accounts, then at the app's screen, then speaks."""
    names = {tool["function"]["name"] for tool in body.get("tools", ())}
    wanted = [name for name in ("list_accounts", "show_screen") if name in names]
    if turns(body) < len(wanted):
        return Reply(calls=(asks(wanted[turns(body)]),))
    return Reply(text=f"I looked {len(outputs(body))} times. Done.")


def message_of(error: openai.APIError) -> str:
    """What the error says, without the client's own words around it."""
    assert isinstance(error.body, dict)
    return str(error.body["message"])


def calls_of(step: RunStep) -> list[FunctionToolCall]:
    """The function calls of a step, which has no others."""
    assert step.step_details.type == "tool_calls"
    return [call for call in step.step_details.tool_calls if call.type == "function"]


async def test_assistants(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", a_model) as all_of:
        beta = all_of.service
        whole: dict[str, Any] = {
            "model": "a-model",
            "name": "Teller",
            "description": "d" * 512,
            "instructions": "i" * 256_000,
            "tools": [function("list_accounts"), function("show_screen")],
            "metadata": {f"k{number}": "v" * 512 for number in range(16)},
            "temperature": 0.5,
            "top_p": 1,
            "reasoning_effort": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "x": [0.5]}}},
        }
        made = await beta.assistants.create(**whole)
        told = made.to_dict()
        assert {name: told[name] for name in whole if name not in ("tools", "response_format")} == {
            name: value for name, value in whole.items() if name not in ("tools", "response_format")
        }
        assert told["tools"] == whole["tools"]
        assert told["response_format"] == whole["response_format"]
        assert await beta.assistants.retrieve(made.id) == made
        bare = await beta.assistants.create(model="b-model")
        assert bare.to_dict() | {"id": "", "created_at": 0} == {
            "id": "",
            "created_at": 0,
            "object": "assistant",
            "name": None,
            "description": None,
            "model": "b-model",
            "instructions": None,
            "tools": [],
            "tool_resources": None,
            "metadata": {},
            "top_p": None,
            "temperature": None,
            "reasoning_effort": None,
            "response_format": "auto",
        }
        changed = await beta.assistants.update(bare.id, name="Other", tools=[function("f")], metadata={"a": "b"})
        assert (changed.name, changed.model, changed.metadata) == ("Other", "b-model", {"a": "b"})
        assert [item.id async for item in beta.assistants.list(limit=1)] == [bare.id, made.id]
        up = await beta.assistants.list(order="asc", limit=1)
        assert ([item.id for item in up.data], up.has_next_page()) == ([made.id], True)
        assert [item.id for item in (await beta.assistants.list(before=made.id)).data] == [bare.id]
        gone = await beta.assistants.delete(bare.id)
        assert (gone.id, gone.deleted, gone.object) == (bare.id, True, "assistant.deleted")
        with pytest.raises(openai.NotFoundError):
            await beta.assistants.retrieve(bare.id)


async def test_threads_and_messages(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", a_model) as all_of:
        threads = all_of.of()
        thread = await threads.create(messages=[{"role": "user", "content": "one"}], metadata={"a": "b"})
        assert (thread.metadata, thread.tool_resources) == ({"a": "b"}, None)
        assert (await threads.update(thread.id, metadata={"c": "d"})).metadata == {"c": "d"}
        assert (await threads.retrieve(thread.id)).metadata == {"c": "d"}
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        two = await threads.messages.create(thread.id, role="user", content=[{"type": "text", "text": "two"}, picture])
        assert [part.type for part in two.content] == ["text", "image_url"]
        three = await threads.messages.create(thread.id, role="assistant", content="three", metadata={"k": "v"})
        assert (three.role, three.run_id, three.assistant_id, three.status, three.attachments) == (
            "assistant",
            None,
            None,
            "completed",
            [],
        )
        assert await all_of.said(thread.id) == ["one", "two", "three"]
        page = await threads.messages.list(thread.id, limit=2)
        assert [item.id for item in page.data] == [three.id, two.id]
        assert page.has_next_page()
        assert [item.id for item in (await threads.messages.list(thread.id, after=three.id, limit=1)).data] == [two.id]
        changed = await threads.messages.update(three.id, thread_id=thread.id, metadata={"x": "y"})
        assert changed.metadata == {"x": "y"}
        assert await threads.messages.retrieve(three.id, thread_id=thread.id) == changed
        gone = await threads.messages.delete(three.id, thread_id=thread.id)
        assert (gone.id, gone.deleted, gone.object) == (three.id, True, "thread.message.deleted")
        assert await all_of.said(thread.id) == ["one", "two"]
        assert (await threads.delete(thread.id)).object == "thread.deleted"
        with pytest.raises(openai.NotFoundError):
            await threads.retrieve(thread.id)


async def test_runs_polled(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", a_model) as all_of:
        threads, assistant = all_of.of(), await all_of.assistant("list_accounts", "show_screen")
        waits = await threads.create_and_run_poll(
            assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "look"}]}, metadata={"m": "n"}
        )
        assert waits.status == "requires_action"
        (call,) = waits.required_action.submit_tool_outputs.tool_calls
        assert (call.function.name, call.function.arguments) == ("show_screen", "{}")
        assert waits.usage is None
        assert waits.expires_at is not None
        with pytest.raises(openai.BadRequestError) as locked:
            await threads.messages.create(waits.thread_id, role="user", content="more")
        assert message_of(locked.value) == f"Can't add messages to {waits.thread_id} while a run {waits.id} is active."
        with pytest.raises(openai.BadRequestError) as active:
            await threads.runs.create(waits.thread_id, assistant_id=assistant.id)
        assert message_of(active.value) == f"Thread {waits.thread_id} already has an active run {waits.id}."
        done = await threads.runs.submit_tool_outputs_and_poll(
            run_id=waits.id, thread_id=waits.thread_id, tool_outputs=[{"tool_call_id": call.id, "output": "seen"}]
        )
        assert (done.status, done.required_action, done.last_error, done.expires_at) == ("completed", None, None, None)
        assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.total_tokens) == (33, 21, 54)
        assert done.metadata == {"m": "n"}
        assert await all_of.said(done.thread_id) == ["look", "I looked 2 times. Done."]
        steps = await all_of.steps(done)
        assert [(step.type, step.status) for step in steps] == [
            ("tool_calls", "completed"),
            ("tool_calls", "completed"),
            ("message_creation", "completed"),
        ]
        assert steps[0].step_details.tool_calls[0].function.output.startswith('{"ok":true')
        assert await threads.runs.steps.retrieve(steps[0].id, thread_id=done.thread_id, run_id=done.id) == steps[0]
        by_run = await threads.messages.list(done.thread_id, run_id=done.id)
        assert [item.id for item in by_run.data] == [steps[2].step_details.message_creation.message_id]
        changed = await threads.runs.update(done.id, thread_id=done.thread_id, metadata={"p": "q"})
        assert changed.metadata == {"p": "q"}
        assert [item.id async for item in threads.runs.list(done.thread_id)] == [done.id]
        again = await threads.runs.create_and_poll(
            thread_id=done.thread_id,
            assistant_id=assistant.id,
            additional_messages=[{"role": "user", "content": "again"}],
            additional_instructions="Be kind.",
            tools=[function("list_accounts")],
            tool_choice="required",
            parallel_tool_calls=False,
            truncation_strategy={"type": "last_messages", "last_messages": 1},
            response_format={"type": "text"},
            temperature=0.1,
        )
        assert (again.status, again.instructions) == ("completed", "Be brief.\n\nBe kind.")
        asked = [seen.body for seen in all_of.model.seen][-2:]
        assert [body["tool_choice"] for body in asked] == ["required", "auto"]
        assert asked[0]["parallel_tool_calls"] is False
        assert [question["role"] for question in asked[0]["messages"]] == ["system", "user"]
        with pytest.raises(openai.BadRequestError) as over:
            await threads.runs.cancel(again.id, thread_id=again.thread_id)
        assert message_of(over.value) == "Cannot cancel run with status 'completed'."


class Heard(AsyncAssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.calls: list[Any] = []
        self.events: list[str] = []

    @override
    async def on_event(self, event: Any) -> None:
        self.events.append(event.event)

    @override
    async def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value

    @override
    async def on_tool_call_created(self, tool_call: Any) -> None:
        self.calls.append(tool_call)


async def test_runs_streamed(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", a_model) as all_of:
        threads, assistant = all_of.of(), await all_of.assistant("list_accounts", "show_screen")
        heard = Heard()
        said = {"messages": [{"role": "user", "content": "look"}]}
        async with threads.create_and_run_stream(assistant_id=assistant.id, thread=said, event_handler=heard) as stream:
            await stream.until_done()
        waits = heard.current_run
        assert waits is not None
        assert waits.status == "requires_action"
        assert heard.events[:4] == ["thread.created", "thread.run.created", "thread.run.queued", "thread.run.in_progress"]
        assert heard.events[-1] == "thread.run.requires_action"
        assert [item.function.name for item in heard.calls] == ["list_accounts"]
        steps = await heard.get_final_run_steps()
        made = [tool_call for step in steps for tool_call in calls_of(step)]
        assert [tool_call.function.name for tool_call in made] == ["list_accounts", "show_screen"]
        assert (made[0].function.output or "").startswith('{"ok":true')
        assert waits.required_action is not None
        (call,) = waits.required_action.submit_tool_outputs.tool_calls
        then = Heard()
        async with threads.runs.submit_tool_outputs_stream(
            run_id=waits.id,
            thread_id=waits.thread_id,
            tool_outputs=[{"tool_call_id": call.id, "output": "seen"}],
            event_handler=then,
        ) as stream:
            await stream.until_done()
        assert then.text == "I looked 2 times. Done."
        assert then.events[0] == "thread.run.queued"
        assert then.events[-1] == "thread.run.completed"
        message = then.events.index("thread.message.created")
        assert "thread.run.step.created" in then.events[:message], "the step comes before its message"
        (whole,) = await then.get_final_messages()
        (part,) = whole.content
        assert part.type == "text"
        assert part.text.value == then.text
        assert (await threads.messages.retrieve(whole.id, thread_id=whole.thread_id)).content == whole.content
        raw = [event async for event in await threads.runs.create(waits.thread_id, assistant_id=assistant.id, stream=True)]
        assert raw[-1].event == "thread.run.completed"


async def bad(call: Any, kind: type[openai.APIStatusError] = openai.BadRequestError) -> dict[str, Any]:
    with pytest.raises(kind) as refused:
        await call
    told: Any = refused.value.body
    assert set(told) == {"message", "type", "param", "code"}
    return dict(told)


async def test_bad_input_gets_the_error_form_and_leaves_the_thread_usable(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", a_model) as all_of:
        beta, threads = all_of.service, all_of.of()
        assistant = await all_of.assistant("show_screen")
        create = beta.assistants.create
        for refused in (
            {"model": ""},
            {"model": "m", "name": "n" * 257},
            {"model": "m", "description": "d" * 513},
            {"model": "m", "instructions": "i" * 256_001},
            {"model": "m", "tools": [function(f"f{number}") for number in range(129)]},
            {"model": "m", "tools": [function("f"), function("f")]},
            {"model": "m", "tools": [function("a b")]},
            {"model": "m", "tools": [{"type": "code_interpreter"}]},
            {"model": "m", "tools": [{"type": "file_search"}, {"type": "file_search"}]},
            {"model": "m", "tools": [function("file_search")]},
            {"model": "m", "metadata": {f"k{number}": "" for number in range(17)}},
            {"model": "m", "metadata": {"k" * 65: ""}},
            {"model": "m", "metadata": {"k": "v" * 513}},
            {"model": "m", "temperature": 2.1},
            {"model": "m", "top_p": -0.1},
            {"model": "m", "tool_resources": {"file_search": {"vector_store_ids": ["vs_1", "vs_2"]}}},
            {"model": "m", "extra_body": {"unknown": 1}},
        ):
            assert (await bad(create(**refused)))["type"] == "invalid_request_error"
        thread = await threads.create()
        for content in ("", "x" * 256_001, "a\x00b", [], [{"type": "image_file", "image_file": {}}]):
            await bad(threads.messages.create(thread.id, role="user", content=content))
        image = {"type": "image_url", "image_url": {"url": "https://evil.example/x.png"}}
        await bad(threads.messages.create(thread.id, role="user", content=[image]))
        await bad(threads.messages.create(thread.id, role="system", content="x"))
        await bad(threads.messages.create(thread.id, role="user", content="x", attachments=[{"file_id": "f"}]))
        await bad(threads.messages.create(thread.id, role="user", content="x", metadata={"tellergate.origin": "heard"}))
        run = threads.runs.create
        for refused in (
            {"assistant_id": assistant.id, "max_prompt_tokens": 255},
            {"assistant_id": assistant.id, "max_completion_tokens": 1},
            {"assistant_id": assistant.id, "truncation_strategy": {"type": "last_messages"}},
            {"assistant_id": assistant.id, "tool_choice": {"type": "function", "function": {"name": "other"}}},
            {"assistant_id": assistant.id, "tool_choice": "always"},
            {"assistant_id": assistant.id, "response_format": {"type": "xml"}},
        ):
            await bad(run(thread.id, **refused))
        assert (await bad(run(thread.id, assistant_id="asst_unknown"), openai.NotFoundError))["code"] == "not_found"
        assert (await bad(run("thread_unknown", assistant_id=assistant.id), openai.NotFoundError))["code"] == "not_found"
        await bad(threads.messages.list(thread.id, limit=0))
        await bad(threads.messages.list(thread.id, limit=101))
        assert (await bad(threads.messages.list(thread.id, after="msg_unknown")))["param"] == "after"
        raw = all_of.client(all_of.token()).with_options(max_retries=0)
        for body in (b"{", b"[]", b'{"a":1,"a":2}', b"\xff"):
            await bad(raw.post(f"/threads/{thread.id}/messages", cast_to=object, content=body))
        await outputs_that_are_not_expected(all_of, thread.id, assistant.id)


async def outputs_that_are_not_expected(all_of: Assisted, thread: str, assistant: str) -> None:
    threads = all_of.of()
    await threads.messages.create(thread, role="user", content="look")
    waits = await threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant)
    (call,) = waits.required_action.submit_tool_outputs.tool_calls
    right = {"tool_call_id": call.id, "output": "seen"}
    submit = threads.runs.submit_tool_outputs
    for given in ([], [right, right], [{**right, "tool_call_id": "call_x"}], [right, {**right, "tool_call_id": "call_x"}]):
        told = await bad(submit(waits.id, thread_id=thread, tool_outputs=given))
        assert told["code"] == "outputs_not_expected"
    await bad(submit(waits.id, thread_id=thread, tool_outputs=[{**right, "output": "o" * 70_000}]))
    await submit(waits.id, thread_id=thread, tool_outputs=[right])
    again = await submit(waits.id, thread_id=thread, tool_outputs=[right])
    assert again.id == waits.id, "the same once more changes nothing"
    done = await all_of.until(waits)
    assert done.status == "completed", "the thread was usable all the time"
    other = await bad(submit(waits.id, thread_id=thread, tool_outputs=[{**right, "output": "other"}]))
    assert other["message"] == "Runs in status 'completed' do not accept tool outputs."


async def test_what_is_anothers_is_not_there(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", a_model) as all_of:
        mine, assistant = all_of.of(), await all_of.assistant("show_screen")
        _, begun = await all_of.begun(assistant, "look")
        run = await all_of.until(begun)
        (call,) = required(run)
        step = (await all_of.steps(run))[0]
        message = (await mine.messages.list(run.thread_id)).data[0]
        theirs, where = all_of.of("bruno"), {"thread_id": run.thread_id}
        for call_it in (
            theirs.retrieve(run.thread_id),
            theirs.update(run.thread_id, metadata={}),
            theirs.delete(run.thread_id),
            theirs.messages.create(run.thread_id, role="user", content="x"),
            theirs.messages.list(run.thread_id),
            theirs.messages.retrieve(message.id, **where),
            theirs.messages.update(message.id, metadata={}, **where),
            theirs.messages.delete(message.id, **where),
            theirs.runs.create(run.thread_id, assistant_id=assistant.id),
            theirs.runs.list(run.thread_id),
            theirs.runs.retrieve(run.id, **where),
            theirs.runs.update(run.id, metadata={}, **where),
            theirs.runs.cancel(run.id, **where),
            theirs.runs.submit_tool_outputs(run.id, tool_outputs=[{"tool_call_id": call.id, "output": "x"}], **where),
            theirs.runs.steps.list(run.id, **where),
            theirs.runs.steps.retrieve(step.id, run_id=run.id, **where),
        ):
            await bad(call_it, openai.NotFoundError)
        assert (await all_of.until(run)).status == "requires_action"
        other = all_of.client(all_of.token("another-app", scope="assistants", client="another-app")).beta.assistants
        for call_it in (other.retrieve(assistant.id), other.update(assistant.id, name="x"), other.delete(assistant.id)):
            await bad(call_it, openai.NotFoundError)
        assert (await other.list()).data == []
        elsewhere = all_of.client(all_of.token(client="another-app")).beta.threads
        await bad(elsewhere.create_and_run(assistant_id=assistant.id), openai.NotFoundError)
        for scope in ("function_calls", "customer_words", "assistants", "confirm"):
            wrong = all_of.client(all_of.token(scope=scope)).beta.threads
            await bad(wrong.create(), openai.PermissionDeniedError)
        mine = all_of.client(all_of.token(scope=OWN)).beta.assistants
        assert (await mine.retrieve(assistant.id)).id == assistant.id
        assert [item.id for item in (await mine.list()).data] == [assistant.id]
        for call_it in (mine.create(model="m"), mine.update(assistant.id, name="x"), mine.delete(assistant.id)):
            await bad(call_it, openai.PermissionDeniedError)
        with_all = all_of.token(scope=f"{OWN} assistants")
        for call_it in (
            all_of.client(with_all).beta.assistants.update(assistant.id, name="x"),
            all_of.client(with_all).beta.assistants.delete(assistant.id),
        ):
            await bad(call_it, openai.PermissionDeniedError)
        own = await all_of.client(with_all).beta.assistants.create(model="a-model", name="Mine")
        assert {item.id for item in (await mine.list()).data} == {assistant.id, own.id}
        assert (await all_of.client(with_all).beta.assistants.update(own.id, name="Still mine")).name == "Still mine"
        bruno = all_of.client(all_of.token("bruno", scope=f"{OWN} assistants")).beta
        for call_it in (
            bruno.assistants.retrieve(own.id),
            bruno.assistants.update(own.id, name="x"),
            bruno.assistants.delete(own.id),
            bruno.threads.create_and_run(assistant_id=own.id),
            all_of.service.assistants.retrieve(own.id),
        ):
            await bad(call_it, openai.NotFoundError)
        assert (
            [item.id for item in (await bruno.assistants.list()).data]
            == [item.id for item in (await all_of.service.assistants.list()).data]
            == [assistant.id]
        )
        thread = await all_of.client(with_all).beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
        assert (await all_of.client(with_all).beta.threads.runs.create(thread.id, assistant_id=own.id)).assistant_id == own.id
        assert (await all_of.client(with_all).beta.assistants.delete(own.id)).deleted
        of_another = all_of.client(all_of.token(scope=OWN, client="another-app")).beta.assistants
        await bad(of_another.retrieve(assistant.id), openai.NotFoundError)
        assert (await of_another.list()).data == []
        for scope in ("function_calls", "customer_words", "confirm"):
            await bad(all_of.client(all_of.token(scope=scope)).beta.assistants.retrieve(assistant.id), openai.PermissionDeniedError)
        await bad(all_of.client("none").beta.threads.create(), openai.AuthenticationError)
