"""What a compliance officer asks, by the API and by the command alike: each answer is right, says on what its completeness rests, and is on
record."""

import contextlib
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from audit.verify import verify
from gateway.cli import main
from tests.attacks.test_operations_listener import free_port
from tests.attacks.test_staff_evidence import signed_in
from tests.doors.conftest import Served, serving
from tests.doors.test_customers_word import dev, held
from tests.support import databases
from tests.support.asking import approved, by, why

pytest.importorskip("webauthn", reason="webauthn is absent")

AGENT = "assistant"
PURPOSE = {"purpose": "committee", "case": "C-2026-1"}


@dataclass
class Story:
    """What happened, by name: ids of calls. `http`: an auditor who is signed in."""

    served: Served
    origin: str
    calls: dict[str, str] = field(default_factory=dict)
    switch: str = ""

    def ask(self, http: httpx.Client, question: str, **rest: Any) -> dict[str, Any]:
        answered = http.post("/v1/audit/questions", json={"question": question, **PURPOSE, **rest})
        assert answered.status_code == 200, answered.text
        told: dict[str, Any] = answered.json()
        return told

    def names(self, told: dict[str, Any]) -> list[str]:
        """The calls of an answer, by their names here."""
        known = {call: name for name, call in self.calls.items()}
        return [known.get(item["leaf"].get("call", ""), "?") for item in told["records"]]

    def typed(self, *words: str, person: str = "eve") -> tuple[int, str]:
        where = ["--data", str(self.served.data), "--database", databases.url(self.served.data)]
        who = why(self.served.data, person, "committee", "C-2026-1")
        with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()) as said:
            status = main(["audit", *words, *where, *who])
        return status, printed.getvalue() or said.getvalue()

    def told(self, *words: str) -> dict[str, Any]:
        status, printed = self.typed(*words, "--json")
        assert status == 0, printed
        answer: dict[str, Any] = json.loads(printed)
        return answer


def kill(served: Served, verb: str, *words: str, person: str) -> dict[str, Any]:
    where = ["--data", str(served.data), "--database", databases.url(served.data)]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(["kill", verb, *words, "--reason", "drill", "--json", *by(served.data, person), *where]) == 0
    told: dict[str, Any] = json.loads(printed.getvalue())
    return told


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A payment that was held, confirmed and made; one that was declined; one that nobody had asked for; and an agent that was stopped."""
    folder: Path = tmp_path_factory.mktemp("questions")
    port = free_port()
    (folder / "tellergate.toml").write_text(f"operations_port = {port}\n")
    with serving(folder / "data", "--config", str(folder / "tellergate.toml")) as served:
        story = Story(served, f"http://127.0.0.1:{port}")
        paid = held(served, "38.63", "paid")
        assert dev(served, "confirm", paid["confirmation_id"])[0] == 0
        declined = held(served, "4.10", "declined")
        assert dev(served, "decline", declined["confirmation_id"])[0] == 0
        conversation = served.conversation()
        accounts = served.call("list_accounts", {}, conversation=conversation)["model"]["result"]["accounts"]
        account = next(item["account"] for item in accounts if item["currency"] == "GBP" and item["status"] == "open")
        found = served.call("list_beneficiaries", {"account": account}, conversation=conversation, native_id="c2")
        payee = found["model"]["result"]["beneficiaries"][0]["beneficiary"]
        for name, value in (("unasked", "700"), ("unasked-small", "20")):
            arguments = {"from": account, "to": payee, "amount": {"value": value, "currency": "GBP"}}
            told = served.call("initiate_transfer", arguments, conversation=conversation, native_id=name)
            assert told["status"] == "denied", told
            story.calls[name] = told["call_id"]
        story.switch = kill(served, "engage", "--agent", AGENT, person="ada")["id"]
        stopped = served.call("list_accounts", {}, native_id="stopped")
        assert stopped["status"] == "denied", stopped
        for person in ("ada", "ben"):
            kill(served, "lift", story.switch, person=person)
        after = served.call("list_accounts", {}, native_id="after")
        story.calls |= {"paid": paid["call_id"], "declined": declined["call_id"]}
        story.calls |= {"stopped": stopped["call_id"], "after": after["call_id"]}
        yield story


@pytest.fixture
def eve(story: Story) -> Iterator[httpx.Client]:
    with signed_in(story.origin, "eve", "auditor") as http:
        yield http


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
