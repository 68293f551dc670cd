"""Attacks on https to the core, over real TLS on loopback: whoever is not the bank is told nothing, and a cut is never the end of an
answer. On asyncio's loop, and on uvloop, which the gateway runs on: each has a TLS of its own."""

import asyncio
import json
import re
import ssl
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from datetime import timedelta
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path

import aiohttp
import pytest
import uvloop
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from adapters.alarms import CoreAlarm
from adapters.core import CoreUnavailable, Done, Identified, Instruction, Money, ReferenceKind, Transfer, Unknown
from adapters.cores.remote import wire
from adapters.cores.remote.bounds import ClientBounds
from adapters.cores.remote.client import open_remote
from adapters.cores.remote.codec import Json
from adapters.cores.remote.server import CoreServer, listen
from adapters.tls import client_tls, nobody, tls_for
from gateway.app.cores import Core, behind_http, server_tls
from gateway.app.key_files import credential
from gateway.identity.fetching import Fetcher, NoAnswer
from tests.support.banks import Clock, Permit, read_permit, sandbox, sandbox_under_test
from tests.support.certificates import LOOPBACK, Authority, Issued
from tests.support.scripted import Answer, Request, Scripted, http, raw, scripted

TOLD = Instruction(
    "key-1",
    "alice",
    "agent",
    Transfer(Identified(ReferenceKind.ACCOUNT, "a"), Identified(ReferenceKind.ACCOUNT, "b"), Money(1250, "GBP"), "rent"),
)
PERMIT = Permit(TOLD.canonical(), Clock()() + timedelta(seconds=30))
DONE: Json = {"is": "Done", "output": {"payment": {"identified": {"kind": "pay", "id": "p"}}}}


def on_each_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Plays it on both, for half a minute at most."""

    @pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
    @wraps(test)
    def played(loop: Callable[[], asyncio.AbstractEventLoop], **given: object) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(asyncio.wait_for(test(**given), 30))

    own = Parameter("loop", Parameter.KEYWORD_ONLY)
    vars(played)["__signature__"] = Signature([*signature(test).parameters.values(), own])
    return played


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The authority that the gateway was told to trust, as an operator tells it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


@pytest.fixture
def token(tmp_path: Path) -> Path:
    credential(tmp_path / "core.token", make=True)
    return tmp_path / "core.token"


def serving(shown: Issued) -> ssl.SSLContext:
    tls = server_tls("127.0.0.1", shown.certificate, shown.key)
    assert tls is not None
    return tls


def old(shown: Issued) -> ssl.SSLContext:
    """TLS 1.1, with whatever ciphers and key sizes it likes."""
    tls = serving(shown)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    return tls


def careless() -> ssl.SSLContext:
    """A client that believes everybody: what it is told, the gateway would be told if it did not look."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    tls.set_ciphers("ALL:@SECLEVEL=0")
    return tls


@asynccontextmanager
async def asking(url: str, token: Path, *, tries: int = 3, connect_s: float = 5.0) -> AsyncIterator[Core]:
    """The core at this address, as the gateway opens it. Its other bounds are such that a busy machine does not reach them."""
    bounds = ClientBounds(question_s=20.0, instruction_s=20.0, silence_s=10.0, pause_s=0.001, connect_s=connect_s, tries=tries)
    core = behind_http(url, token, clock=Clock(), bounds=bounds)
    try:
        yield core
    finally:
        await core.close()


async def believable(request: Request, writer: asyncio.StreamWriter) -> bool:
    writer.write(http(wire.answered(request.number, request.key, DONE if request.key else [])))
    return True


