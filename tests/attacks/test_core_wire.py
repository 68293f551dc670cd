"""Attacks on the wire between gateway, proxy and bank: from whoever can reach a port, and from a bank that turned hostile."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.core import CoreBank, CoreUnavailable, Done, ExecutionPermit, Instruction, Money, Transfer, Unknown
from adapters.cores.remote import server as serving
from adapters.cores.remote import wire
from adapters.cores.remote.codec import Json
from audit.permits import LogPermitVerifier
from gateway.app.cores import CorePermits, UnsafeNoPermits, read_permit, verified_permit
from tests.support.banks import BankUnderTest, Clock, Permit, real_permit, remote, sandbox, sandbox_under_test, served
from tests.support.scripted import Scripted, http, raw, scripted, silence, well

NUMBER = "0123456789abcdef" * 2


class Watched:
    """A core that counts what reaches it."""

    def __init__(self, inner: CoreBank) -> None:
        self._inner = inner
        self.instructions = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def submit(self, instruction: Instruction, permit: ExecutionPermit) -> Any:
        self.instructions += 1
        return await self._inner.submit(instruction, permit)


@dataclass
class Line:
    """Gateway's place before a proxy before a bank."""

    bank: BankUnderTest
    watched: Watched
    key: Ed25519PrivateKey
    bank_url: str
    proxy_url: str

    def told(self, key: str = "key-1", minor: int = 1250) -> Instruction:
        order = Transfer(self.bank.main, self.bank.spare, Money(minor, "GBP"), "TEST")
        return Instruction(key, self.bank.customer, "agent", order)

    def permit(self, told: Instruction, left: timedelta = timedelta(seconds=30)) -> str:
        return real_permit(self.key, told.canonical(), self.bank.clock() + left).encode()

    async def post(
        self, path: str, body: bytes, *headers: tuple[str, str], url: str | None = None, method: str = "POST"
    ) -> tuple[int, Any]:
        """A request by hand; its status and answer."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, (url or self.proxy_url) + path, data=body, headers=list(headers)) as answer,
        ):
            return answer.status, json.loads(await answer.read())

    async def send(self, told: Instruction, *headers: tuple[str, str], body: bytes | None = None) -> tuple[int, str]:
        """An instruction by hand, with the right credential; its status, and its code or what it is."""
        known = (("Authorization", f"Bearer {'proxy-' * 8}"), (wire.REQUEST, NUMBER))
        status, answer = await self.post("/v1/submit", body or told.canonical(), *known, *headers)
        return status, answer["error"]["code"] if "error" in answer else answer["answer"]["is"]


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    key = Ed25519PrivateKey.generate()
    with sandbox(tmp_path, permits=UnsafeNoPermits()) as (sandboxed, clock):
        bank = await sandbox_under_test(sandboxed, clock)
        watched = Watched(sandboxed)
        verified = verified_permit(
            CorePermits(LogPermitVerifier(lambda: [key.public_key().public_bytes_raw()], "tests.invalid/log")), clock
        )
        async with (
            served(watched, "bank-", read_permit) as bank_url,
            remote(bank_url, "bank-", clock) as behind,
            served(behind, "proxy-", verified) as proxy_url,
        ):
            yield Line(bank, watched, key, bank_url, proxy_url)


def of(line: Line, told: Instruction) -> tuple[tuple[str, str], tuple[str, str]]:
    return (wire.KEY, told.key), (wire.PERMIT, line.permit(told))


# From whoever reaches the proxy with the gateway's credential


async def test_without_a_permit_over_exactly_these_bytes_nothing_reaches_the_bank(line: Line) -> None:
    told, other = line.told(), line.told(minor=1251)
    key = (wire.KEY, told.key)
    stranger = real_permit(Ed25519PrivateKey.generate(), told.canonical(), line.bank.clock() + timedelta(seconds=30)).encode()
    flawed = {
        "none": (key,),
        "empty": (key, (wire.PERMIT, "")),
        "garbage": (key, (wire.PERMIT, "A" * 400)),
        "of another instruction": (key, (wire.PERMIT, line.permit(other))),
        "of another key": (key, (wire.PERMIT, line.permit(replace(told, key="key-2")))),
        "of another customer": (key, (wire.PERMIT, line.permit(replace(told, customer="bruno")))),
        "expired": (key, (wire.PERMIT, line.permit(told, left=-timedelta(seconds=1)))),
        "of another log's key": (key, (wire.PERMIT, stranger)),
    }
    for flaw, headers in flawed.items():
        assert await line.send(told, *headers) == (403, "permit_refused"), flaw
    assert line.watched.instructions == 0
    assert await line.send(told, *of(line, told)) == (200, "Done")
    assert line.watched.instructions == 1


async def test_a_permit_is_not_replayed_under_another_key_nor_does_it_act_twice(line: Line) -> None:
    told = line.told()
    permit = (wire.PERMIT, line.permit(told))
    since = line.bank.clock()
    assert await line.send(told, (wire.KEY, told.key), permit) == (200, "Done")
    again = replace(told, key="key-2")
    assert await line.send(again, (wire.KEY, again.key), permit) == (403, "permit_refused")
    assert await line.send(told, (wire.KEY, again.key), permit) == (400, "malformed"), "the header says another key"
    assert await line.send(told, (wire.KEY, told.key), (wire.KEY, again.key), permit) == (400, "malformed"), "two keys"
    assert await line.send(told, (wire.KEY, told.key), permit) == (200, "Done"), "its stored answer"
    assert await line.bank.core.executed(since) == 1


@pytest.mark.parametrize("change", [b" ", b"spelt otherwise", b"twice"])
async def test_the_instruction_is_its_canonical_bytes_alone(line: Line, change: bytes) -> None:
    told = line.told()
    body = told.canonical()
    changed = {
        b" ": body + b" ",
        b"spelt otherwise": body.replace(b"TEST", b"\\u0054EST"),
        b"twice": body.replace(b'{"agent"', b'{"agent":"x","agent"', 1),
    }[change]
    assert await line.send(told, *of(line, told), body=changed) == (400, "malformed")
    assert line.watched.instructions == 0


CREDENTIALS = {
    "none": (),
    "wrong": (("Authorization", "Bearer wrong"),),
    "cut": (("Authorization", f"Bearer {'proxy-' * 7}"),),
    "another scheme": (("Authorization", f"Basic {'proxy-' * 8}"),),
    "two": (("Authorization", f"Bearer {'proxy-' * 8}"), ("Authorization", "Bearer wrong")),
    "of the bank": (("Authorization", f"Bearer {'bank-' * 8}"),),
}


@pytest.mark.parametrize(
    "path", ["/v1/submit", "/v1/status", "/v1/accounts", "/v1/together", "/v1/capabilities", "/v1/nothing", "/"]
)
@pytest.mark.parametrize("name", CREDENTIALS)
async def test_a_wrong_credential_learns_nothing(line: Line, path: str, name: str) -> None:
    told = line.told()
    headers = (*CREDENTIALS[name], (wire.REQUEST, NUMBER), *of(line, told))
    status, answer = await line.post(path, told.canonical(), *headers)
    assert (status, answer) == (401, {"request": NUMBER, "key": None, "error": {"code": "unauthorized"}})
    assert line.watched.instructions == 0


async def test_the_gateway_s_credential_opens_nothing_at_the_bank(line: Line) -> None:
    told = line.told()
    credential = ("Authorization", f"Bearer {'proxy-' * 8}")
    for path, body in (("/v1/submit", told.canonical()), ("/v1/accounts", b'{"customer": "alice"}')):
        status, answer = await line.post(path, body, credential, (wire.REQUEST, NUMBER), *of(line, told), url=line.bank_url)
        assert (status, answer["error"]["code"]) == (401, "unauthorized")
    assert line.watched.instructions == 0


async def test_what_is_not_exactly_a_request_is_named_and_never_repeated_back(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    credential, number = ("Authorization", f"Bearer {'proxy-' * 8}"), (wire.REQUEST, NUMBER)
    good = b'{"customer": "s3cret"}'
    flaws: list[tuple[str, str, bytes, tuple[tuple[str, str], ...], int, str]] = [
        ("POST", "/v1/accounts", good, (credential,), 400, "malformed"),
        ("POST", "/v1/accounts", good, (credential, (wire.REQUEST, "A" * 32)), 400, "malformed"),
        ("POST", "/v1/accounts", b'{"customer": "s3cret", "x": 1}', (credential, number), 400, "malformed"),
        ("POST", "/v1/accounts", b'{"customer": "s3cret", "customer": "b"}', (credential, number), 400, "malformed"),
        ("POST", "/v1/accounts", b'{"customer": 1}', (credential, number), 400, "malformed"),
        ("POST", "/v1/accounts", b"", (credential, number), 400, "malformed"),
        ("POST", "/v1/accounts", b"[" * 10_000, (credential, number), 400, "malformed"),
        ("POST", "/v1/accounts", b" " * (wire.MAX_REQUEST_BYTES + 1), (credential, number), 413, "too_large"),
        ("POST", "/v1/findings", good, (credential, number), 404, "not_found"),
        ("POST", "/v1/__class__", good, (credential, number), 404, "not_found"),
        ("POST", "/v1/accounts/", good, (credential, number), 404, "not_found"),
        ("GET", "/v1/accounts", b"", (credential, number), 405, "method_not_allowed"),
        ("POST", "/v1/balance", b'{"account": "s3cret", "balance_type": "XXXX"}', (credential, number), 422, "invalid"),
    ]
    for method, path, body, headers, status, code in flaws:
        answered = await line.post(path, body, *headers, method=method)
        assert (answered[0], answered[1]["error"]["code"]) == (status, code), (path, body[:40])
        assert "s3cret" not in json.dumps(answered[1])
    monkeypatch.setattr(serving, "BODY_WAIT_S", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    async with (
        aiohttp.ClientSession(headers=dict((credential, number))) as session,
        session.post(line.proxy_url + "/v1/accounts", data=slow()) as answer,
    ):
        assert (answer.status, json.loads(await answer.read())["error"]["code"]) == (408, "too_slow")


async def test_only_what_leaves_nothing_behind_is_taken_together(line: Line) -> None:
    known = (("Authorization", f"Bearer {'proxy-' * 8}"), (wire.REQUEST, NUMBER))
    good = {"is": "accounts", "arguments": {"customer": line.bank.customer}}
    told = json.loads(line.told().canonical())
    flawed: list[object] = [
        {"questions": [good, {"is": "submit", "arguments": told}]},
        {"questions": [good, {"is": "status", "arguments": {"key": "key-1"}}]},
        {"questions": [{"is": "check_payee", "arguments": {"customer": "alice", "name": "a", "identifier": "b"}}]},
        {"questions": [{"is": "together", "arguments": {"questions": [good]}}]},
        {"questions": [{"is": ["accounts"], "arguments": good["arguments"]}]},
        {"questions": [{**good, "x": 1}]},
        {"questions": [{"is": "accounts", "arguments": {"customer": 1}}]},
        {"questions": [good] * 33},
        {"questions": []},
        [good],
    ]
    for flaw in flawed:
        status, answer = await line.post("/v1/together", json.dumps(flaw).encode(), *known)
        assert (status, answer["error"]["code"]) == (400, "malformed"), flaw
    assert line.watched.instructions == 0
    status, answer = await line.post("/v1/together", json.dumps({"questions": [good] * 32}).encode(), *known)
    assert (status, len(answer["answer"])) == (200, 32)
    alone = json.dumps(good["arguments"]).encode()
    assert (await line.post("/v1/accounts", alone, *known))[1]["answer"] == answer["answer"][0]["answer"]


# From a bank that turned hostile, or from whoever sits before it


@asynccontextmanager
async def hostile(*answers: Any, **bounds: float) -> AsyncIterator[tuple[CoreBank, Scripted]]:
    waits = {"question_s": 0.5, "instruction_s": 0.5, "silence_s": 0.2, "pause_s": 0.001, **bounds}
    async with scripted(answers) as (server, url), remote(url, "secret-", Clock(), **waits) as core:
        yield core, server


async def neither_believed_nor_waited_for(core: CoreBank, line: Line) -> None:
    """Whatever comes: a question is unavailable, an instruction unknown, both within their deadlines."""
    told = line.told()
    permit = Permit(told.canonical(), Clock()() + timedelta(seconds=30))
    async with asyncio.timeout(10):
        with pytest.raises(CoreUnavailable):
            await core.accounts("alice")
        assert isinstance(await core.submit(told, permit), Unknown)


async def test_an_answer_larger_than_any_is_not_read(line: Line) -> None:
    async def endless(_request: object, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(1000):
            writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            await writer.drain()
        return False

    def padded(it: Any) -> bytes:
        """Well-formed, and believed if it were smaller."""
        value: Json = {"is": "Done", "output": {}} if it.key else []
        return http(wire.answered(it.number, it.key, value) + b" " * wire.MAX_ANSWER_BYTES)

    for answer in (endless, raw(padded)):
        async with hostile(answer, silence_s=5.0, question_s=5.0, instruction_s=5.0) as (core, _server):
            await neither_believed_nor_waited_for(core, line)


async def test_an_answer_that_trickles_ends_with_the_deadline(line: Line) -> None:
    async def trickling(request: Any, writer: asyncio.StreamWriter) -> bool:
        for byte in http(wire.answered(request.number, request.key, [])):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)
        return False

    async with hostile(trickling) as (core, _server):
        await neither_believed_nor_waited_for(core, line)
    async with hostile(silence) as (core, _server):
        await neither_believed_nor_waited_for(core, line)


@pytest.mark.parametrize(
    "answer",
    [
        lambda it: b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 100_000 + b"\r\n\r\n",
        lambda it: b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\n",
        lambda it: http(wire.answered(it.number, it.key, []), 200, b"x: " + b"y" * 20_000 + b"\r\n"),
        lambda it: http(wire.answered(it.number, it.key, []), 200, b"x: y\r\n" * 5_000),
        lambda it: http(wire.answered(it.number, it.key, [])).replace(b"200", b"204"),
        lambda it: http(wire.answered(it.number, it.key, []), 500),
        lambda it: http(wire.refused(it.number, it.key, wire.CoreFault.INVALID), 200),
        lambda it: http(wire.answered(it.number, it.key, []), 302, b"location: http://127.0.0.1:1/\r\n"),
        lambda it: http(zlib.compress(wire.answered(it.number, it.key, [])), 200, b"content-encoding: deflate\r\n"),
        lambda it: http(wire.answered(it.number, it.key, {"is": "Done", "output": {"x": 1.5}})),
        lambda it: http(wire.answered(it.number, it.key, [{"id": "a"}])),
        lambda it: http(wire.answered(it.number, "another", {"is": "Done", "output": {}})),
        lambda it: http(b"[" * 100_000),
        lambda it: b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}{}{}",
        lambda it: b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    ],
    ids=lambda _: "",
)
async def test_an_answer_that_is_not_whole_and_ours_is_not_believed(line: Line, answer: Any) -> None:
    async with hostile(raw(answer)) as (core, _server):
        await neither_believed_nor_waited_for(core, line)


async def test_a_second_answer_on_a_connection_is_never_the_next_request_s(line: Line) -> None:
    """Response smuggling: behind an honest answer stands one for whatever is asked next."""
    forged: Json = {"is": "Done", "output": {"payment": {"identified": {"kind": "pay", "id": "forged"}}}}

    async def two(request: Any, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(wire.answered(request.number, request.key, [])))
        await writer.drain()
        await asyncio.sleep(0.02)  # the first is read, and the connection lies idle
        writer.write(http(wire.answered(request.number, line.told().key, forged)))
        writer.write(http(wire.answered(NUMBER, line.told().key, forged)))
        return True

    true: Json = {"is": "Done", "output": {"payment": {"identified": {"kind": "pay", "id": "true"}}}}
    told = line.told()
    async with hostile(two, well(true), connections=1, question_s=5.0, instruction_s=5.0, silence_s=2.0) as (core, server):
        assert await core.accounts("alice") == ()
        await asyncio.sleep(0.1)  # both forged answers wait in the connection's buffer
        answer = await core.submit(told, Permit(told.canonical(), Clock()() + timedelta(seconds=30)))
        assert isinstance(answer, Done)
        assert "forged" not in str(answer)
        assert "true" in str(answer)
        assert server.connections == 2, "the connection on which something came unasked is used no more"


async def test_no_cookie_is_kept_and_no_redirect_followed(line: Line) -> None:
    elsewhere: list[bytes] = []

    async def caught(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        elsewhere.append(await reader.read(1000))
        writer.close()

    other = await asyncio.start_server(caught, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    redirecting = raw(lambda _: http(b"", 307, b"location: http://127.0.0.1:%d/v1/accounts\r\nset-cookie: a=b\r\n" % port))
    async with hostile(redirecting) as (core, server):
        await neither_believed_nor_waited_for(core, line)
        assert all(b"cookie" not in request.head.lower() for request in server.requests)
    other.close()
    assert elsewhere == []
