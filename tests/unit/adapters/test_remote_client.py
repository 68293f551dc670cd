"""What the client of a core behind HTTP believes, repeats, and says about the money."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.alarms import CoreAlarm
from adapters.core import (
    CoreBank,
    CoreUnavailable,
    Declined,
    Done,
    Identified,
    Instruction,
    Money,
    NotSeen,
    PermitRefused,
    ReferenceKind,
    Transfer,
    Unknown,
)
from adapters.cores.remote import wire
from adapters.cores.remote.breaker import Breaker, BreakerLimits, State
from adapters.cores.remote.client import SKEW, _tell, open_remote
from adapters.cores.remote.codec import Json
from adapters.cores.remote.wire import CoreFault
from adapters.questions import Answered, Question, knowing
from tests.support.banks import Clock, Permit, remote
from tests.support.scripted import CUT, Answer, Request, Scripted, fault, http, raw, scripted, silence, well
from tests.support.waiting import wait_until

TOLD = Instruction(
    "key-1",
    "alice",
    "agent",
    Transfer(Identified(ReferenceKind.ACCOUNT, "a"), Identified(ReferenceKind.ACCOUNT, "b"), Money(1250, "GBP"), "rent"),
)
DONE = Done({"payment": Identified(ReferenceKind.PAYMENT, "p"), "status": "ACSC"})
WIRED_DONE: Json = {
    "is": "Done",
    "output": {"payment": {"identified": {"kind": "pay", "id": "p"}}, "status": "ACSC"},
}
QUICK = {"question_s": 0.4, "instruction_s": 0.4, "silence_s": 0.1, "pause_s": 0.001}


@asynccontextmanager
async def talking(answers: Sequence[Answer], **bounds: float) -> AsyncIterator[tuple[CoreBank, Scripted, Clock]]:
    clock = Clock()
    async with scripted(answers) as (server, url), remote(url, "secret-", clock, **bounds) as core:
        yield core, server, clock


def permit(clock: Clock) -> Permit:
    return Permit(TOLD.canonical(), clock() + timedelta(seconds=30))


async def test_an_instruction_goes_as_its_canonical_bytes_with_key_permit_and_credential() -> None:
    async with talking([well(WIRED_DONE)]) as (core, server, clock):
        assert await core.submit(TOLD, permit(clock)) == DONE
        (request,) = server.requests
        assert (request.path, request.body, request.key) == ("/v1/submit", TOLD.canonical(), "key-1")
        head = request.head.lower()
        assert b"authorization: bearer " + b"secret-" * 8 in head
        assert f"tellergate-permit: {permit(clock).encode()}".lower().encode() in head


@pytest.mark.parametrize(
    "bad", ["cut", "silence", "500", "502 html", "garbage", "other number", "other key", "duplicate", "partial"]
)
async def test_what_is_no_authentic_answer_is_repeated_with_the_same_bytes(bad: str) -> None:
    bads: dict[str, Answer] = {
        "cut": CUT,
        "silence": silence,
        "500": raw(lambda _: http(b"", 500)),
        "502 html": raw(lambda _: http(b"<html>", 502)),
        "garbage": raw(lambda _: b"\x00\x01\x02\r\n\r\n"),
        "other number": raw(lambda it: http(wire.answered("0" * 32, it.key, WIRED_DONE))),
        "other key": raw(lambda it: http(wire.answered(it.number, "key-2", WIRED_DONE))),
        "duplicate": raw(lambda it: http(wire.answered(it.number, it.key, WIRED_DONE).replace(b"{", b'{"key":"key-1",', 1))),
        "partial": raw(lambda it: http(wire.answered(it.number, it.key, WIRED_DONE))[:-1]),
    }
    async with talking([bads[bad], well(WIRED_DONE)], silence_s=0.2) as (core, server, clock):
        assert await core.submit(TOLD, permit(clock)) == DONE
        one, two = server.requests
        assert (one.path, one.body, one.key) == (two.path, two.body, two.key)
        assert one.number != two.number
    async with talking([bads[bad]], **QUICK) as (core, server, clock):
        assert isinstance(await core.submit(TOLD, permit(clock)), Unknown)
        assert 1 <= len(server.requests) <= 3


@pytest.mark.parametrize("answer", [Declined("AM04"), Unknown("the proxy does not know")])
async def test_a_decline_and_a_doubt_of_the_core_are_its_answer(answer: Declined | Unknown) -> None:
    async with talking([well(wire.ANSWER_TO_INSTRUCTION.encode(answer))]) as (core, server, clock):
        assert await core.submit(TOLD, permit(clock)) == answer
        assert len(server.requests) == 1


async def test_a_refused_permit_is_believed_of_the_first_request_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with talking([fault(CoreFault.PERMIT_REFUSED)]) as (core, server, clock):
        with pytest.raises(PermitRefused):
            await core.submit(TOLD, permit(clock))
        assert len(server.requests) == 1
    assert CoreAlarm.CORE_REFUSES.line(code="permit_refused")[1] in [record.getMessage() for record in caplog.records]
    async with talking([CUT, fault(CoreFault.PERMIT_REFUSED)], pause_s=0.001) as (core, server, clock):
        assert isinstance(await core.submit(TOLD, permit(clock)), Unknown), "the first one may have acted"
        assert len(server.requests) == 2


@pytest.mark.parametrize("code", [item for item in CoreFault if item is not CoreFault.PERMIT_REFUSED])
async def test_any_other_fault_of_the_server_leaves_an_instruction_unknown(code: CoreFault) -> None:
    async with talking([fault(code)], pause_s=0.001) as (core, server, clock):
        assert isinstance(await core.submit(TOLD, permit(clock)), Unknown)
        assert len(server.requests) == (3 if code is CoreFault.UNAVAILABLE else 1)


async def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    clock = Clock()
    async with remote(f"http://127.0.0.1:{port}", "secret-", clock, pause_s=0.001) as core:
        with pytest.raises(CoreUnavailable):
            await core.submit(TOLD, permit(clock))
        with pytest.raises(CoreUnavailable):
            await core.accounts("alice")


async def test_after_bytes_may_have_gone_nobody_says_that_nothing_was_sent() -> None:
    """The first request is taken and the bank dies: the second cannot connect, and the first may have acted."""

    async def dies(_request: object, _writer: object) -> bool:
        assert server.listening is not None
        server.listening.close()
        return False

    async with talking([dies], pause_s=0.001) as (core, server, clock):
        assert isinstance(await core.submit(TOLD, permit(clock)), Unknown)
        assert len(server.requests) == 1


async def test_without_a_free_connection_before_the_deadline_nothing_was_sent() -> None:
    async with talking([silence], connections=1, instruction_s=0.3, silence_s=5.0, question_s=5.0) as (core, server, clock):
        asking = asyncio.create_task(core.accounts("alice"))
        await wait_until(lambda: len(server.requests) == 1)
        with pytest.raises(CoreUnavailable):
            await core.submit(TOLD, permit(clock))
        assert [request.path for request in server.requests] == ["/v1/accounts"]
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_nothing_is_sent_under_an_expired_permit_and_nothing_repeated() -> None:
    async with talking([CUT], pause_s=0.001) as (core, server, clock):
        with pytest.raises(PermitRefused):
            await core.submit(TOLD, replace(permit(clock), expires=clock()))
        assert server.requests == []

        async def later(_request: object, _writer: object) -> bool:
            clock.turn(timedelta(seconds=31))
            return False

        server.answers[0] = later
        assert isinstance(await core.submit(TOLD, permit(clock)), Unknown)
        assert len(server.requests) == 1


async def test_an_open_breaker_sends_no_instruction_and_a_question_closes_it(caplog: pytest.LogCaptureFixture) -> None:
    async with talking([CUT, CUT, CUT, well([])], pause_s=0.001) as (core, server, clock):
        core._breaker = Breaker(BreakerLimits(failures=3, cool_s=0.0), moved=_tell)  # type: ignore[attr-defined]
        with pytest.raises(CoreUnavailable):
            await core.accounts("alice")
        assert core.breaker is State.OPEN  # type: ignore[attr-defined]
        with pytest.raises(CoreUnavailable):
            await core.submit(TOLD, permit(clock))
        assert len(server.requests) == 3
        assert await core.accounts("alice") == ()
        server.answers[0] = well(WIRED_DONE)
        assert await core.submit(TOLD, permit(clock)) == DONE
    states = [record.getMessage() for record in caplog.records if "core_breaker" in record.getMessage()]
    assert [state.split('"state": "')[1].split('"')[0] for state in states] == ["open", "half_open", "closed"]


async def test_a_key_on_its_way_is_not_asked_for_until_its_permit_is_over() -> None:
    async with talking([CUT, CUT, CUT, well({"is": "NotSeen"})], pause_s=0.001) as (core, server, clock):
        assert isinstance(await core.submit(TOLD, permit(clock)), Unknown)
        assert isinstance(await core.status("key-1"), Unknown)
        assert len(server.requests) == 3
        clock.turn(timedelta(seconds=30) + SKEW)

        async def not_seen(request, writer):  # type: ignore[no-untyped-def]
            writer.write(http(wire.answered(request.number, "key-1", {"is": "NotSeen"})))
            return True

        server.answers[0] = not_seen
        assert await core.status("key-1") == NotSeen()
        assert core._on_their_way == {}  # type: ignore[attr-defined]


async def test_a_key_whose_sender_was_cancelled_stays_on_its_way() -> None:
    async with talking([silence]) as (core, server, clock):
        sending = asyncio.create_task(core.submit(TOLD, permit(clock)))
        await wait_until(lambda: len(server.requests) == 1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert isinstance(await core.status("key-1"), Unknown)
        assert len(server.requests) == 1


@pytest.mark.parametrize("key", ["a\r\nAuthorization: Bearer x", "a b", "", "a" * 41, "\x00", "é"])
async def test_a_key_that_no_header_holds_is_never_sent(key: str) -> None:
    async with talking([well(WIRED_DONE)]) as (core, server, clock):
        told = replace(TOLD, key=key)
        with pytest.raises(CoreUnavailable):
            await core.submit(told, Permit(told.canonical(), clock() + timedelta(seconds=30)))
        assert server.connections == 0


@pytest.mark.parametrize("encoded", ["", "a b", "a\r\nAuthorization: Bearer x", "é", "a" * 1025])
async def test_a_permit_that_no_header_holds_is_never_sent(encoded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking([well(WIRED_DONE)]) as (core, server, clock):
        monkeypatch.setattr(Permit, "encode", lambda _self: encoded)
        with pytest.raises(PermitRefused):
            await core.submit(TOLD, permit(clock))
        assert server.connections == 0


# Questions


@pytest.mark.parametrize("bad", [CUT, silence, raw(lambda _: http(b"", 503)), fault(CoreFault.UNAVAILABLE), raw(lambda _: b"\x00")])
async def test_a_question_is_asked_again(bad: Answer) -> None:
    async with talking([bad, bad, well([])], silence_s=0.1, pause_s=0.001) as (core, server, _clock):
        assert await core.accounts("alice") == ()
        assert len(server.requests) == 3
    async with talking([bad], **QUICK) as (core, server, _clock):
        with pytest.raises(CoreUnavailable):
            await core.accounts("alice")
        assert 1 <= len(server.requests) <= 3


async def test_a_question_that_the_core_does_not_know_is_a_value_error() -> None:
    async with talking([fault(CoreFault.INVALID)]) as (core, server, _clock):
        with pytest.raises(ValueError, match="balance"):
            await core.balance("a", "XXXX")
        assert len(server.requests) == 1


@pytest.mark.parametrize("code", [CoreFault.UNAUTHORIZED, CoreFault.MALFORMED, CoreFault.NOT_FOUND])
async def test_a_core_that_takes_nothing_from_us_is_an_alarm_and_not_asked_again(
    code: CoreFault, caplog: pytest.LogCaptureFixture
) -> None:
    async with talking([fault(code)]) as (core, server, _clock):
        with pytest.raises(CoreUnavailable):
            await core.accounts("alice")
        assert len(server.requests) == 1
    assert CoreAlarm.CORE_REFUSES.line(code=code.value)[1] in [record.getMessage() for record in caplog.records]


async def test_a_cancelled_question_leaves_no_connection_and_no_ticket() -> None:
    async with talking([silence], connections=1) as (core, server, _clock):
        core._breaker = Breaker(BreakerLimits(failures=1, cool_s=0.0))  # type: ignore[attr-defined]
        ticket = core._breaker.instruction()  # type: ignore[attr-defined]
        core._breaker.ended(ticket, 0.0, answered=False)  # type: ignore[attr-defined]
        asking = asyncio.create_task(core.accounts("alice"))
        await wait_until(lambda: len(server.requests) == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert not any(connection.is_usable for connection in core._http._open)  # type: ignore[attr-defined]
        server.answers[0] = well([])
        assert await core.accounts("alice") == (), "the next one probes, over the one connection that there may be"


async def test_a_server_that_closed_an_idle_connection_is_asked_over_another() -> None:
    async with talking([raw(lambda it: http(wire.answered(it.number, None, [])), goes_on=False)]) as (core, server, _clock):
        for _ in range(20):
            assert await core.accounts("alice") == ()
        assert server.connections >= 20


# Several questions at once

ACCOUNT = Identified(ReferenceKind.ACCOUNT, "a")
DESCRIBE, ACCOUNTS = Question.to(CoreBank.describe, ACCOUNT), Question.to(CoreBank.accounts, "alice")
AHEAD = Question.to(CoreBank.standing_orders, "a")


def by_path(**answers: Answer) -> Answer:
    """The answer for the last part of the request's path; `well(None)` for `describe`, `well([])` for the rest."""
    known = {"describe": well(None), **answers}

    async def answer(request: Request, writer: asyncio.StreamWriter) -> bool:
        return await known.get(request.path.rpartition("/")[2], well([]))(request, writer)

    return answer


