"""The pages of people: what is engaged and what waits, and a form for each thing that they may do about it. Without scripts."""

from dataclasses import dataclass

from fastapi import FastAPI, Request, Response

from gateway.domain.duties import Duty, StaffRole, duty_obstacle
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.kill_switch import Scope
from gateway.doors import schemas
from gateway.doors.approval_form import approval_shown
from gateway.doors.kill_switches import engaged_answer, shown
from gateway.doors.operations.approvals import ApprovalDesk, ApprovalId
from gateway.doors.operations.forms import done_by_form
from gateway.doors.operations.kill_switches import SwitchDesk
from gateway.doors.operations.page_shell import page, refused_page, style
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.validation import validated
from gateway.oversight.erasing import MINIMUMS
from gateway.oversight.kill_switches import REASON_MOST

_LABELS = {"reveal": "opens what is sealed", "legal_minimum": "kept by law", "call_id": "call", "bundle_hash": "policy bundle"}
"""Of what is approved, for people; other names stand as they are."""


@dataclass(frozen=True, slots=True)
class StaffPages:
    """What the pages need."""

    switches: SwitchDesk
    approvals: ApprovalDesk

    async def home(self, door: StaffDoor, _request: Request, signed_in: SignedIn) -> Response:
        """What is engaged and what waits."""
        member = signed_in.member
        fresh = member.is_fresh(door.clock(), door.fresh_s)
        known = {
            "member": member,
            "roles": [role.value for role in StaffRole if role in member.roles],
            "fresh": fresh,
            "csrf": signed_in.csrf,
            "may": {duty.name: duty_obstacle(duty, member.roles, fresh=True) is None for duty in Duty},
            "switches": [shown(item) for item in await self.switches.switches.listed()],
            "approvals": [
                {
                    **approval_shown(item, door.clock()),
                    "does": item.duty.rule.does,
                    "mine": item.asked_by == member.subject,
                    "erases": item.duty is Duty.ERASE,
                    "exports": item.duty is Duty.EXPORT,
                    "has": member.roles & item.duty.rule.roles,
                }
                for item in await self.approvals.approvals.waiting()
            ],
            "functions": sorted(function.name for function in self.switches.functions),
            "scopes": [scope.value for scope in Scope],
            "reason_most": REASON_MOST,
            "labels": _LABELS,
            "minimums": ", ".join(MINIMUMS),
        }
        return page("home.html", known)


def mount(app: FastAPI, door: StaffDoor, pages: StaffPages) -> None:
    """Put the pages into the application."""

    @app.get("/")
    async def home_page(request: Request) -> Response:
        """What is engaged, what waits, and what this person may do about it; the sign-in for who is not signed in."""
        return await door.answer(request, None, pages.home, refused_page)

    @app.get("/operations.css")
    async def operations_style() -> Response:
        """The style of these pages."""
        return style()

    @app.post("/kill-switches")
    async def engage_by_form(request: Request) -> Response:
        """Engage a kill switch."""
        return await done_by_form(door, request, Duty.ENGAGE, lambda _request, who, form: _engage(pages, who, form))

    @app.post("/kill-switches/{kill_switch_id}/lift")
    async def lift_by_form(request: Request, kill_switch_id: schemas.KillSwitchId) -> Response:
        """Give one person's lift."""

        async def lift(_request: Request, who: SignedIn, form: dict[str, str]) -> object:
            wanted = validated(schemas.LiftKillSwitch, form)
            return await pages.switches.lifted(kill_switch_id, wanted.reason, who)

        return await done_by_form(door, request, Duty.LIFT, lift)

    @app.post("/approvals/{approval_id}/approve")
    async def approve_by_form(request: Request, approval_id: ApprovalId) -> Response:
        """Approve what another person asked."""

        async def approve(_request: Request, who: SignedIn, form: dict[str, str]) -> object:
            if form:
                raise RequestFault(Fault.INVALID_REQUEST, "the form has fields that are not known here")
            return await pages.approvals.given(door, approval_id, who)

        return await done_by_form(door, request, Duty.APPROVE, approve)


async def _engage(pages: StaffPages, who: SignedIn, form: dict[str, str]) -> None:
    subject = form.pop("subject", "").strip()
    wanted = validated(schemas.NewKillSwitch, {**form, **({"subject": subject} if subject else {})})
    await engaged_answer(pages.switches.switches, pages.switches.functions, wanted, who.member.subject)
