"""Asking to take evidence away from where it was found, under the purpose and case that somebody works on: the matches of a question, or
the records of the case.

Nothing is taken away here: another person approves on the operations page, and it is downloaded there, once.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from fastapi import FastAPI, Request, Response

from gateway.domain.duties import Duty
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered
from gateway.doors.operations.evidence import ExportSubject
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.pages.confirm_view import visible
from gateway.doors.validation import validated


def mount_exports(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.post(f"{HOME}/exports")
    async def audit_ask_export_by_form(request: Request) -> Response:
        """Ask for approval to take away the matches of a question, or records by their indexes."""
        return await answered(door, request, Duty.EXPORT, lambda look: _ask(desk, look))


async def exports_of(desk: AuditDesk, case: str, now: datetime) -> Sequence[Mapping[str, object]]:
    """What was asked to be taken away under this case, by whomever, and waits for an approval or for its download. The newest first."""
    waiting = await desk.approvals.approvals.waiting()
    of_case = [(item, json.loads(item.subject)) for item in waiting if item.duty is Duty.EXPORT]
    return [
        {
            "id": item.id,
            "what": visible(str(subject.get("records", ""))),
            "reveal": bool(subject.get("reveal")),
            "by": visible(item.asked_by),
            "approved_by": visible(item.approved_by or ""),
            "state": item.state(now).value,
            "expires": item.expires.isoformat(),
        }
        for item, subject in reversed(of_case)
        if subject.get("case") == case
    ]


async def _ask(desk: AuditDesk, look: AuditLook) -> Response:
    chosen = {"records": look.form["records"]} if "records" in look.form else {"question": look.form.get("q", "")}
    about = {"purpose": look.work.purpose, "case": look.work.case, "reveal": "reveal" in look.form}
    order = validated(ExportSubject, {**chosen, **about}).order()
    asked = await desk.approvals.asked(look.door, look.signed_in, Duty.EXPORT, order.subject(), order.purpose)
    return Response(status_code=303, headers={"location": f"/#{asked.id}"})
