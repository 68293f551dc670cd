"""Work is bounded: the rate of one customer, and what is beyond it."""

from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import Request

from adapters.functions import MANIFEST
from gateway.calls.rates import Rates
from gateway.domain.errors import Code, Fault, RequestFault
from tests.support.banks import NOON
from tests.support.teller import principal, teller

BY_NAME = {function.name: function for function in MANIFEST}


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


PAYEE = {"name": "Margaret Hale", "identifier": "20301587654321"}


async def test_what_could_be_guessed_with_has_a_narrow_rate_of_its_own(tmp_path: Path) -> None:
    async with teller(tmp_path / "data", calls_per_minute=100_000) as asked:
        for customer in ("alice", "bruno"):
            await asked.say("Is 203015 87654321 really the account of Margaret Hale?", customer=customer)
        answers = [await asked.ask("verify_payee", PAYEE) for _ in range(12)]
        assert [it.code for it in answers] == [None] * 10 + [Code.RATE_LIMITED] * 2
        assert (answers[-1].status, answers[-1].proof) == ("unavailable", None)
        assert asked.gateway.recovery.records.counters.rate_limited == 2
        assert (await asked.ask("list_cards")).status == "done", "the narrow bucket holds up nothing else"
        assert (await asked.ask("verify_payee", PAYEE, customer="bruno")).status == "done"
        other = await asked.gateway.book.open_conversation("alice", asked.gateway.pipeline._parts.clock())
        assert (await asked.ask("verify_payee", PAYEE, conversation=other)).code is Code.RATE_LIMITED, "it is the customer's"


def test_a_narrow_bucket_fills_in_an_hour_and_survives_the_traffic_of_others() -> None:
    rates, guessing = Rates(1_000_000), BY_NAME["verify_payee"]
    most = guessing.calls_per_hour
    assert most == 10
    assert [rates.take("a", NOON, guessing) for _ in range(most + 1)] == [True] * most + [False]
    assert rates.take("a", NOON, BY_NAME["list_cards"])
    for number in range(100_001):
        rates.take(f"customer-{number}", NOON)
    assert not rates.take("a", NOON, guessing)
    assert not rates.take("a", NOON + timedelta(seconds=359), guessing)
    assert rates.take("a", NOON + timedelta(seconds=361), guessing)
    assert [rates.take("a", NOON + timedelta(hours=3), guessing) for _ in range(most + 1)] == [True] * most + [False]


def test_a_narrow_bucket_stands_within_the_general_one() -> None:
    rates, guessing = Rates(2), BY_NAME["verify_payee"]
    assert [rates.take("a", NOON, guessing) for _ in range(3)] == [True, True, False]
    assert [rates.take("a", NOON) for _ in range(1)] == [False]


@pytest.mark.parametrize("name", [it.name for it in MANIFEST if it.calls_per_hour is not None])
def test_no_emergency_function_has_a_narrow_rate(name: str) -> None:
    assert not BY_NAME[name].emergency
