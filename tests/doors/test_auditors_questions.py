"""What a compliance officer asks, by the API and by the command alike: each answer is right, says on what its completeness rests, and is on
record."""

import contextlib
import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from audit.verify import verify
from gateway.cli import main
from tests.attacks.test_staff_evidence import signed_in
from tests.support import databases
from tests.support.asking import approved, why
from tests.support.by_hand import ByHand
from tests.support.clicks_reference import CLICKS, GUIDE, WAY_IN, Cost, renewed
from tests.support.questions_story import AGENT, PURPOSE, Story, telling

pytest.importorskip("webauthn", reason="webauthn is absent")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with telling(tmp_path_factory.mktemp("questions")) as told:
        yield told


@pytest.fixture
def eve(story: Story) -> Iterator[httpx.Client]:
    with signed_in(story.origin, "eve", "auditor") as http:
        yield http


@pytest.fixture
def hand(story: Story, eve: httpx.Client) -> ByHand:
    """Eve at the overview: the way in is behind her, and counted."""
    person = ByHand(eve)
    person.open("/")
    person.follow("Audit: ask the trail, holds, charts")
    person.fill("What for", {"What for": PURPOSE["purpose"], "Case": PURPOSE["case"]})
    person.press("Begin")
    assert person.text("h1") == "What do you want to know?"
    assert person.counted() == CLICKS[WAY_IN]
    return person


def month() -> str:
    return datetime.now(UTC).strftime("%Y-%m")


QUESTIONS: Sequence[tuple[str, list[str]]] = (
    (f"function:initiate_transfer outcome:refused amount:>500 new_payee:yes during:{month()}", ["unasked"]),
    ("function:initiate_transfer outcome:refused", ["unasked", "unasked-small"]),
    ("function:initiate_transfer outcome:executed amount:>38GBP", ["paid"]),
    ("function:initiate_transfer outcome:declined", ["declined"]),
    ("function:initiate_transfer outcome:held", []),
    ("function:initiate_transfer amount:>500EUR", []),
    ("customer:alice outcome:refused,declined amount:<=20", ["declined", "unasked-small"]),
    ("function:initiate_transfer reason:denied", ["unasked", "unasked-small"]),
)


@pytest.mark.parametrize(("question", "expected"), QUESTIONS)
def test_payments_by_amount_payee_and_what_became_of_them(
    story: Story, eve: httpx.Client, question: str, expected: list[str]
) -> None:
    told, typed = story.ask(eve, question), story.told("query", question)
    assert story.names(told) == story.names(typed) == expected
    rests_on = told["completeness"]
    assert rests_on["whole"] in (True, None)
    if question.startswith("customer:"):
        assert (rests_on["basis"], rests_on["found"]) == ("sequence", rests_on["expected"])
    newest = eve.post("/v1/audit/questions", json={"question": "kind:audit.query", "newest_first": True, "limit": 1, **PURPOSE})
    facts = newest.json()["records"][0]["leaf"]["facts"]
    assert (facts["purpose"], facts["case"]) == ("committee", "C-2026-1"), "the question before is on record"


def test_what_an_agent_did_while_a_switch_stopped_it(story: Story, eve: httpx.Client) -> None:
    told = story.ask(eve, f"agent:{AGENT} while_switch:{story.switch}")
    assert story.names(told) == story.names(story.told("agent", AGENT, f"while_switch:{story.switch}")) == ["stopped"]
    assert [item["leaf"]["policy"]["policies"] for item in told["records"] if "policy" in item["leaf"]] in ([], [["kill.agent"]])
    people = story.ask(eve, f"switch:{story.switch}")
    acts = [(item["leaf"]["facts"]["word"], item["leaf"]["facts"]["by"]) for item in people["records"]]
    acts = [(word, who) for word, who in acts if word.startswith("kill")]
    assert acts == [("kill_engaged", "ada"), ("kill_lift", "ada"), ("kill_lift", "ben")]
    unknown = eve.post("/v1/audit/questions", json={"question": "while_switch:kill_x", **PURPOSE})
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "question")


def test_who_looked_at_a_customer(story: Story, eve: httpx.Client) -> None:
    story.ask(eve, "customer:alice kind:intent")
    story.ask(eve, f"call:{story.calls['paid']}")
    story.ask(eve, "function:initiate_transfer outcome:executed")
    answered = eve.post("/v1/audit/looks", json={"customer": "alice", "newest_first": True, "limit": 3, **PURPOSE})
    assert answered.status_code == 200, answered.text
    ways = [set(item["leaf"]["facts"]) & {"by_call", "by_kinds"} for item in answered.json()["records"]]
    assert ways[:2] == [{"by_call"}, {"by_kinds"}]
    by_chance = {"customer": "alice", "by_chance": True, "newest_first": True, "limit": 1, **PURPOSE}
    (shown,) = eve.post("/v1/audit/looks", json=by_chance).json()["records"]
    assert shown["leaf"]["facts"]["by_outcomes"] == ["executed"], "one that named nobody showed a record of theirs"
    status, printed = story.typed("who-looked", "--customer", "alice", "--newest-first", "--limit", "5")
    assert status == 0
    assert all(word in printed for word in ("eve", "searched", "committee", "C-2026-1"))
    nobody = eve.post("/v1/audit/looks", json={"customer": "nobody", **PURPOSE}).json()
    assert (nobody["records"], nobody["of_nobody"]) == ([], True)


