"""A report of a period: its counts are those of the log, each form holds the same, and no cell runs."""

import csv
import io
import json
import re
from datetime import datetime, timedelta

import pytest
from pypdf import PdfReader

from audit.census import census_of
from audit.leaf import Record, RecordKind
from audit.log import Log
from audit.query import Query, Why, page
from audit.report import report_of
from gateway.oversight.report_documents import about, report_shown, tables_of, write_csv
from gateway.oversight.report_pdf import write_pdf
from tests.trail import START, Clock, a_record, activate_rules, an_end, an_intent

WHY = Why(auditor="=eve", purpose="committee", case_id="C-1")
DAY = timedelta(days=1)


async def counted(log: Log, at: datetime) -> None:
    await log.append(Record(kind=RecordKind.CENSUS, time=at, facts=(await census_of(log)).facts()))


@pytest.fixture
async def a_day(log: Log, clock: Clock) -> Log:
    """Three reads, two refusals and a payment, after a refusal of the day before."""
    await activate_rules(log)
    await log.append(a_record(kind=RecordKind.DENY, result={}, call_id="before", facts={"code": "denied", "reason": "kill_switch"}))
    clock.forward(DAY.total_seconds())
    at = START + DAY
    await counted(log, at)
    for number in range(3):
        await log.append(a_record(call_id=f"read_{number}", time=at))
    for number, reason in enumerate(("ungrounded_payee", "over_limit")):
        facts = {"code": "denied", "reason": reason}
        await log.append(a_record(kind=RecordKind.DENY, result={}, call_id=f"no_{number}", time=at, facts=facts))
    intent = await log.append(an_intent(call_id="paid", time=at))
    await log.append(an_end(intent.index, intent.leaf_hash, call_id="paid", time=at, function=None))
    facts = {"word": "kill_engaged", "kill_switch": "kill_1", "scope": "agent", "by": "ada", "subject": "rogue", "reason": "drill"}
    await log.append(Record(kind=RecordKind.ADMIN, time=at, facts=facts))
    await page(log, Query(customer="C-1001"), WHY)
    await counted(log, at)
    await log.publish()
    return log


async def test_its_counts_are_those_of_the_period_and_two_censuses_prove_them(a_day: Log) -> None:
    made = await report_of(a_day, START + DAY, START + 2 * DAY, WHY)
    assert made.calls == [
        ("get_account_balance", "answered", 3),
        ("get_account_balance", "refused", 2),
        ("initiate_transfer", "executed", 1),
    ]
    assert [(name, count) for name, count in made.reasons if name != "owner"] == [
        ("denied", 2),
        ("over_limit", 1),
        ("ungrounded_payee", 1),
    ]
    assert made.looks == [("=eve", "audit.query", 1)], "its own question is not of the tree that it counts"
    assert [item.fields["facts"]["word"] for item in made.acts] == ["kill_engaged"]  # type: ignore[index]
    assert made.counted() == {"get_account_balance": 5, "initiate_transfer": 1}
    stored = await a_day.read(lambda reads: reads.leaf(made.question_record))
    assert stored is not None
    facts = json.loads(stored.leaf)["facts"]
    assert (facts["report"], facts["purpose"], facts["by_since"][:10]) == (True, "committee", "2026-11-25")
    with pytest.raises(ValueError, match="ends before"):
        await report_of(a_day, START, START, WHY)
    empty = await report_of(a_day, START + 9 * DAY, START + 10 * DAY, WHY)
    assert (empty.calls, empty.looks, empty.censuses) == ([], [], None)


async def test_each_form_holds_the_same_and_no_cell_runs(a_day: Log) -> None:
    made = await report_of(a_day, START + DAY, START + 2 * DAY, WHY)
    table, document = io.BytesIO(), io.BytesIO()
    write_csv(made, table)
    write_pdf(made, document)
    rows = list(csv.reader(io.StringIO(table.getvalue().decode())))
    text = "\n".join(part.extract_text() for part in PdfReader(io.BytesIO(document.getvalue())).pages)
    squeezed = re.sub(r"\s", "", text)
    for shown in tables_of(made):
        for row in shown.rows:
            assert any([cell.removeprefix("'") for cell in line] == [str(cell) for cell in row] for line in rows), row
            assert all(re.sub(r"\s", "", str(cell)) in squeezed for cell in row), row
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert "'=eve" in {row[0] for row in rows if row}
    assert made.checkpoint is not None
    assert made.checkpoint.splitlines()[2] in squeezed
    assert report_shown(made)["checkpoint"] == made.checkpoint
    assert "censuses at the records" in about(made)["Completeness"]
