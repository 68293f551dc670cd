"""A report of a period as JSON and CSV, and the tables that a PDF has, too (`report_pdf`)."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from audit.opening import StoredRecord
from audit.report import PeriodReport
from audit.terms import part

_LOOKS = {"audit.query": "searched", "audit.reveal": "opened what is sealed", "audit.export": "took evidence away"}
_ACTS = {
    "policy.activate": "policies put in force",
    "key.rotate": "key rotated",
    "key.destroy": "customer's keys destroyed",
    "hold.place": "legal hold placed",
    "hold.release": "legal hold released",
    "kill_engaged": "kill switch engaged",
    "kill_lift": "kill switch, one lift",
}


@dataclass(frozen=True, slots=True)
class ReportTable:
    """`rows` of texts and numbers under `columns`."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str | int, ...]]


def tables_of(report: PeriodReport) -> Sequence[ReportTable]:
    """What the report holds, in its order."""
    proven = report.counted()
    return [
        ReportTable("Calls, and how they stand", ("function", "outcome", "calls"), report.calls),
        ReportTable("Refusals by reason", ("reason", "records"), report.reasons),
        ReportTable("Refusals and questions to the customer by rule", ("rule", "records"), report.rules),
        ReportTable("What people did", ("record", "time (UTC)", "what", "who", "what about"), [_act(item) for item in report.acts]),
        ReportTable("Who looked at the trail", ("who", "what", "times"), [(who, _LOOKS[kind], n) for who, kind, n in report.looks]),
        ReportTable("Records of each function, as two censuses prove", ("function", "records"), list(proven.items())),
    ]


def about(report: PeriodReport) -> Mapping[str, str]:
    """What it is of, who made it, and what it rests on."""
    rests_on = "no census lies within the period: the counts rest on the auditors' index"
    if report.censuses is not None:
        first, last = report.censuses
        rests_on = f"the censuses at the records {first.index} and {last.index} count {last.size - first.size} records between them"
    return {
        "Log": report.origin,
        "Period": f"{_time(report.since)} until before {_time(report.until)} UTC",
        "Made": f"{_time(report.made)} UTC by {report.auditor}, for: {report.purpose}, case {report.case}",
        "On record": f"record {report.question_record}; counts are of the first {report.size} records",
        "Completeness": rests_on,
    }


def report_shown(report: PeriodReport) -> Mapping[str, object]:
    """As JSON."""
    return {
        "about": about(report),
        "tables": [{"title": item.title, "columns": item.columns, "rows": item.rows} for item in tables_of(report)],
        "checkpoint": report.checkpoint,
        "question_record": report.question_record,
    }


def write_csv(report: PeriodReport, file: IO[bytes]) -> None:
    """RFC 4180, a section for each table; no cell that a spreadsheet would run."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerows(map(_row, about(report).items()))
    for table in tables_of(report):
        writer.writerows(([], [table.title], list(table.columns), *map(_row, table.rows)))
    writer.writerows(([], ["Checkpoint"], *([csv_cell(line)] for line in (report.checkpoint or "").splitlines())))
    text.detach()


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]], file: IO[bytes]) -> None:
    """One table: RFC 4180, and no cell that a spreadsheet would run."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    csv.writer(text).writerows([_row(columns), *map(_row, rows)])
    text.detach()


def csv_cell(cell: object) -> str:
    """A cell that begins like a formula gets an apostrophe before it, as OWASP says of CSV injection."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def _act(item: StoredRecord) -> tuple[str | int, ...]:
    facts, word = part(item.fields, "facts"), str(part(item.fields, "facts").get("word"))
    what = _ACTS.get(word) or _ACTS.get(str(item.fields["kind"])) or str(item.fields["kind"])
    who = facts.get("by") or facts.get("author") or part(item.fields, "actor").get("agent") or ""
    named = (facts.get(name) for name in ("scope", "subject", "version", "purpose", "hold", "key", "reason"))
    return (
        item.index,
        str(item.fields["time"])[:19].replace("T", " "),
        what,
        str(who),
        ", ".join(str(text) for text in named if text),
    )


def _row(cells: Sequence[object]) -> list[str]:
    return [csv_cell(cell) for cell in cells]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