def test_which_rules_allowed_it_and_what_the_customer_confirmed(story: Story, eve: httpx.Client) -> None:
    call = story.calls["paid"]
    answered = eve.post(f"/v1/audit/calls/{call}", json=PURPOSE)
    assert answered.status_code == 200, answered.text
    life = answered.json()
    assert life["outcome"] == "executed"
    steps = [item["step"] for item in life["records"]]
    assert steps == [
        "held, to be confirmed by the customer",
        "confirmed",
        "intended, and sent to the core",
        "executed by the core",
    ]
    assert life["records"][0]["leaf"]["policy"]["policies"] == ["levels.confirmation"]
    assert "mandate.granted" in life["records"][2]["leaf"]["policy"]["policies"]
    again = eve.post(f"/v1/audit/calls/{call}", json=PURPOSE).json()
    assert [item["leaf"]["facts"]["by_call"] for item in again["looks"]][-1] == call, "the first look is told by the second"
    status, printed = story.typed("life", call)
    assert (status, [step for step in steps if step not in printed]) == (0, [])
    assert "executed, up to record" in printed
    unknown = eve.post("/v1/audit/calls/call_nobody", json=PURPOSE)
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "call_id")
    assert story.typed("life", "call_nobody")[0] == 1


def test_it_is_handed_to_an_outside_auditor(story: Story, tmp_path: Path) -> None:
    out, trust = tmp_path / "evidence.zip", tmp_path / "trust.json"
    question = f"function:initiate_transfer outcome:refused amount:>500 during:{month()}"
    words = ["audit", "export", question, "--out", str(out), "--trust-out", str(trust)]
    status, said = approved(story.served.data, *words, *why(story.served.data))
    assert status == 0, said
    assert json.loads(said)["records"] == 1
    report = verify(out, trust=trust.read_bytes())
    assert report.good, report.findings


def test_a_page_becomes_a_table_that_no_spreadsheet_runs(story: Story, tmp_path: Path) -> None:
    file = tmp_path / "answer.csv"
    assert story.typed("query", "function:initiate_transfer", "--csv", str(file))[0] == 0
    rows = list(csv.reader(file.read_text().splitlines()))
    assert rows[0] == ["index", "time", "kind", "function", "decided", "by", "ended", "call"]
    assert {row[3] for row in rows[1:]} == {"initiate_transfer"}
    assert len(rows) > 5


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("payments over 500", "at character 1"),
        ("function:x colour:red", "at character 12: 'colour' is not a field"),
        ("outcome:paid", "one or several, with commas, of answered"),
        ("amount:lots", "an amount is 500"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(story: Story, eve: httpx.Client, question: str, says: str) -> None:
    answered = eve.post("/v1/audit/questions", json={"question": question, **PURPOSE})
    assert (answered.status_code, answered.json()["error"]["param"]) == (400, "question")
    assert says in answered.json()["error"]["message"]
    status, printed = story.typed("query", question)
    assert (status, says in printed) == (2, True)


def test_sealed_values_are_searched_by_auditors_who_signed_in_just_now_and_by_nobody_else(story: Story) -> None:
    with signed_in(story.origin, "rex", "reviewer") as reviewer:
        for question, expected in (
            ("function:initiate_transfer", 200),
            ("amount:>500", 403),
            ("payee:x", 403),
            ("new_payee:no", 403),
        ):
            answered = reviewer.post("/v1/audit/questions", json={"question": question, **PURPOSE})
            assert answered.status_code == expected, question


def test_pages_go_on_where_they_ended(story: Story, eve: httpx.Client) -> None:
    whole = [item["index"] for item in story.ask(eve, "customer:alice")["records"]]
    found: list[int] = []
    cursor = None
    while not found or cursor is not None:
        told = story.ask(eve, "customer:alice", limit=3, **({"cursor": cursor} if cursor else {}))
        found, cursor = found + [item["index"] for item in told["records"]], told["next_cursor"]
    assert found == whole
    wrong = eve.post("/v1/audit/questions", json={"question": "customer:alice", "cursor": "1.2.3.4", **PURPOSE})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "cursor")


