"""What a customer asks a bank for goes out as the model wrote it: ordinary answers over the bank's own data lose no character."""

import json
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.app.clock import utc_now
from gateway.calls.output import output_text
from gateway.calls.redaction import FENCE
from gateway.runs.outgoing import OutgoingFilter, identifiers
from gateway.runs.told import told
from tests.support.bank_answers import ANSWERS, Row, Told
from tests.support.teller import Teller, output_of, teller

CUSTOMERS = ("alice", "bruno", "carla", "david", "northwind")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Teller]:
    async with teller(Path(tmp_path_factory.mktemp("answers")) / "data", calls_per_minute=100_000) as made:
        yield made


async def outputs_of(asked: Teller, customer: str) -> tuple[Told, list[str]]:
    """What the functions told, and the same as the model read it."""
    texts, rows = [], []
    listed = await asked.ask("list_accounts", customer=customer)
    for account in output_of(listed)["accounts"]:
        days = {"from": "2020-01-01", "to": utc_now().date().isoformat(), "limit": 100}
        answered = await asked.ask("list_transactions", {"account": account["account"], **days}, customer=customer)
        texts.append(output_text(answered))
        rows += [row_of(it) for it in (output_of(answered) if answered.output else {"transactions": []})["transactions"]]
    money = {"value": "250.00", "currency": "GBP"}
    quoted = await asked.ask("get_fx_quote", {"from": "GBP", "to": "EUR", "amount": money}, customer=customer)
    limited = await asked.ask("get_limits", customer=customer)
    texts += [output_text(it) for it in (listed, quoted, limited)]
    limits = [(it["window"], f"{it['most']['value']} {it['most']['currency']}") for it in output_of(limited)["limits"]]
    return Told(rows, output_of(quoted)["rate"] if quoted.output else "1.16", limits), texts


def row_of(it: dict[str, Any]) -> Row:
    return Row(
        day=date.fromisoformat(it["booked_at"][:10]),
        time=it["booked_at"][11:19],
        amount=Decimal(it["amount"]["value"]),
        currency=it["amount"]["currency"],
        who=plain(it["counterparty_name"]),
        mask=it["counterparty_account"] or "",
        reference=it["transaction"],
    )


def plain(name: dict[str, str] | None) -> str:
    """A name that somebody made of markup or of an address does not go out as it is: `test_outgoing`."""
    text = name[FENCE] if name else ""
    return text if text.replace(" ", "").isalnum() else "somebody"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("customer", CUSTOMERS)
async def test_ordinary_answers_stay_byte_for_byte(asked: Teller, customer: str) -> None:
    given, outputs = await outputs_of(asked, customer)
    assert len(given.rows) >= 5
    shown, figures = frozenset().union(*map(identifiers, outputs)), frozenset().union(*map(told, outputs))
    for name, written in ANSWERS.items():
        text = written(given)
        outgoing = OutgoingFilter(frozenset(), shown, figures)
        out = "".join(outgoing.feed(text[at : at + 17]) for at in range(0, len(text), 17)) + outgoing.end()
        wrong = [(was, became) for was, became in zip(text.splitlines(), out.splitlines(), strict=False) if was != became]
        assert (name, wrong[:3]) == (name, [])
        assert out == text, name


def test_what_a_third_party_wrote_lets_no_account_pass() -> None:
    output = json.dumps({"ok": True, "result": {"memo": {FENCE: "ref 87654321"}, "value": "12345678.00", "number": "****4321"}})
    outgoing = OutgoingFilter(frozenset(), identifiers(output), told(output))
    out = outgoing.feed("account number 87654321, account number 12345678, account 4321 4321 and more") + outgoing.end()
    assert out == "account number [account number], account number 12345678, account [account number] and more"


def test_no_number_is_made_of_figures_that_are_shorter() -> None:
    output = json.dumps({"counts": [1, 4, 41, 11], "last4": "4111"})
    outgoing = OutgoingFilter(frozenset(), frozenset(), told(output))
    out = outgoing.feed("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 or 41-11-11-11-11-11-11-11 here") + outgoing.end()
    assert out == "[card number] or [card number] here"
