"""`tellergate audit reconcile`, on a data folder in which calls were made, and then on what somebody did to its bank (TC-14)."""

import json
import sqlite3
from asyncio import to_thread
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app.clock import utc_now
from gateway.cli import main
from gateway.commands import reconciliation
from tests.support.asking import approved, why
from tests.support.databases import url
from tests.support.teller import sandbox_bank, teller

LATER = timedelta(minutes=2)
"""Beyond the life of a permit: what has had no effect by then has none."""


@pytest.fixture
async def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TELLERGATE_DATABASE", url(tmp_path / "data"))
    monkeypatch.setattr(reconciliation, "utc_now", lambda: utc_now() + LATER)
    async with teller(tmp_path / "data") as asked:
        assert (await asked.transfer("4.20", native_id="t1")).status == "done"
        assert (await asked.transfer("5.30", native_id="t2")).status == "done"
        cards = (await asked.ask("list_cards")).output
        assert cards is not None
        card = cards["cards"][0]["card"]  # type: ignore[index, call-overload]
        with closing(sqlite3.connect(tmp_path / "data" / "bank.sqlite")) as bank, bank:
            bank.execute("UPDATE card SET status = 'expired' WHERE holder = 'alice'")
        assert (await asked.ask("freeze_card", {"card": card})).status == "denied", "the bank declines it"
    return tmp_path / "data"


def reconcile(data: Path, capsys: pytest.CaptureFixture[str], *more: str | Path) -> tuple[int, Any]:
    status = main([str(item) for item in ("audit", "reconcile", "--data", data, *why(data), "--json", *more)])
    printed = capsys.readouterr()
    return status, json.loads(printed.out) if printed.out else printed.err


def change(data: Path, *statements: str) -> None:
    """Do to the bank's file what no code of ours does: without its guards."""
    with closing(sqlite3.connect(data / "bank.sqlite")) as bank, bank:
        for (name,) in bank.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            bank.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            bank.execute(statement)


ONE = "(SELECT min(key) FROM payment WHERE amount_minor = 420 AND key IS NOT NULL)"
ITS_PAYMENT = "(SELECT id FROM payment WHERE amount_minor = 420 AND key IS NOT NULL)"
AGAIN = (
    "INSERT INTO payment SELECT 'p-again', account, credit, beneficiary, amount_minor, currency, counterparty_name, reference, status,"
    " created_at_us, settled_at_us, execute_on, through_assistant, {key}, standing_order FROM payment WHERE key = " + ONE
)


BY_HAND = "INSERT INTO instruction VALUES ('by-hand', 'd', 'alice', 'FreezeCard', 'done', '{\"done\": {}}', 4000000000000000)"
BOOKED_TWICE = (
    "INSERT INTO movement SELECT 'm-again', debit, credit, amount_minor, currency, state, pended_at_us, expires_at_us, settled_at_us,"
    " payment, category, memo, debtor_name, debtor_account, creditor_name, creditor_account FROM movement"
    f" WHERE payment = {ITS_PAYMENT}"
)
DONE_AFTER_ALL = "UPDATE instruction SET outcome = 'done', answer = '{\"done\": {}}' WHERE outcome = 'declined'"
ITS_PAYMENT_GONE = f"DELETE FROM payment WHERE key = {ONE}"


@pytest.mark.parametrize(
    ("seeded", "what"),
    [
        ((f"DELETE FROM instruction WHERE key = {ONE}", ITS_PAYMENT_GONE), "missing"),
        ((AGAIN.format(key="NULL"),), "unintended"),
        ((AGAIN.format(key="'somebody'"),), "unintended"),
        ((BY_HAND,), "unintended"),
        ((f"UPDATE movement SET amount_minor = 421 WHERE payment = {ITS_PAYMENT}",), "amount"),
        ((BOOKED_TWICE,), "amount"),
        ((f"UPDATE movement SET state = 'voided' WHERE payment = {ITS_PAYMENT}",), "amount"),
        ((AGAIN.format(key=ONE), "UPDATE payment SET settled_at_us = NULL WHERE id = 'p-again'"), "double"),
        ((DONE_AFTER_ALL,), "end_state"),
        ((f"UPDATE instruction SET outcome = 'declined' WHERE key = {ONE}", ITS_PAYMENT_GONE), "end_state"),
    ],
)
def test_what_somebody_did_to_the_bank_is_found_alone(
    data: Path, capsys: pytest.CaptureFixture[str], seeded: tuple[str, ...], what: str
) -> None:
    status, report = reconcile(data, capsys)
    assert (status, report["good"], report["findings"]) == (0, True, [])
    assert report["intents"] == report["effects"] >= 3
    change(data, *seeded)
    status, report = reconcile(data, capsys)
    assert (status, report["good"], [item["what"] for item in report["findings"]]) == (1, False, [what])


def test_what_lies_before_is_not_looked_at_and_the_question_is_on_record(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(data, AGAIN.format(key="NULL"))
    since = datetime.isoformat(utc_now() + timedelta(minutes=1))
    status, report = reconcile(data, capsys, "--since", since)
    assert (status, report["findings"]) == (0, [])
    assert main(["audit", "query", "--data", str(data), *why(data), "--json", "--kind", "audit.reveal"]) == 0
    (asked,) = json.loads(capsys.readouterr().out)["records"]
    assert asked["leaf"]["actor"]["agent"] == "eve"
    assert asked["leaf"]["facts"]["case"] == "none"


def test_a_customer_who_was_erased_is_compared_without_amounts(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert approved(data, "audit", "erase", *why(data, "ada"), "--customer", "alice", "--legal-minimum", "none")[0] == 0
    capsys.readouterr()
    status, report = reconcile(data, capsys)
    assert (status, report["findings"], report["sealed"]) == (0, [], report["intents"])
    change(data, f"UPDATE movement SET amount_minor = 421 WHERE payment = {ITS_PAYMENT}")
    assert reconcile(data, capsys)[0] == 0, "the amount that was intended is nowhere any more"


async def test_a_core_behind_http_is_asked_like_the_embedded_one(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with sandbox_bank(data, utc_now) as (_, port):
        there = ("--core-url", f"http://127.0.0.1:{port}", "--core-credential-file", data / "core.token")
        status, report = await to_thread(reconcile, data, capsys, *there)
        assert (status, report["findings"]) == (0, [])
        change(data, AGAIN.format(key="NULL"))
        status, report = await to_thread(reconcile, data, capsys, *there)
        assert (status, [item["what"] for item in report["findings"]]) == (1, ["unintended"])
    status, said = await to_thread(reconcile, data, capsys, *there)
    assert status == 3
    assert "the core does not answer" in said


def test_without_a_bank_nothing_is_compared(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "bank.sqlite").rename(data / "elsewhere.sqlite")
    status, said = reconcile(data, capsys)
    assert status == 3
    assert "--core-url" in said
    assert not (data / "bank.sqlite").exists(), "a bank that is made up by the question would know nothing"


def test_people_read_a_table(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "reconcile", "--data", str(data), *why(data)]) == 0
    assert "nothing unexplained" in capsys.readouterr().out
    change(data, AGAIN.format(key="NULL"))
    assert main(["audit", "reconcile", "--data", str(data), *why(data)]) == 1
    assert "1 findings" in capsys.readouterr().out