def test_the_words_of_the_language_are_told(eve: httpx.Client) -> None:
    told = {item["name"]: item for item in eve.get("/v1/audit/question-words").json()["data"]}
    assert {"outcome", "amount", "payee", "while_switch"} <= told.keys()
    assert told["agent"]["aliases"] == ["assistant", "client"]


def costs(person: ByHand, words: str) -> None:
    """As the guide says of the one question that has these words."""
    (told,) = [cost for name, cost in CLICKS.items() if words in name]
    assert Cost(*person.counted()) == told, words


def agreed(story: Story, person: ByHand) -> list[str]:
    """The page's answer is that of API and command to the question that it shows, as complete as that; the calls in it."""
    (question,) = [str(item["value"]) for item in person.page.select("#q")]
    (record,) = [int(link.text) for link in person.page.select(".complete a")]
    told, typed = story.ask(person.http, question), story.told("query", question)
    again = story.ask(person.http, question)
    for answer in (told, typed):
        before = [item["index"] for item in answer["records"] if item["index"] < record]
        assert sorted(person.records()) == before, question
    says = [_prefix(item["completeness"]) for item in (told, again)]  # a census may come in between
    assert any(person.text(".complete").startswith(prefix) for prefix in says), (says, person.text(".complete"))
    assert typed["completeness"]["basis"] in (told["completeness"]["basis"], again["completeness"]["basis"])
    return story.names(told)


def _prefix(rests: dict[str, Any]) -> str:
    if rests["basis"] == "index":
        return "By the auditors' index, up to record"
    assert rests["whole"], rests
    return f"Provably complete: {rests['found']} of {rests['expected']} records of {rests['of']} are there, none hidden,"


def test_by_page_payments_over_an_amount_to_new_payees_that_were_refused(story: Story, hand: ByHand) -> None:
    hand.fill("Which payments over an amount were refused?", {"Over": "500"})
    hand.press("Ask", "Which payments over an amount were refused?")
    costs(hand, "which payments over 500")
    assert agreed(story, hand) == ["unasked"]
    assert "records were opened to look" in hand.text("#answer")


def test_by_page_who_looked_at_a_customer(story: Story, hand: ByHand) -> None:
    story.ask(hand.http, "customer:alice kind:intent")
    hand.fill("Who looked at this customer?", {"Customer": "alice"})
    hand.press("Ask", "Who looked at this customer?")
    costs(hand, "who looked")
    agreed(story, hand)
    newest = max(hand.records())
    looked = hand.http.post("/v1/audit/looks", json={"customer": "alice", "newest_first": True, "limit": 500, **PURPOSE}).json()
    typed = story.told("who-looked", "--customer", "alice", "--newest-first", "--limit", "500")
    for answer in (looked, typed):
        found = [item["index"] for item in answer["records"] if item["index"] <= newest]
        assert found[:50] == hand.records()


def test_by_page_which_rules_allowed_a_call(story: Story, hand: ByHand) -> None:
    call = story.calls["paid"]
    hand.fill("Which rules allowed this, or refused it?", {"Call": call})
    hand.press("Ask", "Which rules allowed this, or refused it?")
    costs(hand, "which rules")
    told, typed = hand.http.post(f"/v1/audit/calls/{call}", json=PURPOSE).json(), story.told("life", call)
    page = [
        int(str(link["href"]).rpartition("/")[2].partition("#")[0]) for link in hand.page.select(".line a[href*='/audit/records/']")
    ]
    for answer in (told, typed):
        assert [item["index"] for item in answer["records"]] == list(dict.fromkeys(page))
        rules = [rule for item in answer["records"] for rule in item["leaf"].get("policy", {}).get("policies", [])]
        assert {"levels.confirmation", "mandate.granted"} <= {*rules}
        shown = {code.get_text() for code in hand.page.select(".rules code")}
        assert shown == {*rules}
    assert "carried out" in hand.text()


def test_by_page_what_an_agent_did_while_a_switch_stopped_it(story: Story, hand: ByHand) -> None:
    hand.press("Find the id of a switch")
    assert story.switch in hand.text("#answer tbody")
    hand.follow("Overview")
    hand.fill("What did this agent do while a switch stopped it?", {"Agent": AGENT, "Kill switch": story.switch})
    hand.press("Ask", "What did this agent do while a switch stopped it?")
    costs(hand, "what did this agent do")
    assert agreed(story, hand) == ["stopped"]
    typed = story.told("agent", AGENT, f"while_switch:{story.switch}")
    assert [item["index"] for item in typed["records"]] == hand.records()


