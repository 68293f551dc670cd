"""What the Python client does when the network fails, in pairs: failed and not done, failed and done; and what it refuses of an answer."""

import asyncio
import contextlib
import gzip
import json
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from gateway.client import AsyncTellergateClient, TellergateClient, TellergateError, TellergateUnreachable
from gateway.client.exchange import ANSWER_MOST, Patience
from tests.doors.conftest import Served
from tests.support.certificates import Authority
from tests.support.guides import free_port
from tests.support.relay import Plan, Relay, message, relay

LOST = Plan("cut_answer", at=0, is_reset=True)
"""Failed and done: the gateway takes it, and nothing of its answer arrives."""

STOPPED = Plan("cut_request", at=40, is_reset=True)
"""Failed and not done: the gateway gets a part of the head."""

HALF = Plan("cut_answer", at=60)
BROKEN = Plan("broken", is_done=True)
"""A proxy's 502, cut short, after the gateway took it."""

QUICK = Patience(timeout_s=20, jitter=lambda: 0.0)
SHORT = Patience(timeout_s=0.4, tries=1)

Ask = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    async def asked(url: str, token: str, method: str, *args: Any, patience: Patience = QUICK, **named: Any) -> Any:
        if request.param == "async":
            async with AsyncTellergateClient(url, token=token, patience=patience) as client:
                return await getattr(client, method)(*args, **named)

        def waited() -> Any:
            with TellergateClient(url, token=token, patience=patience) as client:
                return getattr(client, method)(*args, **named)

        return await asyncio.to_thread(waited)

    return asked


@asynccontextmanager
async def network(served: Served, *plans: Plan) -> AsyncIterator[tuple[Relay, str]]:
    """A network before the gateway that does this to one request after the other; then all goes well."""
    left = list(plans)
    async with relay(urlsplit(served.url).port or 0) as (made, port):
        made.for_questions = lambda _path: left.pop(0) if left else None
        yield made, f"http://127.0.0.1:{port}"
        assert left == [], "each of them was met"


# The real gateway behind a network that fails.


@pytest.mark.parametrize(
    ("fault", "said"), [(STOPPED, 1), (LOST, 2), (HALF, 2), (BROKEN, 2)], ids=["not done", "lost", "half", "502"]
)
async def test_words_whose_answer_is_lost_are_not_said_again(served: Served, ask: Ask, fault: Plan, said: int) -> None:
    conversation = served.conversation()
    own = served.token(agent=None, words=True)
    async with network(served, fault) as (_, url):
        with pytest.raises((TellergateUnreachable, TellergateError)) as unknown:
            await ask(url, own, "add_customer_messages", conversation, "Please pay Margaret Hale 2.00 GBP.")
        assert getattr(unknown.value, "may_have_happened", True)
        assert getattr(unknown.value, "code", "not_the_gateway") == "not_the_gateway", (
            "no word of the gateway's that it did not happen"
        )
        assert (await ask(url, own, "add_customer_messages", conversation, "And no more.")).count == said


@pytest.mark.parametrize(
    "faults", [(STOPPED,), (LOST,), (HALF,), (BROKEN,), (LOST, LOST)], ids=["not done", "lost", "half", "502", "twice"]
)
async def test_a_payment_whose_answer_is_lost_is_asked_again_and_done_once(
    served: Served, ask: Ask, faults: tuple[Plan, ...], request: pytest.FixtureRequest
) -> None:
    app, conversation = served.token(), served.conversation()

    async def call(url: str, native_id: str, name: str, **arguments: object) -> Any:
        item = {"type": "function_call", "call_id": native_id, "name": name, "arguments": json.dumps(arguments)}
        answer = await ask(url, app, "execute_function_calls", conversation, [item], turn_id="t")
        assert answer.results[0].status == "done", answer
        return answer.content()["result"]

    async def pence(native_id: str) -> int:
        (balance,) = [
            item for item in (await call(served.url, native_id, "list_accounts"))["accounts"] if item["name"] == "Everyday"
        ]
        account = balance["account"]
        told = await call(served.url, f"{native_id}b", "get_account_balance", account=account, type="ITBD")
        return int(told["amount"]["value"].replace(".", ""))

    accounts = {item["name"]: item["account"] for item in (await call(served.url, "a", "list_accounts"))["accounts"]}
    amount = AMOUNTS.pop()  # a new one each time: the same payment again would be a suspected duplicate
    served.say(f'Please move {amount} GBP from "Everyday" to "Rainy day".', conversation=conversation)
    before = await pence("x")
    arguments = {"from": accounts["Everyday"], "to": accounts["Rainy day"], "amount": {"value": amount, "currency": "GBP"}}
    async with network(served, *faults) as (_, url):
        await call(url, "pay", "initiate_transfer", **arguments)
    assert before - await pence("y") == int(amount.replace(".", ""))


