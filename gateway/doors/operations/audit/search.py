"""Search: a question in one line, what the matches fall into, and pages that are pinned to one size of the log."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Response

from audit.completeness import Basis
from audit.facets import facets
from audit.query import Query, QueryPage, SwitchUnknown, last_page, page
from audit.question_language import FIELDS, QuestionInvalid, parse_question, question_text
from audit.store.call_outcomes import standing_of
from audit.terms import outcome_of
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered, own_path
from gateway.doors.operations.audit.record_view import record_view
from gateway.doors.operations.audit.shell import audit_refused, download
from gateway.doors.operations.audit.words import said
from gateway.doors.operations.audit.work import AuditWork, begin_work
from gateway.doors.operations.sessions import SignedIn
from gateway.doors.operations.staff_door import StaffDoor
from gateway.oversight.questions import COLUMNS, TrailQuestion, row_of
from gateway.oversight.report_documents import write_table

PAGE = 50

_ANYTHING = Query()
_ASKED = tuple(item.name for item in dataclass_fields(Query))


def mount_search(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.post(f"{HOME}/search/csv")
    async def audit_search_csv(request: Request) -> Response:
        """A page of an answer as a table. It is asked anew, and is on record."""
        return await answered(door, request, Duty.QUERY, lambda look: _csv(desk, look))

    @app.get(HOME)
    async def audit_search_page(request: Request) -> Response:
        """The form of a question: to open it asks nothing."""

        async def show(look: AuditLook) -> Response:
            return look.page("search.html", q="", order="newest", answer=None, problem="", fields=FIELDS)

        return await answered(door, request, Duty.QUERY, show)

    @app.post(f"{HOME}/work")
    async def audit_work_by_form(request: Request) -> Response:
        """Say what for and under which case, for this session."""

        async def begin(_door: StaffDoor, request: Request, signed_in: SignedIn) -> Response:
            form: Mapping[str, str] = getattr(request.state, "form", {})
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
    return await answer_text(desk, look, look.form.get("q", "").strip(), look.form.get("order", "newest"))


async def answer_text(desk: AuditDesk, look: AuditLook, text: str, order: str = "newest") -> Response:
    """The page of the answer to this question, with what the form adds to it; or why it was not asked."""
    form = look.form
    try:
        query = narrowed(parse_question(text), form)
    except QuestionInvalid as invalid:
        problem = said("search.problem", message=invalid.message, at=invalid.at + 1)
        return look.page("search.html", q=text, order=order, answer=None, problem=problem, fields=FIELDS)
    if query.opens:
        order = "oldest"  # what is sealed is looked for from the first record on
    try:
        found = await _page(desk, look, query, order, form.get("cursor", ""))
    except SwitchUnknown as unknown:
        return look.page("search.html", q=text, order=order, answer=None, problem=str(unknown), fields=FIELDS)
    falls = None if query.opens else await facets(desk.log, query, found.size)
    rows = [record_view(item) for item in found.found]
    answer = {
        "found": rows,
        "of_customers": any(row.customer for row in rows),
        "by_now": await _by_now(desk, found),
        "record": found.record,
        "size": found.size,
        "next": found.next_cursor,
        "complete": complete(found),
        "opened": said("found.opened", opened=found.opened, closed=found.closed) if query.opens else "",
        "facets": {} if falls is None else {name: values for name, values in falls.of.items() if values},
        "looked_at": None if falls is None or falls.all_of_them else falls.looked_at,
        "terms": list(terms(query)),
    }
    known = {"q": question_text(query), "order": order, "cursor": form.get("cursor", ""), "problem": "", "fields": FIELDS}
    return look.page("search.html", answer=answer, **known)


async def _by_now(desk: AuditDesk, found: QueryPage) -> Mapping[int, str]:
    """How the call of a record stands by now, in words, where that is not what the record says itself: what was held was paid later."""
    said_by = {item.index: (str(item.fields["call"]), outcome_of(item.fields)) for item in found.found if "call" in item.fields}
    calls = {call for call, _ in said_by.values()}
    if not calls:
        return {}
    stand = await desk.log.read(lambda reads: standing_of(reads.connection, calls, found.size))
    return {
        index: said(f"stands.{stand[call]}")
        for index, (call, outcome) in said_by.items()
        if call in stand and outcome is not None and stand[call] is not outcome
    }


async def _page(desk: AuditDesk, look: AuditLook, query: Query, order: str, cursor: str) -> QueryPage:
    """The page that a form asks for. RequestFault where it takes a duty that the person does not have; SwitchUnknown."""
    look.door.require(look.signed_in, TrailQuestion(query=query).duty)
    asking = page if order == "oldest" or query.opens else last_page
    return await asking(desk.log, query, look.why, cursor=cursor or None, limit=PAGE)


async def _csv(desk: AuditDesk, look: AuditLook) -> Response:
    try:
        query = parse_question(look.form.get("q", ""))
        found = await _page(desk, look, query, look.form.get("order", "newest"), look.form.get("page", ""))
    except QuestionInvalid as invalid:
        raise RequestFault(Fault.INVALID_REQUEST, invalid.message, param="q") from None
    except SwitchUnknown as unknown:
        raise RequestFault(Fault.NOT_FOUND, str(unknown), param="q") from None
    file = io.BytesIO()
    write_table(COLUMNS, map(row_of, found.found), file)
    return download(file.getvalue(), "text/csv", f"records-{found.record}.csv")


def narrowed(query: Query, form: Mapping[str, str]) -> Query:
    """The question with what a facet's button adds, or without what the button of a term takes away. QuestionInvalid."""
    name, _, value = form.get("and", "").partition(":")
    changed: dict[str, Any] = {}
    if value:
        added = parse_question(f"{name}:{quoted(value)}")
        changed = {item: getattr(added, item) for item in _ASKED if getattr(added, item) != getattr(_ANYTHING, item)}
    if (dropped := form.get("without", "")) in _ASKED:
        changed[dropped] = getattr(_ANYTHING, dropped)
    return replace(query, **changed)


def terms(query: Query) -> Iterator[tuple[str, str]]:
    """What is asked for, one by one: the member of the question, and its word."""
    for name in _ASKED:
        if (value := getattr(query, name)) != getattr(_ANYTHING, name):
            alone: dict[str, Any] = {name: value}
            yield name, question_text(Query(**alone))


def complete(found: QueryPage) -> str:
    """What it rests on that nothing is missing here, in words."""
    rests = found.completeness
    if found.of_nobody:
        return said("complete.nobody", size=found.size)
    if found.gapless is False:
        return said("complete.gap", size=found.size)
    if rests.basis is Basis.INDEX:
        return said("complete.index", size=rests.size)
    state = "whole" if rests.whole else "bad"
    since = said("complete.beginning") if rests.since is None else said("complete.census_at", index=rests.since)
    values = {
        "found": rests.found,
        "expected": rests.expected,
        "of": rests.of,
        "size": rests.size,
        "since": since,
        "until": rests.until,
    }
    return said(f"complete.{rests.basis}.{state}", **values)


def quoted(value: str) -> str:
    """A value as the language takes it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
