"""Four eyes on the command line: nothing is opened, exported or erased until another person approved exactly that; signed, on record."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.app.clock import utc_now
from gateway.app.databases import open_log
from gateway.domain.statements import verified_statement
from policies.officers import parse_officers
from tests.support.asking import by, why
from tests.support.command_reference import verbs
from tests.support.databases import places, url
from tests.support.teller import teller
from tests.unit.gateway.test_officer_keys import told

PURPOSE = ("complaint", "C-1")


@pytest.fixture
async def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TELLERGATE_DATABASE", url(tmp_path / "data"))
    async with teller(tmp_path / "data") as asked:
        await asked.ask("list_accounts")
    return tmp_path / "data"


ACTS: dict[str, tuple[str, list[str], str]] = {
    "trail.reveal": ("eve", ["audit", "reveal", "INDEX"], "audit.reveal"),
    "trail.export": ("eve", ["audit", "export", "--customer", "alice", "--out", "OUT"], "audit.export"),
    "customer.erase": ("ada", ["audit", "erase", "--customer", "alice", "--legal-minimum", "none"], "key.destroy"),
}


def records(data: Path, kind: str) -> list[dict[str, Any]]:
    found = told("audit", "query", "--kind", kind, "--limit", "500", *why(data), "--data", str(data), "--json")[1]["records"]
    return [item["leaf"] for item in found]


@pytest.mark.parametrize("duty", ACTS)
def test_what_takes_two_is_done_once_and_only_after_another_person_approved_exactly_that(
    data: Path, tmp_path: Path, duty: str
) -> None:
    who, act, kind = ACTS[duty]
    where = ["--data", str(data), "--json"]
    index = told("audit", "query", "--kind", "read", *why(data), *where)[1]["records"][0]["index"]
    out = tmp_path / "out.zip"
    words = [{"INDEX": str(index), "OUT": str(out)}.get(word, word) for word in act]

    def acting(person: str, purpose: str = "complaint") -> tuple[int, Any]:
        return told(*words, *why(data, person, purpose, "C-1"), *where)

    def give(approval: str, person: str) -> tuple[int, Any]:
        return told("approvals", "give", approval, *by(data, person), *where)

    status, asked = acting(who)
    assert (status, asked["state"]) == (1, "asked")
    assert acting(who)[1]["approval"] == asked["approval"], "typed again it is not asked again"
    assert give(asked["approval"], who)[0] == 1, "nobody approves what they asked"
    (shown,) = told("approvals", "list", *by(data, "ben"), *where)[1]["data"]
    assert (shown["id"], shown["duty"], shown["asked_by"], shown["state"]) == (asked["approval"], duty, who, "asked")
    assert (shown["subject"]["purpose"], shown["subject"]["case"]) == PURPOSE
    assert give(asked["approval"], "ben")[1]["state"] == "approved"
    assert give(asked["approval"], "ben")[0] == 1
    assert acting("ben")[1]["approval"] != asked["approval"], "an approval is of who asked"
    assert acting(who, "curiosity")[1]["approval"] != asked["approval"], "and of exactly that"
    assert (records(data, kind), out.exists()) == ([], False), "so far nothing was done"

    assert acting(who)[0] == 0
    assert len(records(data, kind)) == 1
    if duty != "customer.erase":
        assert acting(who)[1]["state"] == "asked", "an approval is used once"
        assert len(records(data, kind)) == 1


def test_who_may_not_do_it_neither_asks_nor_approves_it(data: Path) -> None:
    where = ["--data", str(data), "--json"]
    subject = json.dumps({"customer": "alice", "legal_minimum": [], "purpose": "p", "case": "c"})
    assert told("approvals", "ask", "customer.erase", subject, "--reason", "p", *by(data, "eve"), *where)[0] == 1
    assert told("audit", "erase", "--customer", "alice", *why(data, "eve"), *where)[0] == 1
    assert told("approvals", "list", *by(data, "eve"), *where)[1] == {"data": []}
    asked = told("approvals", "ask", "customer.erase", subject, "--reason", "p", *by(data, "ada"), *where)[1]["id"]
    assert told("approvals", "give", asked, *by(data, "eve"), *where)[0] == 1
    assert told("approvals", "give", f"apr_{'0' * 32}", *by(data, "ben"), *where)[0] == 1
    assert told("approvals", "list", *by(data, "eve"), *where)[1]["data"][0]["state"] == "asked"
    for wrong in ("{}", "[]", "x", '{"customer": null}', '{"customer": 1.5}'):
        assert told("approvals", "ask", "customer.erase", wrong, "--reason", "p", *by(data, "ada"), *where)[0] == 2
    told("approvals", "give", asked, *by(data, "ben"), *where)
    erase = ["audit", "erase", "--customer", "alice", *why(data, "ada", "p", "c"), *where]
    status, another = told(*erase)
    assert (status, another["approval"] != asked) == (1, True), "it was approved without a legal minimum alone"
    assert told(*erase, "--legal-minimum", "none")[0] == 0, "what was asked ahead is used by exactly that act"


def test_each_step_stands_signed_by_who_took_it_and_a_customer_s_name_only_sealed(data: Path) -> None:
    where = ["--data", str(data), "--json"]
    keys = {name: officer.key for name, officer in parse_officers((data / "dev" / "officers.toml").read_text()).items()}
    for command in (["audit", "reveal", "0"], ["audit", "export", "--customer", "alice", "--out", str(data / "out.zip")]):
        asked = told(*command, *why(data), *where)[1]["approval"]
        told("approvals", "give", asked, *by(data, "ben"), *where)
        told(*command, *why(data), *where)
    steps = [item for item in records(data, "admin") if str(item["facts"].get("word")).startswith("approval_")]
    words = ["approval_asked", "approval_given", "approval_used"]
    assert [(item["facts"]["word"], item["facts"]["by"]) for item in steps] == [*zip(words, ("eve", "ben", "eve"), strict=True)] * 2
    for step in steps:
        facts = step["facts"]
        assert "alice" not in json.dumps(step)
        if "statement" in facts:
            members = verified_statement(facts["statement"], base64.b64decode(facts["signature"]), keys[facts["by"]])
            assert members is not None
            assert members["subject"] == {name: facts[name] for name in ("word", "approval", "subject", "reason")}
    assert ["statement" in item["facts"] for item in steps] == [True] * 3 + [False] * 3
    assert all(item["retention"] == "P13M" for item in steps[3:]), "what names a customer keeps nothing of them longer"


NOBODY = "alcie"
ERASE = '{"customer": "alcie", "legal_minimum": [], "purpose": "complaint", "case": "C-1"}'
NAMING: dict[str, list[tuple[str, ...]]] = {
    "audit query": [("eve",)],
    "audit agent": [("eve", "assistant")],
    "audit who-looked": [("eve",)],
    "audit export": [("eve", "--out", "OUT")],
    "audit hold": [("eve", "--hold", "court"), ("ada", "--hold", "court", "--release")],
    "audit erase": [("ada", "--legal-minimum", "none")],
    "approvals ask": [("ada", "customer.erase", ERASE, "--reason", "r"), ("eve", "trail.export", ERASE, "--reason", "r")],
}
"""Who names a customer, with which command."""

MEANT = {"kill engage", "mandates list", "dev token", "dev confirm", "dev decline"}
"""A customer is stopped before they were ever seen, too; a list writes nothing; development mode makes up who asks."""


async def test_whoever_names_a_customer_whom_nobody_knows_makes_no_pseudonym_and_no_keys(data: Path, tmp_path: Path) -> None:
    naming = {name for name, parser in verbs().items() if any(action.dest == "customer" for action in parser._actions)}
    assert naming | {"approvals ask"} == {*NAMING, *MEANT}
    for command, cases in NAMING.items():
        for who, *options in cases:
            words = [str(tmp_path / "out.zip") if word == "OUT" else word for word in options]
            named = () if command == "approvals ask" else ("--customer", NOBODY)
            asked_by = why(data, who, *PURPOSE) if command.startswith("audit") else by(data, who)
            status, said = await asyncio.to_thread(told, *command.split(), *words, *named, *asked_by, "--data", str(data))
            assert (status, "unknown customer" in said) == (1, True), (command, said)
    log = await open_log(places(data), writer_id="tests", clock=utc_now)
    try:
        assert await log.subject_of("alice") is not None
        assert await log.subject_of(NOBODY) is None
    finally:
        await log.close()
    listed = await asyncio.to_thread(told, "approvals", "list", *by(data, "ben"), "--data", str(data), "--json")
    assert listed[1]["data"] == []


def test_a_switch_over_somebody_whom_nobody_knows_counts_and_the_officer_is_told_to_look_at_the_name(data: Path) -> None:
    for customer, is_new in (("alice", False), (NOBODY, True)):
        status, said = told("kill", "engage", "--customer", customer, "--reason", "r", *by(data, "ada"), "--data", str(data))
        assert (status, "look at the name" in said) == (0, is_new), said
    listed = told("kill", "list", "--data", str(data), "--json")[1]["data"]
    assert [item["subject"] for item in listed] == ["alice", NOBODY]
