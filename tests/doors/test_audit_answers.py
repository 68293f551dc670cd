"""What the auditors' console does with an answer: a table of it, a record for the case, and evidence that another person approves."""

import csv
import re

from gateway.domain.duties import StaffRole
from gateway.doors.operations.audit.desk import HOME
from gateway.oversight.questions import COLUMNS
from tests.doors import test_audit_console
from tests.doors.test_audit_console import browser, looks
from tests.support.teller import Teller

asked = test_audit_console.asked


async def test_a_page_of_an_answer_is_a_table_that_no_spreadsheet_runs_and_a_question_on_record(asked: Teller) -> None:
    await asked.ask("list_accounts", {}, native_id="=cmd")
    await asked.ask("nothing_of_that_name", {})
    async with browser(asked) as eve:
        await eve.begin()
        found = (await eve.post(f"{HOME}/search", q="customer:alice")).text
        assert f'action="{HOME}/search/csv"' in found
        told = await eve.post(f"{HOME}/search/csv", q="customer:alice", order="oldest", page="")
        assert (told.headers["content-type"], told.headers["cache-control"]) == ("text/csv; charset=utf-8", "no-store")
        assert re.fullmatch(r'attachment; filename="records-\d+\.csv"', told.headers["content-disposition"])
        rows = list(csv.reader(told.text.splitlines()))
        assert tuple(rows[0]) == COLUMNS
        assert [row[2:4] for row in rows[1:]] == [["read", "list_accounts"], ["deny", ""]]
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
        wrong = [await eve.post(f"{HOME}/search/csv", q=q) for q in ("nonsense", "while_switch:kill_none")]
        assert [answer.status_code for answer in wrong] == [400, 404]
        assert "no kill switch kill_none" in (await eve.post(f"{HOME}/search", q="while_switch:kill_none")).text
        async with browser(asked, StaffRole.REVIEWER) as rex:
            await rex.begin()
            assert (await rex.post(f"{HOME}/search/csv", q="amount:>500")).status_code == 403
    assert [look["case"] for look in await looks(asked)] == ["C-1"] * 2


async def test_a_record_of_an_answer_is_kept_in_the_case_with_one_click(asked: Teller) -> None:
    await asked.ask("list_accounts", {})
    async with browser(asked) as eve:
        await eve.begin()
        found = (await eve.post(f"{HOME}/search", q="function:list_accounts kind:read")).text
        (index,) = re.findall(r'form="keep-record" name="record" value="(\d+)"', found)
        assert (await eve.post(f"{HOME}/case/records", record=index)).headers["location"] == f"{HOME}/case"
        assert f"Record {index}" in (await eve.get(f"{HOME}/case")).text
        for wrong, status in (("", 400), ("x", 400), ("9" * 40, 400), (str(10**9), 404)):
            assert (await eve.post(f"{HOME}/case/records", record=wrong)).status_code == status, wrong


async def test_a_question_leads_into_the_approval_of_exactly_it(asked: Teller) -> None:
    await asked.ask("list_accounts", {})
    async with browser(asked) as eve, browser(asked) as mel, browser(asked, StaffRole.REVIEWER) as rex:
        for person in (eve, rex):
            await person.begin()
        question = "customer:alice outcome:answered amount:>5"
        found = (await eve.post(f"{HOME}/search", q=question)).text
        assert f'action="{HOME}/exports"' in found
        assert f'action="{HOME}/exports"' not in (await rex.post(f"{HOME}/search", q="customer:alice")).text
        assert (await rex.post(f"{HOME}/exports", q="customer:alice")).status_code == 403
        asking = await eve.post(f"{HOME}/exports", q=question, reveal="on")
        (approval,) = re.findall(r"^/#(apr_[0-9a-f]{32})$", asking.headers["location"])
        (waiting,) = (await mel.http.get("/v1/approvals", headers=mel.headers)).json()["data"]
        chosen = {"customer": "alice", "outcomes": ["answered"], "amount": ">5"}
        assert (waiting["id"], waiting["reason"]) == (approval, "a complaint")
        assert waiting["subject"] == {**chosen, "reveal": True, "purpose": "a complaint", "case": "C-1"}
        assert f'id="{approval}"' in (await mel.get("/")).text
        for wrong, status in (("nonsense", 400), ("customer:nobody-1", 404)):
            assert (await eve.post(f"{HOME}/exports", q=wrong)).status_code == status, wrong
    async with browser(asked, fresh=False) as stale:
        await stale.begin()
        assert "two factors" in (await stale.post(f"{HOME}/exports", q="customer:alice")).text


async def test_a_report_of_a_period_is_a_page_a_table_and_a_document_each_on_record(asked: Teller) -> None:
    await asked.ask("list_accounts", {}, agent="<b>=agent</b>")
    month = f"{asked.gateway.door.clock():%Y-%m}"
    async with browser(asked) as eve:
        await eve.begin(case="<i>=C-1")
        assert month in (await eve.get(f"{HOME}/report")).text
        for wrong in ({"during": "soon"}, {"during": ""}, {"during": "2026-03 customer:alice"}, {"during": month, "as": "exe"}):
            assert (await eve.post(f"{HOME}/report", **wrong)).status_code == 400, wrong
        assert await looks(asked) == []
        told = (await eve.post(f"{HOME}/report", during=month)).text
        assert "Calls, and how they stand" in told
        assert "list_accounts" in told
        assert "<i>" not in told
        table = await eve.post(f"{HOME}/report", during=month, **{"as": "csv"})
        rows = list(csv.reader(table.text.splitlines()))
        assert ["list_accounts", "answered", "1"] in rows
        assert f'filename="report-{month}.csv"' in table.headers["content-disposition"]
        document = await eve.post(f"{HOME}/report", during=month, **{"as": "pdf"})
        assert document.content.startswith(b"%PDF-")
        assert document.headers["content-type"] == "application/pdf"
    assert [(look["report"], look["case"]) for look in await looks(asked)] == [(True, "<i>=C-1")] * 3
