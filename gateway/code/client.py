"""The gateway's side of the worker: `CodeRunner` over its socket."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Self

import aiohttp

from gateway.code import wire
from gateway.code.port import CodeEnding, CodeOutcome, CodeUnavailable, CodeWanted, GivenFile
from gateway.code.sessions import CodeAsked
from gateway.code.texts import readable
from gateway.sandbox.processes import framed

TOTAL_S = 420
"""Seconds of one call at most, waiting and files among them: more than a worker lets it have."""

_CONNECTING_S = 5
_TRIES = 3
"""How often files are brought that a session, which ended in between, does not have any more."""

_ERROR_BYTES = 64 * 1024


class SocketCodeRunner:
    """See `CodeRunner`. `tier`: which one the worker must be of; empty: any.

    A call that broke off after it was handed over is LOST: whether it ran, the worker alone knew.
    """

    def __init__(self, path: Path, tier: str = "") -> None:
        self._path = path
        self._asks = {"tier": tier} if tier else {}
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(
            "http://worker",
            connector=aiohttp.UnixConnector(str(self._path), limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=_CONNECTING_S),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()
        self._client = None

    async def run(self, wanted: CodeWanted) -> CodeOutcome:
        """See `CodeRunner.run`."""
        _check(wanted)
        if len(wanted.code.encode(errors="replace")) > wire.CODE_BYTES:
            return CodeOutcome(CodeEnding.TOO_LARGE)
        files = [(file.id, _text(file.name)) for file in wanted.files]
        asked = CodeAsked(wanted.session, wanted.key, _text(wanted.code), files, wanted.begun)
        coming: Sequence[GivenFile] = ()
        for _ in range(_TRIES):
            answer = await self._asked(asked, coming)
            if isinstance(answer, CodeOutcome):
                return answer
            coming = [file for file in wanted.files if file.id in answer]
        raise CodeUnavailable("its sessions end before their files are there: let more run at once")

    async def forget(self, session: str) -> None:
        """See `CodeRunner.forget`."""
        if not wire.SESSION_FORM.fullmatch(session):
            raise ValueError("a session is 64 hexadecimal digits")
        try:
            async with self._open.delete(f"{wire.SESSIONS_PATH}/{session}", allow_redirects=False) as answer:
                if answer.status != 204:
                    raise CodeUnavailable(f"the worker answered {answer.status}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise CodeUnavailable(_told(error)) from None

    async def problem(self) -> str | None:
        """Why the worker takes no calls, for an operator; None if it does."""
        try:
            async with self._open.get(
                wire.READY_PATH, params=self._asks, timeout=aiohttp.ClientTimeout(total=_CONNECTING_S)
            ) as answer:
                return None if answer.status == 200 else f"the worker answered {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return _told(error)

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._client is None:
            raise CodeUnavailable("it is not open")
        return self._client

    async def _asked(self, asked: CodeAsked, coming: Sequence[GivenFile]) -> CodeOutcome | Sequence[str]:
        """What came of it; or ids of files that must come along, and nothing ran."""
        body = _Body(asked, coming)
        url = f"{wire.SESSIONS_PATH}/{asked.session}/calls/{asked.key}"
        try:
            async with self._open.post(url, params=self._asks, data=body.parts(), allow_redirects=False) as answer:
                if answer.status == 200:
                    return await wire.read_outcome(answer.content.readexactly)
                said = await _some(answer.content)
        except (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError, wire.CallMalformed) as error:
            if body.failure is not None:
                raise body.failure from None
            if not body.is_whole:
                raise CodeUnavailable(_told(error)) from None
            return CodeOutcome(CodeEnding.LOST)
        if body.failure is not None:
            raise body.failure
        return _refused(answer.status, said)


class _Body:
    """The body of one call, read from its files as it goes out."""

    def __init__(self, asked: CodeAsked, coming: Sequence[GivenFile]) -> None:
        self._asked, self._coming = asked, coming
        self.is_whole = False
        self.failure: Exception | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        self.is_whole = not self._coming  # the code may run from the moment on in which the last frame is there
        yield wire.call_head(self._asked, [file.id for file in self._coming])
        try:
            for file in self._coming:
                async for part in _sized(file):
                    for at in range(0, len(part), wire.PIECE_BYTES):
                        yield framed(part[at : at + wire.PIECE_BYTES])
                if file is self._coming[-1]:
                    self.is_whole = True
                yield framed(b"")
        except Exception as error:  # noqa: BLE001  # whatever reading a file raises is for who asked; the worker learns that it is no call
            self.failure = error
            yield wire.NO_FRAME


async def _sized(file: GivenFile) -> AsyncIterator[bytes]:
    size = 0
    async for part in file.parts():
        size += len(part)
        if size > file.size:
            break
        yield part
    if size != file.size:
        raise ValueError(f"a file of {file.size} bytes was announced, and its content has another size")


async def _some(content: aiohttp.StreamReader) -> bytes:
    said = bytearray()
    async for part in content.iter_chunked(_ERROR_BYTES):
        said += part
        if len(said) > _ERROR_BYTES:
            raise wire.CallMalformed("more than an error has")
    return bytes(said)


def _refused(status: int, said: bytes) -> Sequence[str]:
    """Ids of the files that it asks for. CodeUnavailable, and ValueError for what is the caller's own fault."""
    if status == 409:
        raise ValueError("other code has run under this key")
    try:
        if status == 428:
            return wire.missing_of(said)
        problem = wire.problem_of(said)
    except wire.CallMalformed:
        problem = "no reason was given"
    raise CodeUnavailable(f"the worker answered {status}: {problem}")


def _check(wanted: CodeWanted) -> None:
    if not wire.SESSION_FORM.fullmatch(wanted.session):
        raise ValueError("a session is 64 hexadecimal digits")
    if not wire.KEY_FORM.fullmatch(wanted.key):
        raise ValueError("a key has 1 to 128 letters, digits, dashes, underscores, dots and colons")
    identifiers = [file.id for file in wanted.files]
    if not all(map(wire.FILE_FORM.fullmatch, identifiers)) or len(set(identifiers)) < len(identifiers):
        raise ValueError("the id of a file has 1 to 128 letters, digits, dashes and underscores, and stands once")
    if len(identifiers) > wire.FILES_IN:
        raise ValueError(f"a call has {wire.FILES_IN} files at most")


def _text(given: str) -> str:
    """What strict JSON can carry: without lone surrogates and NUL, of which no code and no name of a file is made."""
    return readable(given.encode(errors="replace"))


def _told(error: Exception) -> str:
    return f"the worker is not reached: {type(error).__name__}"
