"""What auditors ask about, on a real server with its people: a story of a few calls, and how it is asked about by API and by command."""

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gateway.cli import main
from tests.attacks.test_operations_listener import free_port
from tests.doors.conftest import Served, serving
from tests.doors.test_customers_word import dev, held
from tests.support import databases
from tests.support.asking import by, why

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


@contextlib.contextmanager
def telling(folder: Path) -> Iterator[Story]:
    """A payment that was held, confirmed and made; one that was declined; one that nobody had asked for; and an agent that was stopped."""
    port = free_port()
    (folder / "lines").mkdir(mode=0o700)
    (folder / "streams.toml").write_text('[[stream]]\nname = "soc"\nfolder = "lines"\nformat = "ocsf"\nstart = "beginning"\n')
    (folder / "tellergate.toml").write_text(f'operations_port = {port}\nstreams = "streams.toml"\n')
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
