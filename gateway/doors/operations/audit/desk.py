"""What every page of the console needs: the log, four eyes, and what the person who looks is working on."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request, Response

from audit.cursors import CursorInvalid
from audit.log import Log, LogUnavailable
from audit.query import Why
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.doors.operations.approvals import ApprovalDesk
from gateway.doors.operations.audit.shell import audit_page, audit_refused
from gateway.doors.operations.audit.work import AuditWork, work_of
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor
from gateway.oversight.audit_cases import AuditCases
from gateway.oversight.stream_standings import NamedStream

HOME = "/console/audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDesk:
    """The log is asked in the name of who is signed in, for the purpose and under the case that they said."""

    log: Log
    approvals: ApprovalDesk
    cases: AuditCases
    kept: Sequence[tuple[str, str, str]]
    """What each table keeps: its name, until when, and what takes it away or why nothing does."""
    witnesses: Sequence[str] = ()
    """Names of those that the settings name."""
    streams: Sequence[NamedStream] = ()
    """Those of the settings."""
    authorities: Sequence[str] = ()
    """URLs of the time stamp authorities that they name."""


@dataclass(frozen=True, slots=True)
class AuditView:
    """One request of somebody who is signed in. `work` None: they have not said what for."""

    door: StaffDoor
    request: Request
    signed_in: SignedIn
    work: AuditWork | None

    @property
    def form(self) -> Mapping[str, str]:
        """The fields of the form, without the session's token."""
        return {name: value for name, value in getattr(self.request.state, "form", {}).items() if name != "csrf"}

    def page(self, template: str, **known: object) -> Response:
        return audit_page(template, self.signed_in, {"work": self.work, **known})


@dataclass(frozen=True, slots=True)
class AuditLook(AuditView):
    """The same of somebody who said what for: what they see of the trail goes on record under it."""

    work: AuditWork

    @property
    def why(self) -> Why:
        return self.work.why(self.signed_in)


async def shown(
    door: StaffDoor, request: Request, duty: Duty | None, showing: Callable[[AuditView], Coroutine[object, object, Response]]
) -> Response:
    """A page that shows no record: nothing of it goes on record, so nobody is asked what for."""

    async def work(_door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
        try:
            return await showing(AuditView(door, request, signed_in, work_of(door.sessions, request, signed_in)))
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error

    return await door.answer(request, duty, work, audit_refused)


async def answered(
    door: StaffDoor, request: Request, duty: Duty | None, looking: Callable[[AuditLook], Coroutine[object, object, Response]]
) -> Response:
    """The page of a look that goes on record. Who has not said what for is asked first, and then comes back to it."""

    async def looked(view: AuditView) -> Response:
        require_own_navigation(request)
        if view.work is None:
            back = request.url.path if request.method == "GET" else HOME
            return view.page("work.html", back=back)
        try:
            return await looking(AuditLook(view.door, view.request, view.signed_in, view.work))
        except CursorInvalid:
            message = "this is no page of this question any more: ask the question anew"
            raise RequestFault(Fault.INVALID_REQUEST, message, param="cursor") from None

    return await shown(door, request, duty, looked)


def require_own_navigation(request: Request) -> None:
    """RequestFault FOREIGN_REQUEST where another site's page leads here: looks are on record in the person's name, so nobody else begins
    them. A browser says so of every request; a program that says nothing has the session's cookie from its owner."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise RequestFault(Fault.FOREIGN_REQUEST, "open the console from its own pages: a link elsewhere asks nothing in your name")


def own_path(text: str) -> str:
    """A path of the console to go back to; its first page for anything else."""
    parts = urlsplit(text)
    is_own = not parts.scheme and not parts.netloc and (parts.path == HOME or parts.path.startswith(f"{HOME}/"))
    return parts.path if is_own and "\\" not in text else HOME
