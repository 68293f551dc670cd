"""Evidence on the operations listener, JSON under `/v1`: taking it away as a bundle, and erasing a person.

Both with the approval of a second person, over exactly what is done.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from audit.erasure import Certificate
from audit.leaf import EndState, RecordKind
from audit.query import PURPOSE_MOST, NothingKnown, Query, SwitchUnknown, Why
from audit.question_language import TEXT_MOST, QuestionInvalid, parse_question
from audit.record_numbers import TEXT_MOST as RECORDS_TEXT_MOST
from audit.record_numbers import RecordNumbers, RecordNumbersInvalid
from audit.sealed_conditions import ConditionInvalid, condition_of
from audit.terms import CallOutcome
from gateway.domain.approvals import NotApproved, StaffAct, canonical
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.staff import StaffMember
from gateway.doors.approval_form import approval_fault
from gateway.doors.bodies import UNKEPT, body_as, json_answer
from gateway.doors.operations.openapi import ErasureAnswer, answers
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.schemas import body_of
from gateway.oversight.approvals import Approvals
from gateway.oversight.erasing import MINIMUMS, OBSTACLES, ErasureOrder, certificate_shown, minimums_of, obstacle_fault
from gateway.oversight.evidence import ExportOrder

Agreed = Callable[[Mapping[str, object]], Awaitable[None]]

_Text = Annotated[str, Field(min_length=1, max_length=PURPOSE_MOST)]
_Id = Annotated[str, Field(min_length=1, max_length=256)]
_Approval = Annotated[str, Field(pattern=r"^apr_[0-9a-f]{32}$")]
_Moment = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$", description="UTC, with microseconds")]
_Minimum = Annotated[str, Field(pattern=r"^P[0-9A-Z]{1,15}=P[0-9A-Z]{1,15}$")]


class EvidenceDone(Protocol):
    """Who does it. An export's parts, and what is called when its reader has them or goes."""

    async def export(self, order: ExportOrder, why: Why, agreed: Agreed) -> tuple[AsyncIterator[bytes], Callable[[], None]]: ...

    async def erase(self, order: ErasureOrder, why: Why, agreed: Agreed) -> Certificate: ...


