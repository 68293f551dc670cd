"""The auditors' console as a browser without scripts has it: each look is on record, under what the auditor said, before its answer."""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, nodes
from sqlalchemy import text

from audit.erasure import holds
from audit.leaf import RecordKind
from audit.query import Query
from audit.question_language import QuestionInvalid, parse_question
from audit.record_numbers import RecordNumbers
from audit.store.counts_over_time import CountedGroup
from audit.store.streams import begin, fail_stream, take
from audit.terms import CallOutcome
from gateway.domain.duties import Duty, StaffRole
from gateway.doors.operations import shell
from gateway.doors.operations.audit.charts import chart, stretches_of
from gateway.doors.operations.audit.desk import HOME, AuditDesk, own_path
from gateway.doors.operations.audit.ready import QUESTIONS, ReadyQuestion
from gateway.doors.operations.audit.search import narrowed, terms
from gateway.doors.operations.audit.state import _streams
from gateway.doors.operations.audit.words import catalogue
from gateway.oversight.questions import looks_at
from gateway.oversight.stream_standings import NamedStream
from gateway.store import erasure
from tests.doors.test_staff_routes import ORIGIN, application, signed_in
from tests.support.peers import installed, ran
from tests.support.teller import Teller, leaves_of, teller

CONSOLE = files("gateway") / "console" / "audit"
WORK = {"purpose": "a complaint", "case": "C-1"}


@dataclass
class Browser:
    """One person's, without scripts: it keeps cookies and sends forms."""

    http: httpx.AsyncClient
    csrf: str
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers={**self.headers, **headers})

    async def post(self, path: str, **fields: str) -> httpx.Response:
        return await self.http.post(path, data={"csrf": self.csrf, **fields}, headers=self.headers)

    async def begin(self, **work: str) -> httpx.Response:
        answered = await self.post(f"{HOME}/work", **{**WORK, **work})
        if answered.status_code == 303:
            self.headers["cookie"] = (
                f"{self.headers['cookie'].partition('; ')[0]}; {answered.headers['set-cookie'].partition(';')[0]}"
            )
        return answered


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Teller]:
    async with teller(tmp_path / "data", operations_port=8090) as found:
        yield found


@asynccontextmanager
async def browser(asked: Teller, *roles: StaffRole, fresh: bool = True) -> AsyncIterator[Browser]:
    app = shell.in_front(await asyncio.to_thread(application, asked), is_secure=False)  # its OpenAPI document takes a while
    headers = await signed_in(asked, frozenset(roles or {StaffRole.AUDITOR}), fresh=fresh)
    csrf = headers.pop("x-csrf-token")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN, cookies=None) as http:
        yield Browser(http, csrf, headers)


async def looks(asked: Teller) -> list[dict[str, Any]]:
    leaves = [json.loads(item.leaf) for item in await leaves_of(asked.gateway)]
    return [leaf["facts"] for leaf in leaves if leaf["kind"] == RecordKind.AUDIT_QUERY]


async def test_nothing_is_asked_before_it_is_said_what_for_and_then_every_look_is_on_record(asked: Teller) -> None:
    done = await asked.ask("list_accounts", {})
    async with browser(asked) as eve:
        for path in (HOME, f"{HOME}/records/0", f"{HOME}/calls/{done.call_id}"):
            told = await eve.get(path)
            assert "under which case?" in told.text
            assert f'name="back" value="{path}"' in told.text
        assert "under which case?" in (await eve.post(f"{HOME}/search", q="")).text
        assert await looks(asked) == []
        assert (await eve.begin(back=f"{HOME}/calls/x")).headers["location"] == f"{HOME}/calls/x"
        assert (await eve.get(HOME)).status_code == 200
        assert await looks(asked) == [], "to open the form asks nothing"
        life = await eve.get(f"{HOME}/calls/{done.call_id}")
        assert life.status_code == 200
        assert "list_accounts was answered" in life.text
        index = next(item.idx for item in await leaves_of(asked.gateway) if b'"read"' in item.leaf)
        record = await eve.get(f"{HOME}/records/{index}")
        assert "list_accounts was answered" in record.text
        assert "Ask for approval" in record.text
        found = await eve.post(f"{HOME}/search", q="function:list_accounts", order="oldest")
        assert found.text.count("list_accounts was answered") == 1
        missing = await eve.get(f"{HOME}/records/{10**6}")
        assert missing.status_code == 404
    seen = await looks(asked)
    pseudonym = await asked.gateway.log.subject_of("alice")
    assert [(look["purpose"], look["case"]) for look in seen] == [("a complaint", "C-1")] * 4
    assert [look.get("about") for look in seen] == [pseudonym, pseudonym, None, None]
    assert [look.get("by_call", look.get("index", look.get("by_function"))) for look in seen] == [
        done.call_id,
        index,
        "list_accounts",
        10**6,
    ]