async def found_out(core: Any) -> None:
    """Ask something together, so that the core is asked what it can, and wait until it has said so."""
    await core.together([DESCRIBE, ACCOUNTS])
    await wait_until(lambda: core._together._asking is None)


def paths(server: Scripted) -> list[str]:
    return [request.path.rpartition("/")[2] for request in server.requests]


async def test_a_core_that_announces_it_takes_several_questions_in_one_exchange() -> None:
    several = well([{"answer": None}, {"error": {"code": "unavailable"}}, {"answer": []}])
    async with talking([by_path(capabilities=well(["together", "of another version"]), together=several)]) as (
        core,
        server,
        _clock,
    ):
        await found_out(core)
        server.requests.clear()
        answers = await core.together([DESCRIBE, ACCOUNTS], AHEAD)
        assert answers == [Answered(DESCRIBE, None), Answered(AHEAD, ())]
        assert paths(server) == ["together"]
        asked = knowing(core, answers)
        assert (await DESCRIBE.ask(asked), await AHEAD.ask(asked), await ACCOUNTS.ask(asked)) == (None, (), ())
        assert await asked.describe(Identified(ReferenceKind.ACCOUNT, "b")) is None
        assert paths(server) == ["together", "accounts", "describe"], "what was not answered, and what is another question"
        assert not hasattr(asked, "submit")
        assert not hasattr(asked, "status")


