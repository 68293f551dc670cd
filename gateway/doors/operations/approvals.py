"""Four eyes on the operations listener, JSON under `/v1`: what one person asks and another approves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from audit.log import Log, LogUnavailable
from audit.query import NothingKnown, Query, Why
from audit.record_numbers import RecordNumbers, RecordNumbersInvalid
from gateway.domain.approvals import REASON_MOST, SUBJECT_BYTES_MOST, NotApproved, StaffApproval, canonical
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.doors.approval_form import approvable, approval_fault, approval_shown
from gateway.doors.bodies import body_as, json_answer
from gateway.doors.operations.evidence import ExportSubject
from gateway.doors.operations.openapi import ApprovalAnswer, ApprovalList, answers
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.schemas import body_of
from gateway.doors.validation import validated
from gateway.oversight.approvals import Approvals, customer_of
from gateway.oversight.evidence import refuse_nobody

ApprovalId = Annotated[str, Path(pattern=r"^apr_[0-9a-f]{32}$")]


class NewApproval(BaseModel):
    """What is asked: a duty that needs an approval, over exactly this subject (plain members: texts, whole numbers, lists of texts)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    duty: str
    subject: dict[Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")], str | int | bool | list[str]] = Field(
        min_length=1, max_length=16
    )
    reason: Annotated[str, Field(min_length=1, max_length=REASON_MOST)]


@dataclass(frozen=True, slots=True)
class ApprovalDesk:
    """What these routes do."""

    approvals: Approvals
    log: Log

    async def list(self, door: StaffDoor, _request: Request, _signed_in: SignedIn) -> Response:
        """What may still be approved or used."""
        return json_answer({"data": [approval_shown(item, door.clock()) for item in await self.approvals.waiting()]})

    async def ask(self, door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
        """Ask for a duty that the person has."""
        wanted = await body_as(NewApproval, request)
        if wanted.duty not in tuple(Duty):
            raise RequestFault(Fault.INVALID_REQUEST, f"duty: must be one of {', '.join(approvable())}", param="duty")
        duty = Duty(wanted.duty)
        told_apart = duty is Duty.EXPORT and wanted.subject.keys() & {"question", "records"}
        subject = in_members(wanted.subject) if told_apart else wanted.subject
        asked = await self.asked(door, signed_in, duty, subject, wanted.reason)
        return json_answer(approval_shown(asked, door.clock()))

    async def asked(
        self, door: StaffDoor, signed_in: SignedIn, duty: Duty, subject: Mapping[str, object], reason: str
    ) -> StaffApproval:
        """RequestFault where this person may not ask it, for too long a subject, for records that the log does not have, or of a customer
        of whom nothing is on record: an approval would be the first thing that is. That look is on record, as a question to the trail."""
        door.require(signed_in, duty)
        if len(canonical(subject).encode()) > SUBJECT_BYTES_MOST:
            raise RequestFault(Fault.INVALID_REQUEST, f"subject: has more than {SUBJECT_BYTES_MOST} bytes", param="subject")
        try:
            if duty.rule.needs_approval and (customer := customer_of(canonical(subject))) is not None:
                why = Why(auditor=signed_in.member.subject, purpose=reason, case_id="approvals.ask")
                await refuse_nobody(self.log, Query(customer=customer), why)
            if duty is Duty.EXPORT and "records" in subject:
                RecordNumbers.parse(str(subject["records"])).require_within((await self.log.head())[0])
            return await self.approvals.ask(signed_in.member, duty, subject, reason)
        except NotApproved as refused:
            raise approval_fault(refused) from None
        except RecordNumbersInvalid as absent:
            raise RequestFault(Fault.NOT_FOUND, str(absent), param="subject") from None
        except NothingKnown:
            message = "nothing is on record of this customer: never was, erased, or mistyped"
            raise RequestFault(Fault.NOT_FOUND, message, param="subject") from None
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error

    async def give(self, door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
        """Approve what another person asked."""
        return json_answer(approval_shown(await self.given(door, request.path_params["approval_id"], signed_in), door.clock()))

    async def given(self, door: StaffDoor, approval: str, signed_in: SignedIn) -> StaffApproval:
        """RequestFault where this person cannot approve it: the duty must be theirs too."""
        try:
            door.require(signed_in, (await self.approvals.find(approval)).duty)
            return await self.approvals.give(signed_in.member, approval)
        except NotApproved as refused:
            raise approval_fault(refused) from None


def in_members(subject: Mapping[str, object]) -> Mapping[str, object]:
    """What an export is approved as, of one that is told by a question's text or by indexes: so a customer whom the text names is a member
    by name, and indexes stand in their one spelling. RequestFault."""
    export: ExportSubject = validated(ExportSubject, dict(subject))
    return export.order().subject()


def mount(app: FastAPI, door: StaffDoor, desk: ApprovalDesk) -> None:
    """Put these routes into the application."""

    @app.get("/v1/approvals", responses=answers(ApprovalList))
    async def list_approvals(request: Request) -> Response:
        """List what may still be approved or used, the oldest first."""
        return await door.answer(request, Duty.LIST_APPROVALS, desk.list)

    @app.post("/v1/approvals", responses=answers(ApprovalAnswer), openapi_extra=body_of(NewApproval))
    async def ask_approval(request: Request) -> Response:
        """Ask for approval of a duty over an exact subject; good for an hour."""
        return await door.answer(request, Duty.ASK_APPROVAL, desk.ask)

    @app.post("/v1/approvals/{approval_id}/approve", responses=answers(ApprovalAnswer))
    async def give_approval(request: Request, approval_id: ApprovalId) -> Response:
        """Approve what another person asked."""
        return await door.answer(request, Duty.APPROVE, desk.give)
