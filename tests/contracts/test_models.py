"""The port to the model: one contract for both APIs, before our own scripted server and one of somebody else (npm `@copilotkit/aimock`)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from itertools import count
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter

from gateway.runs.answer import AnswerAssembly, ModelAnswer
from gateway.runs.endpoint import Api, open_model
from gateway.runs.model import (
    CallTurn,
    Finish,
    ImagePart,
    Item,
    MessageTurn,
    Model,
    ModelFailed,
    OfferedFunction,
    Piece,
    Prompt,
    TextPart,
    TextPiece,
    ToolCall,
    Usage,
)
from tests.support.aimock import served
from tests.support.models import Asked, Raw, Reply, Script, ScriptedModel, in_turn, model_server
from tests.support.waiting import wait_until

RENT = Asked("pay", '{"to":"Zoë","amount":"12.50"}', "call_rent")
LOOK = Asked("balance", "{}", "call_look")
JSON = {"Content-Type": "application/json"}
SCRIPT: Script = {
    "words": Reply("Grüße, Zoë 😀.", usage=(21, 9), fragments=5),
    "a call": (Reply(calls=(RENT,), usage=(21, 9)), Reply("Paid.", usage=(21, 9))),
    "two calls": Reply(calls=(RENT, LOOK), usage=(21, 9)),
    "both": Reply("One moment.", (LOOK,), usage=(21, 9)),
    "too long": Reply("Once upon a", finish="length", usage=(21, 9)),
    "cut off": Raw((b"data: {",), end="cut"),
    "too often": Raw((b"{}",), 429, JSON),
    "wrong": Raw((b"{}",), 400, JSON),
    "broken": Raw((b"{}",), 500, JSON),
}
FUNCTIONS = (
    OfferedFunction("pay", "Pays somebody.", {"type": "object", "properties": {"to": {"type": "string"}}}, strict=True),
    OfferedFunction("balance", None, None),
)


@pytest.fixture(scope="module")
def aimock() -> Iterator[str]:
    """The base URL of the peer."""
    with served() as url:
        yield url


@asynccontextmanager
async def opened(url: str, api: Api, *, retries: int = 0) -> AsyncIterator[Model]:
    model = open_model(url, api, "credential", timeout_ms=20_000, idle_ms=10_000, retries=retries)
    try:
        yield model
    finally:
        await model.close()


@pytest.fixture(params=["scripted", "aimock"])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    if request.param == "aimock":
        yield request.getfixturevalue("aimock")
        return
    async with model_server(SCRIPT) as server:
        yield server.url


@pytest.fixture(params=["chat", "responses"])
async def api(request: pytest.FixtureRequest) -> Api:
    which: Api = request.param
    return which


@pytest.fixture
async def model(url: str, api: Api) -> AsyncIterator[Model]:
    async with opened(url, api) as made:
        yield made


def asking(words: str, *items: Item, **more: Any) -> Prompt:
    return Prompt("m", "Be brief.", (MessageTurn("user", (TextPart(words),)), *items), functions=FUNCTIONS, **more)


async def told(model: Model, prompt: Prompt) -> list[Piece]:
    async with aclosing(model.answer(prompt)) as pieces:
        return [piece async for piece in pieces]


async def answer(model: Model, prompt: Prompt) -> ModelAnswer:
    numbers = count(1)
    assembly = AnswerAssembly(lambda: f"call_{next(numbers):024x}")
    for piece in await told(model, prompt):
        assembly.feed(piece)
    return assembly.answer()


async def test_a_text_comes_in_pieces_and_is_counted(model: Model) -> None:
    assert sum(isinstance(piece, TextPiece) for piece in await told(model, asking("words"))) > 2
    assert await answer(model, asking("words")) == ModelAnswer("Grüße, Zoë 😀.", (), Finish.STOP, Usage(21, 9))


async def test_calls_come_with_names_and_arguments_in_their_order(model: Model) -> None:
    found = await answer(model, asking("two calls"))
    assert [(call.name, call.arguments) for call in found.calls] == [("pay", RENT.arguments), ("balance", "{}")]
    assert (found.text, found.finish, found.usage) == ("", Finish.CALLS, Usage(21, 9))


async def test_a_text_and_a_call_come_in_one_answer(model: Model) -> None:
    found = await answer(model, asking("both"))
    assert (found.text, [call.name for call in found.calls], found.finish) == ("One moment.", ["balance"], Finish.CALLS)


async def test_the_outputs_of_calls_are_replayed_with_them(model: Model) -> None:
    (call,) = (await answer(model, asking("a call"))).calls
    assert (await answer(model, asking("a call", CallTurn(((call, "done"),))))).text == "Paid."


async def test_an_answer_that_was_cut_off_by_its_length_says_so(model: Model) -> None:
    assert await answer(model, asking("too long")) == ModelAnswer("Once upon a", (), Finish.LENGTH, Usage(21, 9))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("too often", "rate_limit_exceeded"),
        ("wrong", "invalid_prompt"),
        ("broken", "server_error"),
        ("cut off", "server_error"),
    ],
)
async def test_failures_have_the_codes_of_a_run(model: Model, words: str, code: str) -> None:
    with pytest.raises(ModelFailed) as failed:
        await told(model, asking(words))
    assert failed.value.code == code
    assert "secret" not in failed.value.message


@pytest.fixture
async def scripted(api: Api) -> AsyncIterator[tuple[ScriptedModel, Model]]:
    async with model_server(in_turn(Reply("Hello."))) as server, opened(server.url, api, retries=2) as model:
        yield server, model


async def test_a_refusal_is_text_and_reasoning_is_dropped(scripted: tuple[ScriptedModel, Model]) -> None:
    server, model = scripted
    server.script = in_turn(Reply(refusal="I will not.", reasoning="They want money."))
    assert (await answer(model, asking("words"))).text == "I will not."


async def test_what_was_filtered_and_what_was_not_counted_is_told(scripted: tuple[ScriptedModel, Model]) -> None:
    server, model = scripted
    server.script = in_turn(Reply("Once", finish="content_filter", usage=None))
    assert await answer(model, asking("words")) == ModelAnswer("Once", (), Finish.FILTERED, None)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
async def test_it_is_asked_again_before_the_first_piece(scripted: tuple[ScriptedModel, Model], status: int) -> None:
    server, model = scripted
    server.script = in_turn(*[Raw((), status, {"retry-after-ms": "1"})] * 2, Reply("Hello."))
    assert (await answer(model, asking("words"))).text == "Hello."
    assert len(server.seen) == 3
    assert server.seen[0].body == server.seen[2].body


async def test_it_is_asked_again_as_often_as_said_and_not_what_was_refused(scripted: tuple[ScriptedModel, Model]) -> None:
    server, model = scripted
    for status, headers, times in (
        (500, {"retry-after-ms": "1", "x-should-retry": "false"}, 3),
        (400, {"x-should-retry": "true"}, 1),
        (429, {"Retry-After": "3600"}, 1),  # longer than anybody waits
    ):
        server.seen.clear()
        server.script = in_turn(Raw((), status, headers))
        with pytest.raises(ModelFailed):
            await told(model, asking("words"))
        assert len(server.seen) == times, status


async def test_it_is_not_asked_again_after_the_first_piece(scripted: tuple[ScriptedModel, Model], api: Api) -> None:
    server, model = scripted
    never = asyncio.Event()
    server.script = lambda _body: Reply("Hello.", go_on=never)
    pieces = model.answer(asking("words"))
    await anext(pieces)
    server.script = in_turn(Reply("Again."))
    never.set()
    assert "Again." not in [piece.text async for piece in pieces if isinstance(piece, TextPiece)]
    assert len(server.seen) == 1


async def test_two_hundred_are_asked_at_once(scripted: tuple[ScriptedModel, Model]) -> None:
    server, model = scripted
    gate = asyncio.Event()
    server.script = in_turn(Reply("Hello.", begin=gate))
    asked = [asyncio.create_task(answer(model, asking(f"words {number}"))) for number in range(200)]
    await wait_until(lambda: server.at_once == 200)
    gate.set()
    assert {item.text for item in await asyncio.gather(*asked)} == {"Hello."}
    assert {seen.body["model"] for seen in server.seen} == {"m"}


TYPES: dict[str, TypeAdapter[Any]] = {
    "chat": TypeAdapter(CompletionCreateParamsStreaming),
    "responses": TypeAdapter(ResponseCreateParamsStreaming),
}
BAD, GOOD = ToolCall("call_1", "pay", '{"to":'), ToolCall("call_2", "balance", "{}")
EVERYTHING = Prompt(
    "m",
    "Be brief.",
    (
        MessageTurn("user", (TextPart("Look:"), ImagePart("https://bank.example/a.png", "low"))),
        CallTurn(((BAD, "refused"), (GOOD, "12.50"))),
        MessageTurn("assistant", (TextPart("Here."), ImagePart("https://bank.example/b.png", "auto"), TextPart("And there."))),
        MessageTurn("user", (TextPart("Thanks."),)),
    ),
    FUNCTIONS,
    "function:pay",
    parallel=False,
    response_format={"type": "json_schema", "json_schema": {"name": "told", "schema": {"type": "object"}, "strict": True}},
    temperature=0.0,
    top_p=0.5,
    reasoning_effort="low",
    max_completion_tokens=300,
)


async def asked(scripted: tuple[ScriptedModel, Model], api: Api, prompt: Prompt) -> dict[str, Any]:
    """The body of the request, which is what the package's own types say."""
    server, model = scripted
    await told(model, prompt)
    body = server.seen[-1].body
    found = TYPES[api].validate_python(body)
    for key in ("messages", "tools"):  # they are iterables, which are looked at one by one
        list(found.get(key, ()))
    assert set(found) == set(body)
    return body