class ExportSubject(BaseModel):
    """What is approved; a member that is left out is not asked for. Without any of those that choose, the whole log. `reveal`: with what
    the records keep sealed. `question`: in the language of questions, beside or instead of the members, which it is approved as.
    `records`: by their indexes in the log, and then by nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    purpose: _Text
    case: _Text
    reveal: bool = False
    question: Annotated[str, Field(max_length=TEXT_MOST)] = ""
    records: Annotated[str, Field(min_length=1, max_length=RECORDS_TEXT_MOST, examples=["3,5,9-12"])] | None = None
    since: _Moment | None = None
    until: _Moment | None = None
    kinds: Annotated[
        list[Annotated[str, Field(json_schema_extra={"enum": [kind.value for kind in RecordKind]})]], Field(max_length=32)
    ] = []
    customer: _Id | None = None
    call_id: _Id | None = None
    conversation: _Id | None = None
    trace_id: _Id | None = None
    function: _Id | None = None
    decision: _Id | None = None
    policy: _Id | None = None
    bundle_hash: _Id | None = None
    end_state: Annotated[str, Field(json_schema_extra={"enum": [state.value for state in EndState]})] | None = None
    approver: _Id | None = None
    about: _Id | None = None
    shown: _Id | None = None
    agent: _Id | None = None
    by: _Id | None = None
    reason: _Id | None = None
    of_case: _Id | None = None
    word: _Id | None = None
    confirmation: _Id | None = None
    switch: _Id | None = None
    while_switch: _Id | None = None
    outcomes: Annotated[
        list[Annotated[str, Field(json_schema_extra={"enum": [outcome.value for outcome in CallOutcome]})]], Field(max_length=32)
    ] = []
    amount: _Id | None = None
    payee: _Id | None = None
    new_payee: _Id | None = None

    def order(self) -> ExportOrder:
        """RequestFault for a time, a kind, an amount or a question that is none."""
        told: dict[str, Any] = self.model_dump(exclude=_NOT_ASKED)
        try:
            since, until = (None if text is None else datetime.fromisoformat(text) for text in (self.since, self.until))
        except ValueError:
            raise RequestFault(Fault.INVALID_REQUEST, "since, until: must be moments that there are", param="since") from None
        if unknown := [kind for kind in self.kinds if kind not in tuple(RecordKind)]:
            raise RequestFault(Fault.INVALID_REQUEST, f"kinds: {len(unknown)} of them are no kinds of records", param="kinds")
        if self.end_state is not None and self.end_state not in tuple(EndState):
            listed = ", ".join(EndState)
            raise RequestFault(Fault.INVALID_REQUEST, f"end_state: must be one of {listed}", param="end_state")
        if any(outcome not in tuple(CallOutcome) for outcome in self.outcomes):
            listed = ", ".join(CallOutcome)
            raise RequestFault(Fault.INVALID_REQUEST, f"outcomes: each must be one of {listed}", param="outcomes")
        try:
            condition_of(self.amount, self.payee, self.new_payee)
        except ConditionInvalid as wrong:
            raise RequestFault(Fault.INVALID_REQUEST, str(wrong), param="amount") from None
        query = Query(
            since=since,
            until=until,
            kinds=tuple(RecordKind(kind) for kind in self.kinds),
            outcomes=tuple(CallOutcome(outcome) for outcome in self.outcomes),
            case=self.of_case,
            **told,
        )
        query, records = _together(query, self.question), None if self.records is None else _numbers(self.records)
        if records is not None and query != Query():
            message = "records: choose by themselves; leave out the question and the other members that choose"
            raise RequestFault(Fault.INVALID_REQUEST, message, param="records")
        return ExportOrder(query=query, purpose=self.purpose, case=self.case, records=records, reveal=self.reveal)


_NOT_ASKED = {"approval", "purpose", "case", "reveal", "question", "records", "kinds", "outcomes", "since", "until", "of_case"}
"""Members that are no fields of a question, or are made into one."""


def _numbers(text: str) -> RecordNumbers:
    """RequestFault."""
    try:
        return RecordNumbers.parse(text)
    except RecordNumbersInvalid as wrong:
        raise RequestFault(Fault.INVALID_REQUEST, str(wrong), param="records") from None


def _together(query: Query, text: str) -> Query:
    """The question with what its text says. RequestFault where that is none, or both say one thing."""
    try:
        asked = parse_question(text)
    except QuestionInvalid as wrong:
        message = f"question, at character {wrong.at + 1}: {wrong.message}"
        raise RequestFault(Fault.INVALID_REQUEST, message, param="question") from None
    said = {name: value for name in Query.__dataclass_fields__ if (value := getattr(asked, name)) not in (None, ())}
    if twice := [name for name in said if getattr(query, name) not in (None, ())]:
        message = f"{', '.join(twice)}: said in the question and beside it; say it once"
        raise RequestFault(Fault.INVALID_REQUEST, message, param="question")
    return replace(query, **said)


class ExportRequest(ExportSubject):
    """All members but `approval` are, together, the subject that was approved."""

    approval: _Approval


class ErasureSubject(BaseModel):
    """What is approved. `legal_minimum`: CLASS=PERIOD of what the law has kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    customer: _Id
    legal_minimum: Annotated[list[_Minimum], Field(max_length=16)] = list(MINIMUMS)
    purpose: _Text
    case: _Text

    def order(self, now: datetime) -> ErasureOrder:
        """RequestFault for a period that is none."""
        try:
            minimums = minimums_of(self.legal_minimum, now)
        except (ValueError, OverflowError):
            message = "legal_minimum: each must be CLASS=PERIOD, two ISO 8601 durations"
            raise RequestFault(Fault.INVALID_REQUEST, message, param="legal_minimum") from None
        return ErasureOrder(customer=self.customer, minimums=minimums, purpose=self.purpose, case=self.case)


class ErasureRequest(ErasureSubject):
    """All members but `approval` are, together, the subject that was approved."""

    approval: _Approval


