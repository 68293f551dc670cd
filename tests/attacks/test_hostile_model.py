"""A model's server that lies, breaks off, floods, stalls or looks around: what comes of it at the port, over both APIs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import count

import pytest

from gateway.domain.request import CallFault
from gateway.runs.answer import AnswerAssembly, ModelAnswer
from gateway.runs.endpoint import Api, open_model
from gateway.runs.model import Finish, MessageTurn, Model, ModelFailed, Prompt, TextPart, Usage
from tests.support.hostile_models import SECRET, broken, call, end, error, text
from tests.support.models import Raw, Reply, Script, ScriptedModel, in_turn, model_server
from tests.support.waiting import wait_until

ASKED = "what the customer says"
CREDENTIAL = "the-credential-of-the-endpoint"
PROMPT = Prompt("m", "", (MessageTurn("user", (TextPart(ASKED),)),))
APIS: list[Api] = ["chat", "responses"]


class Endpoint:
    """The port, before a server that answers by this script."""

    def __init__(self, server: ScriptedModel, api: Api, model: Model) -> None:
        self.server, self.api, self.model = server, api, model

    async def answer(self, script: Script) -> ModelAnswer:
        self.server.script, numbers = script, count(1)
        assembly = AnswerAssembly(lambda: f"call_{next(numbers):024x}")
        async with aclosing(self.model.answer(PROMPT)) as pieces:
            async for piece in pieces:
                assembly.feed(piece)
        return assembly.answer()

    async def failure(self, script: Script) -> ModelFailed:
        with pytest.raises(ModelFailed) as failed:
            await self.answer(script)
        assert SECRET not in failed.value.message
        assert ASKED not in failed.value.message
        return failed.value


@pytest.fixture(params=APIS)
async def endpoint(request: pytest.FixtureRequest) -> AsyncIterator[Endpoint]:
    async with model_server({}) as server:
        model = open_model(server.url, request.param, CREDENTIAL, timeout_ms=20_000, idle_ms=10_000, retries=0)
        yield Endpoint(server, request.param, model)
        await model.close()


def said(*chunks: bytes) -> Script:
    return lambda _body: Raw(chunks)


@pytest.mark.parametrize("api", APIS)
async def test_what_is_no_answer_is_a_failure_of_the_server_and_nothing_of_it_is_told(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """One server for all of them: none spoils the connection for the next."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "asyncio")
    async with model_server({}) as server:
        endpoint = Endpoint(server, api, open_model(server.url, api, CREDENTIAL, timeout_ms=20_000, idle_ms=10_000, retries=0))
        for name, raw in broken(api).items():
            failed = await endpoint.failure(lambda _body, raw=raw: raw)  # type: ignore[misc]
            assert failed.code == "server_error", name
        assert (await endpoint.answer(said(text(api, "Hello."), end(api)))).text == "Hello."
        await endpoint.model.close()
    assert caplog.records, "the package and the transport do say something"
    for record in caplog.records:
        shown = f"{record.getMessage()} {record.args}"
        assert not [secret for secret in (SECRET, ASKED, CREDENTIAL, "Hello.") if secret in shown], record.name


async def test_the_codes_of_a_run_come_from_the_status_alone(endpoint: Endpoint) -> None:
    for status, code in (
        (400, "invalid_prompt"), (401, "invalid_prompt"), (403, "invalid_prompt"), (404, "invalid_prompt"), (422, "invalid_prompt"),
        (408, "server_error"), (409, "server_error"), (500, "server_error"), (503, "server_error"), (301, "server_error"),
        (429, "rate_limit_exceeded"),
    ):  # fmt: skip
        told = Raw((SECRET.encode(),), status, {"Content-Type": "application/json", "x-should-retry": "true"})
        assert (await endpoint.failure(in_turn(told))).code == code, status


async def test_an_error_inside_the_stream_is_told_by_its_code(endpoint: Endpoint) -> None:
    for code, expected in (
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        ("invalid_prompt", "invalid_prompt"),
        (7, "server_error"),
    ):
        assert (await endpoint.failure(said(text(endpoint.api, "Hel"), error(endpoint.api, code)))).code == expected


async def test_a_redirect_is_not_followed(endpoint: Endpoint) -> None:
    async with model_server({ASKED: Reply("I was not asked.")}) as elsewhere:
        for status in (301, 302, 303, 307, 308):
            failed = await endpoint.failure(in_turn(Raw((), status, {"Location": f"{elsewhere.url}/chat/completions"})))
            assert failed.code == "server_error"
        assert elsewhere.seen == []


