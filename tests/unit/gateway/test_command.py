"""The command: exit statuses, `--json`, and wrong input told apart from findings."""

import fcntl
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.app.bundle import read_bundle
from gateway.app.databases import DatabaseName
from gateway.cli import main
from tests.support.asking import approved, by, why
from tests.support.databases import sql, sqlite_only, url
from tests.support.teller import teller

WHY = ["--officer-key", "eve.key", "--purpose", "a complaint", "--case", "C-1"]
"""Where it does not come to who asks."""


@pytest.fixture
async def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TELLERGATE_DATABASE", url(tmp_path / "data"))
    async with teller(tmp_path / "data") as asked:
        assert (await asked.transfer("4.20", native_id="t1")).status == "done"
        await asked.ask("get_account_balance", {"account": "acc_nonsense"})
    return tmp_path / "data"


def asking(data: Path, name: str = "eve") -> list[str]:
    return why(data, name, "a complaint", "C-1")


def twice(data: Path, *arguments: str | Path) -> tuple[int, Any]:
    """What takes the approval of another person, with it."""
    status, printed = approved(data, *map(str, arguments))
    return status, json.loads(printed)


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, Any]:
    status = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    text = printed.out if status in (0, 1) and printed.out else printed.err
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def test_a_customer_who_is_not_there_is_a_finding_and_no_gapless_sequence(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = run(capsys, "audit", "query", "--data", data, *asking(data), "--json", "--customer", "alise")
    assert (status, found["of_nobody"], found["gapless"], found["records"]) == (1, True, None, [])
    status, told = run(capsys, "audit", "query", "--data", data, *asking(data), "--customer", "alise")
    assert (status, "nothing is claimed" in told) == (1, True)
    status, told = run(capsys, "audit", "export", "--data", data, *asking(data), "--customer", "alise", "--out", data / "none.zip")
    assert (status, (data / "none.zip").exists()) == (1, False)


def test_an_auditor_asks_reveals_exports_and_verifies(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = run(capsys, "audit", "query", "--data", data, *asking(data), "--json", "--customer", "alice")
    assert status == 0
    assert found["gapless"] is True
    kinds = [match["leaf"]["kind"] for match in found["records"]]
    assert kinds == ["read", "intent", "outcome", "deny"]
    assert "alice" not in json.dumps([match["leaf"] for match in found["records"]]), "a pseudonym stands for the customer"
    intent = found["records"][1]["index"]
    status, opened = twice(data, "audit", "reveal", intent, *asking(data))
    assert (status, opened["values"]["arguments.amount"]) == (0, {"currency": "GBP", "value": "4.20"})
    bundle, trust = tmp_path / "evidence.zip", tmp_path / "trust.json"
    status, kept = run(capsys, "audit", "checkpoint", "--data", data, "--json")
    assert status == 0
    pinned = tmp_path / "checkpoint.txt"
    pinned.write_text(kept["checkpoint"])
    status, made = twice(data, "audit", "export", *asking(data), "--out", bundle, "--trust-out", trust, "--reveal")
    assert (status, made["file"]) == (0, str(bundle))
    status, report = run(capsys, "audit", "verify", bundle, "--trust", trust, "--pinned", pinned, "--json")
    assert (status, report["good"], report["notes"]) == (0, True, [])
    bundle.write_bytes(bundle.read_bytes().replace(b'"executed"', b'"notdone!"'))
    status, report = run(capsys, "audit", "verify", bundle, "--trust", trust, "--json")
    assert (status, report["good"]) == (1, False)
    status, live = run(capsys, "audit", "verify", "--data", data, "--json")
    assert (status, live["good"]) == (0, True)


def test_questions_are_records_themselves(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "audit", "query", "--data", data, *asking(data), "--json")
    _, found = run(capsys, "audit", "query", "--data", data, *asking(data), "--json", "--kind", "audit.query")
    (record,) = found["records"]
    assert record["leaf"]["actor"] == {"agent": "eve"}
    assert (record["leaf"]["facts"]["purpose"], record["leaf"]["facts"]["case"]) == ("a complaint", "C-1")


def test_a_decision_is_explained_from_its_record(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, found = run(capsys, "audit", "query", "--data", data, *asking(data), "--json", "--kind", "intent")
    index = found["records"][0]["index"]
    status, explained = twice(data, "policy", "explain", "--record", index, *by(data, "eve"))
    assert status == 0
    assert [item["decision"]["effect"] for item in explained["decisions"]] == ["permit"]
    assert [item["decision"]["policies"] for item in explained["decisions"]] == [found["records"][0]["leaf"]["policy"]["policies"]]
    assert explained["sources"][0] == "How much is the customer's own, as the bank knows."


def test_holds_block_an_erasure_and_an_erasure_leaves_the_trail_whole(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    who: list[str | Path] = ["--data", data, *asking(data, "ada"), "--customer", "alice", "--json"]
    assert run(capsys, "audit", "hold", *who, "--hold", "litigation")[0] == 0
    assert run(capsys, "audit", "erase", *who)[0] == 1
    assert run(capsys, "audit", "hold", *who, "--hold", "litigation", "--release")[0] == 0
    status, certificate = twice(data, "audit", "erase", *who[2:-1], "--legal-minimum", "none")
    assert (status, certificate["locked"]) == (0, {})
    assert run(capsys, "audit", "erase", *who)[0] == 1
    assert run(capsys, "audit", "verify", "--data", data, "--json")[1]["good"] is True


USAGE: dict[str, list[str]] = {
    "no command": [],
    "a folder without a trail": ["audit", "query", "--data", "/nonexistent", *WHY],
    "verify nothing": ["audit", "verify"],
    "a bundle that is not there": ["policy", "explain"],
    "a case that is none": ["policy", "explain", "no such case"],
    "production": ["serve", "--data", "/nonexistent/x"],
    "a folder that cannot be made": ["serve", "--dev", "--data", "/proc/nothing"],
    "several workers on files": ["serve", "--dev", "--data", "/nonexistent/x", "--workers", "2"],
    "a database that is none": ["serve", "--dev", "--data", "/tmp", "--database", "mysql://u:secret@h/d"],
    "a database without a name": ["serve", "--dev", "--data", "/tmp", "--database", "nonsense"],
    "no databases to tell of": ["database", "status", "--data", "/nonexistent"],
    "no issuer": ["dev", "token", "--data", "/nonexistent", "--customer", "alice", "--agent", "a"],
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_use_is_told_with_status_2(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, told = run(capsys, *USAGE[name])
    assert status == 2
    assert told
    assert "secret" not in str(told)


def test_the_revisions_of_the_databases_are_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("status", "upgrade"):
        status, told = run(capsys, "database", verb, "--data", data, "--json")
        assert status == 0
        assert [(answer["database"], answer["revision"] == answer["needed"]) for answer in told["databases"]] == [
            ("log", True),
            ("gateway", True),
            ("keys", True),
        ]


def test_an_older_revision_is_a_finding_and_a_newer_one_is_left_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql(data, DatabaseName.LOG, "update log_version set version_num = '9999'")
    assert run(capsys, "database", "status", "--data", data, "--json")[0] == 1
    status, told = run(capsys, "database", "upgrade", "--data", data)
    assert (status, "newer version" in told) == (1, True)
    status, told = run(capsys, "audit", "verify", "--data", data)
    assert (status, "newer version" in told) == (2, True)


def test_a_time_that_is_none_and_a_page_too_large_are_wrong_use(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "audit", "query", "--data", data, *asking(data), "--since", "yesterday")[0] == 2
    assert run(capsys, "audit", "query", "--data", data, *asking(data), "--limit", "501")[0] == 2
    assert run(capsys, "audit", "query", "--data", data, *asking(data), "--cursor", "nonsense")[0] == 2


def test_a_rule_without_an_id_is_a_finding_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.cedar").write_text("\n\npermit (principal, action, resource);\n")
    status, report = run(capsys, "policy", "check", "--rules", tmp_path, "--json")
    assert (status, report["good"]) == (1, False)
    status, told = run(capsys, "policy", "check", "--rules", tmp_path)
    assert status == 1
    assert told.startswith("mine.cedar:3: ")
    assert run(capsys, "policy", "test", "--rules", tmp_path)[0] == 1


def test_who_gains_from_changed_rules_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for rule in read_bundle().rules:
        (tmp_path / rule.name).write_text(rule.text)
    assert run(capsys, "policy", "diff", "--rules", tmp_path, "--json")[0] == 0
    reads = tmp_path / "reads.cedar"
    reads.write_text(reads.read_text().replace("oldest_days > 90", "oldest_days > 365"))
    status, report = run(capsys, "policy", "diff", "--rules", tmp_path, "--json")
    assert (status, report["changed"]) == (1, ["reads.history"])
    assert [item["name"] for item in report["changes"] if item["gains"]] != []
    assert run(capsys, "policy", "diff")[0] == 2


def test_the_shipped_policies_keep_their_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "policy", "check", "--json")[1]["good"] is True
    status, report = run(capsys, "policy", "test", "--json")
    assert (status, report["undecided"], report["untried"]) == (0, [], [])


def test_every_file_of_the_data_folder_is_its_owner_s_alone(data: Path) -> None:
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for path in [*data.rglob("*.key"), *data.rglob("secrets/*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@sqlite_only("several gateways share a PostgreSQL database")
def test_two_gateways_on_one_folder_are_one_too_many(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (data / "gateway.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, told = run(capsys, "serve", "--dev", "--data", data, "--port", "0")
    assert status == 2
    assert "another gateway" in told
