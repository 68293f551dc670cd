"""Development mode's own people: whoever opens the page says who they are. On loopback alone, and never beside customers."""

from fastapi import FastAPI, Request, Response

from gateway.domain.duties import StaffRole
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.staff import SUBJECT_MOST, StaffMember
from gateway.doors.operations.page_shell import page, refused_page
from gateway.doors.operations.sessions import StaffSessions
from gateway.doors.operations.staff_door import form_of


def mount_made_up_people(app: FastAPI, sessions: StaffSessions) -> None:
    """Put the sign-in of development mode into the application, in the place of the bank's provider."""

    @app.get("/sign-in")
    @app.get("/sign-in/fresh")
    async def made_up_sign_in() -> Response:
        """Ask who it is."""
        return page("made_up_sign_in.html", {"roles": [role.value for role in StaffRole]})

    @app.post("/sign-in")
    async def begin_made_up_session(request: Request) -> Response:
        """Believe it."""
        try:
            sessions.require_our_origin(request)
            form = await form_of(request)
            roles = frozenset(role for role in StaffRole if role.value in form)
            name = form.get("name", "").strip()
            if not roles or not 0 < len(name) <= SUBJECT_MOST or not name.isprintable():
                raise RequestFault(Fault.INVALID_REQUEST, f"give a name of at most {SUBJECT_MOST} characters, and a role")
        except RequestFault as fault:
            return refused_page(fault)
        response = Response(status_code=303, headers={"location": "/"})
        await sessions.begin(request, response, StaffMember(name, roles, True, int(sessions.clock().timestamp())))
        return response
