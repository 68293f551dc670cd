"""Search: a question in one line, what the matches fall into, and pages that are pinned to one size of the log."""

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response

from audit.facets import facets
from audit.query import Query, QueryPage, last_page, page
from gateway.domain.duties import Duty
from gateway.domain.errors import RequestFault
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered, own_path
from gateway.doors.operations.audit.question import FIELD_OF, question_of, text_of, with_field
from gateway.doors.operations.audit.record_view import record_view
from gateway.doors.operations.audit.shell import audit_refused
from gateway.doors.operations.audit.words import said
from gateway.doors.operations.audit.work import AuditWork, begin_work
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor

PAGE = 50

_FACETS = {
    "function": "function",
    "end_state": "outcome",
    "decision": "decision",
    "kind": "kind",
    "policy": "policy",
    "day": "since",
}
"""Of the answer, and the word of a question that narrows it so."""


def mount_search(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.get(HOME)
    async def audit_search_page(request: Request) -> Response:
        """The form of a question: to open it asks nothing."""

        async def show(look: AuditLook) -> Response:
            return look.page("search.html", q="", order="newest", answer=None, problem="")

        return await answered(door, request, Duty.QUERY, show)

    @app.post(f"{HOME}/work")
    async def audit_work_by_form(request: Request) -> Response:
        """Say what for and under which case, for this session."""

        async def begin(_door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
            form = request.state.form
            response = Response(status_code=303, headers={"location": own_path(form.get("back", ""))})
            work = AuditWork(form.get("purpose", "").strip(), form.get("case", "").strip())
            begin_work(door.sessions, response, signed_in, work, int(door.sessions.longest.total_seconds()))
            return response

        return await door.answer(request, None, begin, audit_refused)

    @app.post(f"{HOME}/search")
    async def audit_search(request: Request) -> Response:
        """Ask: on record before it is answered, and each time the answer is loaded again."""
        return await answered(door, request, Duty.QUERY, lambda look: _search(desk, look))


async def _search(desk: AuditDesk, look: AuditLook) -> Response:
    form = look.form
    text, order = form.get("q", "").strip(), form.get("order", "newest")
    try:
        query = _narrowed(question_of(text), form)
    except RequestFault as fault:
        return look.page("search.html", q=text, order=order, answer=None, problem=fault.message)
    asking = page if order == "oldest" else last_page
    found = await asking(desk.log, query, look.why, cursor=form.get("cursor") or None, limit=PAGE)
    falls = await facets(desk.log, query, found.size)
    answer = {
        "found": [record_view(item) for item in found.found],
        "record": found.record,
        "size": found.size,
        "next": found.next_cursor,
        "complete": completeness(query, found),
        "facets": {_FACETS[name]: values for name, values in falls.of.items() if name in _FACETS and values},
        "looked_at": None if falls.all_of_them else falls.looked_at,
        "terms": text_of(query).split(" ") if query != Query() else [],
    }
    return look.page("search.html", q=text_of(query), order=order, answer=answer, problem="")


def _narrowed(query: Query, form: Mapping[str, str]) -> Query:
    """The question with what a facet's button adds, or without what the button of a term takes away."""
    added, dropped = form.get("and", ""), FIELD_OF.get(form.get("without", ""))
    if (field := FIELD_OF.get(added.partition(":")[0])) is not None:
        query = with_field(query, field, getattr(question_of(added), field))
    return query if dropped is None else with_field(query, dropped, () if dropped == "kinds" else None)


def completeness(query: Query, found: QueryPage) -> str:
    """What it rests on that nothing is missing here, in words."""
    if found.of_nobody:
        return said("complete.nobody", size=found.size)
    if found.gapless is None:
        return said("complete.index", size=found.size)
    name = "customer" if query.customer is not None else "conversation"
    return said(f"complete.{name}" if found.gapless else "complete.gap", size=found.size)
