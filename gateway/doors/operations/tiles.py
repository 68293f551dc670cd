"""The trail as C2SP `tlog-tiles` under `/tlog`: checkpoint and hash tiles for whoever reaches this listener, entry bundles for auditors.

Hashes tell nothing of anybody. Leaves hold pseudonyms and public values, so each fetch of them by a person is on record, with what for.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fastapi import FastAPI, Request, Response

from audit.cosigning import checkpoint, cosigned_checkpoint
from audit.log import Log, LogUnavailable
from audit.query import PURPOSE_MOST, Why
from audit.store.cosignatures import LINES_MOST
from audit.tiles import TilePlace, entry_bundle, hash_tile
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.doors.bodies import UNKEPT
from gateway.doors.faults import fault_response, guarded, too_often
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor

PREFIX = "/tlog/"
"""Below it answers say themselves how long they may be kept."""

READS_AT_ONCE = 8
"""Public reads of the log that are under way in a process; those beyond are asked to come again."""

_IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}
_FRESH = {"cache-control": "public, max-age=1"}
_HASHES = re.compile(rf"{PREFIX}tile/(0|[1-9][0-9]?)/(.+)", re.ASCII)
_BYTES = "application/octet-stream"


@dataclass(slots=True)
class TilesDesk:
    """What these routes read."""

    log: Log
    _reading: int = field(default=0)

    async def read(self, request: Request, work: Callable[[Request], Awaitable[Response]]) -> Response:
        """Do this for whoever asks, few at a time."""

        async def answering() -> Response:
            if self._reading >= READS_AT_ONCE:
                return fault_response(too_often())
            self._reading += 1
            try:
                return await work(request)
            except RequestFault as fault:
                return fault_response(fault)
            except LogUnavailable as error:
                raise Unavailable("audit_unavailable") from error
            finally:
                self._reading -= 1

        return await guarded(request, answering())

    async def latest(self, _request: Request) -> Response:
        """The note, with the cosignatures over it. RequestFault before the first."""
        note = await checkpoint(self.log)
        if note is None:
            raise RequestFault(Fault.NOT_FOUND, "no checkpoint has been published yet")
        return Response(note, media_type="text/plain; charset=utf-8", headers=_FRESH)

    async def cosigned(self, request: Request) -> Response:
        """The note. RequestFault where so many did not cosign any."""
        quorum = request.path_params["quorum"]
        note = await cosigned_checkpoint(self.log, quorum) if 0 < quorum <= LINES_MOST else None
        if note is None:
            raise RequestFault(Fault.NOT_FOUND, "no checkpoint that is kept was cosigned by so many witnesses")
        return Response(note, media_type="text/plain; charset=utf-8", headers=_FRESH)

    async def hashes(self, request: Request) -> Response:
        """A tile of hashes. RequestFault where there is none such, or not yet."""
        asked = _HASHES.fullmatch(request.scope["path"])
        place = None if asked is None else TilePlace.parse(asked[2])
        tile = None if asked is None or place is None else await hash_tile(self.log, int(asked[1]), place)
        if tile is None:
            raise _no_tile()
        return Response(tile, media_type=_BYTES, headers=_IMMUTABLE)

    async def entries(self, _door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
        """A bundle of leaves, once it is on record who fetches it and what for. RequestFault."""
        why = Why(auditor=signed_in.member.subject, purpose=_said(request, "x-purpose"), case_id=_said(request, "x-case"))
        place = TilePlace.parse(request.path_params["place"])
        try:
            bundle = None if place is None else await entry_bundle(self.log, place, why)
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error
        if bundle is None:
            raise _no_tile()
        return Response(bundle, media_type=_BYTES, headers=UNKEPT)


def mount(app: FastAPI, desk: TilesDesk) -> None:
    """Put what is public into the application, before the entries."""

    @app.get(f"{PREFIX}checkpoint", response_class=Response)
    async def tlog_checkpoint(request: Request) -> Response:
        """The latest published checkpoint: a C2SP signed note."""
        return await desk.read(request, desk.latest)

    @app.get(PREFIX + "cosigned/{quorum:int}", response_class=Response)
    async def tlog_cosigned(request: Request) -> Response:
        """The newest checkpoint that so many witnesses cosigned."""
        return await desk.read(request, desk.cosigned)

    @app.get(PREFIX + "tile/{level:int}/{place:path}", response_class=Response)
    async def tlog_tile(request: Request) -> Response:
        """A tile of hashes, by C2SP tlog-tiles."""
        return await desk.read(request, desk.hashes)


def mount_entries(app: FastAPI, door: StaffDoor, desk: TilesDesk) -> None:
    """Put the entries into the application."""

    @app.get(PREFIX + "tile/entries/{place:path}", response_class=Response)
    async def tlog_entries(request: Request) -> Response:
        """A bundle of entries, by C2SP tlog-tiles, for auditors; `X-Purpose` and `X-Case` say what for."""
        return await door.answer(request, Duty.FETCH_ENTRIES, desk.entries)


def _said(request: Request, header: str) -> str:
    value = request.headers.get(header, "").strip()
    if not 0 < len(value) <= PURPOSE_MOST:
        message = f"the header {header} must say what the entries are for, in 1 to {PURPOSE_MOST} characters"
        raise RequestFault(Fault.INVALID_REQUEST, message, param=header)
    return value


def _no_tile() -> RequestFault:
    return RequestFault(Fault.NOT_FOUND, "no such tile, or no published checkpoint reaches so far yet")
