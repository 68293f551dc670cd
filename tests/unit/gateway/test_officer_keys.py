"""Commands act by an officer's key: whoever is not pinned, or not for this, does nothing; what is done is signed, and can be verified."""

import base64
import contextlib
import io
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import main
from gateway.domain.duties import Duty, StaffRole
from gateway.domain.statements import StaffStatement, signed_bytes, verified_statement
from policies.officers import STAFF_ROLES, Officer, officer_entry, parse_officers
from tests.support import databases
from tests.support.asking import approved
from tests.support.officers import KEYS, PINNED, key_file, pinned
from tests.support.production import home, nothing_said, private


def why(folder: Path) -> list[str]:
    """Cem asks, who is an auditor."""
    return ["--officer-key", str(key_file(folder, "cem")), "--purpose", "p", "--case", "c"]


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_said(monkeypatch)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with databases, whose officers are ada and ben; cem is an auditor, and dot is nobody any more."""
    settings = home(tmp_path / "home")
    lines = {
        "database": databases.url(settings.data),
        "policy_officers": str(pinned(tmp_path)),
        "key_passphrase_file": str(settings.key_passphrase_file),
    }
    private(settings.data / "tellergate.toml", "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items()))
    assert main(["database", "upgrade", "--data", str(settings.data)]) == 0
    return settings.data


def told(*arguments: str) -> tuple[int, Any]:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()) as said:
        status = main(list(arguments))
    text = printed.getvalue()
    return status, json.loads(text) if text.startswith("{") else said.getvalue()


def kill(data: Path, key: Path, *arguments: str) -> tuple[int, Any]:
    return told("kill", *arguments, "--officer-key", str(key), "--reason", "why", "--data", str(data), "--json")


def engaged(data: Path) -> list[str]:
    switches: list[dict[str, Any]] = told("kill", "list", "--data", str(data), "--json")[1]["data"]
    return [item["id"] for item in switches]


def test_who_is_not_pinned_or_not_for_this_or_has_an_open_key_does_nothing(data: Path, tmp_path: Path) -> None:
    status, switch = kill(data, key_file(tmp_path, "ada"), "engage", "--agent", "rogue")
    assert (status, switch["engaged_by"], switch["recorded"]) == (0, "ada", True)
    open_key, empty = tmp_path / "open.key", tmp_path / "empty.key"
    open_key.write_bytes(KEYS["ada"].private_bytes_raw())
    os.chmod(open_key, 0o644)
    empty.touch(mode=0o600)
    refused = {
        key_file(tmp_path, "cem"): (1, "none of your roles may"),
        key_file(tmp_path, "dot"): (2, "not the key of an officer"),
        open_key: (2, "readable by its owner alone"),
        empty: (2, "must hold an Ed25519 private key"),
        tmp_path / "nowhere.key": (2, "no file that is there"),
    }
    for key, (expected, words) in refused.items():
        for arguments in (("engage", "--global"), ("lift", switch["id"])):
            status, said = kill(data, key, *arguments)
            assert (status, words in said) == (expected, True), (key, said)
    assert engaged(data) == [switch["id"]]
    assert kill(data, key_file(tmp_path, "ada"), "lift", switch["id"])[1]["state"] == "half_lifted"
    assert kill(data, key_file(tmp_path, "ada"), "lift", switch["id"])[0] == 1, "one key is one person"
    assert kill(data, key_file(tmp_path, "ben"), "lift", switch["id"])[1]["state"] == "lifted"


def test_a_key_is_rotated_by_an_operator_s_key_and_by_nobody_else_s(data: Path, tmp_path: Path) -> None:
    where = ["--data", str(data), "--json"]
    before = told("keys", "list", *where)[1]["keys"]
    for name, expected in (("ada", 1), ("cem", 1), ("dot", 2)):
        assert told("keys", "rotate", "runs", "--officer-key", str(key_file(tmp_path, name)), *where)[0] == expected
    assert told("keys", "list", *where)[1]["keys"] == before
    assert told("keys", "rotate", "runs", "--officer-key", str(key_file(tmp_path, "ben")), *where)[0] == 0
    assert len(told("keys", "list", *where)[1]["keys"]) == len(before) + 1


def test_an_officer_s_file_that_others_may_change_names_nobody(data: Path, tmp_path: Path) -> None:
    (tmp_path / "officers.toml").chmod(0o666)
    status, said = kill(data, key_file(tmp_path, "ada"), "engage", "--global")
    assert (status, "officers.toml must be writable by its owner alone" in said) == (2, True)
    assert engaged(data) == []


@pytest.mark.parametrize("scope", [("--agent", "rogue"), ("--customer", "alice")])
def test_what_was_done_stands_signed_in_the_trail_and_a_customer_s_name_only_sealed(
    data: Path, tmp_path: Path, scope: tuple[str, str]
) -> None:
    switch = kill(data, key_file(tmp_path, "ada"), "engage", *scope)[1]["id"]
    found = told("audit", "query", "--kind", "admin", "--limit", "50", "--data", str(data), "--json", *why(tmp_path))[1]["records"]
    (record,) = [item for item in found if item["leaf"]["facts"]["word"] == "signed"]
    facts = record["leaf"]["facts"]
    assert (facts["by"], facts["via"], facts["duty"]) == ("ada", "officer_key", "kill_switch.engage")
    statement = facts.get("statement")
    if scope[0] == "--customer":
        assert "alice" not in json.dumps(record["leaf"])
        eve = ["--officer-key", str(key_file(tmp_path, "eve"))]
        opened = approved(data, "audit", "reveal", str(record["index"]), *why(tmp_path), other=eve)[1]
        statement = json.loads(opened)["values"]["sealed.statement"]
    members = verified_statement(statement, base64.b64decode(facts["signature"]), PINNED["ada"].key)
    assert members is not None
    assert members["subject"] == {"kill_switch": switch, "scope": scope[0][2:], "subject": scope[1], "reason": "why"}
    assert verified_statement(statement, base64.b64decode(facts["signature"]), PINNED["ben"].key) is None


def test_a_question_stands_signed_in_its_own_record_over_exactly_its_facts(data: Path, tmp_path: Path) -> None:
    kill(data, key_file(tmp_path, "ada"), "engage", "--customer", "alice")
    where = ["--data", str(data), "--json"]
    assert told("audit", "query", "--customer", "alice", *why(tmp_path), *where)[0] == 0
    assert told("audit", "query", "--customer", "nobody-known", *why(tmp_path), *where)[0] == 1
    assert told("audit", "hold", "--hold", "h", "--customer", "alice", *why(tmp_path), *where)[0] == 0
    assert told("audit", "hold", "--hold", "h", "--release", "--customer", "alice", *why(tmp_path), *where)[0] == 1
    records = told("audit", "query", "--kind", "audit.query", "--kind", "hold.place", *why(tmp_path), *where)[1]["records"]
    assert [item["leaf"]["kind"] for item in records] == ["audit.query", "audit.query", "hold.place"]
    for record in records:
        facts, key = record["leaf"]["facts"], PINNED["cem"].key
        assert (facts.pop("via"), record["leaf"]["actor"]) == ("officer_key", {"agent": "cem"})
        signature, statement = base64.b64decode(facts.pop("signature")), facts.pop("statement")
        assert facts.pop("officer_key_sha256") == sha256(key.public_bytes_raw()).hexdigest()
        members = verified_statement(statement, signature, key)
        assert members is not None
        assert (members["by"], members["subject"]) == ("cem", facts)
        assert not any(name in json.dumps(record["leaf"]) for name in ("alice", "nobody-known")), "a customer stands by pseudonym"


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(subject=st.dictionaries(TEXTS, TEXTS | st.integers(0, 2**53), max_size=4), nonce=TEXTS, cut=st.integers(0, 10_000))
def test_a_statement_is_verified_whole_and_in_its_one_spelling(subject: dict[str, str | int], nonce: str, cut: int) -> None:
    text = StaffStatement(Duty.LIFT, subject, "ada", datetime(2026, 1, 1, tzinfo=UTC), nonce).text()
    key, public = KEYS["ada"], PINNED["ada"].key
    assert verified_statement(text, key.sign(signed_bytes(text)), public) == json.loads(text)
    assert verified_statement(text, key.sign(text.encode()), public) is None, "a signature over something else"
    changed = text[: cut % len(text)] + "x" + text[cut % len(text) :]
    assert verified_statement(changed, key.sign(signed_bytes(text)), public) is None
    spaced = json.dumps(json.loads(text))
    if spaced != text:
        assert verified_statement(spaced, key.sign(signed_bytes(spaced)), public) is None


def test_the_file_of_officers_has_the_roles_of_the_table() -> None:
    assert list(STAFF_ROLES) == [role.value for role in StaffRole]
    for officer in (*PINNED.values(), Officer("eve", frozenset(), KEYS["ada"].public_key(), frozenset({"auditor"}))):
        (read,) = parse_officers(officer_entry(officer)).values()
        assert (read.name, read.roles, read.staff) == (officer.name, officer.roles, officer.staff)


@pytest.mark.parametrize(
    "spoil", [lambda entry: entry.replace('"auditor"', '"admin"'), lambda entry: entry.replace('"auditor"', "")]
)
def test_a_role_that_is_none_or_no_role_is_refused(spoil: Callable[[str], str]) -> None:
    entry = officer_entry(Officer("eve", frozenset(), KEYS["ada"].public_key(), frozenset({"auditor"})))
    with pytest.raises(ValueError, match="eve: roles are some of author, activator, officer"):
        parse_officers(spoil(entry))
