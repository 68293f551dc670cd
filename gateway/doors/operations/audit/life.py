"""A call's life, and one record: what was asked, decided and by which rule, sent, answered; the leaf, its proof, and what is sealed."""

import base64
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import FastAPI, Path, Request, Response

from audit.call_life import CallUnknown, life_of
from audit.checkpoint import Checkpoint, KeyType, Note
from audit.log import Log
from audit.one_record import look as look_at
from audit.opening import StoredRecord
from audit.query import Revealed
from audit.terms import part
from gateway.domain.approvals import ApprovalState, StaffAct, canonical
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered
from gateway.doors.operations.audit.record_view import record_view, spelt
from gateway.doors.operations.audit.rules import sayings
from gateway.doors.operations.audit.words import said, said_within
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.pages.confirm_view import visible

CallOfTrail = Annotated[str, Path(pattern=r"^[!-~]{1,255}$")]
RecordIndex = Annotated[int, Path(ge=0, lt=2**53)]


def mount_life(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.get(f"{HOME}/calls/{{call_id}}")
    async def audit_call_page(request: Request, call_id: CallOfTrail) -> Response:
        """The records of one call, in order. The look is on record."""
        return await answered(door, request, Duty.QUERY, lambda look: _life(desk, look, call_id))

    @app.get(f"{HOME}/records/{{record}}")
    async def audit_record_page(request: Request, record: RecordIndex) -> Response:
        """One record, its leaf and its proof. The look is on record."""
        return await answered(door, request, Duty.QUERY, lambda look: _record(desk, look, record))


async def _life(desk: AuditDesk, look: AuditLook, call: str) -> Response:
    try:
        life = await life_of(desk.log, call, look.why)
    except CallUnknown:
        raise RequestFault(Fault.NOT_FOUND, "nothing is on record of this call; the look is", param="call_id") from None
    known = {
        "call": call,
        "stands": "" if life.outcome is None else said(f"stands.{life.outcome}"),
        "records": [record_view(record) for record in life.records],
        "says": await _says(desk.log, life.records),
        "looks": [_looked(record) for record in life.looks],
        "record": life.question_record,
        "size": life.size,
        "more": life.more,
    }
    return look.page("life.html", **known)


def _looked(record: StoredRecord) -> Mapping[str, str | int]:
    """Who looked, what for, and when."""
    facts, actor = part(record.fields, "facts"), part(record.fields, "actor")
    who, purpose, case = (visible(str(value)) for value in (actor.get("agent"), facts.get("purpose"), facts.get("case")))
    return {
        "words": said("life.looked", who=who, purpose=purpose, case=case),
        "time": str(record.fields["time"]),
        "index": record.index,
    }


async def _says(log: Log, records: Sequence[StoredRecord]) -> Mapping[str, Mapping[str, str]]:
    """By bundle and rule. Of every bundle that decided anything here."""
    bundles = {view.bundle for view in map(record_view, records) if view.bundle}
    return {bundle: await sayings(log, bundle) for bundle in sorted(bundles)}


async def _record(desk: AuditDesk, look: AuditLook, index: int) -> Response:
    found = await look_at(desk.log, index, look.why)
    if found is None:
        raise RequestFault(Fault.NOT_FOUND, "the log has no such record; the look is on record", param="record")
    return await record_page(desk, look, found, None)


async def record_page(desk: AuditDesk, look: AuditLook, found: StoredRecord, opened: Revealed | None) -> Response:
    """The page of a record whose look is on record; with its sealed values, where they were opened just now."""
    shown = record_view(found)
    known = {
        "item": shown,
        "says": await _says(desk.log, [found]),
        "proof": await _proof(desk.log, found),
        "words": said_within("proof."),
        "opened": None if opened is None else {path: spelt(value) for path, value in opened.values.items()},
        "opened_record": None if opened is None else opened.record,
        "approval": await reveal_state(desk, look, found.index) if shown.is_sealed else None,
    }
    return look.page("record.html", **known)


async def reveal_state(desk: AuditDesk, look: AuditLook, index: int) -> Mapping[str, object]:
    """What this person may do about what the record keeps sealed: ask, wait, or open it once."""
    act = StaffAct(Duty.REVEAL, canonical(reveal_subject(look, index)), look.signed_in.member.subject)
    asked = await desk.approvals.approvals.of_act(act)
    if asked is None:
        return {"state": "none"}
    state = asked.state(look.door.clock())
    waits = state is not ApprovalState.APPROVED
    return {"state": "asked" if waits else "approved", "id": asked.id, "expires": asked.expires.isoformat()}


def reveal_subject(look: AuditLook, index: int) -> Mapping[str, object]:
    """Exactly what is approved: the same as over JSON."""
    return {"record": index, "purpose": look.work.purpose, "case": look.work.case}


async def _proof(log: Log, record: StoredRecord) -> Mapping[str, object] | None:
    """What a browser checks: the leaf, its path to the root of a published checkpoint, and the keys that sign those. None: no checkpoint
    covers the record yet."""
    note = await log.checkpoint()
    if note is None:
        return None
    size = Checkpoint.parse(Note.parse(note.encode()).text).size
    if record.index >= size:
        return None
    proof = await log.proof(record.index, size)
    return {
        "index": record.index,
        "size": size,
        "leaf": base64.b64encode(record.leaf).decode(),
        "hashes": [base64.b64encode(item).decode() for item in proof.hashes],
        "note": note,
        "keys": [key.encode() for key in log.log_keys() if key.type is KeyType.ED25519],
    }