@pytest.mark.parametrize("capabilities", [well([]), well(["another"]), fault(CoreFault.NOT_FOUND)])
async def test_a_core_that_does_not_is_asked_side_by_side_and_never_ahead(
    capabilities: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    """So is one that was made before there were announcements; that is no alarm."""
    async with talking([by_path(capabilities=capabilities)]) as (core, server, _clock):
        await found_out(core)
        server.requests.clear()
        assert await core.together([DESCRIBE, ACCOUNTS], AHEAD) == [Answered(DESCRIBE, None), Answered(ACCOUNTS, ())]
        assert sorted(paths(server)) == ["accounts", "describe"]
        assert await core.together([DESCRIBE], AHEAD) == (), "one alone is asked by whoever needs it"
        assert len(server.requests) == 2
    assert caplog.records == []


async def test_questions_side_by_side_are_on_their_way_at_the_same_time() -> None:
    both = asyncio.Event()

    async def waits(request: Request, writer: asyncio.StreamWriter) -> bool:
        if {"describe", "accounts"} <= set(paths(server)):
            both.set()
        await both.wait()
        return await by_path()(request, writer)

    async with talking([waits]) as (core, server, _clock):
        async with asyncio.timeout(10):
            assert len(await core.together([DESCRIBE, ACCOUNTS])) == 2


async def test_a_core_that_takes_several_no_more_is_asked_side_by_side_again() -> None:
    async with talking([by_path(capabilities=well(["together"]), together=fault(CoreFault.NOT_FOUND))]) as (core, server, _clock):
        await found_out(core)
        server.requests.clear()
        for _ in range(2):
            assert len(await core.together([DESCRIBE, ACCOUNTS])) == 2
        assert sorted(paths(server)) == ["accounts", "accounts", "describe", "describe", "together"]


@pytest.mark.parametrize(
    "bad",
    [
        [{"answer": None}],
        [{"answer": None}, {"answer": []}, {"answer": []}],
        [{"answer": []}, {"answer": None}],
        [{"answer": None}, {"answer": [], "error": {"code": "invalid"}}],
        [{"answer": None}, {"error": {"code": "nothing that we know"}}],
        [{"answer": None}, []],
        {"answer": None},
    ],
)
async def test_answers_that_do_not_fit_their_questions_are_none_of_them_believed(bad: Json) -> None:
    async with talking([by_path(capabilities=well(["together"]), together=well(bad))], pause_s=0.001) as (core, server, _clock):
        await found_out(core)
        with pytest.raises(CoreUnavailable):
            await core.together([DESCRIBE, ACCOUNTS])
        assert paths(server).count("together") == 3


async def test_a_core_that_does_not_answer_fails_several_questions_as_one() -> None:
    async with talking([fault(CoreFault.UNAVAILABLE)], pause_s=0.001) as (core, _server, _clock):
        with pytest.raises(CoreUnavailable):
            await core.together([DESCRIBE, ACCOUNTS])
        await wait_until(lambda: core._together._asking is None)  # type: ignore[attr-defined]
        assert not core._together._may_be  # type: ignore[attr-defined]


# The connections


async def test_connections_are_kept_for_a_while_and_no_more_than_are_allowed() -> None:
    async with talking([well([])], connections=3, idle_s=0.05) as (core, server, _clock):
        await asyncio.gather(*(core.accounts("alice") for _ in range(30)))
        assert server.connections <= 3
        before = server.connections
        assert await core.accounts("alice") == ()
        assert server.connections == before, "kept"
        await asyncio.sleep(0.1)
        assert await core.accounts("alice") == ()
        assert server.connections == before + 1, "idle for too long"


async def test_a_cut_answer_without_a_length_is_no_answer() -> None:
    """Where the end of a connection ends the body, a cut looks like an end."""
    unbounded = raw(lambda it: b"HTTP/1.1 200 OK\r\n\r\n" + wire.answered(it.number, it.key, []))
    async with talking([unbounded], pause_s=0.001) as (core, _server, _clock):
        with pytest.raises(CoreUnavailable):
            await core.accounts("alice")


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_answer_in_chunks_is_read_however_it_is_cut(at_once: bool) -> None:
    async def chunked(request: Request, writer: asyncio.StreamWriter) -> bool:
        body = wire.answered(request.number, request.key, [])
        message = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        for byte in [message] if at_once else [message[at : at + 1] for at in range(len(message))]:
            writer.write(byte)
            await writer.drain()
            await asyncio.sleep(0)
        return True

    async with talking([chunked]) as (core, server, _clock):
        for _ in range(3):
            assert await core.accounts("alice") == ()
        assert server.connections == 1


async def test_what_no_header_holds_is_refused_before_anything_is_sent() -> None:
    for url, credential in (("http://127.0.0.1:1", "a\r\nX: y"), ("http://127.0.0.1:1/a b", "good"), ("http://127.0.0.1:1", "")):
        with pytest.raises(ValueError, match="holds it"):
            open_remote(url, credential=credential, clock=Clock())
