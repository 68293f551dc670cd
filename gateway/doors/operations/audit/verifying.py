"""Verifying a bundle in the browser: the page and its words. The verifier runs there, and nothing of the bundle comes here."""

from fastapi import FastAPI, Request, Response

from gateway.domain.duties import Duty
from gateway.doors.operations.audit.desk import HOME, AuditView, shown
from gateway.doors.operations.audit.words import said_within
from gateway.doors.operations.staff_door import StaffDoor


def mount_verifying(app: FastAPI, door: StaffDoor) -> None:
    """Put this route into the application."""

    @app.get(f"{HOME}/verify")
    async def audit_verify_page(request: Request) -> Response:
        """Choose a bundle: the second verifier says in the browser what it finds."""

        async def show(view: AuditView) -> Response:
            return view.page("verify.html", words=said_within("verify.says."))

        return await shown(door, request, Duty.VERIFY, show)