async def test_the_overview_asks_nothing_and_leads_nobody_to_what_they_may_not(asked: Teller) -> None:
    """Every link and every form of the page, and of the way to the other pages, by people of each role and of none that may ask."""
    app_roles = [{role} for role in StaffRole] + [{StaffRole.OFFICER, StaffRole.AUDITOR}]
    for roles in app_roles:
        for fresh in (True, False):
            async with browser(asked, *roles, fresh=fresh) as who:
                may_ask = bool(roles & Duty.QUERY.rule.roles)
                first = (await who.get(f"{HOME}/overview")).text
                assert ("under which case?" in first) == may_ask
                await who.begin()
                told = await who.get(f"{HOME}/overview")
                assert told.status_code == 200
                page = BeautifulSoup(told.text, "lxml")
                for link in page.select("a[href^='/']"):
                    answered = await who.get(str(link["href"]))
                    assert answered.status_code in (200, 303), (roles, link["href"], answered.text)
                forms = [form for form in page.select("main form[action]") if "/work" not in str(form["action"])]
                assert (len(forms) > 0) == may_ask
                for form in forms:
                    button = form.select_one("button")
                    assert button is not None
                    assert button["class"] == ["yes"], "the Enter key in a blank presses the first button"
                    blanks = {
                        str(item["name"]): "2026"
                        for item in form.select("input[name]:not([type=hidden])")
                        if item["name"] != "reveal"
                    }
                    answered = await who.post(str(form["action"]), **blanks)
                    is_sealed = {"over", "q"} & blanks.keys()
                    if is_sealed and not fresh:
                        assert "Sign in again" in form.text, "said before, where it is known"
                        assert answered.status_code == 403
                    else:
                        assert answered.status_code not in (401, 403), (roles, form["action"])


@pytest.mark.parametrize(
    ("name", "blanks", "question"),
    [
        ("payments", {"during": "2026-03", "over": "500EUR", "new_payee": "on"}, None),
        ("looked", {"customer": 'C-1" kind:read'}, looks_at('C-1" kind:read')),
        ("shown", {"customer": "C-1"}, looks_at("C-1", by_chance=True)),
        ("agent", {"agent": "app", "switch": "kill_0"}, Query(agent="app", while_switch="kill_0")),
        ("held", {"during": "2026"}, parse_question("decision:challenge during:2026")),
        ("confirmed", {"customer": "alice"}, Query(customer="alice", kinds=(RecordKind.CONFIRMATION,))),
        ("doubt", {"during": " "}, Query(outcomes=(CallOutcome.SENT, CallOutcome.UNKNOWN))),
        ("switches", {}, Query(word="kill_engaged")),
    ],
)
def test_a_ready_question_is_what_somebody_would_have_typed(name: str, blanks: dict[str, str], question: Query | None) -> None:
    """Whatever stands in a blank is one value of its word, and no word of its own."""
    (ready,) = [item for item in QUESTIONS if item.name == name]
    typed = "function:initiate_transfer outcome:refused amount:>500EUR new_payee:yes during:2026-03"
    assert parse_question(ready.text(blanks)) == (question or parse_question(typed))


@given(st.text(min_size=1, max_size=80).filter(str.strip), st.sampled_from(QUESTIONS))
def test_no_blank_changes_another_part_of_its_question(text: str, ready: ReadyQuestion) -> None:
    asked = ready.text({blank.name: text for blank in ready.blanks})
    try:
        query = parse_question(asked)
    except QuestionInvalid:
        return
    words = {"about", "shown", "customer", "agent", "while_switch", "amount", "new_payee", "since", "until"}
    fixed = parse_question(ready.words)
    changed = {item.name for item in fields(Query) if getattr(query, item.name) != getattr(fixed, item.name)}
    assert changed <= words & {
        name for blank in ready.blanks for name in (("since", "until") if blank.word == "during" else (blank.word,))
    }


