"""The code interpreter as an assistant's tool: a program of the model's, in the session of its thread, over the files of its run.

What comes out is a stranger's: texts are redacted like any other, files are looked at and become the customer's. Where documents went in,
or others' text had come into the conversation, what is printed counts as theirs.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

from gateway.calls.record import Records
from gateway.code.port import CodeEnding, CodeRunner, CodeWanted, GivenFile, MadeFile
from gateway.domain.errors import Unavailable
from gateway.domain.stages import Call
from gateway.domain.tools import FunctionOutput
from gateway.files.images import IMAGE_TYPES
from gateway.files.keeping import ContentRefused, ContentTooLarge, FileKeeper
from gateway.files.sealing import ContentDamaged
from gateway.store.assistants import Maker
from gateway.store.files import FilesMost, StoredFile, TooManyFiles, find_file
from gateway.store.threads import existing

PURPOSE = "assistants_output"
FOLDER = "sandbox:/mnt/data/"
"""How a model links to what code made, as the hosted API has it."""

KNOWN_MOST = 10_000
"""Threads whose sessions are looked after."""

IDLE_S = 3600
"""Longer than a worker keeps a session that nobody uses."""

_AT_ONCE = 500

_ENDED: Mapping[CodeEnding, str] = {
    CodeEnding.TIME: "It was stopped: it took too long. Variables and files of this session are gone.",
    CodeEnding.MEMORY: "It was stopped: it took too much memory. Variables and files of this session are gone.",
    CodeEnding.OUTPUT: "It was stopped: it printed too much. Variables and files of this session are gone.",
    CodeEnding.FILES: "It made more files, or larger ones, than may be handed out: none was.",
    CodeEnding.TOO_LARGE: "It did not run: its files are larger than a session may have.",
    CodeEnding.BROKEN: "It broke its session. Variables and files are gone.",
    CodeEnding.LOST: "It was begun, and nobody knows whether it ran to its end. It is not run again.",
}


class KnownSessions:
    """Which sessions may be at the worker that are not over by themselves, and of which threads they are. Bounded: of more than KNOWN_MOST
    the oldest are dropped, which end when nobody uses them."""

    def __init__(self) -> None:
        self._used: dict[str, tuple[str, float]] = {}

    def used(self, thread: str, session: str) -> None:
        self._used.pop(session, None)
        self._used[session] = (thread, time.monotonic())
        if len(self._used) > KNOWN_MOST:
            self.gone(next(iter(self._used)))

    def known(self) -> Iterator[Sequence[tuple[str, str]]]:
        """Those sessions, each with its thread, in pieces; without those that are over by themselves."""
        over = time.monotonic() - IDLE_S
        for session in [session for session, (_, used) in self._used.items() if used < over]:
            self.gone(session)
        known = [(session, thread) for session, (thread, _) in self._used.items()]
        return (known[first : first + _AT_ONCE] for first in range(0, len(known), _AT_ONCE))

    def gone(self, session: str) -> None:
        self._used.pop(session, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeInterpreter:
    """See `Tool`. `most` and `file_most` bound the files that become the customer's."""

    runner: CodeRunner
    keeper: FileKeeper
    records: Records
    most: FilesMost
    file_most: int
    sessions: KnownSessions = field(default_factory=KnownSessions)

    async def use(self, call: Call) -> Mapping[str, object]:
        """What came of the program. Unavailable: nothing ran."""
        context = call.received.request.tools
        if context is None:
            raise Unavailable("code_unavailable")
        principal = call.received.principal
        who = Maker(principal.client, principal.customer)
        given = [file for id_ in context.files if (file := await self._file(who, id_)) is not None]
        wanted = CodeWanted(
            session=session_of(principal.customer, context.container or context.thread),
            key=f"{call.received.request.turn_id}:{call.received.native.native_id}",
            code=call.arguments.must("code", str),
            begun=call.received.native.native_id in context.begun,
            files=[*map(_answer, context.outputs), *map(self._given, given)],
        )
        self.sessions.used(context.thread, wanted.session)
        try:
            outcome = await self.runner.run(wanted)
        except ContentDamaged:
            raise Unavailable("file_damaged") from None
        notes = [_ENDED[outcome.ending]] if outcome.ending in _ENDED else []
        if outcome.anew:
            notes.append("The session is new: nothing of earlier calls is in it.")
        files = [told for made in outcome.files if (told := await self._made(who, wanted, made, notes)) is not None]
        return {
            "ending": outcome.ending.value,
            "note": " ".join(notes),
            _logs(call, given): outcome.logs,
            "files": files,
        }

    async def end_forgotten(self) -> None:
        """End the sessions of threads that are there no more: deleted, or gone with their customer. Unavailable."""
        for known in self.sessions.known():
            there = await self.keeper.store.read(partial(existing, ids=sorted({thread for _, thread in known})))
            for session, thread in known:
                if thread not in there:
                    await self.runner.forget(session)
                    self.sessions.gone(session)

    async def _file(self, who: Maker, id_: str) -> StoredFile | None:
        at = self.keeper.clock()
        return await self.keeper.store.read(lambda connection: find_file(connection, who, id_, at))

    def _given(self, file: StoredFile) -> GivenFile:
        return GivenFile(file.id, file.name, file.content.size, partial(self.keeper.read, file.content))

    async def _made(self, who: Maker, wanted: CodeWanted, made: MadeFile, notes: list[str]) -> Mapping[str, object] | None:
        """A file that code made, as the customer's own; the same again for the same call. None where it is not kept."""
        named = "\0".join((wanted.session, wanted.key, made.name)).encode()
        id_ = f"file_{hashlib.sha256(named).hexdigest()[:24]}"
        file = await self._file(who, id_) or await self._kept(who, id_, made, notes)
        if file is None:
            return None
        return {"path": f"{FOLDER}{quote(made.name)}", "file": file.id, "image": file.content.type in IMAGE_TYPES}

    async def _kept(self, who: Maker, id_: str, made: MadeFile, notes: list[str]) -> StoredFile | None:
        try:
            content = await self.keeper.keep(who, _one(made.content), name=made.name, most=self.file_most)
            await self.keeper.looked_at(content)
        except (ContentTooLarge, ContentRefused):
            notes.append("A file that it made was refused.")
            return None
        now = self.keeper.clock()
        file = StoredFile(id=id_, owner=who, created=now, expires=None, purpose=PURPOSE, name=made.name, content=content)
        await self.records.file(file, "kept", who.client, now)
        try:
            return await self.keeper.added(file, self.most)
        except TooManyFiles:
            notes.append("A file that it made was not kept: the customer has as many as may be.")
            return None


def session_of(customer: str, thread: str) -> str:
    """The name of the session of a thread, or of a container, which says nothing of either."""
    return hashlib.sha256(f"tellergate code session\0{customer}\0{thread}".encode()).hexdigest()


def _logs(call: Call, given: Sequence[StoredFile]) -> str:
    """Under which name its output is told: as a document's where it could read one."""
    return "document_logs" if given or call.facts.conversation.tainted else "logs"


def _answer(output: FunctionOutput) -> GivenFile:
    """What a function answered, as a file: code works on what the bank said, not on what a model copied of it."""
    content = output.text.encode()
    return GivenFile(output.call, output.name, len(content), partial(_one, content))


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content
