"""The log's witnesses: each published checkpoint is submitted to them, and what they sign is kept beside it (C2SP tlog-witness).

Nothing waits for a witness but the start, which compares the log with them. Must never follow a redirect, nor believe an answer whose
signatures do not verify.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import NamedTuple

import aiohttp

from adapters.tls import nobody
from audit.checkpoint import Checkpoint, Note, NoteInvalid, VerifierKey
from audit.cosigning import keep, last_kept, published_note, submission
from audit.log import Log
from audit.witness.protocol import SIZE_TYPE, cosignatures, held_size
from gateway.domain.alarms import Alarm
from gateway.oversight.said_once import SaidOnce

EVERY_S = 2
"""How often they are asked, where the log grew; else once a minute."""

YOUNG_S = 50
"""A cosignature over the same head that is younger is not asked for again."""

TIMEOUT_S = 5.0
ANSWER_MOST = 65_536
AGAIN_S = 300
"""What stays as it is is an alarm again after this long."""

_TURNS = 4
"""Of one conversation: a size that the witness told, or a younger checkpoint of our own, twice each."""

_LOG = logging.getLogger("tellergate.witnesses")


class WitnessSilent(Exception):
    """A witness did not answer. The message says how, and holds nothing of its answer."""


class WitnessAnswer(NamedTuple):
    """What came back: status, media type and body."""

    status: int
    media: str
    body: bytes


Asks = Callable[[str, bytes], Awaitable[WitnessAnswer]]
"""(URL, body): POST it. WitnessSilent."""


@dataclass(frozen=True, slots=True)
class WitnessPlace:
    """A witness: its name, where it takes checkpoints, and the keys that it signs by, every one of which must sign."""

    name: str
    url: str
    keys: tuple[VerifierKey, ...]


class WitnessStanding(StrEnum):
    """How the log stands with a witness. The last two mean that the log was cut, rolled back, or is shown in two versions."""

    COSIGNED = "cosigned"
    SILENT = "silent"
    REFUSES = "refuses"
    AHEAD = "ahead"
    CONTRADICTS = "contradicts"

    @property
    def is_grave(self) -> bool:
        return self in (WitnessStanding.AHEAD, WitnessStanding.CONTRADICTS)


@dataclass(frozen=True, slots=True)
class WitnessFinding:
    """How it stands with one witness: `why` in few words; `size` of ours, and `held` by it, where it told."""

    witness: str
    standing: WitnessStanding
    why: str
    size: int
    held: int = 0


@dataclass(slots=True, kw_only=True)
class Witnesses:
    """One step after the other; any number of processes may take them."""

    log: Log
    places: Sequence[WitnessPlace]
    quorum: int
    asks: Asks
    _said: SaidOnce = field(default_factory=lambda: SaidOnce(AGAIN_S))

    async def step(self) -> Sequence[WitnessFinding]:
        """Ask every witness that has not cosigned the latest checkpoint lately; say what is wrong. LogUnavailable."""
        found = await self.compare()
        cosigned = sum(item.standing is WitnessStanding.COSIGNED for item in found)
        if cosigned < self.quorum:
            self._say("", f"{cosigned}", Alarm.WITNESSES_FEW.line(cosigned=cosigned, needed=self.quorum))
        else:
            self._said.is_well("")
        return found

    async def compare(self) -> Sequence[WitnessFinding]:
        """How the log stands with each witness, an alarm for each that has not cosigned. LogUnavailable."""
        found = await asyncio.gather(*(self._one(place) for place in self.places))
        for item in found:
            if item.standing is WitnessStanding.COSIGNED:
                self._said.is_well(item.witness)
            else:
                self._say(item.witness, f"{item.standing}{item.why}", _line(item))
        return found

    async def _one(self, place: WitnessPlace) -> WitnessFinding:
        note, last = await published_note(self.log), await last_kept(self.log, place.name)
        new = Checkpoint.parse(note.text)
        young = last is not None and (last.size, last.root) == (new.size, new.root)
        if young and last is not None and self.log.now().timestamp() - last.time_s < YOUNG_S:
            return WitnessFinding(place.name, WitnessStanding.COSIGNED, "", new.size, new.size)
        old = 0 if last is None else min(last.size, new.size)
        try:
            return await self._conversation(place, note, old)
        except WitnessSilent as silent:
            return WitnessFinding(place.name, WitnessStanding.SILENT, str(silent), new.size)
        except NoteInvalid as error:
            return WitnessFinding(place.name, WitnessStanding.REFUSES, str(error), new.size)

    async def _conversation(self, place: WitnessPlace, note: Note, old: int) -> WitnessFinding:
        """Submit a checkpoint; again with the size that the witness tells, or a younger checkpoint where another process submitted one."""
        for _ in range(_TURNS):
            size = Checkpoint.parse(note.text).size
            submitted = await submission(self.log, note, old)
            answer = await self.asks(f"{place.url.rstrip('/')}/add-checkpoint", submitted.encode())
            if answer.status == HTTPStatus.OK:
                await keep(self.log, note, cosignatures(answer.body, note, place.keys))
                return WitnessFinding(place.name, WitnessStanding.COSIGNED, "", size, size)
            if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
                why = f"the log of {size} records does not continue what it cosigned"
                return WitnessFinding(place.name, WitnessStanding.CONTRADICTS, why, size, old)
            if answer.status != HTTPStatus.CONFLICT or answer.media != SIZE_TYPE:
                return WitnessFinding(place.name, WitnessStanding.REFUSES, f"status {answer.status}", size)
            held = held_size(answer.body)
            if held == old:
                why = f"another tree of {held} records was cosigned"
                return WitnessFinding(place.name, WitnessStanding.CONTRADICTS, why, size, held)
            if held > size:
                note = await published_note(self.log)
                if held > (younger := Checkpoint.parse(note.text).size):
                    why = f"it cosigned {held} records, and the log has published {younger}"
                    return WitnessFinding(place.name, WitnessStanding.AHEAD, why, younger, held)
            old = held
        return WitnessFinding(place.name, WitnessStanding.SILENT, "others submit at the same time", size)

    def _say(self, about: str, what: str, line: tuple[int, str]) -> None:
        """Once, and again only where it changes or stays for long."""
        if self._said.is_news(about, what, self.log.now().timestamp()):
            _LOG.log(*line)


def _line(found: WitnessFinding) -> tuple[int, str]:
    if found.standing.is_grave:
        return Alarm.WITNESS_CONTRADICTS.line(witness=found.witness, why=found.why, size=found.size, held=found.held)
    if found.standing is WitnessStanding.REFUSES:
        return Alarm.WITNESS_REFUSES.line(witness=found.witness, why=found.why)
    return Alarm.WITNESS_SILENT.line(witness=found.witness, why=found.why)


class WitnessClient:
    """POSTs to witnesses, or other peers of the log, over one session: short, bounded, without redirects, cookies or proxies. `tls` None:
    over plain HTTP alone. `media`: of what is sent."""

    def __init__(
        self, tls: ssl.SSLContext | None, *, timeout_s: float = TIMEOUT_S, media: str = "application/octet-stream"
    ) -> None:
        self._tls = tls
        self._timeout_s = timeout_s
        self._media = media
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes) -> WitnessAnswer:
        """WitnessSilent for whatever is not an answer in time."""
        if self._session is None:  # made where the loop runs
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=16, ssl=self._tls or nobody()),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"accept-encoding": "identity", "content-type": self._media},
                auto_decompress=False,
            )
        try:
            async with self._session.post(url, data=body, allow_redirects=False) as response:
                content = await response.content.read(ANSWER_MOST + 1)
                while len(content) <= ANSWER_MOST and (more := await response.content.read(ANSWER_MOST + 1)):
                    content += more
                if len(content) > ANSWER_MOST:
                    raise WitnessSilent("an answer that is too long")
                return WitnessAnswer(response.status, response.content_type, content)
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            raise WitnessSilent(type(error).__name__) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
