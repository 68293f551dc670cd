"""The state of the log: how long it is, what was signed last, by which keys, what watches it. It shows no record, and asks nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response

from audit.checkpoint import Checkpoint, Note, NoteInvalid
from audit.keyring import KeyRing
from audit.leaf import rfc3339
from audit.log import Log
from audit.store.auditors_index import cursor
from audit.store.cosignatures import last_cosigned_size
from audit.store.reads import LogCorrupt
from audit.verification import stored_verification
from gateway.domain.duties import Duty
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditView, shown
from gateway.doors.operations.audit.words import said
from gateway.doors.operations.staff_door import StaffDoor

SILENCE_S = 60
"""After that a checkpoint is late: the log publishes one each minute at least."""

VERIFIED_S = 24 * 3600
"""After that the whole log is verified late."""


def mount_state(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put this route into the application."""

    @app.get(f"{HOME}/state")
    async def audit_state_page(request: Request) -> Response:
        """The log, its keys, and what watches it."""

        async def show(view: AuditView) -> Response:
            facts = await _facts(desk.log, door.clock())
            return view.page("state.html", facts=facts, keys=await asyncio.to_thread(_keys, desk.log))

        return await shown(door, request, Duty.VERIFY, show)


async def _facts(log: Log, now: datetime) -> Sequence[tuple[str, str, str]]:
    """Name, value and tone of each."""
    size, root = await log.head()
    note, intents = await log.checkpoint(), await log.open_intents()
    indexed, cosigned = await log.read(lambda reads: (cursor(reads.connection), last_cosigned_size(reads.connection, size)))
    return [
        ("origin", log.origin, ""),
        ("size", said("state.records", count=size), ""),
        ("root", root.hex(), ""),
        *_checkpoint(log, note, now),
        ("intents", said("state.intents", count=len(intents)), "waits" if intents else "good"),
        ("index", said("state.indexed", count=indexed, behind=max(size - indexed, 0)), ""),
        ("witnesses", said("state.none_configured") if cosigned is None else said("state.cosigned", count=cosigned), ""),
        ("stamps", said("state.none_configured"), ""),
        *await _verified(log, now),
    ]


async def _verified(log: Log, now: datetime) -> Sequence[tuple[str, str, str]]:
    """When everything stored was verified last, what that found, and how far the round is that is under way."""
    try:
        known = await stored_verification(log)
    except LogCorrupt as error:
        return [("background", str(error), "bad")]
    if known is None:
        return [("background", said("state.not_verified"), "waits")]
    last, under_way = known.last, known.round
    facts = [("background", said("state.not_verified"), "waits")]
    if last is not None:
        told = said("state.verified", count=last.size, at=rfc3339(_moment(last.ended_s)))
        late = now.timestamp() - last.ended_s > VERIFIED_S
        facts = [("background", told, "bad" if last.findings else "waits" if late else "good")]
    if under_way is not None:
        facts.append(("round", said("state.round", position=under_way.position, count=under_way.size), ""))
    findings = [*(() if last is None else last.findings), *(() if under_way is None else under_way.findings)]
    return [*facts, *(("found", what, "bad") for what in dict.fromkeys(findings))]


def _checkpoint(log: Log, note: str | None, now: datetime) -> Sequence[tuple[str, str, str]]:
    if note is None:
        return [("checkpoint", said("state.no_checkpoint"), "waits")]
    try:
        parsed = Note.parse(note.encode())
        stated_s = log.signers.verify(parsed, log.origin).time_s or 0
    except NoteInvalid:
        return [("checkpoint", said("state.bad_checkpoint"), "bad")]
    age_s = max(int(now.timestamp()) - stated_s, 0)
    told = said("state.checkpoint_of", count=Checkpoint.parse(parsed.text).size, age=age_s)
    return [("checkpoint", told, "bad" if age_s > SILENCE_S * 2 else "good"), ("signed", rfc3339(_moment(stated_s)), "")]


def _keys(log: Log) -> Sequence[Mapping[str, str]]:
    """Every key that signs or wraps, and which is in use."""
    rings: tuple[KeyRing, ...] = (*log.signers.all(), log.keys.wrapping)
    return [
        {
            "purpose": ring.purpose.name,
            "kind": ring.purpose.kind.value,
            "id": key.id.hex(),
            "since": rfc3339(_moment(key.begins_s or key.made_s)),
            "state": said(f"state.key.{'active' if key is ring.active() else 'other'}"),
        }
        for ring in rings
        for key in ring.keys
    ]


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