# Who is asked


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@on_each_loop
async def test_the_bank_that_the_authority_vouches_for_answers_on_one_connection(
    trusted: Authority, token: Path, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    tls = serving(trusted.issue("bank"))
    tls.minimum_version = tls.maximum_version = version
    with sandbox(tmp_path) as (sandboxed, clock):
        bank = await sandbox_under_test(sandboxed, clock)
        server = CoreServer(sandboxed, credential=credential(token), permits=read_permit)
        runner, port = await listen(server, "127.0.0.1", 0, tls=tls)
        told = Instruction("key-1", bank.customer, "agent", Transfer(bank.main, bank.spare, Money(1250, "GBP"), "TEST"))
        async with AsyncExitStack() as stack:
            stack.push_async_callback(runner.cleanup)
            core = await stack.enter_async_context(asking(f"https://127.0.0.1:{port}", token))
            assert list(await core.bank.accounts(bank.customer)) == list(await sandboxed.accounts(bank.customer))
            assert isinstance(await core.bank.submit(told, Permit(told.canonical(), PERMIT.expires)), Done)
    async with scripted([believable], tls) as (kept, url), asking(url, token) as core:
        for _ in range(5):
            assert await core.bank.accounts("alice") == ()
            assert isinstance(await core.bank.submit(TOLD, PERMIT), Done)
        assert (kept.connections, len(kept.requests)) == (1, 10)


Flawed = Callable[[Authority, Path], ssl.SSLContext]

OTHER_NAME = x509.DNSName("other.invalid")
LOCALHOST = x509.DNSName("localhost")
FOR_CLIENTS = ExtendedKeyUsageOID.CLIENT_AUTH

FLAWED: dict[str, tuple[str, Flawed]] = {
    "of an unknown authority": ("127.0.0.1", lambda _, folder: serving(Authority(folder, "authority").issue("bank"))),
    "expired": ("127.0.0.1", lambda ours, _: serving(ours.issue("bank", days=(-0.5, -0.001)))),
    "not yet valid": ("127.0.0.1", lambda ours, _: serving(ours.issue("bank", days=(0.01, 1)))),
    "of another name": ("localhost", lambda ours, _: serving(ours.issue("localhost", alternative=OTHER_NAME))),
    "of an address, for a name": ("localhost", lambda ours, _: serving(ours.issue("localhost", alternative=LOOPBACK))),
    "of a name, for an address": ("127.0.0.1", lambda ours, _: serving(ours.issue("127.0.0.1", alternative=LOCALHOST))),
    "of a name that is spelt as the address": (
        "127.0.0.1",
        lambda ours, _: serving(ours.issue("127.0.0.1", alternative=x509.DNSName("127.0.0.1"))),
    ),
    "of a common name alone": ("localhost", lambda ours, _: serving(ours.issue("localhost", alternative=None))),
    "of an address in the common name alone": (
        "127.0.0.1",
        lambda ours, _: serving(ours.issue("127.0.0.1", alternative=None)),
    ),
    "for clients": ("127.0.0.1", lambda ours, _: serving(ours.issue("bank", usage=FOR_CLIENTS))),
    "good, over TLS 1.1": ("127.0.0.1", lambda ours, _: old(ours.issue("bank"))),
}


@pytest.mark.parametrize("flaw", FLAWED)
@on_each_loop
async def test_who_cannot_show_to_be_the_bank_is_told_nothing(
    trusted: Authority, token: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, flaw: str
) -> None:
    host, flawed = FLAWED[flaw]
    async with scripted([believable], flawed(trusted, tmp_path)) as (server, address):
        url = address.replace("127.0.0.1", host)
        await _answers_whoever_does_not_look(url, server)
        async with asking(url, token) as core:
            await _nothing_happened(core, url, token, caplog)
        assert (server.connections, len(server.requests)) == (1, 1), "of the one who did not look"


async def _answers_whoever_does_not_look(url: str, server: Scripted) -> None:
    core, itself = open_remote(url, credential="careless-" * 8, clock=Clock(), bounds=ClientBounds(connect_s=5.0), tls=careless())
    assert await core.accounts("alice") == ()
    await itself.close()
    assert (server.connections, len(server.requests)) == (1, 1)


async def _nothing_happened(core: Core, url: str, token: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Instruction and questions are unavailable, by a word that names a kind of error alone; then the operator is told."""
    caplog.clear()
    causes = []
    for asked in (core.bank.submit(TOLD, PERMIT), *(core.bank.accounts("alice") for _ in range(3))):
        with pytest.raises(CoreUnavailable) as refused:
            await asked
        causes.append(str(refused.value))
    assert all(re.fullmatch(r"[A-Za-z]+Error", cause) for cause in causes[:2]), causes
    assert causes[2:] == ["left_alone", "left_alone"]
    assert core.breaker is not None
    assert core.breaker() == "open"
    assert caplog.messages == [CoreAlarm.CORE_BREAKER.line(state="open", failures=8)[1]]
    told = "".join([*causes, *caplog.messages])
    for secret in (token.read_text(), url, "127.0.0.1", "localhost", str(token.parent)):
        assert secret not in told


@pytest.mark.parametrize("alternative", [LOCALHOST, None], ids=["in an alternative name", "in the common name"])
@on_each_loop
async def test_every_other_client_goes_by_alternative_names_too(trusted: Authority, alternative: x509.DNSName | None) -> None:
    """Keys of the issuer; models, webhooks and upstreams use the same context."""
    believed: list[str] = []
    shown = trusted.issue("localhost", alternative=alternative)
    async with scripted([raw(lambda _: http(b"{}"))], serving(shown)) as (server, address):
        url = address.replace("127.0.0.1", "localhost")
        fetcher = Fetcher(loopback_http=False, trust=client_tls())
        with suppress(NoAnswer):
            assert await fetcher.get(f"{url}/keys") == {}
            believed.append("issuer")
        await fetcher.close()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls_for(url) or nobody())) as session:
            with suppress(aiohttp.ClientError):
                async with session.get(url) as response:
                    believed.append(await response.text())
        assert (believed, len(server.requests)) == ((["issuer", "{}"], 2) if alternative else ([], 0))


@pytest.mark.parametrize("believed", [False, True])
@on_each_loop
async def test_who_asks_over_plain_http_alone_believes_nobody(trusted: Authority, *, believed: bool) -> None:
    async with scripted([raw(lambda _: http(b"{}"))], serving(trusted.issue("bank"))) as (server, address):
        fetcher = Fetcher(loopback_http=True, trust=client_tls() if believed else None)
        with nullcontext() if believed else pytest.raises(NoAnswer):
            await fetcher.get(f"{address}/keys")
        await fetcher.close()
        assert len(server.requests) == int(believed)


@pytest.mark.parametrize("answer", [None, b"", http(json.dumps({"is": "Done"}).encode()), b"\x15\x03\x03\x00\x02\x01\x00"])
@on_each_loop
async def test_a_server_without_tls_hears_no_word_of_a_request(
    trusted: Authority, token: Path, caplog: pytest.LogCaptureFixture, answer: bytes | None
) -> None:
    """`answer`: None is silence, and the last one is a close_notify in place of a handshake."""
    heard: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        if answer is not None:
            writer.write(answer)
            writer.write_eof()
        heard.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with asking(url, token, connect_s=5.0 if answer is not None else 0.1) as core:
        await _nothing_happened(core, url, token, caplog)
    server.close()
    await server.wait_closed()
    assert heard[0][:1] == b"\x16", "a handshake"
    for word in (credential(token).encode(), b"Authorization", b"POST", b"alice"):
        assert word not in b"".join(heard)


# Where an answer ends


async def notified(writer: asyncio.StreamWriter) -> None:
    """Ends the connection as TLS says: close_notify in one piece with what was written, then the socket."""
    writer.close()


async def cut(writer: asyncio.StreamWriter) -> None:
    """Ends the socket alone, once everything before is out: anybody on the way can do so."""
    await asyncio.sleep(0.05)
    writer.transport.abort()


def ended(made: Callable[[bytes], bytes], ends: Callable[[asyncio.StreamWriter], object]) -> Answer:
    """`made` of the body of the right answer, and then the end of the connection."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(made(wire.answered(request.number, request.key, DONE if request.key else [])))
        await ends(writer)  # type: ignore[misc]
        return False

    return answer


def chunked(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(body), body)


def unsized(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + body


def longer(body: bytes) -> bytes:
    return http(body + b" ")[:-1]


CUT_SHORT: dict[str, Callable[[bytes], bytes]] = {
    "before the first byte": lambda _: b"",
    "in the head": lambda body: http(body)[:30],
    "between head and body": lambda body: http(body).partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
    "within the body": lambda body: http(body)[:-1],
    "a whole body, of a longer one": longer,
    "a whole body, without the last chunk": chunked,
    "a whole body, within the last chunk": lambda body: chunked(body) + b"0\r\n",
    "a whole body, of no said length": unsized,
    "a whole body, of an older HTTP": lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body,
}


@pytest.mark.parametrize("ends", [notified, cut])
@pytest.mark.parametrize("where", CUT_SHORT)
@on_each_loop
async def test_the_end_of_a_connection_is_never_the_end_of_an_answer(
    trusted: Authority, token: Path, where: str, ends: Callable[[asyncio.StreamWriter], object]
) -> None:
    async with (
        scripted([ended(CUT_SHORT[where], ends)], serving(trusted.issue("bank"))) as (server, url),
        asking(url, token) as core,
    ):
        with pytest.raises(CoreUnavailable, match=r"^closed$"):
            await core.bank.accounts("alice")
        assert await core.bank.submit(TOLD, PERMIT) == Unknown("closed")
        assert len(server.requests) == 6, "each was tried three times, the same bytes under the same key"
        assert len({request.body for request in server.requests}) == 2


@pytest.mark.parametrize("ends", [notified, cut])
@on_each_loop
async def test_a_whole_answer_is_believed_and_its_ended_connection_takes_no_further_request(
    trusted: Authority, token: Path, ends: Callable[[asyncio.StreamWriter], object]
) -> None:
    async with scripted([ended(http, ends)], serving(trusted.issue("bank"))) as (server, url), asking(url, token, tries=1) as core:
        for _ in range(5):
            assert await core.bank.accounts("alice") == ()
            await asyncio.sleep(0.2 if ends is cut else 0)
            assert isinstance(await core.bank.submit(TOLD, PERMIT), Done)
            await asyncio.sleep(0.2 if ends is cut else 0)
        assert (server.connections, len(server.requests)) == (10, 10)