@dataclass(frozen=True, slots=True)
class EvidenceDesk:
    """What these routes do."""

    evidence: EvidenceDone
    approvals: Approvals

    async def export(self, _door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
        """A bundle. The approval is used first."""
        return await self.exported(signed_in.member, await body_as(ExportRequest, request))

    async def exported(self, member: StaffMember, wanted: ExportRequest) -> Response:
        order = wanted.order()
        why, agreed = _why(member, order.purpose, order.case), self._agreed(member, Duty.EXPORT, wanted.approval)
        try:
            parts, done = await self.evidence.export(order, why, agreed)
        except NothingKnown:
            message = "nothing is on record of this customer or conversation: never was, erased, or mistyped"
            raise RequestFault(Fault.NOT_FOUND, message, param="customer") from None
        except SwitchUnknown as unknown:
            raise RequestFault(Fault.NOT_FOUND, str(unknown), param="while_switch") from None
        except RecordNumbersInvalid as absent:
            raise RequestFault(Fault.NOT_FOUND, str(absent), param="records") from None
        return BundleAnswer(parts, done, "evidence.zip")

    async def erase(self, door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
        """The certificate of what was destroyed."""
        return json_answer(await self.erased(door, signed_in.member, await body_as(ErasureRequest, request)))

    async def erased(self, door: StaffDoor, member: StaffMember, wanted: ErasureRequest) -> dict[str, object]:
        """RequestFault where something stands in the way: then the approval is not used."""
        order = wanted.order(door.clock())
        why, agreed = _why(member, order.purpose, order.case), self._agreed(member, Duty.ERASE, wanted.approval)
        try:
            return certificate_shown(await self.evidence.erase(order, why, agreed))
        except OBSTACLES as obstacle:
            raise obstacle_fault(obstacle) from None

    async def approved_of(self, approval: str, duty: Duty) -> dict[str, object]:
        """The body that uses this approval, of its own subject. RequestFault where it is none of this duty."""
        try:
            found = await self.approvals.find(approval)
        except NotApproved as refused:
            raise approval_fault(refused) from None
        if found.duty is not duty:
            raise approval_fault(NotApproved("another"))
        return {"approval": approval, **json.loads(found.subject)}

    def _agreed(self, member: StaffMember, duty: Duty, approval: str) -> Agreed:
        async def agreed(subject: Mapping[str, object]) -> None:
            try:
                await self.approvals.use(member, approval, StaffAct(duty, canonical(subject), member.subject))
            except NotApproved as refused:
                raise approval_fault(refused) from None

        return agreed


def _why(member: StaffMember, purpose: str, case: str) -> Why:
    return Why(auditor=member.subject, purpose=purpose, case_id=case)


class BundleAnswer(Response):
    """A bundle, part by part. Where it does not come whole, the connection ends before the answer does, so that nobody takes it for one."""

    media_type = "application/zip"

    def __init__(self, parts: AsyncIterator[bytes], done: Callable[[], None], name: str) -> None:
        super().__init__(headers={**UNKEPT, "content-disposition": f'attachment; filename="{name}"'})
        del self.headers["content-length"]
        self._parts, self._done = parts, done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching = asyncio.ensure_future(_gone(receive, self._done))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for part in self._parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:  # it did not come whole: the server closes what is left without its end
            return
        finally:
            watching.cancel()
            self._done()


async def _gone(receive: Receive, done: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    done()


def mount(app: FastAPI, door: StaffDoor, desk: EvidenceDesk) -> None:
    """Put these routes into the application."""
    bundle: dict[int | str, dict[str, Any]] = {
        **answers(ErasureAnswer),
        200: {
            "description": "An evidence bundle",
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        },
    }

    @app.post("/v1/exports", responses=bundle, response_class=Response, openapi_extra=body_of(ExportRequest))
    async def export_evidence(request: Request) -> Response:
        """Take away an evidence bundle, with an approval of exactly this."""
        return await door.answer(request, Duty.EXPORT, desk.export)

    @app.post("/v1/erasures", responses=answers(ErasureAnswer), openapi_extra=body_of(ErasureRequest))
    async def erase_customer(request: Request) -> Response:
        """Erase a person from everything, with an approval of exactly this."""
        return await door.answer(request, Duty.ERASE, desk.erase)
