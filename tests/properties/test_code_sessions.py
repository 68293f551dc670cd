"""Sessions of the code interpreter's worker against a model: whatever order calls, failures, cancellations and ends come in."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.code.client import SocketCodeRunner
from gateway.code.naming import placed
from gateway.code.port import CodeEnding, CodeOutcome, CodeUnavailable, CodeWanted, MadeFile
from gateway.code.sessions import CodeAsked, CodeSessions, FilesMissing, KeyTaken, SessionBounds
from gateway.code.wire import CallMalformed, call_head, outcome_frames, pieces, read_call, read_outcome
from gateway.sandbox.processes import framed, is_name

SHORT = SessionBounds(sessions=2, at_once=2, idle_s=100, waiting_s=0.02, kept_s=500, kept_bytes=1000)


class Failed(Exception):
    """What a fake raises."""


@dataclass
class FakeInterpreter:
    """Runs nothing: code is `ok`, `fails` (the interpreter does), `ends` (its session does) or `slow`."""

    ran: Counter[str] = field(default_factory=Counter)
    open_ones: int = 0
    most: int = 0
    takes_files = True
    begins = True

    async def begin(self) -> "FakeSession":
        await asyncio.sleep(0)
        if not self.begins:
            raise CodeUnavailable("none begins")
        self.open_ones += 1
        self.most = max(self.most, self.open_ones)
        return FakeSession(self)

    async def close(self) -> None:
        pass


@dataclass
class FakeSession:
    interpreter: FakeInterpreter
    is_over: bool = False
    calls: int = 0
    running: int = 0

    async def run(self, code: str, files: Mapping[str, AsyncIterator[bytes]]) -> CodeOutcome:
        for parts in files.values():
            async for _ in parts:
                pass
        assert not self.is_over
        assert self.running == 0, "two calls of a session at once"
        kind, _, name = code.partition(" ")
        self.interpreter.ran[name] += 1
        self.calls += 1
        self.running += 1
        try:
            await asyncio.sleep(0.005 if kind == "slow" else 0)
        finally:
            self.running -= 1
        if kind == "fails":
            await self.end()
            raise Failed
        if kind == "ends":
            await self.end()
            return CodeOutcome(CodeEnding.BROKEN)
        return CodeOutcome(CodeEnding.DONE, f"{self.calls}", (MadeFile("made", bytes(100)),))

    async def end(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.interpreter.open_ones -= 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 2), st.integers(0, 2), st.sampled_from(["ok", "fails", "ends", "slow"])),
        st.tuples(st.just("leave"), st.integers(0, 2), st.integers(0, 2), st.just("slow")),
        st.tuples(st.just("forget"), st.integers(0, 2), st.just(0), st.just("")),
        st.tuples(st.just("pass"), st.sampled_from([1, 100, 500]), st.just(0), st.just("")),
        st.tuples(st.just("cannot"), st.integers(0, 1), st.just(0), st.just("")),
    ),
    max_size=30,
)


@given(STEPS)
def test_whatever_comes_a_key_runs_once_and_what_was_answered_stays_or_is_lost(steps: list[tuple[str, int, int, str]]) -> None:
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, int, int, str]]) -> None:
    interpreter, now = FakeInterpreter(), [0.0]
    sessions = CodeSessions(interpreter, SHORT, clock=lambda: now[0])
    answered: dict[tuple[str, str], CodeOutcome] = {}
    left: list[asyncio.Task[CodeOutcome]] = []
    for step, number, key, kind in steps:
        session, name = f"{number}", f"{number}-{key}"
        if step in ("ask", "leave"):
            asked = asyncio.create_task(sessions.run(CodeAsked(session, name, f"{kind} {name}"), {}))
            if step == "leave":
                await asyncio.sleep(0.001)
                asked.cancel()
                left.append(asked)
                continue
            with suppress(CodeUnavailable, KeyTaken):
                outcome = await asked
                was = answered.setdefault((session, name), outcome)
                assert outcome.ending is CodeEnding.LOST or outcome == was
        elif step == "forget":
            await sessions.forget(session)
        elif step == "pass":
            now[0] += number
            await sessions.expire()
        else:
            interpreter.begins = bool(number)
        assert len(sessions) <= SHORT.sessions
        assert interpreter.open_ones <= SHORT.sessions
    assert all(times == 1 for times in interpreter.ran.values()), interpreter.ran
    await sessions.close()
    assert interpreter.open_ones == 0
    assert len(sessions) == 0
    await asyncio.gather(*left, return_exceptions=True)


async def test_what_goes_away_while_it_waits_and_comes_back_gets_the_same_outcome() -> None:
    sessions = CodeSessions(FakeInterpreter(), SHORT)
    first = asyncio.create_task(sessions.run(CodeAsked("s", "k", "slow one"), {}))
    await asyncio.sleep(0.001)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await sessions.run(CodeAsked("s", "k", "slow one", begun=True), {})).logs == "1"
    with pytest.raises(KeyTaken):
        await sessions.run(CodeAsked("s", "k", "slow two"), {})
    await sessions.close()


async def test_an_outcome_is_kept_for_a_while_and_within_its_bytes_and_then_lost() -> None:
    now = [0.0]
    sessions = CodeSessions(FakeInterpreter(), SHORT, clock=lambda: now[0])
    for number in range(12):  # 100 bytes each
        await sessions.run(CodeAsked("s", f"k{number}", f"ok {number}"), {})
    assert [(await sessions.run(CodeAsked("s", key, f"ok {key[1:]}"), {})).ending for key in ("k0", "k11")] == [
        CodeEnding.LOST,
        CodeEnding.DONE,
    ]
    now[0] += SHORT.kept_s
    await sessions.expire()
    assert (await sessions.run(CodeAsked("s", "k11", "ok 11"), {})).ending is CodeEnding.LOST
    assert len(sessions) == 0
    await sessions.close()


async def test_files_are_asked_for_once_and_again_when_the_session_began_anew() -> None:
    sessions = CodeSessions(FakeInterpreter(), SHORT)

    async def content() -> AsyncIterator[bytes]:
        yield b"x"

    files = [("one", "a.csv"), ("two", "a.csv")]
    for _ in range(2):
        with pytest.raises(FilesMissing) as missing:
            await sessions.run(CodeAsked("s", "k1", "ok 1", files), {})
        assert list(missing.value.identifiers) == ["one", "two"]
        with pytest.raises(FilesMissing) as missing:
            await sessions.run(CodeAsked("s", "k1", "ok 1", files), {"one": content()})
        assert list(missing.value.identifiers) == ["two"]
        outcome = await sessions.run(CodeAsked("s", f"k-{_}", f"ok {_}", files), {"one": content(), "two": content()})
        assert outcome.anew
        assert not (await sessions.run(CodeAsked("s", f"l-{_}", f"ok l{_}", files), {})).anew
        await sessions.forget("s")
    await sessions.close()


async def test_a_call_that_was_not_begun_when_its_session_ends_did_not_run() -> None:
    interpreter = FakeInterpreter()
    sessions = CodeSessions(interpreter, SessionBounds(waiting_s=5))
    first = asyncio.create_task(sessions.run(CodeAsked("s", "k1", "slow one"), {}))
    second = asyncio.create_task(sessions.run(CodeAsked("s", "k2", "slow two"), {}))
    await asyncio.sleep(0.002)
    await sessions.forget("s")
    assert await first == CodeOutcome(CodeEnding.LOST)
    with pytest.raises(CodeUnavailable):
        await second
    assert interpreter.ran == Counter(one=1)
    await sessions.close()


NAMES = st.text(max_size=150)


@given(
    st.lists(st.tuples(st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True), NAMES), max_size=8, unique_by=lambda item: item[0])
)
def test_every_file_gets_a_plain_name_of_its_own(files: list[tuple[str, str]]) -> None:
    names = placed(files)
    assert set(names) == {identifier for identifier, _ in files}
    assert len(set(names.values())) == len(files)
    assert all(is_name(name) and not name.startswith(".") for name in names.values())


def test_files_of_one_name_have_names_of_their_own_however_long_their_ids_are() -> None:
    files = [(f"{'i' * 100}{number:03}{'d' * 25}", "é" * 80 + ".csv") for number in range(128)]
    assert len(set(placed(files).values())) == 128
    assert placed([("a", "x.csv"), ("b", "x.csv"), ("c", "b-x.csv")]) == {"a": "x.csv", "b": "b-x.csv", "c": "c-b-x.csv"}
    assert placed([("..", "/"), ("b", ".."), ("c", "a/b\\c\n")]) == {"..": "_", "b": "b", "c": "a_b_c_"}


def reader(body: bytes) -> "Reading":
    return Reading(body)


class Reading:
    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __call__(self, size: int) -> bytes:
        if len(self.body) < size:
            raise asyncio.IncompleteReadError(self.body, size)
        part, self.body = self.body[:size], self.body[size:]
        return part


TEXTS = st.text(max_size=50).filter(lambda text: "\0" not in text and text.isprintable())


@given(
    st.sampled_from(list(CodeEnding)),
    TEXTS,
    st.dictionaries(TEXTS.filter(is_name), st.binary(max_size=50), max_size=3),
    st.booleans(),
)
def test_an_outcome_comes_as_it_was_sent(ending: CodeEnding, logs: str, files: dict[str, bytes], anew: bool) -> None:
    outcome = CodeOutcome(ending, logs, tuple(MadeFile(*item) for item in files.items()), anew)
    assert asyncio.run(read_outcome(reader(b"".join(outcome_frames(outcome))))) == outcome


@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.one_of(st.binary(max_size=30), st.sampled_from(HEADS := [b"{}", b"[]", b"[" * 5000, b'{"ending":"done"}', b"nul"])),
            max_size=4,
        ).map(lambda parts: b"".join(map(framed, parts))),
    )
)
def test_what_a_stranger_says_is_an_outcome_or_a_call_in_its_form_alone(body: bytes) -> None:
    for read in (read_outcome(reader(body)), read_call("a" * 64, "k", reader(body))):
        with suppress(CallMalformed, asyncio.IncompleteReadError):
            asyncio.run(read)


@pytest.mark.parametrize(
    "head",
    [
        b'{"ending":"won","logs":"","files":[],"anew":false}',
        b'{"ending":"done","logs":1,"files":[],"anew":false}',
        b'{"ending":"done","logs":"","files":["../up"],"anew":false}',
        b'{"ending":"done","logs":"","files":["a","a"],"anew":false}',
        b'{"ending":"done","logs":"","files":[],"anew":0}',
        b'{"ending":"done","ending":"done","logs":"","files":[],"anew":false}',
        b'{"ending":"done","logs":"","files":'
        + b'["a"]'.replace(b'"a"', b",".join(b'"%d"' % n for n in range(65)))
        + b',"anew":false}',
    ],
)
async def test_an_outcome_in_another_form_is_none(head: bytes) -> None:
    with pytest.raises(CallMalformed):
        await read_outcome(reader(framed(head) + framed(b"") * 66))


@pytest.mark.parametrize("files", [[["a", "n"], ["a", "m"]], [["../a", "n"]], [["a"]], ["a"], [["a", 1]]])
async def test_a_call_with_other_files_is_none(files: object) -> None:
    head = call_head(CodeAsked("a" * 64, "k", "1"), []).replace(
        b'"files": []', b'"files": ' + repr(files).replace("'", '"').encode()
    )
    with pytest.raises(CallMalformed):
        await read_call("a" * 64, "k", reader(framed(head[4:])))


async def test_pieces_end_with_an_empty_one_and_none_is_too_long() -> None:
    assert [part async for part in pieces(reader(framed(b"ab") + framed(b"c") + framed(b"")))] == [b"ab", b"c"]
    with pytest.raises(CallMalformed):
        assert [part async for part in pieces(reader(b"\xff\xff\xff\xff"))] == []


async def answering(answer: bytes, path: str) -> asyncio.Server:
    """Somebody at the socket who gives the same answer to whatever is asked."""

    async def answered(from_us: asyncio.StreamReader, to_us: asyncio.StreamWriter) -> None:
        await from_us.readuntil(b"\r\n\r\n")
        to_us.write(answer)
        to_us.close()

    return await asyncio.start_unix_server(answered, path)


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        (b"", True),
        (b"SSH-2.0-OpenSSH\r\n", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n" + framed(b"{}x"), True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n\xff\xff\xff\xff\r\n", True),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.1 503 No\r\ncontent-length: 3\r\n\r\nno.", False),
        (b'HTTP/1.1 428 No\r\ncontent-length: 16\r\n\r\n{"missing": [1]}', False),
        (b'HTTP/1.1 428 No\r\ncontent-length: 19\r\n\r\n{"missing": ["up"]}', False),
        (b"HTTP/1.1 503 No\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 100_000, True),
    ],
)
async def test_a_stranger_at_the_socket_is_believed_nothing(
    answer: bytes, lost: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    server = await answering(answer, path)
    async with server, SocketCodeRunner(Path(path)) as runner:
        wanted = CodeWanted("a" * 64, "k", "1")
        if lost:
            assert await runner.run(wanted) == CodeOutcome(CodeEnding.LOST)
        else:
            with pytest.raises(CodeUnavailable):
                await runner.run(wanted)
