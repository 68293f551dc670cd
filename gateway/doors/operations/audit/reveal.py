"""Opening what a record keeps sealed, by forms: one person asks, another approves on the operations page, the first opens it once."""

from fastapi import FastAPI, Request, Response

from audit.keys import KeyDestroyed
from audit.one_record import look as look_at
from audit.opening import NotSealed
from audit.query import reveal
from gateway.domain.approvals import NotApproved, StaffAct, canonical
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.approval_form import approval_fault
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered
from gateway.doors.operations.audit.life import RecordIndex, record_page, reveal_subject
from gateway.doors.operations.staff_door import StaffDoor


def mount_reveal(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.post(f"{HOME}/records/{{record}}/reveal/ask")
    async def audit_ask_reveal_by_form(request: Request, record: RecordIndex) -> Response:
        """Ask for approval to open exactly this record, for this purpose and case."""

        async def ask(look: AuditLook) -> Response:
            subject = reveal_subject(look, record)
            await desk.approvals.asked(door, look.signed_in, Duty.REVEAL, subject, look.work.purpose)
            return Response(status_code=303, headers={"location": f"{HOME}/records/{record}#sealed"})

        return await answered(door, request, Duty.REVEAL, ask)

    @app.post(f"{HOME}/records/{{record}}/reveal")
    async def audit_reveal_by_form(request: Request, record: RecordIndex) -> Response:
        """Open it, once."""
        return await answered(door, request, Duty.REVEAL, lambda look: _open(desk, look, record))


async def _open(desk: AuditDesk, look: AuditLook, index: int) -> Response:
    """The approval is used first, and then the question is recorded, whatever is found."""
    member, subject = look.signed_in.member, canonical(reveal_subject(look, index))
    try:
        await desk.approvals.approvals.use(member, look.form.get("approval", ""), StaffAct(Duty.REVEAL, subject, member.subject))
        opened = await reveal(desk.log, index, look.why)
    except NotApproved as refused:
        raise approval_fault(refused) from None
    except (NotSealed, KeyDestroyed):
        message = "nothing is sealed in this record, or it was erased; the approval is used"
        raise RequestFault(Fault.NOT_FOUND, message, param="record") from None
    found = await look_at(desk.log, index, look.why)
    if found is None:
        raise RequestFault(Fault.NOT_FOUND, "the log has no such record; the look is on record", param="record")
    return await record_page(desk, look, found, opened)
