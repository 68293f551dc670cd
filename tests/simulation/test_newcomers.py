"""Many customers who call for the first time at one moment: all are answered, and another customer hardly notices."""

import asyncio
from pathlib import Path

import pytest

from gateway.app.clock import utc_now
from gateway.app.development.customers import grant
from gateway.calls import newcomers
from gateway.calls.newcomers import Newcomers
from gateway.domain.errors import Unavailable
from gateway.domain.states import CallStatus
from tests.support.keys import mandate_signer
from tests.support.teller import Teller, bank_of, open_accounts, teller

NEW = 40
"""More than any pool of connections holds."""


async def test_more_new_customers_at_once_than_a_pool_holds_are_all_answered_and_another_beside_them(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", audit_wait_ms=5_000) as asked:
        accounts = await asked.accounts()
        customers = await _granted(asked)
        first = asyncio.gather(*(asked.ask("list_accounts", customer=customer) for customer in customers))
        beside = 0
        while not first.done():
            read = await asked.ask("get_account_balance", {"account": accounts[0]})
            assert read.status is CallStatus.DONE
            beside += 1
        assert all(len(open_accounts(answered)) == 2 for answered in await first)
        assert beside > NEW / 10, "another customer is answered all the while, not after them"


async def test_what_protects_a_new_customer_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with teller(tmp_path / "data") as asked:
        await asked.accounts()
        monkeypatch.setattr(newcomers, "WAIT_MOST_S", -1.0)  # as if a whole queue stood before whoever is new
        refused = pytest.raises(Unavailable, match="new_customers_wait")
        with refused:
            await asked.ask("list_accounts", customer="bruno")
        report = {"what_happened": "Somebody called and asked for my PIN"}
        assert (await asked.ask("report_suspected_fraud", report, customer="bruno")).reason != "new_customers_wait"
        assert (await asked.ask("list_accounts")).status is CallStatus.DONE, "who is known is not asked to wait"


async def test_beginnings_are_spaced_and_whoever_would_wait_too_long_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "WAIT_MOST_S", 9.5 * newcomers.EVERY_S)
    queue, loop = Newcomers(), asyncio.get_running_loop()
    began = loop.time()
    turns = await asyncio.gather(*(queue.turn(f"customer-{number}") for number in range(20)), return_exceptions=True)
    assert [isinstance(turn, Unavailable) for turn in turns] == [False] * 10 + [True] * 10
    assert loop.time() - began >= 9 * newcomers.EVERY_S * 0.9
    began = loop.time()
    await asyncio.gather(*(queue.turn(f"customer-{number}") for number in range(10)))
    assert loop.time() - began < newcomers.EVERY_S, "they are known now"


async def _granted(asked: Teller) -> list[str]:
    gateway = asked.gateway
    key = mandate_signer(gateway.settings.data)
    customers = bank_of(gateway).seed_load(NEW)
    for customer in customers:
        await grant(gateway.book, gateway.core, key, customer, utc_now())
    return customers
