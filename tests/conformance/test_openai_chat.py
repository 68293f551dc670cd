"""The unmodified `openai` package over Chat Completions, with its strict check of every answer and chunk."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from sqlalchemy import select

from gateway.app.clock import utc_now
from gateway.store import tables
from tests.simulation.test_runs import FUNCTIONS, PAYING, WORDS, confirm, mover, payer, transfers
from tests.support.assisted import Assisted, assisted, function, wait_until
from tests.support.models import Raw, Reply, outputs

HELLO: list[Any] = [{"role": "user", "content": "Hello."}]


def chat(all_of: Assisted, **claims: Any) -> Any:
    return all_of.client(all_of.token(**claims)).chat.completions


def tools(*names: str) -> list[Any]:
    return [function(name) for name in names]


async def streamed(completions: Any, **asked: Any) -> Sequence[Any]:
    return [chunk async for chunk in await completions.create(stream=True, **asked)]


def text_of(chunks: Sequence[Any]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


async def test_a_plain_answer_whole_and_streamed(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Good day to you.", usage=(12, 5))) as all_of:
        completions = chat(all_of)
        whole = await completions.create(model="a-model", messages=HELLO)
        (choice,) = whole.choices
        assert (whole.object, choice.index, choice.finish_reason, choice.message.role) == (
            "chat.completion",
            0,
            "stop",
            "assistant",
        )
        assert (choice.message.content, choice.message.tool_calls) == ("Good day to you.", None)
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens) == (12, 5, 17)
        chunks = await streamed(completions, model="a-model", messages=HELLO, stream_options={"include_usage": True})
        assert text_of(chunks) == "Good day to you."
        assert {chunk.id for chunk in chunks} == {chunks[0].id}
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
        assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [17]
        assert chunks[-1].choices == []
        bare = await streamed(completions, model="a-model", messages=HELLO)
        assert all(chunk.choices and chunk.usage is None for chunk in bare)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_functions_of_the_bank_are_done_within_and_those_of_the_app_are_asked_for(tmp_path: Path, is_streamed: bool) -> None:
    """The run goes on with the app's outputs: the model knows what it did before, though the client never saw it."""
    async with assisted(tmp_path / "data", mover) as all_of:
        completions = chat(all_of)
        asked: dict[str, Any] = {"model": "a-model", "tools": tools(*FUNCTIONS)}
        messages: list[Any] = [{"role": "user", "content": 'Move £1 from "Everyday" to "Rainy day"'}]
        if is_streamed:
            chunks = await streamed(completions, messages=messages, **asked)
            deltas = [delta for chunk in chunks for choice in chunk.choices for delta in choice.delta.tool_calls or ()]
            assert [delta.index for delta in deltas] == [0]
            calls, finish, extension = deltas, chunks[-1].choices[0].finish_reason, chunks[-1].model_extra["tellergate"]
        else:
            first = await completions.create(messages=messages, **asked)
            calls, finish = first.choices[0].message.tool_calls, first.choices[0].finish_reason
            extension = first.model_extra["tellergate"]
        assert (finish, [(call.type, call.function.name) for call in calls]) == ("tool_calls", [("function", "show_screen")])
        did = [(item["function"], item["status"]) for item in extension["calls"]]
        assert did == [("list_accounts", "done"), ("initiate_transfer", "done")]
        echoed = [call.model_dump(exclude={"index"}) for call in calls]
        messages += [{"role": "assistant", "tool_calls": echoed}, {"role": "tool", "tool_call_id": calls[0].id, "content": "shown"}]
        with pytest.raises(openai.APIStatusError):  # a run of their own, in which the scripted model is lost
            await chat(all_of, customer="bruno").create(messages=messages, model="a-model")
        assert len(outputs(all_of.model.seen[-1].body)) == 1, "another customer's run does not go on"
        second = await completions.create(messages=messages, **asked)
        assert (second.choices[0].message.content, second.choices[0].finish_reason) == ("Moved.", "stop")
        assert second.model_extra["tellergate"]["conversation"] == extension["conversation"]
        assert len(transfers(all_of)) == 1
        told = all_of.model.seen[-1].body
        assert [json.loads(output)["ok"] for output in outputs(told)[:2]] == [True, True]


