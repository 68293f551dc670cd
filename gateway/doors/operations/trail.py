"""The trail on the operations listener, JSON under `/v1`: opening what one record keeps sealed, with the approval of a second person."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from audit.keys import KeyDestroyed
from audit.log import Log, LogUnavailable
from audit.opening import NotSealed
from audit.query import PURPOSE_MOST, Why, reveal
from gateway.domain.approvals import NotApproved, StaffAct, canonical
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.doors.approval_form import approval_fault
from gateway.doors.bodies import body_as, json_answer
from gateway.doors.operations.openapi import RevealAnswer, answers
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.schemas import body_of
from gateway.oversight.approvals import Approvals

_Text = Annotated[str, Field(min_length=1, max_length=PURPOSE_MOST)]


class RevealRequest(BaseModel):
    """`record`, `purpose` and `case` are, together, the subject that was approved."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    approval: Annotated[str, Field(pattern=r"^apr_[0-9a-f]{32}$")]
    record: Annotated[int, Field(ge=0, lt=2**53)]
    purpose: _Text
    case: _Text


@dataclass(frozen=True, slots=True)
class TrailDesk:
    """What these routes do."""

    log: Log
    approvals: Approvals

    async def reveal(self, _door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
        """The approval is used first, and then the question is recorded, whatever is found."""
        wanted, member = await body_as(RevealRequest, request), signed_in.member
        subject = canonical(wanted.model_dump(include={"record", "purpose", "case"}))
        try:
            await self.approvals.use(member, wanted.approval, StaffAct(Duty.REVEAL, subject, member.subject))
            why = Why(auditor=member.subject, purpose=wanted.purpose, case_id=wanted.case)
            opened = await reveal(self.log, wanted.record, why)
        except NotApproved as refused:
            raise approval_fault(refused) from None
        except (NotSealed, KeyDestroyed):
            message = "nothing is sealed in this record, or it was erased; the approval is used"
            raise RequestFault(Fault.NOT_FOUND, message, param="record") from None
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error
        return json_answer({"record": opened.index, "values": opened.values, "question_record": opened.record})


def mount(app: FastAPI, door: StaffDoor, desk: TrailDesk) -> None:
    """Put these routes into the application."""

    @app.post("/v1/trail/reveal", responses=answers(RevealAnswer), openapi_extra=body_of(RevealRequest))
    async def reveal_record(request: Request) -> Response:
        """Open what one record keeps sealed, with an approval of exactly this."""
        return await door.answer(request, Duty.REVEAL, desk.reveal)