async def test_no_cookie_is_kept(endpoint: Endpoint) -> None:
    endpoint.server.url = endpoint.server.url.replace("127.0.0.1", "localhost")
    model = open_model(endpoint.server.url, endpoint.api, None, timeout_ms=20_000, idle_ms=10_000, retries=0)
    other = Endpoint(endpoint.server, endpoint.api, model)
    cookie = {"Content-Type": "text/event-stream", "Set-Cookie": "a=b"}
    for _ in range(2):
        await other.answer(in_turn(Raw((text(other.api, "Hello."), end(other.api)), headers=cookie)))
    await model.close()
    assert [seen for seen in endpoint.server.seen if "cookie" in seen.headers] == []
    assert [seen for seen in endpoint.server.seen if "authorization" in seen.headers] == []


async def test_nothing_comes_from_the_environment(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, "leaked")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leaked: leaked\nAuthorization: leaked")
    for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    model = open_model(endpoint.server.url, endpoint.api, CREDENTIAL, timeout_ms=20_000, idle_ms=10_000, retries=0)
    await Endpoint(endpoint.server, endpoint.api, model).answer({ASKED: Reply("Hello.")})
    await model.close()
    headers = endpoint.server.seen[0].headers
    assert set(headers) == {
        "host", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "authorization",
    }  # fmt: skip
    assert headers["authorization"] == f"Bearer {CREDENTIAL}"
    assert "leaked" not in str(headers)


@pytest.mark.parametrize("flood", ["text", "arguments", "calls"])
async def test_an_endless_answer_is_ended(endpoint: Endpoint, flood: str) -> None:
    api = endpoint.api
    begun = call(api, 0, "a", "pay")
    chunks = {
        "text": (text(api, "x" * 2000),),
        "arguments": (begun, call(api, 0, "a", "pay", "x" * 2000)),
        "calls": tuple(call(api, index, None, "pay", "{}") for index in range(40)),
    }[flood]
    failed = await endpoint.failure(in_turn(Raw(chunks, end="whole" if flood == "calls" else "endless")))
    assert failed.code == "server_error"
    await wait_until(lambda: endpoint.server.at_once == 0)