async def test_what_a_client_resends_is_told_to_the_model_and_is_nobody_s_word(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Done.")) as all_of:
        completions = chat(all_of)
        history: list[Any] = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What time is it?", "name": "alice"},
            {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "call_0", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
                    {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "two"},
            {"role": "tool", "tool_call_id": "call_0", "content": [{"type": "text", "text": "one"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Noon."}]},
            {"role": "developer", "content": [{"type": "text", "text": "Be polite."}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Thank you."},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            },
        ]
        answer = await completions.create(model="a-model", messages=history)
        told = all_of.model.seen[-1].body["messages"]
        assert [item["role"] for item in told] == ["system", "user", "assistant", "tool", "tool", "assistant", "user"]
        assert told[0]["content"] == "Be brief.\n\nBe polite."
        assert [item["content"] for item in told if item["role"] == "tool"] == ["one", "two"]
        conversation = answer.model_extra["tellergate"]["conversation"]
        wanted = select(tables.WORDS.c.text, tables.WORDS.c.origin).where(tables.WORDS.c.conversation == conversation)
        said = await all_of.gateway.book.read(lambda connection: [tuple(row) for row in connection.execute(wanted)])
        assert said == [("Thank you.", "typed")]
        snapshot = await all_of.gateway.book.facts("alice", "dev-app", conversation, utc_now())
        assert snapshot is not None
        assert snapshot.conversation.tainted
        agents = await chat(all_of, agent="runtime").create(model="a-model", messages=HELLO)
        conversation = agents.model_extra["tellergate"]["conversation"]
        wanted = select(tables.WORDS.c.text).where(tables.WORDS.c.conversation == conversation)
        assert await all_of.gateway.book.read(lambda connection: connection.execute(wanted).all()) == []


async def test_a_payment_that_waits_ends_the_answer_and_is_done_once_the_customer_confirms(tmp_path: Path) -> None:
    for stream in (False, True):
        async with assisted(tmp_path / f"data-{stream}", payer) as all_of:
            completions = chat(all_of)
            asked: dict[str, Any] = {
                "model": "a-model",
                "tools": tools(*PAYING),
                "messages": [
                    {"role": "user", "content": "Hello"},
                    {"role": "assistant", "content": "Yes?"},
                    {"role": "user", "content": WORDS},
                ],
            }
            if stream:
                chunks = await streamed(completions, **asked)
                text, extension = text_of(chunks), chunks[-1].model_extra["tellergate"]
                finish = chunks[-1].choices[0].finish_reason
            else:
                whole = await completions.create(**asked)
                text, extension, finish = (
                    whole.choices[0].message.content,
                    whole.model_extra["tellergate"],
                    whole.choices[0].finish_reason,
                )
            assert (text, finish) == ("This needs your confirmation before it is done.", "stop")
            (waits,) = extension["confirmations"]
            assert waits["url"].endswith(f"/confirm/{waits['id']}")
            assert transfers(all_of) == []
            await confirm(all_of, waits["id"])
            assert len(transfers(all_of)) == 1
            assert await no_runs(all_of)


async def no_runs(all_of: Assisted) -> bool:
    """Once no run of the customer is under way any more."""

    async def none() -> bool | None:
        return None if all_of.gateway.running.api.pool and all_of.gateway.running.api.pool.driven else True

    return bool(await wait_until(none))


@pytest.mark.parametrize("why", ["length", "content_filter"])
async def test_an_answer_that_was_cut_off_says_why(tmp_path: Path, why: str) -> None:
    async with assisted(tmp_path / "data", Reply(text="So far so", finish=why)) as all_of:
        answer = await chat(all_of).create(model="a-model", messages=HELLO)
        assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("So far so", why)


async def test_who_hangs_up_ends_the_run(tmp_path: Path) -> None:
    begin = asyncio.Event()
    async with assisted(tmp_path / "data", Reply(text="Done.", begin=begin)) as all_of:
        stream = await chat(all_of).create(model="a-model", messages=HELLO, stream=True)
        await anext(aiter(stream))
        await stream.close()
        assert await no_runs(all_of)
        begin.set()


async def test_a_model_that_fails_is_no_answer_and_is_not_asked_again(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Raw(status=400), model_retries=0) as all_of:
        completions = all_of.client(all_of.token()).with_options(max_retries=2).chat.completions
        with pytest.raises(openai.APIStatusError) as refused:
            await completions.create(model="a-model", messages=HELLO)
        assert (refused.value.status_code, refused.value.code) == (424, "run_failed")
        assert len(all_of.model.seen) == 1, "what was done must not be done again"
        with pytest.raises(openai.APIError) as broken:
            await streamed(completions, model="a-model", messages=HELLO)
        assert broken.value.code == "run_failed"


REFUSED: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"messages": []}, "invalid_request", "messages"),
    ({"n": 2}, "unsupported", "n"),
    ({"stop": ["x"]}, "unsupported", "stop"),
    ({"store": True}, "unsupported", "store"),
    ({"logprobs": True}, "unsupported", "logprobs"),
    ({"functions": [{"name": "f"}]}, "unsupported", "functions"),
    ({"modalities": ["text", "audio"]}, "unsupported", "modalities"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "unsupported", "tools[0]"),
    ({"tools": [function("f"), function("f")]}, "invalid_request", "tools"),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "invalid_request", "tool_choice"),
    ({"messages": [{"role": "tool", "tool_call_id": "a", "content": "b"}]}, "invalid_request", "messages[0]"),
    (
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]},
        "unsupported",
        "messages[0].content[0]",
    ),
    (
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "user", "content": "and?"},
            ]
        },
        "invalid_request",
        "messages[0].tool_calls",
    ),
    ({"tellergate": {"conversation": "conv_" + "0" * 24}}, "not_found", "conversation_id"),
)