def test_by_page_what_became_of_what_was_held(story: Story, hand: ByHand) -> None:
    hand.press("Ask", "What became of what was held?")
    costs(hand, "what became of")
    assert sorted(agreed(story, hand)) == ["declined", "paid"]
    rows = hand.page.select("#answer tbody tr")
    calls = [str(link["href"]).rpartition("/")[2] for row in rows for link in row.select("a[href*='/calls/']")]
    by_now = dict(zip(calls, (said.get_text() for row in rows for said in row.select(".by-now")), strict=True))
    assert by_now == {story.calls["paid"]: "By now: carried out", story.calls["declined"]: "By now: declined"}
    for name, outcome in (("paid", "executed"), ("declined", "declined")):
        assert hand.http.post(f"/v1/audit/calls/{story.calls[name]}", json=PURPOSE).json()["outcome"] == outcome
        assert story.told("life", story.calls[name])["outcome"] == outcome


def test_by_page_what_a_customer_confirmed(story: Story, hand: ByHand) -> None:
    hand.fill("What did this customer confirm?", {"Customer": "alice"})
    hand.press("Ask", "What did this customer confirm?")
    costs(hand, "what did this customer confirm")
    assert len(agreed(story, hand)) == 2
    assert "Provably complete" in hand.text(".complete")
    assert "The customer confirmed exactly this" in hand.text("#answer")


def test_by_page_which_calls_are_in_doubt(story: Story, hand: ByHand) -> None:
    hand.press("Ask", "Which calls are in doubt?")
    costs(hand, "in doubt")
    assert agreed(story, hand) == []
    assert "No record matches." in hand.text("#answer")


def test_by_page_it_is_handed_to_an_outside_auditor(story: Story, hand: ByHand, tmp_path: Path) -> None:
    question = f"function:initiate_transfer outcome:refused during:{month()}"
    hand.fill("Hand it to an outside auditor", {"Question": question})
    hand.press("Ask to take it away", "Hand it to an outside auditor")
    with signed_in(story.origin, "mel", "auditor") as mel:
        other = ByHand(mel)
        other.open("/")
        other.press("Approve exactly this")
        assert other.counted() == (1, 0)
    hand.reload()
    hand.press("Download the bundle, once")
    costs(hand, "outside auditor")
    out = tmp_path / "typed.zip"
    assert approved(story.served.data, "audit", "export", question, "--out", str(out), *why(story.served.data))[0] == 0
    told = story.ask(hand.http, question)
    for content in (hand.answered.content, out.read_bytes()):
        assert verify(content).good
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            lines = bundle.read("leaves/000000.txt").splitlines()
        leaves = {int(line.split(b" ")[0]): json.loads(line.split(b" ", 1)[1]) for line in lines}
        refused = [
            index for index, leaf in leaves.items() if leaf.get("call") in (story.calls["unasked"], story.calls["unasked-small"])
        ]
        assert refused == [item["index"] for item in told["records"]]


def test_by_page_whether_it_is_with_the_siem(story: Story, hand: ByHand) -> None:
    hand.follow("Show how far each stream is")
    costs(hand, "SIEM")
    where = ["--data", str(story.served.data), "--database", databases.url(story.served.data), "--json"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(["audit", "streams", "list", *where]) == 0
    (typed,) = json.loads(printed.getvalue())["streams"]
    (row,) = [
        [cell.get_text(" ", strip=True) for cell in line.select("td")] for line in hand.page.select("#streams ~ table tbody tr")
    ]
    assert row[:2] == [typed["name"], "lines/, as ocsf"]
    assert 0 < int(row[3]) <= typed["next_record"], "it goes on meanwhile"


def test_by_page_a_report_for_the_committee(story: Story, hand: ByHand) -> None:
    hand.press("Show", "A report for the committee")
    costs(hand, "for the committee")
    told = hand.http.post("/v1/audit/reports", json={"during": month(), **PURPOSE})
    assert told.status_code == 200, told.text
    typed = story.told("report", month())
    page = {
        section.h2.get_text(): [[cell.get_text() for cell in row.select("td")] for row in section.select("tbody tr")]
        for section in hand.page.select("main section")
        if section.h2 is not None
    }
    for answer in (told.json(), typed):
        tables = {item["title"]: [[str(cell) for cell in row] for row in item["rows"]] for item in answer["tables"]}
        assert tables.keys() == page.keys()
        for title in tables.keys() - {"Who looked at the trail", "Records of each function, as two censuses prove"}:
            assert tables[title] == page[title], title
        assert {row[0] for row in page["Who looked at the trail"]} <= {row[0] for row in tables["Who looked at the trail"]}
        assert answer["about"]["Period"] in hand.text()
    wrong = hand.http.post("/v1/audit/reports", json={"during": "March", **PURPOSE})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "during")


def test_the_guide_says_what_each_question_costs() -> None:
    text = GUIDE.read_text()
    assert renewed(text) == text, "run `python -m tests.support.clicks_reference --write`"
