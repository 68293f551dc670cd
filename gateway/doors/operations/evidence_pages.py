"""The pages' part of evidence: forms that ask for an export or an erasure, and do it once another person approved. Without scripts."""

from dataclasses import dataclass

from fastapi import FastAPI, Request, Response

from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.approvals import ApprovalDesk, ApprovalId
from gateway.doors.operations.evidence import ErasureRequest, ErasureSubject, EvidenceDesk, ExportRequest, ExportSubject
from gateway.doors.operations.forms import done_by_form
from gateway.doors.operations.page_shell import page
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.validation import validated

_DAYS = ("since", "until")


@dataclass(frozen=True, slots=True)
class EvidencePages:
    """What these forms need."""

    approvals: ApprovalDesk
    evidence: EvidenceDesk


def mount(app: FastAPI, door: StaffDoor, pages: EvidencePages) -> None:
    """Put these forms into the application."""

    @app.post("/approvals/export")
    async def ask_export_by_form(request: Request) -> Response:
        """Ask for an export."""

        async def ask(_request: Request, who: SignedIn, form: dict[str, str]) -> object:
            order = validated(ExportSubject, export_fields(form)).order()
            return await pages.approvals.asked(door, who, Duty.EXPORT, order.subject(), order.purpose)

        return await done_by_form(door, request, Duty.ASK_APPROVAL, ask)

    @app.post("/approvals/erase")
    async def ask_erasure_by_form(request: Request) -> Response:
        """Ask for an erasure."""

        async def ask(_request: Request, who: SignedIn, form: dict[str, str]) -> object:
            order = validated(ErasureSubject, form).order(door.clock())
            return await pages.approvals.asked(door, who, Duty.ERASE, order.subject(), order.purpose)

        return await done_by_form(door, request, Duty.ASK_APPROVAL, ask)

    @app.post("/approvals/{approval_id}/export")
    async def export_by_form(request: Request, approval_id: ApprovalId) -> Response:
        """Take away what was approved."""

        async def export(_request: Request, who: SignedIn, form: dict[str, str]) -> object:
            wanted = validated(ExportRequest, await _approved(pages, form, approval_id, Duty.EXPORT))
            return await pages.evidence.exported(who.member, wanted)

        return await done_by_form(door, request, Duty.EXPORT, export)

    @app.post("/approvals/{approval_id}/erase")
    async def erase_by_form(request: Request, approval_id: ApprovalId) -> Response:
        """Erase whom it was approved to erase."""

        async def erase(_request: Request, who: SignedIn, form: dict[str, str]) -> object:
            wanted = validated(ErasureRequest, await _approved(pages, form, approval_id, Duty.ERASE))
            return page("erased.html", {"erased": await pages.evidence.erased(door, who.member, wanted)})

        return await done_by_form(door, request, Duty.ERASE, erase)


def export_fields(form: dict[str, str]) -> dict[str, object]:
    """A form as the subject: what is empty is not asked for, a box that is ticked is true, a day begins at midnight UTC."""
    told: dict[str, object] = {name: value.strip() for name, value in form.items() if value.strip()}
    days = {name: f"{told[name]}T00:00:00.000000Z" for name in _DAYS if name in told}
    return {**told, **days, "reveal": "reveal" in form}


async def _approved(pages: EvidencePages, form: dict[str, str], approval: str, duty: Duty) -> dict[str, object]:
    if form:
        raise RequestFault(Fault.INVALID_REQUEST, "the form has fields that are not known here")
    return await pages.evidence.approved_of(approval, duty)