async def test_everything_of_a_prompt_is_asked_in_the_shape_of_the_api(scripted: tuple[ScriptedModel, Model], api: Api) -> None:
    body = await asked(scripted, api, EVERYTHING)
    parameters = FUNCTIONS[0].parameters
    said = "Here.\n\n[image]\n\nAnd there."
    if api == "chat":
        assert body == {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "text", "text": "Look:"},
                    {"type": "image_url", "image_url": {"url": "https://bank.example/a.png", "detail": "low"}},
                ]},
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "pay", "arguments": "{}"}},
                    {"id": "call_2", "type": "function", "function": {"name": "balance", "arguments": "{}"}},
                ]},
                {"role": "tool", "tool_call_id": "call_1", "content": "refused"},
                {"role": "tool", "tool_call_id": "call_2", "content": "12.50"},
                {"role": "assistant", "content": said},
                {"role": "user", "content": "Thanks."},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "tools": [
                {"type": "function", "function": {
                    "name": "pay", "description": "Pays somebody.", "parameters": parameters, "strict": True,
                }},
                {"type": "function", "function": {"name": "balance"}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "pay"}},
            "parallel_tool_calls": False,
            "response_format": EVERYTHING.response_format,
            "temperature": 0.0, "top_p": 0.5, "reasoning_effort": "low", "max_completion_tokens": 300,
        }  # fmt: skip
    else:
        assert body == {
            "model": "m",
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [
                    {"type": "input_text", "text": "Look:"},
                    {"type": "input_image", "image_url": "https://bank.example/a.png", "detail": "low"},
                ]},
                {"type": "function_call", "call_id": "call_1", "name": "pay", "arguments": "{}"},
                {"type": "function_call", "call_id": "call_2", "name": "balance", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1", "output": "refused"},
                {"type": "function_call_output", "call_id": "call_2", "output": "12.50"},
                {"role": "assistant", "content": said},
                {"role": "user", "content": "Thanks."},
            ],
            "stream": True,
            "store": False,
            "tools": [
                {"type": "function", "name": "pay", "description": "Pays somebody.", "parameters": parameters, "strict": True},
                {"type": "function", "name": "balance", "parameters": {"type": "object", "properties": {}}, "strict": False},
            ],
            "tool_choice": {"type": "function", "name": "pay"},
            "parallel_tool_calls": False,
            "text": {"format": {"type": "json_schema", "name": "told", "schema": {"type": "object"}, "strict": True}},
            "temperature": 0.0, "top_p": 0.5, "reasoning": {"effort": "low"}, "max_output_tokens": 300,
        }  # fmt: skip


async def test_what_is_not_said_is_not_asked(scripted: tuple[ScriptedModel, Model], api: Api) -> None:
    body = await asked(scripted, api, Prompt("m", "", (MessageTurn("user", (TextPart("Hi."),)),)))
    expected = {"chat": {"model", "messages", "stream", "stream_options"}, "responses": {"model", "input", "stream", "store"}}
    assert set(body) == expected[api]


async def test_what_cannot_be_sent_is_the_prompt_s_fault(scripted: tuple[ScriptedModel, Model]) -> None:
    with pytest.raises(ModelFailed) as failed:
        await told(scripted[1], asking("\ud83d"))
    assert failed.value.code == "invalid_prompt"
    assert scripted[0].seen == []
