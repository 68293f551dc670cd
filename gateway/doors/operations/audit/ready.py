"""What auditors ask most, ready to be asked: forms with a few blanks, and where to go on. To open the page asks nothing.

Each form becomes a question in the language of questions, which is then asked as any other, and can be changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import FastAPI, Path, Request, Response

from audit.query import Query
from audit.question_language import question_text
from gateway.domain.duties import Duty, duty_obstacle
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, AuditView, answered, require_own_navigation, shown
from gateway.doors.operations.audit.search import answer_text, quoted
from gateway.doors.operations.staff_door import StaffDoor
from gateway.oversight.questions import looks_at


@dataclass(frozen=True, slots=True)
class Blank:
    """`word`: the word of the language that it is the value of, behind `before`; `ticked`: of a box, what it stands for. A blank that
    is needed and left empty is refused as a word without a value is."""

    name: str
    word: str
    before: str = ""
    ticked: str = ""
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class ReadyQuestion:
    """`words`: what of the question stands already."""

    name: str
    words: str
    blanks: Sequence[Blank] = ()

    def text(self, form: Mapping[str, str]) -> str:
        """As somebody would type it, whatever they put into the blanks."""
        said = [self.words]
        for blank in self.blanks:
            value = form.get(blank.name, "").strip()
            if blank.ticked:
                said += [f"{blank.word}:{blank.ticked}"] if value else []
            elif value or blank.is_needed:
                said.append(f"{blank.word}:{quoted(blank.before + value)}")
        return " ".join(filter(None, said))


_DURING = Blank("during", "during")
_CUSTOMER = Blank("customer", "customer")
_LOOKS = question_text(Query(kinds=looks_at("").kinds))

QUESTIONS = (
    ReadyQuestion(
        "payments",
        "function:initiate_transfer outcome:refused",
        (_DURING, Blank("over", "amount", before=">"), Blank("new_payee", "new_payee", ticked="yes")),
    ),
    ReadyQuestion("looked", _LOOKS, (Blank("customer", "about"),)),
    ReadyQuestion("shown", _LOOKS, (Blank("customer", "shown"),)),
    ReadyQuestion("agent", "", (Blank("agent", "agent"), Blank("switch", "while_switch"))),
    ReadyQuestion("held", "decision:challenge", (_DURING,)),
    ReadyQuestion("confirmed", "kind:confirmation", (_CUSTOMER,)),
    ReadyQuestion("doubt", "outcome:sent,unknown", (Blank("during", "during", is_needed=False),)),
    ReadyQuestion("switches", "word:kill_engaged"),
)
"""Those that are asked as a question. The others of the page lead to the life of a call, an export, the streams and a report."""

_BY_NAME = {item.name: item for item in QUESTIONS}

QuestionName = Annotated[str, Path(pattern=r"^[a-z_]{1,32}$")]


def mount_ready(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.get(f"{HOME}/overview")
    async def audit_overview_page(request: Request) -> Response:
        """What is asked most, and where this person may go."""

        async def show(view: AuditView) -> Response:
            may_ask = duty_obstacle(Duty.QUERY, view.signed_in.member.roles, fresh=True) is None
            if may_ask and view.work is None:
                require_own_navigation(request)
                return view.page("work.html", back=f"{HOME}/overview")
            fresh = view.signed_in.member.is_fresh(door.clock(), door.fresh_s)
            return view.page("overview.html", during=f"{door.clock():%Y-%m}", fresh=fresh)

        return await shown(door, request, None, show)

    @app.post(f"{HOME}/ready/call")
    async def audit_ready_call(request: Request) -> Response:
        """Go to the life of a call, which is where the look goes on record."""

        async def go(look: AuditLook) -> Response:
            call = look.form.get("call", "").strip()
            if not call:
                raise RequestFault(Fault.INVALID_REQUEST, "call: the id of a call", param="call")
            return Response(status_code=303, headers={"location": f"{HOME}/calls/{quote(call, safe='')}"})

        return await answered(door, request, Duty.QUERY, go)

    @app.post(f"{HOME}/ready/{{question}}")
    async def audit_ready_question(request: Request, question: QuestionName) -> Response:
        """Ask one of the questions that stand ready. It is on record as any other."""

        async def ask(look: AuditLook) -> Response:
            ready = _BY_NAME.get(question)
            if ready is None:
                raise RequestFault(Fault.NOT_FOUND, "no such question stands ready", param="question")
            return await answer_text(desk, look, ready.text(look.form))

        return await answered(door, request, Duty.QUERY, ask)
