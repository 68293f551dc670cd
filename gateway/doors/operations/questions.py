"""Questions to the trail on the operations listener, JSON under `/v1/audit`: on record before they are answered, with purpose and case."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from audit.call_life import CallUnknown, life_of
from audit.cursors import CursorInvalid
from audit.log import Log, LogUnavailable
from audit.query import PAGE_MOST, PURPOSE_MOST, Why
from audit.question_language import FIELDS, TEXT_MOST, QuestionInvalid, parse_question, period_of
from audit.report import report_of
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.doors.bodies import body_as, json_answer
from gateway.doors.operations.openapi import CallLifeAnswer, QuestionAnswer, QuestionWords, ReportAnswer, answers
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor
from gateway.doors.schemas import body_of
from gateway.oversight.questions import TrailQuestion, answer_shown, life_shown, looks_at
from gateway.oversight.report_documents import report_shown

_Text = Annotated[str, Field(min_length=1, max_length=PURPOSE_MOST)]
_Id = Annotated[str, Field(min_length=1, max_length=256)]
CallOnRecord = Annotated[str, Path(pattern=r"^[!-~]{1,255}$")]


class LookRequest(BaseModel):
    """What for, and under which case: both stand in the trail."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    purpose: _Text
    case: _Text

    def why(self, who: SignedIn) -> Why:
        return Why(auditor=who.member.subject, purpose=self.purpose, case_id=self.case)


class PagedLook(LookRequest):
    """A page of at most `limit` records, from `cursor` on: pages are pinned to the size that the log had at the first."""

    newest_first: bool = False
    cursor: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MOST)] = 100


class QuestionRequest(PagedLook):
    """`question`: in the language of questions, such as `function:initiate_transfer outcome:refused amount:>500EUR during:2026-03`."""

    question: Annotated[str, Field(max_length=TEXT_MOST)] = ""


class LooksRequest(PagedLook):
    """`customer`: the bank's id of whom others looked at. `by_chance`: by a question that named nobody and showed a record of theirs."""

    customer: _Id
    by_chance: bool = False


class ReportRequest(LookRequest):
    """`during`: a year, a month or a day, in UTC."""

    during: Annotated[str, Field(min_length=4, max_length=10, examples=["2026-03"])]


BODIES: tuple[type[BaseModel], ...] = (QuestionRequest, LooksRequest, LookRequest, ReportRequest)


@dataclass(frozen=True, slots=True)
class QuestionDesk:
    """What these routes do."""

    log: Log

    async def ask(self, door: StaffDoor, request: Request, who: SignedIn) -> Response:
        wanted = await body_as(QuestionRequest, request)
        try:
            query = parse_question(wanted.question)
        except QuestionInvalid as wrong:
            message = f"question, at character {wrong.at + 1}: {wrong.message}"
            raise RequestFault(Fault.INVALID_REQUEST, message, param="question") from None
        asked = TrailQuestion(query=query, newest_first=wanted.newest_first, cursor=wanted.cursor, limit=wanted.limit)
        door.require(who, asked.duty)
        return await self._answered(asked, wanted.why(who))

    async def looks(self, _door: StaffDoor, request: Request, who: SignedIn) -> Response:
        wanted = await body_as(LooksRequest, request)
        query = looks_at(wanted.customer, by_chance=wanted.by_chance)
        asked = TrailQuestion(query=query, newest_first=wanted.newest_first, cursor=wanted.cursor, limit=wanted.limit)
        return await self._answered(asked, wanted.why(who))

    async def life(self, _door: StaffDoor, request: Request, who: SignedIn) -> Response:
        wanted = await body_as(LookRequest, request)
        try:
            return json_answer(life_shown(await life_of(self.log, request.path_params["call_id"], wanted.why(who))))
        except CallUnknown:
            raise RequestFault(Fault.NOT_FOUND, "nothing is on record of this call; the look is", param="call_id") from None
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error

    async def report(self, _door: StaffDoor, request: Request, who: SignedIn) -> Response:
        wanted = await body_as(ReportRequest, request)
        try:
            since, until = period_of(wanted.during)
        except QuestionInvalid as wrong:
            raise RequestFault(Fault.INVALID_REQUEST, wrong.message, param="during") from None
        try:
            return json_answer(report_shown(await report_of(self.log, since, until, wanted.why(who))))
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error

    async def _answered(self, asked: TrailQuestion, why: Why) -> Response:
        try:
            return json_answer(answer_shown(await asked.ask(self.log, why)))
        except CursorInvalid:
            raise RequestFault(Fault.INVALID_REQUEST, "cursor: not one of this question", param="cursor") from None
        except ValueError as wrong:
            raise RequestFault(Fault.INVALID_REQUEST, f"question: {wrong}", param="question") from None
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error


def mount(app: FastAPI, door: StaffDoor, desk: QuestionDesk) -> None:
    """Put these routes into the application."""

    @app.get("/v1/audit/question-words", responses=answers(QuestionWords))
    async def question_words(request: Request) -> Response:
        """List the words of the language of questions."""

        async def told(_door: StaffDoor, _request: Request, _who: SignedIn) -> Response:
            words = [{"name": item.name, "means": item.means, "example": item.example, "aliases": item.aliases} for item in FIELDS]
            return json_answer({"data": words})

        return await door.answer(request, None, told)

    @app.post("/v1/audit/questions", responses=answers(QuestionAnswer), openapi_extra=body_of(QuestionRequest))
    async def ask_trail(request: Request) -> Response:
        """Ask the trail: the records that match, and on what it rests that none is missing."""
        return await door.answer(request, Duty.QUERY, desk.ask)

    @app.post("/v1/audit/looks", responses=answers(QuestionAnswer), openapi_extra=body_of(LooksRequest))
    async def list_looks(request: Request) -> Response:
        """Tell who looked at a customer, what for and under which case."""
        return await door.answer(request, Duty.QUERY, desk.looks)

    @app.post("/v1/audit/calls/{call_id}", responses=answers(CallLifeAnswer), openapi_extra=body_of(LookRequest))
    async def call_life(request: Request, call_id: CallOnRecord) -> Response:
        """Tell the life of a call: its records, how it stands, and who looked at it."""
        return await door.answer(request, Duty.QUERY, desk.life)

    @app.post("/v1/audit/reports", responses=answers(ReportAnswer), openapi_extra=body_of(ReportRequest))
    async def report_period(request: Request) -> Response:
        """Report a period for a committee: calls, refusals, acts, looks; nothing of customers."""
        return await door.answer(request, Duty.QUERY, desk.report)
