"""`tellergate audit erase` on the folder of a real gateway: nothing that it keeps names the person any more, but what the law has kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app.databases import DatabaseName
from gateway.app.development.officers import make_officers
from gateway.cli import main
from gateway.domain.principal import SCOPE_CONFIRM, SCOPE_KILL, SCOPE_THREADS, SCOPE_WORDS
from tests.doors.conftest import Served, serving
from tests.doors.test_mandates import CUSTOMER, dev, pay, proposed
from tests.support import databases
from tests.support.asking import approved, why
from tests.support.databases import sqlite_only

pytest.importorskip("webauthn", reason="webauthn is absent")

WORDS = "a sentence that nobody else would say"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "data", model=None) as found:
        yield found


def erase(served: Served, *options: str) -> tuple[int, Any]:
    status, printed = approved(served.data, "audit", "erase", *why(served.data, "ada"), *options)
    return status, json.loads(printed) if status == 0 else printed


def lived(served: Served) -> str:
    """The customer talks, pays, has a mandate, a thread and a file; the id of a call of theirs."""
    assert dev(served, "confirm", proposed(served))[0] == 0
    assert pay(served, "9.00", "paid")["status"] == "done"
    held = pay(served, "60.00", "held")
    assert held["status"] == "held"
    own = served.token(CUSTOMER, agent=None, scope=f"{SCOPE_THREADS} {SCOPE_WORDS}")
    assert served.post("/v1/threads", {"messages": [{"role": "user", "content": WORDS}]}, token=own).status_code == 200
    file = {"file": (f"{WORDS}.txt", WORDS.encode())}
    headers = {"authorization": f"Bearer {own}"}
    assert served.http.post("/v1/files", data={"purpose": "assistants"}, files=file, headers=headers).status_code == 200
    return str(held["call_id"])


def naming(served: Served, *texts: str) -> dict[str, list[str]]:
    """Which files of the gateway's own name any of these; the bank's own books, and what development confirms with, are not its."""
    found: dict[str, list[str]] = {}
    for path in served.data.rglob("*"):
        if path.is_file() and "dev" not in path.parts and not path.name.startswith("bank."):
            content = path.read_bytes()
            if named := [text for text in texts if text.encode() in content]:
                found[path.name.removesuffix("-wal")] = named
    return found


@sqlite_only("what is deleted from PostgreSQL waits for vacuum")
def test_nothing_on_disk_names_who_was_erased(served: Served) -> None:
    call = lived(served)
    assert set(naming(served, CUSTOMER, WORDS, call)) >= {"keys.sqlite", "tellergate.sqlite"}
    status, told = erase(served, "--customer", CUSTOMER, "--legal-minimum", "none")
    assert status == 0, told
    assert sorted(told["destroyed"]) == ["P13M", "P7Y", "files"]
    assert told["locked"] == {}
    assert set(told["removed"]) >= {
        "calls",
        "confirmations",
        "contents",
        "conversations",
        "customers",
        "files",
        "messages",
        "threads",
        "words",
    }
    assert naming(served, CUSTOMER, WORDS) == {}
    assert set(naming(served, call)) <= {"tellergate.sqlite"}, "the log has the call's id, and nobody's name"
    gateway, log = (str(databases.dump(served.data, part)) for part in (DatabaseName.GATEWAY, DatabaseName.LOG))
    assert call not in gateway
    assert call in log
    assert served.get("/v1/confirmations", token=served.token(CUSTOMER, agent=None, scope=SCOPE_CONFIRM)).json() == {"data": []}
    assert erase(served, "--customer", CUSTOMER)[0] == 1


def test_what_the_law_has_kept_is_locked_and_the_rest_goes_at_once(served: Served) -> None:
    lived(served)
    status, told = erase(served, "--customer", CUSTOMER)
    assert status == 0, told
    assert told["destroyed"] == ["P13M", "files"]
    assert list(told["locked"]) == ["P7Y"]
    assert "locked" in told["certificate"]
    assert "calls" in told["removed"], "what the gateway works with goes at once"
    assert erase(served, "--due") == (0, {"erased": [], "held": []})
    assert main(["audit", "verify", "--data", str(served.data), "--database", databases.url(served.data)]) == 0


def test_a_kill_switch_over_the_customer_stands_in_the_way(served: Served) -> None:
    served.call("list_accounts", {}, token=served.token(CUSTOMER))
    officer = served.token("officer-1", agent=None, client="officer-1", scope=SCOPE_KILL)
    engaged = {"scope": "customer", "subject": CUSTOMER, "reason": "a test"}
    assert served.post("/v1/kill-switches", engaged, token=officer).status_code == 200
    status, told = erase(served, "--customer", CUSTOMER)
    assert (status, "kill switch" in told) == (1, True)
    assert served.audit("--customer", CUSTOMER)["records"]


@pytest.mark.parametrize("options", [[], ["--customer", "x", "--due"], ["--customer", "x", "--legal-minimum", "P7Y"]])
def test_wrong_options_are_told(tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "permits", "--data", str(tmp_path)]) == 0
    make_officers(tmp_path)
    assert main(["audit", "erase", "--data", str(tmp_path), *why(tmp_path, "ada"), *options]) == 2
    assert "Traceback" not in capsys.readouterr().err