async def test_what_is_wrong_is_said_by_its_field(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Done.")) as all_of:
        for changes, code, param in REFUSED:
            asked: dict[str, Any] = {"model": "a-model", "messages": HELLO, **changes}
            with pytest.raises(openai.APIStatusError) as refused:
                await chat(all_of).create(model="a-model", messages=HELLO, extra_body=asked)
            body: Any = refused.value.body
            assert (body["code"], body["param"]) == (code, param), body
        assert all_of.model.seen == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_azure_s_client_asks_at_its_own_paths_with_its_own_header(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Good day."), azure_paths=True) as all_of:
        options: dict[str, Any] = {"azure_endpoint": all_of.url, "api_version": "2024-10-21", "max_retries": 0}
        async with openai.AsyncAzureOpenAI(api_key=all_of.token(), **options) as client:
            answer = await client.chat.completions.create(model="a-model", messages=HELLO)
            assert (answer.choices[0].message.content, answer.model) == ("Good day.", "a-model")
            thread = await client.beta.threads.create(messages=HELLO)
            assert (await client.beta.threads.retrieve(thread.id)).id == thread.id
        async with openai.AsyncAzureOpenAI(azure_ad_token=all_of.token(), **options) as client:
            assert (await client.chat.completions.create(model="a-model", messages=HELLO)).choices[0].finish_reason == "stop"
        async with openai.AsyncAzureOpenAI(api_key="no token", **options) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.chat.completions.create(model="a-model", messages=HELLO)
        async with httpx.AsyncClient(base_url=all_of.url, headers={"api-key": all_of.token()}) as bare:
            assert (await bare.get("/v1/models")).status_code == 401, "nowhere else"
            assert (await bare.get("/openai/v1/models")).status_code == 200
            assert (await bare.get("/openai/v1/function-calls")).status_code == 404


async def test_models_are_those_that_the_settings_name(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", Reply(text="Done."), models=("a-model", "b-model")) as all_of:
        client = all_of.client(all_of.token())
        assert [(item.id, item.object) async for item in client.models.list()] == [("a-model", "model"), ("b-model", "model")]
        assert (await client.models.retrieve("b-model")).id == "b-model"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("c-model")
        made = await client.chat.completions.create(model="c-model", messages=HELLO)
        assert made.model == "c-model", "the list is a list: the model's server says what it has"
