"""A report of a period, for a committee: its tables on a page, and as CSV or PDF. Each of the three is a question of its own, on record."""

import asyncio
import io
from collections.abc import Callable
from typing import IO

from fastapi import FastAPI, Request, Response

from audit.question_language import QuestionInvalid, period_of
from audit.report import PeriodReport, report_of
from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault
from gateway.doors.operations.audit.desk import HOME, AuditDesk, AuditLook, answered
from gateway.doors.operations.audit.shell import download
from gateway.doors.operations.staff_door import StaffDoor
from gateway.oversight.report_documents import about, tables_of, write_csv

Writes = Callable[[PeriodReport, IO[bytes]], None]

_MEDIA = {"csv": "text/csv", "pdf": "application/pdf"}


def mount_reports(app: FastAPI, door: StaffDoor, desk: AuditDesk) -> None:
    """Put these routes into the application."""

    @app.get(f"{HOME}/report")
    async def audit_report_page(request: Request) -> Response:
        """The form of a report: to open it asks nothing."""

        async def show(look: AuditLook) -> Response:
            return look.page("report.html", during=f"{door.clock():%Y-%m}", answer=None)

        return await answered(door, request, Duty.QUERY, show)

    @app.post(f"{HOME}/report")
    async def audit_report(request: Request) -> Response:
        """Count a period. The question is on record."""
        return await answered(door, request, Duty.QUERY, lambda look: _report(desk, look))


async def _report(desk: AuditDesk, look: AuditLook) -> Response:
    during, form = look.form.get("during", "").strip(), look.form.get("as", "")
    try:
        since, until = period_of(during)
    except QuestionInvalid as wrong:
        raise RequestFault(Fault.INVALID_REQUEST, wrong.message, param="during") from None
    writes = None if form == "" else _writer(form)  # before anything is asked
    report = await report_of(desk.log, since, until, look.why)
    if writes is None:
        answer = {"about": about(report), "tables": tables_of(report), "record": report.question_record, "note": report.checkpoint}
        return look.page("report.html", during=during, answer=answer)
    content = await asyncio.to_thread(_written, writes, report)
    return download(content, _MEDIA[form], f"report-{during}.{form}")


def _writer(form: str) -> Writes:
    """RequestFault for another form, or one whose extra is not installed here."""
    if form == "csv":
        return write_csv
    if form != "pdf":
        raise RequestFault(Fault.INVALID_REQUEST, "as: csv or pdf", param="as")
    try:
        from gateway.oversight.report_pdf import write_pdf
    except ImportError:
        raise RequestFault(Fault.INVALID_REQUEST, "this gateway makes no PDF (extra `reports`): take the CSV", param="as") from None
    return write_pdf


def _written(writes: Writes, report: PeriodReport) -> bytes:
    file = io.BytesIO()
    writes(report, file)
    return file.getvalue()
