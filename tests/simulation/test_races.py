"""Many at once: limits are exact, duplicates are one, facts that move are seen."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from gateway.domain.errors import Code
from gateway.domain.mandate import Limits
from tests.support.teller import executed_keys, payment, teller, what_does_not_hold


async def _conversations(asked, count):  # type: ignore[no-untyped-def]
    """Each with references of its own to the same two accounts: a lock of one conversation cannot order them."""
    made = []
    for _ in range(count):
        conversation = await asked.gateway.book.open_conversation("alice", asked.gateway.door.clock())
        answered = await asked.ask("list_accounts", conversation=conversation)
        found = [item["account"] for item in answered.output["accounts"] if item["currency"] == "GBP" and item["status"] == "open"]
        made.append((conversation, found[0], found[1]))
    return made


async def test_a_hundred_parallel_transfers_never_pass_the_limit_by_one_unit(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        await asked.granting("alice", limits={"GBP": Limits(10_000, 10_000, 10_000, 10_000, 1000)})
        made = await _conversations(asked, 100)
        # 1.01 to 2.00: together 150.50, of which 100.00 may go
        answered = await asyncio.gather(
            *(
                asked.ask("initiate_transfer", payment(debit, credit, f"{1 + (number + 1) / 100:.2f}"), conversation=conversation)
                for number, (conversation, debit, credit) in enumerate(made)
            )
        )
        codes = Counter(call.code for call in answered)
        assert set(codes) == {None, Code.LIMIT_EXCEEDED}
        spent = sum(101 + number for number, call in enumerate(answered) if call.status == "done")
        assert spent <= 10_000
        refused = [101 + number for number, call in enumerate(answered) if call.status != "done"]
        assert all(spent + minor > 10_000 for minor in refused), "what would have fitted was let through"
        totals = await asked.gateway.book.totals("alice", "GBP", asked.gateway.door.clock())
        assert totals.day_minor == spent
        assert await what_does_not_hold(asked.gateway) == []


async def test_a_limit_may_be_reached_to_the_unit(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        await asked.granting("alice", limits={"GBP": Limits(150, 300, 300, 300, 4)})
        steps = (("1.51", False), ("1.50", True), ("0.99", True), ("0.52", False), ("0.51", True), ("0.01", False))
        for value, fits in steps:
            assert (await asked.transfer(value)).code is (None if fits else Code.LIMIT_EXCEEDED), value
        await asked.granting("alice", limits={"GBP": Limits(150, 900, 900, 900, 4)})
        assert (await asked.transfer("0.02")).code is None
        assert (await asked.transfer("0.03")).code is Code.LIMIT_EXCEEDED, "four in a day, and this is the fifth"


async def test_fifty_duplicates_are_one_transfer_and_one_answer(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        debit, credit = (await asked.accounts())[:2]
        wanted = payment(debit, credit, "12.34")
        before = len(executed_keys(asked.gateway))
        answered = await asyncio.gather(*(asked.ask("initiate_transfer", wanted, native_id="the-one") for _ in range(50)))
        assert len(set(map(repr, answered))) == 1
        assert answered[0].status == "done"
        assert len(executed_keys(asked.gateway)) == before + 1
        other = await asked.ask("initiate_transfer", payment(debit, credit, "12.35"), native_id="the-one")
        assert (other.status, other.code) == ("denied", Code.INVALID_ARGUMENT)
        again = await asked.ask("initiate_transfer", wanted, native_id="another")
        assert (again.status, again.code) == ("held", Code.DUPLICATE_SUSPECTED)
        assert len(executed_keys(asked.gateway)) == before + 1
        assert await what_does_not_hold(asked.gateway) == []


async def test_a_mandate_that_is_taken_away_counts_at_once(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        assert (await asked.transfer("1.00")).status == "done"
        await asked.granting("alice", functions=("list_accounts",))
        answered = await asked.transfer("2.00")
        assert (answered.status, answered.code) == ("denied", Code.DENIED)


@pytest.fixture(autouse=True)
def _a_late_answer_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred at once on a busy machine: what an answer of the database means that comes late is another test's."""
    monkeypatch.setattr("gateway.store.book.FRESH_S", 30.0)