async def test_a_blank_that_is_left_empty_asks_nothing_and_says_which(asked: Teller) -> None:
    async with browser(asked) as eve:
        await eve.begin()
        told = await eve.post(f"{HOME}/ready/looked", customer=" ")
        assert "about: a value has 1 to 256 characters" in unescape(told.text)
        assert (await eve.post(f"{HOME}/ready/call", call="")).status_code == 400
        assert (await eve.post(f"{HOME}/ready/nothing")).status_code == 404
        assert (await eve.post(f"{HOME}/ready/call", call="a/../b?c")).headers["location"] == f"{HOME}/calls/a%2F..%2Fb%3Fc"
        assert await looks(asked) == []


async def test_a_question_that_is_not_understood_is_not_asked_and_says_why(asked: Teller) -> None:
    async with browser(asked) as eve:
        await eve.begin()
        for text, why in (
            ("pay", "field:value"),
            ("kind:x", "of deny"),
            ("since:soon", "ISO 8601"),
            ('function:"a', "not closed"),
        ):
            told = await eve.post(f"{HOME}/search", q=text)
            assert why in told.text
            assert 'aria-invalid="true"' in told.text
        wrong = await eve.post(f"{HOME}/search", q="", cursor="1.2.last.x")
        assert wrong.status_code == 400
    assert await looks(asked) == []


