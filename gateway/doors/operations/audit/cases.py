"""The folder of the case that somebody works on: records kept with a note, notes, and questions to ask again."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import FastAPI, Path, Request, Response

from audit.one_record import look as look_at
from audit.question_language import QuestionInvalid, parse_question, question_text
from audit.record_numbers import RecordNumbers, RecordNumbersInvalid
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered
from gateway.doors.operations.audit.exports import exports_of
from gateway.doors.operations.audit.life import RecordIndex
from gateway.doors.operations.audit.words import said
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.pages.confirm_view import visible
from gateway.store.audit_cases import CaseEntry, CaseEntryKind

EntryId = Annotated[str, Path(pattern=r"^ent_[0-9a-f]{32}$")]


def mount_cases(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.get(f"{HOME}/case")
    async def audit_case_page(request: Request) -> Response:
        """What is kept in the case that is worked on."""
        return await answered(door, request, Duty.QUERY, lambda look: _case(desk, look))

    @app.post(f"{HOME}/case/notes")
    async def audit_keep_note_by_form(request: Request) -> Response:
        """Keep a note."""

        async def keep(look: AuditLook) -> Response:
            text = look.form.get("text", "").strip()
            await desk.cases.keep(look.signed_in.member, look.work.case, CaseEntryKind.NOTE, text)
            return _back()

        return await answered(door, request, Duty.QUERY, keep)

    @app.post(f"{HOME}/case/questions")
    async def audit_keep_question_by_form(request: Request) -> Response:
        """Keep a question."""
        return await answered(door, request, Duty.QUERY, lambda look: _keep_question(desk, look))

    @app.post(f"{HOME}/case/records")
    async def audit_keep_found_by_form(request: Request) -> Response:
        """Keep a record of an answer."""

        async def keep(look: AuditLook) -> Response:
            index = look.form.get("record", "")
            if not re.fullmatch(r"[0-9]{1,15}", index):
                raise RequestFault(Fault.INVALID_REQUEST, "record: must be the index of a record", param="record")
            return await _keep_record(desk, look, int(index))

        return await answered(door, request, Duty.QUERY, keep)

    @app.post(f"{HOME}/case/records/{{record}}")
    async def audit_keep_record_by_form(request: Request, record: RecordIndex) -> Response:
        """Keep a record, with a note of it."""
        return await answered(door, request, Duty.QUERY, lambda look: _keep_record(desk, look, record))

    @app.post(f"{HOME}/case/entries/{{entry_id}}/take-out")
    async def audit_take_out_by_form(request: Request, entry_id: EntryId) -> Response:
        """Take something out of the case."""

        async def take_out(look: AuditLook) -> Response:
            await desk.cases.take_out(look.signed_in.member, look.work.case, entry_id)
            return _back()

        return await answered(door, request, Duty.QUERY, take_out)


async def _case(desk: AuditDesk, look: AuditLook) -> Response:
    kept = await desk.cases.of_case(look.work.case)
    entries = [
        {
            "id": entry.id,
            "kind": entry.kind.value,
            "record": entry.record,
            "text": entry.text,
            "shown": visible(entry.text),
            "by": visible(entry.by),
            "at": entry.at.isoformat(),
        }
        for entry in kept
    ]
    exports = await exports_of(desk, look.work.case, look.door.clock())
    return look.page("case.html", entries=entries, takes=_takes(kept), exports=exports)


def _takes(kept: Sequence[CaseEntry]) -> Mapping[str, object] | None:
    """The records of the case, for a bundle of them; None without any. What has no spelling that is short enough says so."""
    indexes = {entry.record for entry in kept if entry.record is not None}
    if not indexes:
        return None
    try:
        return {"records": RecordNumbers.of(indexes).text, "count": len(indexes), "problem": ""}
    except RecordNumbersInvalid:
        return {"records": "", "count": len(indexes), "problem": said("case.too_many")}


async def _keep_question(desk: AuditDesk, look: AuditLook) -> Response:
    """In its one spelling, with whom it names, so that an erasure takes it along."""
    try:
        query = parse_question(look.form.get("q", ""))
    except QuestionInvalid as invalid:
        raise RequestFault(Fault.INVALID_REQUEST, invalid.message, param="q") from None
    customer = query.customer or query.about
    await desk.cases.keep(look.signed_in.member, look.work.case, CaseEntryKind.QUESTION, question_text(query), customer=customer)
    return _back()


async def _keep_record(desk: AuditDesk, look: AuditLook, index: int) -> Response:
    """The look that it takes to know whose it is is on record."""
    found = await look_at(desk.log, index, look.why)
    if found is None:
        raise RequestFault(Fault.NOT_FOUND, "the log has no such record; the look is on record", param="record")
    subject, text = found.fields.get("customer"), look.form.get("text", "").strip()
    customer = await desk.log.keys.customer_of(subject) if isinstance(subject, str) else None
    await desk.cases.keep(look.signed_in.member, look.work.case, CaseEntryKind.RECORD, text, record=index, customer=customer)
    return _back()


def _back() -> Response:
    return Response(status_code=303, headers={"location": f"{HOME}/case"})
