"""What the gateway and its worker say to each other: HTTP over a Unix socket, the bodies in frames.

A frame is its length in four bytes, and so many bytes. A call is its head in JSON, then for each file that comes along its pieces, an empty
frame last. An outcome is its head in JSON, then one frame for each file. Neither side believes more of the other than these forms.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from gateway.code.port import CodeEnding, CodeOutcome, MadeFile
from gateway.code.sessions import CodeAsked
from gateway.code.texts import readable
from gateway.domain.strict_json import JsonError, Parsed, loads
from gateway.sandbox.processes import framed, is_name

SESSIONS_PATH = "/v1/sessions"
READY_PATH = "/readyz"

SESSION_FORM = re.compile(r"[0-9a-f]{64}")
KEY_FORM = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
FILE_FORM = re.compile(r"[A-Za-z0-9_-]{1,128}")

HEAD_BYTES = 2 * 1024 * 1024
CODE_BYTES = 256 * 1024
FILES_IN = 128
FILES_OUT = 64
FILES_OUT_BYTES = 128 * 1024 * 1024
PIECE_BYTES = 1024 * 1024

NO_FRAME = b"\xff\xff\xff\xff"
"""The length of a frame that nobody takes: what came before it is no call."""

Exactly = Callable[[int], Awaitable[bytes]]
"""Reads so many bytes; EOFError, or an error of its own, where they do not come."""


class CallMalformed(ValueError):
    """What came is no call, or no outcome."""


def call_head(asked: CodeAsked, coming: Sequence[str]) -> bytes:
    """`coming`: ids of the files that follow, in this order."""
    files = [list(item) for item in asked.files]
    return framed(json.dumps({"code": asked.code, "files": files, "coming": list(coming), "begun": asked.begun}).encode())


async def read_call(session: str, key: str, exactly: Exactly) -> tuple[CodeAsked, Sequence[str]]:
    """The call, and which files follow. CallMalformed."""
    said = _object(await frame(exactly, HEAD_BYTES))
    code, files, coming, begun = (said.get(name) for name in ("code", "files", "coming", "begun"))
    fits = isinstance(code, str) and isinstance(files, list) and isinstance(coming, list) and isinstance(begun, bool)
    if not fits or not isinstance(code, str) or len(code.encode()) > CODE_BYTES:
        raise CallMalformed("no call")
    read = [_file(item) for item in files] if isinstance(files, list) else []
    identifiers = [identifier for identifier, _ in read]
    order = [item for item in identifiers if isinstance(coming, list) and item in coming]
    if len(read) > FILES_IN or len(set(identifiers)) < len(identifiers) or order != coming:
        raise CallMalformed("no list of files")
    return CodeAsked(session, key, code, read, begun is True), order


def _file(item: Parsed) -> tuple[str, str]:
    if isinstance(item, list) and len(item) == 2:
        identifier, name = item
        if isinstance(identifier, str) and isinstance(name, str) and FILE_FORM.fullmatch(identifier):
            return identifier, name
    raise CallMalformed("no file")


async def pieces(exactly: Exactly) -> AsyncIterator[bytes]:
    """One file that follows, until its empty frame."""
    while part := await frame(exactly, PIECE_BYTES):
        yield part


async def frame(exactly: Exactly, most: int) -> bytes:
    """CallMalformed: it is longer."""
    size = int.from_bytes(await exactly(4), "big")
    if size > most:
        raise CallMalformed(f"more than {most} bytes")
    return await exactly(size) if size else b""


def outcome_frames(outcome: CodeOutcome) -> list[bytes]:
    head = {"ending": outcome.ending, "logs": outcome.logs, "files": [file.name for file in outcome.files], "anew": outcome.anew}
    return [framed(json.dumps(head).encode()), *(framed(file.content) for file in outcome.files)]


async def read_outcome(exactly: Exactly) -> CodeOutcome:
    """CallMalformed: it is none. Names and bytes are believed in their form alone."""
    said = _object(await frame(exactly, HEAD_BYTES))
    ending, logs, names, anew = (said.get(name) for name in ("ending", "logs", "files", "anew"))
    if not isinstance(logs, str) or not isinstance(anew, bool) or not isinstance(names, list) or len(names) > FILES_OUT:
        raise CallMalformed("no outcome")
    if not isinstance(ending, str) or ending not in tuple(CodeEnding):
        raise CallMalformed("no ending")
    files: list[MadeFile] = []
    room = FILES_OUT_BYTES
    for name in names:
        if not isinstance(name, str) or not is_name(name) or any(file.name == name for file in files):
            raise CallMalformed("no name of a file")
        files.append(MadeFile(name, await frame(exactly, room)))
        room -= len(files[-1].content)
    return CodeOutcome(CodeEnding(ending), readable(logs.encode(errors="replace")), tuple(files), anew)


def missing_of(body: bytes) -> list[str]:
    """Ids of the files that a worker asks for. CallMalformed."""
    missing = _object(body).get("missing")
    if not isinstance(missing, list) or not all(isinstance(item, str) and FILE_FORM.fullmatch(item) for item in missing):
        raise CallMalformed("no list of files")
    return [str(item) for item in missing]


def problem_of(body: bytes) -> str:
    """What a worker says is wrong, for an operator. CallMalformed."""
    problem = _object(body).get("problem")
    if not isinstance(problem, str):
        raise CallMalformed("no problem")
    return problem[:500]


def _object(body: bytes) -> dict[str, Parsed]:
    try:
        said = loads(body, max_bytes=HEAD_BYTES)
    except JsonError as error:
        raise CallMalformed(str(error)) from None
    if not isinstance(said, dict):
        raise CallMalformed("no object")
    return said