async def test_facets_narrow_a_question_and_pages_are_pinned_to_a_size_of_the_log(
    asked: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.doors.operations.audit.search.PAGE", 2)
    for _ in range(3):
        await asked.ask("list_accounts", {})
    await asked.ask("nothing_of_that_name", {})
    async with browser(asked) as eve:
        await eve.begin()
        told = (await eve.post(f"{HOME}/search", q="customer:alice", order="oldest")).text
        assert "Provably complete" in told
        counts = dict(re.findall(r'value="(\w+:[^"]+)"><span><bdi>[^<]*</bdi></span> <span class="count">(\d+)', told))
        assert (counts["function:list_accounts"], counts["kind:deny"], counts["kind:read"]) == ("3", "1", "3")
        narrowed = (await eve.post(f"{HOME}/search", **{"q": "customer:alice", "and": "kind:deny"})).text
        assert 'value="customer:alice kind:deny"' in narrowed
        assert narrowed.count("<tr>") == 2
        wider = (await eve.post(f"{HOME}/search", q="customer:alice kind:deny", without="kinds")).text
        assert 'name="q" type="search" value="customer:alice"' in wider
        (cursor,) = re.findall(r'name="cursor" value="([^"]+)"', told)
        await asked.ask("list_accounts", {})
        rest = (await eve.post(f"{HOME}/search", q="customer:alice", order="oldest", cursor=cursor)).text
        assert rest.count("<tr>") == 3, "what came meanwhile is not in the pages of that size"
        assert 'name="cursor"' not in rest
        assert "Provably complete" in rest
        nobody = (await eve.post(f"{HOME}/search", q="customer:nobody-1")).text
        assert "Nothing at all is on record" in nobody
    assert "nobody-1" not in str(await looks(asked)), "a name that was mistyped stands in no record"


async def test_a_link_on_another_page_asks_nothing_in_somebody_s_name(asked: Teller) -> None:
    async with browser(asked) as eve:
        await eve.begin()
        for site in ("cross-site", "same-site"):
            told = await eve.get(f"{HOME}/records/0", **{"sec-fetch-site": site})
            assert told.status_code == 403, site
        assert (await eve.get(f"{HOME}/records/0", **{"sec-fetch-site": "same-origin"})).status_code == 200
    assert len(await looks(asked)) == 1


async def test_what_somebody_works_on_is_their_session_s_alone(asked: Teller) -> None:
    async with browser(asked) as eve, browser(asked) as mel:
        await eve.begin()
        mel.headers["cookie"] += "; " + eve.headers["cookie"].split("; ")[1]
        assert "under which case?" in (await mel.get(HOME)).text
        for wrong in ({"purpose": ""}, {"case": "x" * 201}, {"purpose": "two\nlines"}):
            assert (await eve.begin(**wrong)).status_code == 400, wrong
        for elsewhere in (
            "https://evil.example/",
            "//evil.example/console/audit",
            "/console/auditx",
            "/console/audit\\..",
            "javascript:1",
        ):
            assert (await eve.begin(back=elsewhere)).headers["location"] == HOME, elsewhere
    assert own_path(f"{HOME}/records/1") == f"{HOME}/records/1"


async def test_what_is_sealed_opens_once_with_another_person_s_approval(asked: Teller) -> None:
    await asked.ask("list_accounts", {})
    index = next(item.idx for item in await leaves_of(asked.gateway) if b'"read"' in item.leaf)
    at = f"{HOME}/records/{index}"
    async with browser(asked) as eve, browser(asked) as mel:
        await eve.begin()
        assert (await eve.post(f"{at}/reveal", approval="")).status_code == 404
        assert (await eve.post(f"{at}/reveal/ask")).status_code == 303
        waits = (await eve.get(at)).text
        assert "Another person who may open records" in waits
        assert "Open what is sealed, once" not in waits
        (approval,) = [item["id"] for item in (await eve.http.get("/v1/approvals", headers=eve.headers)).json()["data"]]
        assert (await eve.post(f"{at}/reveal", approval=approval)).status_code == 409
        assert (await mel.post(f"/approvals/{approval}/approve")).status_code == 303
        assert f'name="approval" value="{approval}"' in (await eve.get(at)).text
        await mel.begin()
        assert (await mel.post(f"{at}/reveal", approval=approval)).status_code == 403, "who approved does not open"
        opened = await eve.post(f"{at}/reveal", approval=approval)
        assert opened.status_code == 200
        assert "Everyday" in opened.text
        assert "Opened, once" in opened.text
        assert opened.headers["cache-control"] == "no-store"
        assert (await eve.post(f"{at}/reveal", approval=approval)).status_code == 409
        await eve.begin(case="C-2")
        assert "Ask for approval" in (await eve.get(at)).text, "another case takes another approval"


async def test_holds_are_placed_listed_and_released_and_officers_without_a_search_have_the_forms(asked: Teller) -> None:
    await asked.ask("list_accounts", {})
    at = f"{HOME}/retention"
    async with browser(asked) as eve, browser(asked, StaffRole.OFFICER) as ada:
        await eve.begin(purpose="litigation", case="L-7")
        await ada.begin(purpose="over", case="L-8")
        assert (await eve.post(f"{HOME}/holds", customer="alice", hold="court-7")).status_code == 303
        assert (await eve.post(f"{HOME}/holds", customer="nobody-1", hold="court-7")).status_code == 404
        assert (await eve.post(f"{HOME}/holds", customer="alice", hold="two\nlines")).status_code == 400
        listed = (await eve.get(at)).text
        assert "litigation" in listed
        assert "Release court-7" not in listed, "an auditor places holds, an officer releases them"
        forms = (await ada.get(at)).text
        assert "court-7" not in forms, "an officer may not search the trail"
        assert "Release a hold" in forms
        assert (await ada.post(f"{HOME}/holds/release", customer="alice", hold="another")).status_code == 404
        assert (await ada.post(f"{HOME}/holds/release", customer="alice", hold="court-7")).status_code == 303
        assert "No hold stands" in (await eve.get(at)).text
    async with browser(asked, StaffRole.OFFICER, StaffRole.AUDITOR) as both:
        await both.begin()
        await both.post(f"{HOME}/holds", customer="alice", hold="court-8")
        (subject,) = re.findall(r'name="subject" value="([^"]+)"', (await both.get(at)).text)
        assert (await both.post(f"{HOME}/holds/release", subject=subject, hold="court-8")).status_code == 303
        assert await holds(asked.gateway.log, "alice") == []


async def test_the_state_says_when_all_of_the_log_was_verified_and_what_that_found(asked: Teller) -> None:
    gateway = asked.gateway
    async with browser(asked) as person:
        assert "not verified from end to end yet" in (await person.get(f"{HOME}/state")).text
        size = gateway.log.size()
        while gateway.verification.verifier.known is None or gateway.verification.verifier.known.last is None:
            await gateway.verification.step()
        assert f"all of {size} records, at " in (await person.get(f"{HOME}/state")).text
        await gateway.log.write(lambda connection: connection.execute(text("UPDATE verification SET body = '{}'")))
        assert "is not of this installation" in (await person.get(f"{HOME}/state")).text


async def test_the_state_of_the_log_is_shown_to_everybody_and_asks_nothing(asked: Teller) -> None:
    await asked.gateway.log.publish(force=True)
    for role in StaffRole:
        async with browser(asked, role, fresh=False) as person:
            told = (await person.get(f"{HOME}/state")).text
            assert asked.gateway.log.origin in told
            assert "seconds old" in told
            for ring in asked.gateway.log.signers.all():
                assert ring.active().id.hex() in told
    assert await looks(asked) == []


async def test_the_state_shows_where_each_stream_goes_how_far_it_is_and_what_its_receiver_said(asked: Teller) -> None:
    async with browser(asked) as eve:
        assert "none ever began" in (await eve.get(f"{HOME}/state")).text
    log, now_ms = asked.gateway.log, int(asked.gateway.door.clock().timestamp() * 1000)
    for name in ("soc", "old"):
        await log.write(partial(begin, name=name, start=1))
    held = await log.write(lambda connection: take(connection, "soc", "w-1", now_ms, now_ms + 60_000))
    assert held is not None
    await log.write(lambda connection: fail_stream(connection, held, "<b>status 422", now_ms, again_ms=now_ms, most=None))
    await log.write(lambda connection: take(connection, "old", "w-2", now_ms, now_ms + 60_000))
    named = (NamedStream("soc", "ocsf", "https://siem.example"), NamedStream("new", "json", "files/"))
    desk = AuditDesk(log=log, approvals=None, kept=(), cases=None, streams=named)  # type: ignore[arg-type]
    rows = {row["name"]: row for row in await _streams(desk)}
    assert list(rows) == ["new", "old", "soc"]
    assert (rows["new"]["says"], rows["new"]["goes"]) == ("not begun yet", "files/, as json")
    assert (rows["old"]["goes"], rows["old"]["tone"]) == ("no stream of the settings any more", "plain")
    assert rows["old"]["sent"], "a process has it"
    assert (rows["soc"]["tone"], rows["soc"]["sent"]) == ("bad", "")
    assert "failed 1 times since the last that was acknowledged: <b>status 422" in rows["soc"]["says"]
    async with browser(asked, StaffRole.OPERATOR) as oscar:
        shown = (await oscar.get(f"{HOME}/state")).text
    assert "&lt;b&gt;status 422" in shown
    assert "<b>status" not in shown


async def test_charts_count_what_a_search_finds_and_are_questions_on_record(asked: Teller) -> None:
    for _ in range(3):
        await asked.ask("list_accounts", {})
    await asked.ask("nothing_of_that_name", {})
    today = asked.gateway.door.clock().date()
    period = {"since": today.isoformat(), "until": (today + timedelta(days=1)).isoformat()}
    async with browser(asked) as eve:
        await eve.begin()
        assert (await eve.get(f"{HOME}/charts")).status_code == 200
        assert await looks(asked) == []
        by_function = (await eve.post(f"{HOME}/charts", **period)).text
        assert "done: 3. refused: 1." in by_function
        assert re.findall(r'id="chart-2">(\w+)<', by_function) == ["list_accounts"]
        assert 'class="s-done"' in by_function
        assert "mandate.granted" in (await eve.post(f"{HOME}/charts", by="policy", **period)).text
        for wrong in ({"until": period["since"]}, {"since": "soon"}, {"by": "customer"}):
            assert (await eve.post(f"{HOME}/charts", **{**period, **wrong})).status_code == 400, wrong
    assert [look["counted_by"] for look in await looks(asked)] == ["function", "policy"]


async def test_a_chart_of_a_period_with_too_many_records_is_cut_and_says_so(asked: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        await asked.ask("list_accounts", {})
    monkeypatch.setattr("audit.store.counts_over_time.COUNTED_MOST", 3)
    today = asked.gateway.door.clock().date()
    async with browser(asked) as eve:
        await eve.begin()
        told = (await eve.post(f"{HOME}/charts", since=today.isoformat(), until=(today + timedelta(days=1)).isoformat())).text
    assert "counted from record 3 on" in told
    assert "done: 2." in told


async def test_a_watch_is_one_question_of_one_session_shows_nothing_of_before_and_ends(
    asked: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked.ask("list_cards", {})
    pseudonym = str(await asked.gateway.log.subject_of("alice"))
    async with browser(asked) as eve, browser(asked) as mel:
        for person in (eve, mel):
            await person.begin()
        at = (await eve.post(f"{HOME}/tail")).headers["location"]
        await asked.ask("list_accounts", {})
        for _ in range(3):
            told = (await eve.get(at)).text
            assert "list_accounts was answered" in told
            assert "list_cards" not in told, "it was before"
            assert pseudonym not in told, "whose it is would have to be on record"
        assert "hx-trigger" in told
        assert "http-equiv" in (await eve.get(f"{at}&pace=again")).text
        assert "hx-trigger" not in (await eve.get(f"{at}&pace=still")).text
        assert (await mel.get(at)).status_code == 400, "another session's"
        widened = re.sub(r"watch=(\d+)\.\d+", r"watch=\1.0", at)
        assert (await eve.get(widened)).status_code == 400, "from the beginning of the log"
        assert (await eve.get(f"{HOME}/tail?watch=x")).status_code == 400
        monkeypatch.setattr("gateway.doors.operations.audit.tail.LASTS", timedelta(seconds=-1))
        over = (await eve.post(f"{HOME}/tail")).headers["location"]
        assert "is over" in (await eve.get(over)).text
    (first, second) = await looks(asked)
    assert first["watch_until"] > second["watch_until"]
    assert first["watch_from"] < second["watch_from"]


async def test_a_case_keeps_records_notes_and_questions_on_record_until_whom_they_are_about_is_erased(asked: Teller) -> None:
    await asked.ask("list_accounts", {})
    index = next(item.idx for item in await leaves_of(asked.gateway) if b'"read"' in item.leaf)
    async with browser(asked) as eve, browser(asked) as mel:
        await eve.begin()
        await mel.begin(case="C-2")
        assert (await eve.post(f"{HOME}/case/notes", text="call the branch")).status_code == 303
        assert (await eve.post(f"{HOME}/case/notes", text=" ")).status_code == 400
        assert (await eve.post(f"{HOME}/case/notes", text="x" * 2001)).status_code == 400
        assert (await eve.post(f"{HOME}/case/questions", q="customer:alice kind:read")).status_code == 303
        assert (await eve.post(f"{HOME}/case/questions", q="nonsense")).status_code == 400
        assert (await eve.post(f"{HOME}/case/records/{index}", text="odd")).status_code == 303
        assert (await eve.post(f"{HOME}/case/records/{10**6}")).status_code == 404
        kept = (await eve.get(f"{HOME}/case")).text
        for words in ("call the branch", "customer:alice kind:read", f"Record {index}", "odd"):
            assert words in kept
        assert "call the branch" not in (await mel.get(f"{HOME}/case")).text, "another case"
        entries = re.findall(r"entries/(ent_[0-9a-f]+)/take-out", kept)
        assert (await mel.post(f"{HOME}/case/entries/{entries[0]}/take-out")).status_code == 404
        await asked.gateway.book._database.write(lambda connection: erasure.erase(connection, "alice"))
        left = (await eve.get(f"{HOME}/case")).text
        assert ("call the branch" in left, "customer:alice" in left, ">odd<" in left) == (True, False, False)
        assert (await eve.post(f"{HOME}/case/entries/{entries[0]}/take-out")).status_code == 303
        assert "Nothing is kept" in (await eve.get(f"{HOME}/case")).text
    told = [json.loads(item.leaf) for item in await leaves_of(asked.gateway)]
    acts = [leaf["facts"] for leaf in told if str(leaf.get("facts", {}).get("word", "")).startswith("case_")]
    assert [(act["word"], act.get("kept")) for act in acts if act["case"] == "C-1"] == [
        ("case_kept", "note"),
        ("case_kept", "question"),
        ("case_kept", "record"),
        ("case_taken_out", None),
    ]
    assert "branch" not in str(told), "a text is in the trail by its digest alone"


async def test_the_records_of_a_case_are_taken_away_by_exactly_their_numbers_and_the_case_shows_what_was_asked(
    asked: Teller,
) -> None:
    for number in range(3):
        await asked.ask("list_accounts", {}, native_id=f"n{number}")
    reads = [item.idx for item in await leaves_of(asked.gateway) if b'"read"' in item.leaf]
    async with browser(asked) as eve, browser(asked) as mel, browser(asked, StaffRole.REVIEWER) as rex:
        for person in (eve, mel, rex):
            await person.begin()
        assert 'name="records"' not in (await eve.get(f"{HOME}/case")).text, "a case without records"
        for index in (reads[2], reads[0], reads[1]):
            assert (await eve.post(f"{HOME}/case/records", record=str(index))).status_code == 303
        kept = (await eve.get(f"{HOME}/case")).text
        (which,) = re.findall(r'name="records" value="([^"]+)"', kept)
        assert list(RecordNumbers.parse(which)) == reads
        assert 'name="records"' not in (await rex.get(f"{HOME}/case")).text, "no button that ends in a refusal"
        for wrong, status in (("1,x", 400), (f"{10**9}", 404)):
            assert (await eve.post(f"{HOME}/exports", records=wrong)).status_code == status
        told = await eve.post(f"{HOME}/exports", records=which, reveal="on")
        assert told.status_code == 303
        approval = told.headers["location"].removeprefix("/#")
        assert "waits for approval" in (await mel.get(f"{HOME}/case")).text
        assert (await mel.post(f"/approvals/{approval}/approve")).status_code == 303
        shown = (await eve.get(f"{HOME}/case")).text
        assert f"Records {which} with what they keep sealed" in shown
        assert 'mark good">approved' in shown
        await mel.begin(case="C-2")
        assert approval not in (await mel.get(f"{HOME}/case")).text, "another case"
        taken = await eve.post(f"/approvals/{approval}/export")
        assert taken.content[:2] == b"PK"
        assert approval not in (await eve.get(f"{HOME}/case")).text, "it was taken away, and is on record"
    exports = [
        leaf["facts"]
        for leaf in (json.loads(item.leaf) for item in await leaves_of(asked.gateway))
        if leaf["kind"] == "audit.export"
    ]
    assert [(facts["by_records"], facts["case"], facts["revealed"]) for facts in exports] == [(which, "C-1", True)]


async def test_a_case_of_more_records_than_can_be_written_out_says_so(asked: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    await asked.ask("list_accounts", {})
    async with browser(asked) as eve:
        await eve.begin()
        monkeypatch.setattr("audit.record_numbers.TEXT_MOST", 0)
        await eve.post(f"{HOME}/case/records", record="0")
        kept = (await eve.get(f"{HOME}/case")).text
    assert "They are too many to be approved one by one" in kept
    assert 'name="records"' not in kept


async def test_a_full_case_takes_no_more(asked: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.audit_cases.ENTRIES_MOST", 2)
    async with browser(asked) as eve:
        await eve.begin()
        statuses = [(await eve.post(f"{HOME}/case/notes", text=f"note {number}")).status_code for number in range(3)]
    assert statuses == [303, 303, 400]


async def test_what_others_wrote_is_text_and_what_deceives_the_eye_is_spelt_out(asked: Teller) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e'\""
    done = await asked.ask("list_accounts", {}, agent=hostile)
    async with browser(asked) as eve:
        await eve.begin(purpose="<script>1</script>", case="{{ 7 * 7 }}")
        index = next(item.idx for item in await leaves_of(asked.gateway) if b'"read"' in item.leaf)
        pages = [
            await eve.get(f"{HOME}/calls/{done.call_id}"),
            await eve.get(f"{HOME}/records/{index}"),
            await eve.post(f"{HOME}/search", q=""),
        ]
        for told in pages:
            assert "<img" not in told.text
            assert "<script>1" not in told.text
            assert "{{ 7 * 7 }}" in told.text
            assert "\u202e" not in re.sub(r' value="[^"]*"', "", told.text), "a form sends what stands in the record"
            policy = told.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "script-src 'self'" in policy
            assert "trusted-types default" in policy
        assert "⟨U+202E⟩" in pages[0].text


MOMENTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS.map(lambda at: at.replace(hour=0, minute=0, second=0, microsecond=0)), st.integers(1, 14_000))
def test_a_chart_of_any_period_has_at_most_400_bars_which_follow_each_other(since: datetime, days: int) -> None:
    prefix, stretches = stretches_of(since, since + timedelta(days=days))
    assert 1 <= len(stretches) <= 400
    assert stretches == sorted(set(stretches))
    assert all(len(stretch) == prefix for stretch in stretches)
    drawn = chart("", [CountedGroup(stretch, "read", None, None, None, (), 7) for stretch in stretches], stretches)
    assert drawn.totals == {"done": 7 * len(stretches)}
    assert all(bar.x >= 0 and bar.x + bar.width <= 1001 and bar.y >= -0.1 for bar in drawn.bars)


def test_every_text_is_in_the_catalogue_and_none_is_without_use() -> None:
    known, used = set(catalogue()), set[str]()
    source = "".join(path.read_text() for path in (Path(__file__).parents[2] / "gateway/doors/operations/audit").glob("*.py"))
    for name in sorted(path.name for path in CONSOLE.iterdir() if path.name.endswith(".html")):
        tree = Environment().parse((CONSOLE / name).read_text())
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "t" and isinstance(call.args[0], nodes.Const):
                used.add(call.args[0].value)
    used |= set(re.findall(r'said(?:_of)?\("([a-z_.]+)"', source))
    assert used <= known
    made = (
        "nav.",
        "tone.",
        "facet.",
        "did.",
        "of.",
        "word.",
        "outcome.",
        "decision.",
        "proof.",
        "complete.",
        "retention.",
        "state.",
        "charts.series.",
        "stands.",
        "case.",
        "verify.says.",
        "ready.",
        "overview.",
    )
    assert {key for key in known - used if not key.startswith(made)} == set()
    for kind in RecordKind:
        assert any(key == f"did.{kind}" or key.startswith(f"did.{kind}.") for key in known) or kind is RecordKind.DENY, kind


def test_htmx_is_the_package_s_own_file() -> None:
    vendored = (CONSOLE / "htmx.min.js").read_bytes()
    assert sha256(vendored).hexdigest() == "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
    peer = installed("console", "htmx.org", "proof.mjs")
    assert (peer / "node_modules/htmx.org/dist/htmx.min.js").read_bytes() == vendored
    assert (peer / "node_modules/htmx.org/LICENSE").read_text() == (CONSOLE / "htmx.LICENSE").read_text()


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@given(
    st.builds(
        Query, function=WORDS, customer=st.none() | WORDS, kinds=st.lists(st.sampled_from(RecordKind), max_size=3).map(tuple)
    ),
    WORDS,
)
def test_a_facet_narrows_by_exactly_its_value_and_each_term_can_be_taken_away(query: Query, value: str) -> None:
    assert narrowed(query, {"and": f"agent:{value}"}) == replace(query, agent=value)
    for name, _ in terms(query):
        assert getattr(narrowed(query, {"without": name}), name) == getattr(Query(), name)


async def test_the_console_s_own_check_agrees_with_the_log_and_finds_every_change(asked: Teller, tmp_path: Path) -> None:
    """Any record under any size of the tree, in the very module that browsers run, by Node."""
    for _ in range(6):
        await asked.ask("list_accounts", {})
    await asked.gateway.log.publish(force=True)
    async with browser(asked) as eve:
        await eve.begin()
        page = (await eve.get(f"{HOME}/records/3")).text
    proof = json.loads(unescape(re.findall(r'data-proof="([^"]+)"', page)[0]))
    key, other = proof["keys"][0], "x+" + proof["keys"][0].partition("+")[2]
    changed = [
        ({**proof, "leaf": proof["leaf"][:-8] + "AAAAAAA="}, key, "path"),
        ({**proof, "index": proof["index"] + 1}, key, "path"),
        ({**proof, "hashes": proof["hashes"][:-1]}, key, "path"),
        ({**proof, "hashes": [*proof["hashes"], proof["hashes"][0]]}, key, "path"),
        ({**proof, "size": proof["size"] + 1}, key, "checkpoint"),
        ({**proof, "note": proof["note"].replace("\n", " ", 1)}, key, "checkpoint"),
        (proof, other, "origin"),
        (proof, key[:-4] + secrets.token_hex(2), "origin"),
    ]
    text, _, signatures = proof["note"].rpartition("\n\n")
    swapped = "".join(f"{line[:-8]}{line[-8:].swapcase()}\n" for line in signatures.splitlines())
    changed.append(({**proof, "note": f"{text}\n\n{swapped}"}, key, "signature"))
    peer = installed("console", "htmx.org", "proof.mjs")
    lines = "\n".join(json.dumps({"proof": item, "key": by}) for item, by, _ in [(proof, key, ""), *changed])
    module = tmp_path / "proof.mjs"
    module.write_bytes((CONSOLE / "proof.js").read_bytes())
    command = ["node", str(peer / "proof.mjs"), str(module)]
    done = ran(command, input=lines)
    _, good, *bad = [json.loads(line) for line in done.stdout.splitlines()]
    assert good["holds"]
    assert [name for name, _ in good["steps"]] == ["leaf", "checkpoint", "path", "origin", "signature"]
    assert [(item["holds"], item["steps"][-1]) for item in bad] == [(False, [step, False]) for _, _, step in changed]


async def test_what_is_sealed_is_searched_by_auditors_who_signed_in_just_now_and_by_nobody_else(asked: Teller) -> None:
    await asked.ask("list_accounts", {})
    for roles, fresh, status in (
        ((StaffRole.AUDITOR,), True, 200),
        ((StaffRole.AUDITOR,), False, 403),
        ((StaffRole.REVIEWER,), True, 403),
    ):
        async with browser(asked, *roles, fresh=fresh) as who:
            await who.begin()
            assert (await who.post(f"{HOME}/search", q="function:list_accounts")).status_code == 200
            assert (await who.post(f"{HOME}/search", q="amount:>500")).status_code == status, (roles, fresh)