async def test_what_is_dropped_is_bounded_too(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments, events that mean nothing here, and reasoning without an end."""
    monkeypatch.setattr("gateway.runs.exchange.MAX_STREAM_BYTES", 200_000)
    for dropped in (b": x\n\n", b'data: {"type":"response.reasoning_text.delta","choices":[]}\n\n', b"id: 1\n\n"):
        assert (await endpoint.failure(in_turn(Raw((dropped * 100,), end="endless")))).message == (
            "The model's server answered too much."
        )


async def test_what_comes_after_the_end_is_not_waited_for(endpoint: Endpoint) -> None:
    done = text(endpoint.api, "Hello.") + end(endpoint.api) + (b"" if endpoint.api == "chat" else b"data: [DONE]\n\n")
    assert (await endpoint.answer(in_turn(Raw((done,), end="endless")))).text == "Hello."
    await wait_until(lambda: endpoint.server.at_once == 0)


@pytest.mark.parametrize("api", APIS)
async def test_a_server_that_stalls_is_left(api: Api) -> None:
    """In the middle by the time between two reads; before its first byte, and while it drips what means nothing, by the whole time."""
    never, long_ms = asyncio.Event(), 600_000
    drips = Raw((b": x\n\n",), end="endless")
    stalls: list[tuple[int, int, Reply | Raw]] = [
        (long_ms, 50, Reply("Hello.", go_on=never)),
        (long_ms, 50, Raw((text(api, "Hel"), never))),
        (200, long_ms, Reply("Hello.", begin=never)),
        (200, long_ms, Reply("Hello.", go_on=never)),
        (200, long_ms, drips),
    ]
    async with model_server({}) as server:
        for timeout_ms, idle_ms, stalled in stalls:
            model = open_model(server.url, api, None, timeout_ms=timeout_ms, idle_ms=idle_ms, retries=0)
            async with asyncio.timeout(20):
                failed = await Endpoint(server, api, model).failure(in_turn(stalled))
            assert failed.message == "The model's server took too long."
            await wait_until(lambda: server.at_once == 0)
            await model.close()


async def test_closing_the_answer_ends_the_request(endpoint: Endpoint) -> None:
    endpoint.server.script = {ASKED: Reply("Hello.", go_on=asyncio.Event())}
    pieces = endpoint.model.answer(PROMPT)
    await anext(pieces)
    assert endpoint.server.at_once == 1
    await pieces.aclose()
    await wait_until(lambda: endpoint.server.at_once == 0)


async def test_nobody_there_is_a_failure_of_the_server() -> None:
    async with model_server({}) as server:
        url = server.url
    model = open_model(url, "chat", None, timeout_ms=20_000, idle_ms=10_000, retries=0)
    assert (await Endpoint(server, "chat", model).failure({})).code == "server_error"
    await model.close()


async def test_a_count_that_nobody_can_have_used_is_none(endpoint: Endpoint) -> None:
    names = ("prompt_tokens", "completion_tokens") if endpoint.api == "chat" else ("input_tokens", "output_tokens")
    for counts in ((-1, 5), (5, -1), (2**31, 5), (2**63, 5), (5.0, 5), ("5", 5), (True, 5), (None, 5), (5,)):
        usage = dict(zip(names, counts, strict=False))
        answer = await endpoint.answer(said(text(endpoint.api, "Hello."), end(endpoint.api, usage=usage)))
        assert answer.usage is None, counts
    odds: tuple[object, ...] = (7, [], "5")
    for odd in odds:
        assert (await endpoint.answer(said(text(endpoint.api, "Hello."), end(endpoint.api, usage=odd)))).usage is None
    good = dict(zip(names, (5, 0), strict=True))
    assert (await endpoint.answer(said(text(endpoint.api, "Hello."), end(endpoint.api, usage=good)))).usage == Usage(5, 0)


async def test_calls_are_what_the_model_wrote_whatever_it_is(endpoint: Endpoint) -> None:
    """Malformed arguments and functions that nobody offered are the way's to refuse; they arrive unchanged, under ids of ours."""
    api = endpoint.api
    answer = await endpoint.answer(
        said(
            text(api, "One moment."),
            call(api, 1, None, "made_up", '{"a":', " nothing"),
            call(api, 2, "same", "pay", '{"to":"Zoë"}'),
            call(api, 3, "same", "pay", '{"to":', '"Zoë"}'),
            end(api, "tool_calls"),
        )
    )
    assert [(item.name, item.arguments) for item in answer.calls] == [("made_up", '{"a": nothing'), ("pay", '{"to":"Zoë"}')]
    assert [item.id for item in answer.calls] == [f"call_{number:024x}" for number in (1, 2)]
    assert (answer.text, answer.finish) == ("One moment.", Finish.CALLS)


async def test_two_calls_of_one_id_have_a_fault_both_and_so_has_one_without_a_name(endpoint: Endpoint) -> None:
    api = endpoint.api
    for name, arguments in (("pay", '{"a":2}'), ("freeze", '{"a":1}')):
        chunks = call(api, 1, "same", "pay", '{"a":1}'), call(api, 2, "same", name, arguments), end(api, "tool_calls")
        assert [item.fault for item in (await endpoint.answer(said(*chunks))).calls] == [CallFault.TWO_CALLS_OF_ONE_ID] * 2
    (unnamed,) = (await endpoint.answer(said(call(api, 1, "a", None, "{}"), end(api, "tool_calls")))).calls
    assert unnamed.fault is CallFault.NO_NAME


async def test_a_character_cut_anywhere_is_whole_again(endpoint: Endpoint) -> None:
    """Between two halves in UTF-16, each in an event of its own, and between any two bytes of the stream."""
    api = endpoint.api
    halves = [part.replace(b"HALF", half) for part, half in ((text(api, "HALF"), rb"\ud83d"), (text(api, "HALF"), rb"\ude00"))]
    fragments = call(api, 1, "a", "pay", '{"to":"HIGH', 'LOW"}').replace(b"HIGH", rb"\ud83d").replace(b"LOW", rb"\ude00")
    whole = b"".join(halves) + fragments + text(api, "ü") + end(api, "tool_calls")
    for chunks in ((whole,), tuple(bytes([byte]) for byte in whole)):
        answer = await endpoint.answer(said(*chunks))
        assert (answer.text, answer.calls[0].arguments) == ("\U0001f600ü", '{"to":"\U0001f600"}')


async def test_the_role_changes_nothing(endpoint: Endpoint) -> None:
    """An answer that calls itself the system's or the user's is an answer of the model."""
    hello = text(endpoint.api, "Hello.").replace(b'"assistant"', b'"system"')
    assert (await endpoint.answer(said(hello, hello, end(endpoint.api)))).text == "Hello.Hello."
