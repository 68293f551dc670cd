"""Work is bounded: the rate of one customer, and what is beyond it."""

from datetime import timedelta
from pathlib import Path

from fastapi import Request

from gateway.errors import Code, Fault, RequestFault
from gateway.rates import Rates
from tests.support.banks import NOON
from tests.support.teller import principal, teller


async def test_beyond_the_rate_calls_are_counted_not_recorded(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", calls_per_minute=3) as asked:
        for _ in range(3):
            assert (await asked.ask("list_cards")).status == "done"
        before = asked.gateway.log.size()
        refused = await asked.ask("list_cards")
        assert (refused.status, refused.code, refused.proof) == ("unavailable", Code.RATE_LIMITED, None)
        assert asked.gateway.log.size() == before
        assert asked.gateway.recovery.records.counters.rate_limited == 1
        assert (await asked.ask("request_human", {"topic": "help"})).status == "done", "the way to a human stays open"
        assert (await asked.ask("list_cards", customer="bruno")).status == "done", "one customer does not starve another"
        await asked.gateway.recovery.census(asked.gateway.recovery.clock() - timedelta(minutes=1))
        leaf = await asked.gateway.log.read(lambda reads: reads.leaf(asked.gateway.log.size() - 1))
        assert leaf is not None
        assert b'"rate_limited":1' in leaf.leaf


async def test_malformed_requests_beyond_the_rate_are_counted_too(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", calls_per_minute=2) as asked:
        door, before = asked.gateway.door, asked.gateway.log.size()
        request = Request({"type": "http", "method": "POST", "path": "/", "headers": []})
        fault = RequestFault(Fault.INVALID_JSON, "not JSON")
        for _ in range(5):
            answered = await door._faulted(request, principal("alice"), fault)
            assert answered.status_code == 400
        assert asked.gateway.log.size() == before + 2
        assert door.records.counters.rate_limited == 3


def test_a_bucket_fills_again_and_never_beyond_its_size() -> None:
    rates = Rates(60)
    assert [rates.take("a", NOON) for _ in range(61)] == [True] * 60 + [False]
    assert not rates.take("a", NOON + timedelta(seconds=0.5))
    assert rates.take("a", NOON + timedelta(seconds=2))
    assert [rates.take("a", NOON + timedelta(hours=1)) for _ in range(61)].count(True) == 60
    assert not rates.take("a", NOON), "a clock that goes back gives nothing"
