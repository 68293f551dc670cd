"""Token buckets that processes tell each other of: together they let little more through than one would, a bucket that runs in again
is full, and nobody is charged for what was over before. On SQLite and PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.migration import prepare
from gateway.app.databases import HISTORIES, DatabaseLocations, DatabaseName
from gateway.app.shared_rates import SharedRates
from gateway.calls.rates import Buckets, RateKind
from gateway.domain.errors import Unavailable
from gateway.store.direct import DirectStore
from gateway.store.rates import ForgetRates, HeardRates, of_others
from tests.support.databases import lent
from tests.support.options import examples

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SIZE = 64


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DirectStore]:
    places = DatabaseLocations(tmp_path, "" if request.param == "sqlite" else lent(tmp_path))
    database = places.open(DatabaseName.GATEWAY, name="rates")
    await prepare(database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=False)
    yield DirectStore(database)
    await database.close()


class Process:
    def __init__(self, store: DirectStore, clock: Clock) -> None:
        self.clock, self.buckets = clock, Buckets(RateKind.CUSTOMER)
        self.shared = SharedRates(store, [self.buckets, Buckets(RateKind.CLIENT)], clock)

    def take(self, name: str = "alice", times: int = 1) -> int:
        return sum(self.buckets.take(name, self.clock(), SIZE, SIZE / 60) for _ in range(times))


async def test_two_processes_let_through_what_one_would_and_a_second_s_worth(store: DirectStore) -> None:
    clock = Clock()
    one, two = Process(store, clock), Process(store, clock)
    for process in (one, two):
        await process.shared.exchange()
    let_through = 0
    for _ in range(10):
        let_through += one.take(times=8) + two.take(times=8)
        clock.now += timedelta(seconds=1)
        for process in (one, two):
            await process.shared.exchange()
    assert let_through <= SIZE + 10 * SIZE / 60 + 2 * 16, "the bucket, what runs in, and what is on its way"
    assert two.take("bob") == 1, "another customer has a bucket of their own"


async def test_a_process_that_never_saw_the_customer_knows_what_others_let_through(store: DirectStore) -> None:
    clock = Clock()
    one, two = Process(store, clock), Process(store, clock)
    for process in (one, two):
        await process.shared.exchange()
    assert one.take(times=100) == SIZE
    await one.shared.exchange()
    await two.shared.exchange()
    assert two.take(times=100) == 0
    clock.now += timedelta(seconds=130)
    assert two.take(times=200) == SIZE, "it runs in again, to no more than a full one"


async def test_who_begins_later_is_charged_nothing_for_what_was_before(store: DirectStore) -> None:
    clock = Clock()
    one = Process(store, clock)
    await one.shared.exchange()
    one.take(times=SIZE)
    await one.shared.exchange()
    two = Process(store, clock)
    await two.shared.exchange()
    assert two.take() == 1


async def test_who_asks_now_and_then_is_told_to_nobody(store: DirectStore) -> None:
    clock = Clock()
    one = Process(store, clock)
    await one.shared.exchange()
    for _ in range(50):
        one.take()
        clock.now += timedelta(seconds=60)
    await one.shared.exchange()
    assert await store.read(lambda connection: of_others(connection, "me", clock())) == {}


async def test_while_the_database_does_not_answer_each_counts_for_itself(
    store: DirectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    one = Process(store, clock)
    await one.shared.exchange()

    async def down(*_: object) -> None:
        raise Unavailable("store_unavailable")

    assert one.take(times=10) == 10
    with monkeypatch.context() as patch:
        patch.setattr(DirectStore, "write", down)
        with pytest.raises(Unavailable):
            await one.shared.exchange()
    assert one.take(times=SIZE) == SIZE - 10
    await one.shared.exchange()


async def test_rows_that_nobody_adds_to_are_forgotten(store: DirectStore) -> None:
    clock = Clock()
    one = Process(store, clock)
    await one.shared.exchange()
    one.take(times=SIZE)
    await one.shared.exchange()
    assert await store.write(ForgetRates(clock())) == 0
    assert await store.write(ForgetRates(clock() + timedelta(minutes=11))) == 1


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 20)), max_size=40))
def test_whatever_the_processes_do_no_bucket_gives_more_than_it_has_and_what_is_on_its_way(
    steps: list[tuple[int, int, int]],
) -> None:
    """Three processes; each step one of them takes some and all exchange, some seconds later."""
    now, kept = NOW, [Buckets(RateKind.CALLS) for _ in range(3)]
    heard = [HeardRates() for _ in kept]
    rows: dict[bytes, dict[str, int]] = {}

    def exchange() -> None:
        for number, buckets in enumerate(kept):
            for digest, count in buckets.told().items():
                by = rows.setdefault(digest, {})
                by[str(number)] = by.get(str(number), 0) + count
        for number, buckets in enumerate(kept):
            others = {bucket: {by: n for by, n in of.items() if by != str(number)} for bucket, of in rows.items()}
            buckets.hear(heard[number].new(others))

    exchange()
    let_through, passed = 0, 0
    for process, times, seconds in steps:
        let_through += sum(kept[process].take("alice", now, SIZE, SIZE / 60) for _ in range(times))
        exchange()
        now += timedelta(seconds=seconds)
        passed += seconds
    below_notice = 3 * SIZE / 16
    assert let_through <= SIZE + passed * SIZE / 60 + below_notice