AMOUNTS = [f"1.{pence}" for pence in range(10, 30)]


async def test_a_question_is_asked_again_three_times_in_all(served: Served, ask: Ask) -> None:
    async with network(served, LOST, HALF) as (_, url):
        assert (await ask(url, served.token(), "list_functions", "chat")).data
    async with network(served, LOST, HALF, BROKEN) as (_, url):
        with pytest.raises(TellergateError, match="502 not_the_gateway"):
            await ask(url, served.token(), "list_functions", "chat")


async def test_where_nobody_listens_nothing_happened(ask: Ask) -> None:
    with pytest.raises(TellergateUnreachable, match="nothing was sent") as refused:
        await ask(f"http://127.0.0.1:{free_port()}", "t", "decline", "cnf_1")
    assert not refused.value.may_have_happened


# Servers that are no gateway, or pretend.


@dataclass
class Scripted:
    """Answers each request with the next of these, the last one for ever. None: it never answers. `asked`: heads and bodies."""

    answers: list[bytes | None]
    asked: list[bytes] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await message(reader))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await reader.read()  # until the client has had enough
        else:
            writer.write(answer)
            await writer.drain()


@asynccontextmanager
async def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Such a server on loopback, which leaves nothing open."""
    tasks: list[asyncio.Task[None]] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            try:
                await serve(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def answering(*answers: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    made = Scripted(list(answers))
    async with serving(made.serve, tls) as made.url:
        yield made


def answer(status: int, body: bytes, *headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} X",
        f"content-length: {len(body)}",
        "content-type: application/json",
        "connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def refusal(code: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": "why", "type": "t", "param": None}}).encode()


GOOD = answer(200, b'{"count": 1}')
WORDS = ("add_customer_messages", "conv_1", "words")
CALL = ("get_call", "call_1")


async def test_what_the_gateway_turned_away_by_its_rates_is_asked_again_whatever_it_is(ask: Ask) -> None:
    async with answering(answer(429, refusal("rate_limit_exceeded"), "retry-after: 0"), GOOD) as server:
        assert (await ask(server.url, "t", *WORDS)).count == 1
        assert len(server.asked) == 2
        assert server.asked[0] == server.asked[1], "the very same"


@pytest.mark.parametrize(
    "first",
    [
        answer(503, refusal("temporarily_unavailable")),
        answer(502, b"<h1>"),
        answer(504, b""),
        answer(429, b"a proxy"),
        answer(500, b"{}"),
    ],
    ids=["503", "502", "504", "a proxy's 429", "500"],
)
async def test_what_may_have_gone_on_is_asked_again_only_where_that_is_the_same(ask: Ask, first: bytes) -> None:
    async with answering(first, GOOD) as server:
        with pytest.raises(TellergateError):
            await ask(server.url, "t", *WORDS)
        assert len(server.asked) == 1


async def test_a_wait_longer_than_patience_is_left_to_the_caller(ask: Ask) -> None:
    async with answering(answer(503, refusal("temporarily_unavailable"), "retry-after: 11")) as server:
        with pytest.raises(TellergateError) as refused:
            await ask(server.url, "t", *CALL)
        assert (refused.value.status, refused.value.code, len(server.asked)) == (503, "temporarily_unavailable", 1)


async def test_a_redirect_is_not_followed(ask: Ask) -> None:
    async with answering(GOOD) as other, answering(answer(307, b"", f"location: {other.url}/v1/calls/call_1")) as server:
        with pytest.raises(TellergateError, match="redirects are not followed") as refused:
            await ask(server.url, "t", *CALL)
        assert (refused.value.status, refused.value.code, other.asked) == (307, "not_the_gateway", [])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("shown", ["its own", "a stranger's", "of yesterday", "of another name", "a common name alone"])
async def test_a_gateway_that_cannot_show_who_it_is_hears_no_token(
    ask: Ask, authority: Authority, tmp_path: Path, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    certificate = {
        "its own": lambda: authority.issue("gateway"),
        "a stranger's": lambda: Authority(tmp_path, "stranger").issue("gateway"),
        "of yesterday": lambda: authority.issue("gateway", days=(-2, -1)),
        "of another name": lambda: authority.issue("gateway", alternative=x509.DNSName("bank.example")),
        "a common name alone": lambda: authority.issue("127.0.0.1", alternative=None),
    }[shown]()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.certificate, certificate.key)
    async with answering(GOOD, tls=tls) as server:
        if shown == "its own":
            assert (await ask(server.url, "t", *WORDS)).count == 1
            return
        with pytest.raises(TellergateUnreachable, match="ConnectError"):
            await ask(server.url, "t", *WORDS, patience=Patience(tries=1))
        assert server.asked == []


async def test_a_proxy_of_the_environment_hears_no_token(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(GOOD) as proxy, answering(GOOD) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert (await ask(server.url, "t", *WORDS)).count == 1
        assert (proxy.asked, len(server.asked)) == ([], 1)


CUT_OFF = b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (answer(200, b" " * (ANSWER_MOST + 1)), "more than"),
        (answer(200, gzip.compress(b'{"count": 1}'), "content-encoding: gzip"), "encoded"),
        (CUT_OFF, "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 2**20, "RemoteProtocolError"),
        (None, "ReadTimeout"),
    ],
    ids=["too large", "compressed", "cut off", "endless head", "silence"],
)
async def test_an_answer_that_is_none_is_no_answer(ask: Ask, body: bytes | None, cause: str) -> None:
    async with answering(body) as server:
        with pytest.raises(TellergateUnreachable, match=cause) as lost:
            await ask(server.url, "t", *CALL, patience=SHORT if body is None else Patience(tries=1))
        assert lost.value.may_have_happened


async def test_an_answer_that_drips_is_given_up(ask: Ask) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await message(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        for _ in range(200):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(drip) as url:
        with pytest.raises(TellergateUnreachable, match="takes too long"):
            await ask(url, "t", *CALL, patience=SHORT)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"count": "1"}', b'{"count": true}', b'{"count": null}', b"[" * 100_000, b"\xff\xfe"],
)
async def test_an_answer_of_another_server_is_an_error_and_no_crash(ask: Ask, body: bytes) -> None:
    for status in (200, 400):
        async with answering(answer(status, body)) as server:
            with pytest.raises(TellergateError) as refused:
                await ask(server.url, "t", *WORDS)
            assert (refused.value.status, refused.value.code) == (status, "not_the_gateway")


SECRET = "eyJhbGciOi.a-token-that-nobody-sees.c2ln"


async def test_a_token_is_shown_nowhere(ask: Ask, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    seen = []
    for body in (
        GOOD,
        answer(401, refusal("invalid_token")),
        answer(302, b""),
        answer(200, b"?"),
        CUT_OFF,
        b"\x00\x01 garbage\r\n\r\n",
    ):
        async with answering(body) as server:
            try:
                seen.append(repr(await ask(server.url, SECRET, *WORDS)))
            except (TellergateError, TellergateUnreachable) as error:
                seen += [str(error), repr(error), repr(vars(error)), repr(error.__context__), repr(error.__cause__)]
            assert SECRET.encode() in server.asked[0], "but it was sent"
    with pytest.raises(ValueError, match="not shown here") as refused:
        await ask("http://127.0.0.1:9", SECRET + "\r\nx-injected: 1", *WORDS)
    client = TellergateClient("http://127.0.0.1:9", token=SECRET)
    seen += [str(refused.value), repr(refused.value), repr(client), str(client), caplog.text, *capsys.readouterr()]
    client.close()
    assert len(caplog.records) > 5, "what the libraries below log is looked at too"
    assert SECRET not in "\n".join(seen)
