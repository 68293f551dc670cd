"""Kill switches at the door and by command: who may engage, who may lift, and what each refusal is called."""

import contextlib
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.cli import main
from gateway.domain.principal import SCOPE_CALLS, SCOPE_CONFIRM, SCOPE_ENROL, SCOPE_KILL, SCOPE_WORDS
from tests.doors.conftest import Served
from tests.support import databases

AGENT = {"scope": "agent", "subject": "a-rogue", "reason": "it asks for what nobody asked it"}


def officer(served: Served, name: str = "officer-1", **claims: Any) -> str:
    return served.token(name, **{"agent": None, "scope": SCOPE_KILL, "client": "back-office", **claims})


def code(answered: httpx.Response) -> tuple[int, str]:
    return answered.status_code, answered.json()["error"]["code"]


def command(served: Served, *arguments: str) -> tuple[int, Any]:
    """`tellergate kill`, beside the running server; its status and what it printed."""
    where = ["--data", str(served.data), "--database", databases.url(served.data), "--json"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = main(["kill", *arguments, *where])
    return status, json.loads(printed.getvalue() or "null")


def by(name: str) -> list[str]:
    return ["--officer", name, "--reason", "a test"]


@pytest.fixture(autouse=True)
def _nothing_stays_engaged(served: Served) -> Iterator[None]:
    yield
    for item in served.get("/v1/kill-switches", token=officer(served)).json()["data"]:
        for name in ("cleaner-1", "cleaner-2"):
            command(served, "lift", item["id"], *by(name))
    assert served.get("/v1/kill-switches", token=officer(served)).json() == {"data": []}


def test_the_back_end_engages_and_two_officers_lift_by_command(served: Served) -> None:
    rogue = served.token(agent="a-rogue")
    assert served.call("list_accounts", {}, token=rogue)["status"] == "done"
    engaged = served.post("/v1/kill-switches", AGENT, token=officer(served)).json()
    assert (engaged["state"], engaged["recorded"], engaged["engaged_by"]) == ("engaged", True, "officer-1")
    assert served.post("/v1/kill-switches", AGENT, token=officer(served, "officer-2")).json()["id"] == engaged["id"]
    stopped = served.call("list_accounts", {}, token=rogue)
    assert (stopped["status"], stopped["code"], "killed" in json.dumps(stopped)) == ("denied", "denied", False)
    assert served.call("list_accounts", {})["status"] == "done", "another agent goes on"
    listed = served.get("/v1/kill-switches", token=officer(served)).json()["data"]
    assert [(item["id"], item["state"]) for item in listed] == [(engaged["id"], "engaged")]
    path = f"/v1/kill-switches/{engaged['id']}/lift"
    assert code(served.post(path, {"reason": "over"}, token=officer(served))) == (404, "not_found"), "people lift elsewhere"
    for name, state in (("officer-1", "half_lifted"), ("officer-2", "lifted")):
        assert served.call("list_accounts", {}, token=rogue)["status"] == "denied"
        assert command(served, "lift", engaged["id"], *by(name))[1]["state"] == state
    assert served.call("list_accounts", {}, token=rogue)["status"] == "done"


def test_nobody_but_who_has_a_token_for_that_alone_engages_or_lists(served: Served) -> None:
    switch = served.post("/v1/kill-switches", AGENT, token=officer(served)).json()["id"]
    others = {
        "an agent's": served.token(scope=SCOPE_CALLS),
        "an agent's, with the scope": served.token(scope=SCOPE_KILL),
        "a customer's": served.token(agent=None, scope=SCOPE_CONFIRM),
        "a customer's own words": served.token(agent=None, words=True),
        **{
            f"with {more} too": officer(served, scope=f"{SCOPE_KILL} {more}")
            for more in (SCOPE_CALLS, SCOPE_WORDS, SCOPE_CONFIRM, SCOPE_ENROL)
        },
    }
    for whose, token in others.items():
        answers = (
            served.post("/v1/kill-switches", {"scope": "global", "reason": "havoc"}, token=token),
            served.get("/v1/kill-switches", token=token),
        )
        assert [code(answer) for answer in answers] == [(403, "insufficient_scope")] * 2, whose
    program = officer(served, "monitor", client="monitor")
    assert served.post("/v1/kill-switches", AGENT, token=program).status_code == 200, "a program may stop, never let go on"
    (still,) = served.get("/v1/kill-switches", token=officer(served)).json()["data"]
    assert (still["id"], still["state"]) == (switch, "engaged")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"scope": "global", "subject": "alice", "reason": "r"}, "subject"),
        ({"scope": "customer", "reason": "r"}, "subject"),
        ({"scope": "customer", "subject": "", "reason": "r"}, "subject"),
        ({"scope": "function", "subject": "initiate_transfr", "reason": "r"}, "subject"),
        ({"scope": "everything", "reason": "r"}, "scope"),
        ({"scope": "global"}, "reason"),
        ({"scope": "global", "reason": ""}, "reason"),
        ({"scope": "global", "reason": "r" * 501}, "reason"),
        ({"scope": "global", "reason": "r", "until": "tomorrow"}, "until"),
    ],
)
def test_what_is_not_a_switch_is_refused_and_nothing_is_engaged(served: Served, asked: object, param: str | None) -> None:
    answered = served.post("/v1/kill-switches", asked, token=officer(served))
    assert code(answered) == (400, "invalid_request")
    assert answered.json()["error"]["param"] == param
    assert served.get("/v1/kill-switches", token=officer(served)).json() == {"data": []}


def test_the_command_works_beside_a_running_gateway(served: Served) -> None:
    status, engaged = command(served, "engage", "--customer", "alice", *by("officer-1"))
    assert (status, engaged["state"], engaged["recorded"]) == (0, "engaged", True)
    assert served.call("list_accounts", {})["status"] == "denied"
    assert served.call("list_accounts", {}, token=served.token("bruno"))["status"] == "done"
    assert [item["id"] for item in command(served, "list")[1]["data"]] == [engaged["id"]]
    assert command(served, "lift", engaged["id"], *by("officer-1"))[1]["state"] == "half_lifted"
    assert command(served, "lift", engaged["id"], *by("officer-1")) == (1, None)
    assert command(served, "lift", engaged["id"], *by("officer-2"))[1]["state"] == "lifted"
    assert command(served, "lift", engaged["id"], *by("officer-3")) == (1, None)
    assert command(served, "lift", "kill_0", *by("officer-3")) == (1, None)
    assert served.call("list_accounts", {})["status"] == "done"
    records = served.audit("--kind", "admin", "--customer", "alice", "--limit", "500")["records"]
    facts = [record["leaf"]["facts"] for record in records]
    mine = [fact for fact in facts if fact.get("kill_switch") == engaged["id"]]
    assert [(item["word"], item["by"], item["via"]) for item in mine] == [
        ("kill_engaged", "officer-1", "command"),
        ("kill_lift", "officer-1", "command"),
        ("kill_lift", "officer-2", "command"),
    ]


def test_the_command_says_what_is_wrong(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(served, "engage", "--agent", "", *by("officer-1"))[0] == 2
    assert command(served, "engage", "--global", *by(""))[0] == 2
    assert main(["kill", "list", "--data", str(served.data / "nowhere")]) == 2
    assert "is not there; give the folder" in capsys.readouterr().err
