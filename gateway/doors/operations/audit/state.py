"""The state of the log: how long it is, what was signed last, by which keys, what watches it. It shows no record, and asks nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response

from audit.checkpoint import Checkpoint, Note, NoteInvalid
from audit.cosigning import kept_of_each
from audit.keyring import KeyRing
from audit.leaf import rfc3339
from audit.log import Log
from audit.store.auditors_index import cursor
from audit.store.reads import LogCorrupt
from audit.verification import stored_verification
from audit.verifiers import hashes, recorded
from gateway.domain.duties import Duty
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditView, shown
from gateway.doors.operations.audit.stamps_state import stamps
from gateway.doors.operations.audit.words import said
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.pages.confirm_view import visible
from gateway.oversight.stream_standings import NamedStream, StreamFacts, stream_facts

SILENCE_S = 60
"""After that a checkpoint is late: the log publishes one each minute at least."""

COSIGNED_LATE_S = 180
"""After that a witness is late: each is asked once a minute at least."""

VERIFIED_S = 24 * 3600
"""After that the whole log is verified late."""


def mount_state(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put this route into the application."""

    @app.get(f"{HOME}/state")
    async def audit_state_page(request: Request) -> Response:
        """The log, its keys, and what watches it."""

        async def show(view: AuditView) -> Response:
            facts = await _facts(desk, door.clock())
            known = {"keys": await asyncio.to_thread(_keys, desk.log), "streams": await _streams(desk)}
            return view.page("state.html", facts=facts, **known)

        return await shown(door, request, Duty.VERIFY, show)


async def _facts(desk: AuditDesk, now: datetime) -> Sequence[tuple[str, str, str]]:
    """Name, value and tone of each."""
    log = desk.log
    size, root = await log.head()
    note, intents = await log.checkpoint(), await log.open_intents()
    indexed = await log.read(lambda reads: cursor(reads.connection))
    return [
        ("origin", log.origin, ""),
        ("size", said("state.records", count=size), ""),
        ("root", root.hex(), ""),
        *_checkpoint(log, note, now),
        ("intents", said("state.intents", count=len(intents)), "waits" if intents else "good"),
        ("index", said("state.indexed", count=indexed, behind=max(size - indexed, 0)), ""),
        *await _witnesses(desk, now),
        *await _verifiers(log, size),
        *await stamps(log, desk.authorities, now),
        *await _verified(log, now),
    ]


async def _witnesses(desk: AuditDesk, now: datetime) -> Sequence[tuple[str, str, str]]:
    """Of those that the settings name, and of others that cosigned before: how far, and how long ago by their own time. Nothing is believed
    here: the signatures are checked when they are kept, and again by whoever verifies."""
    kept = {item.name: item for item in await kept_of_each(desk.log)}
    if not kept and not desk.witnesses:
        return [("witnesses", said("state.none_configured"), "")]
    told = list[tuple[str, str, str]]()
    for name in sorted({*desk.witnesses, *kept}):
        found = kept.get(name)
        if found is None:
            told.append(("witnesses", said("state.never_cosigned", name=name), "bad"))
            continue
        age_s = max(int(now.timestamp()) - found.time_s, 0)
        if name in desk.witnesses:
            words, tone = (
                said("state.cosigned", name=name, count=found.size, age=age_s),
                "bad" if age_s > COSIGNED_LATE_S else "good",
            )
        else:
            words, tone = said("state.cosigned_once", name=name, count=found.size, age=age_s), ""
        told.append(("witnesses", words, tone))
    return told


async def _verifiers(log: Log, size: int) -> Sequence[tuple[str, str, str]]:
    """The verifiers that a start of a gateway put on record, and whether this gateway hands out the same."""
    found = await log.read(lambda reads: recorded(reads.connection, size))
    if found is None:
        return [("verifiers", said("state.no_verifiers"), "waits")]
    index, on_record = found
    own = await asyncio.to_thread(hashes)
    same = dict(on_record) == dict(own)
    return [
        ("verifiers", said(f"state.verifiers_{'same' if same else 'other'}", record=index), "good" if same else "bad"),
        *((name, str(on_record[name]), "") for name in ("verifier_py", "verifier_js")),
    ]


async def _streams(desk: AuditDesk) -> Sequence[Mapping[str, str]]:
    """Those of the settings, and others that began before, by name: where each goes, how far it is, and what its receiver said last."""
    _, began = await stream_facts(desk.log)
    facts, named = {item.name: item for item in began}, {item.name: item for item in desk.streams}
    return [_stream(name, named.get(name), facts.get(name)) for name in sorted(facts.keys() | named.keys())]


def _stream(name: str, said_so: NamedStream | None, known: StreamFacts | None) -> Mapping[str, str]:
    goes = said("streams.gone") if said_so is None else said("streams.goes", format=said_so.format, place=said_so.place)
    if known is None:
        return {
            "name": name,
            "goes": goes,
            "tone": "waits",
            "says": said("streams.not_begun"),
            **dict.fromkeys(("next", "acknowledged", "sent"), ""),
        }
    says = said("streams.behind", count=known.behind, age=known.behind_s or 0) if known.behind else said("streams.with_it")
    tone = "waits" if known.behind else "good"
    if known.failures:
        says, tone = said("streams.failed", says=says, count=known.failures, error=visible(known.error or "")), "bad"
    return {
        "name": name,
        "goes": goes,
        "tone": tone if said_so is not None else "plain",
        "says": says,
        "next": str(known.next_record),
        "acknowledged": known.acknowledged or "",
        "sent": known.sent_until or "",
    }


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
        stated_s = log.lineage.verify(log.signers, parsed).time_s or 0
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
