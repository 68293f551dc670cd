"""Asking to take evidence away from where it was found: the matches of a question, under the purpose and case that somebody works on.

Nothing is taken away here: another person approves on the operations page, and it is downloaded there, once.
"""

from fastapi import FastAPI, Request, Response

from gateway.domain.duties import Duty
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered
from gateway.doors.operations.evidence import ExportSubject
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.validation import validated


def mount_exports(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.post(f"{HOME}/exports")
    async def audit_ask_export_by_form(request: Request) -> Response:
        """Ask for approval to take the matches of a question away."""
        return await answered(door, request, Duty.EXPORT, lambda look: _ask(desk, look, {"question": look.form.get("q", "")}))


async def _ask(desk: AuditDesk, look: AuditLook, chosen: dict[str, object]) -> Response:
    about = {"purpose": look.work.purpose, "case": look.work.case, "reveal": "reveal" in look.form}
    order = validated(ExportSubject, {**chosen, **about}).order()
    asked = await desk.approvals.asked(look.door, look.signed_in, Duty.EXPORT, order.subject(), order.purpose)
    return Response(status_code=303, headers={"location": f"/#{asked.id}"})
