"""What is past its time is deleted, on every database, and nothing else; a decision rests on none of it."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Table, func, insert, select, update

from audit.erasure import held_customers, place_hold, release_hold
from audit.log import LogUnavailable
from audit.query import Why
from gateway.domain.states import CallState, RunState
from gateway.store import sweeping
from gateway.store.book import SqlBook
from gateway.store.staff_tables import AUDIT_CASE_ENTRIES, STAFF_APPROVALS, STAFF_SESSIONS
from gateway.store.sweeping import RetentionTimes, Swept, TooManyHeld, sweep
from gateway.store.tables import (
    APPROVERS,
    CALLS,
    CONFIRMATIONS,
    CONVERSATIONS,
    MESSAGES,
    PROPOSED_CALLS,
    READINGS,
    RUNS,
    SPENT,
    TAINTS,
    THREADS,
    USES,
    WORDS,
)
from gateway.store.times import to_us
from tests.support import growth
from tests.support.databases import book_in
from tests.support.growth import NOW
from tests.support.teller import teller

KEPT = RetentionTimes(timedelta(days=30), timedelta(days=400), timedelta(days=500))
TABLES = (
    AUDIT_CASE_ENTRIES,
    STAFF_SESSIONS,
    STAFF_APPROVALS,
    APPROVERS,
    CALLS,
    CONFIRMATIONS,
    PROPOSED_CALLS,
    READINGS,
    SPENT,
    TAINTS,
    USES,
    WORDS,
)


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[SqlBook]:
    opened = await book_in(tmp_path, Ed25519PrivateKey.generate().public_key())
    yield opened
    await opened.close()


def of_each(connection: Connection, number: int, days: float, state: CallState = CallState.POSTED) -> None:
    """One row of each class, so many days old."""
    at_us = to_us(NOW - timedelta(days=days))
    named = {"call_id": f"call_{number}", "conversation": f"c{number}"}
    call = {**growth._call(number, 1), "conversation": f"c{number}", "created_us": at_us, "core_key": f"key-{number}"}
    connection.execute(insert(CALLS), [call])
    connection.execute(update(CALLS).where(CALLS.c.call_id == f"call_{number}").values(state=state))
    connection.execute(insert(USES), [{**named, "kind": "amount", "value": "1", "turn": 1}])
    connection.execute(insert(READINGS), [{**named, "document": None, "text": "a bill", "at_us": at_us}])
    said = {"position": 0, "origin": "typed", "text": "Pay Anna", "at_us": at_us, "turn": 1, "reading": None}
    connection.execute(insert(WORDS), [{**said, "conversation": f"c{number}"}])
    connection.execute(insert(TAINTS), [{"customer": "alice", "agent": f"a{number}", "since_us": at_us, "last_us": at_us}])
    connection.execute(insert(CONFIRMATIONS), [growth._proposal(number, expires_us=at_us, created_us=at_us - 1)])
    connection.execute(insert(APPROVERS), [{"approver": "bruno", "confirmation": f"cnf_{number}", "expires_us": at_us}])
    proposed = {"native_id": "n", "turn": "t", "function": "f", "arguments": b"{}", "arguments_hash": bytes(32), "sources": b"{}"}
    connection.execute(
        insert(PROPOSED_CALLS), [{**proposed, "call_id": f"p{number}", "confirmation": f"cnf_{number}", "position": 0}]
    )
    person = {"roles": "officer", "strong": True, "authenticated_s": 1, "created_us": at_us, "expires_us": at_us}
    connection.execute(insert(STAFF_SESSIONS), [{**person, "id": number.to_bytes(32, "big"), "subject": "ada"}])
    asked = {"duty": "trail.reveal", "subject": "{}", "reason": "r", "asked_by": "ada", "asked_us": at_us, "expires_us": at_us}
    connection.execute(insert(STAFF_APPROVALS), [{**asked, "id": f"apr_{number}"}])
    entry = {"case_id": "C-1", "kind": "note", "text": "n", "added_by": "eve", "at_us": at_us}
    connection.execute(insert(AUDIT_CASE_ENTRIES), [{**entry, "id": f"ent_{number}"}])
    hour = {"customer": f"x{number}", "currency": "GBP", "standing_mandate": "", "minor": 1, "payments": 1}
    connection.execute(insert(SPENT), [{**hour, "hour": at_us // 3_600_000_000}])


async def counts(book: SqlBook) -> dict[str, int]:
    def ask(connection: Connection) -> dict[str, int]:
        return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES}

    return await book.read(ask)


async def test_each_class_is_deleted_at_its_time_and_not_before(book: SqlBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "AT_ONCE", 2)

    def fill(connection: Connection) -> None:
        for number, days in enumerate((0, 1.5, 2.5, 29, 31.5, 35, 399, 401, 500, 501)):
            of_each(connection, number, days)

    await book._database.write(fill)
    assert await sweep(book, KEPT, NOW) > 0
    assert await counts(book) == {
        "words": 4,
        "readings": 4,
        "calls": 7,
        "uses": 7,
        "confirmations": 7,
        "proposed_calls": 7,
        "approvers": 1,
        "spent": 4,
        "taints": 2,
        "staff_sessions": 1,
        "staff_approvals": 1,
        "audit_case_entries": 7,
    }
    assert await sweep(book, KEPT, NOW) == 0
    assert {what for what, _ in KEPT.ends(NOW)} == set(Swept), "every class has its time"


def test_the_guide_has_each_class_and_no_other() -> None:
    guide = (Path(__file__).parents[2] / "deploy" / "README.md").read_text()
    section = guide.split("## What is deleted, and when")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [what.value for what in Swept]


async def test_what_is_not_settled_and_the_words_of_a_thread_stay(book: SqlBook) -> None:
    def fill(connection: Connection) -> None:
        of_each(connection, 1, 500, CallState.PENDING)
        of_each(connection, 2, 500, CallState.UNKNOWN)
        thread = {
            "id": "thread_1",
            "customer": "alice",
            "conversation": "c1",
            "created_us": 1,
            "last_us": to_us(NOW),
            "metadata": "{}",
        }
        connection.execute(insert(THREADS), [thread])

    await book._database.write(fill)
    await sweep(book, KEPT, NOW)
    left = await counts(book)
    assert (left["calls"], left["uses"], left["words"], left["confirmations"]) == (2, 2, 1, 0)


def thread_of(connection: Connection, number: int, days: float, customer: str = "alice", is_over: bool = True) -> None:
    """A thread with a word, a message and a run, so many days old."""
    at_us = to_us(NOW - timedelta(days=days))
    own = {"created_us": at_us, "metadata": "{}", "body": "{}", "thread": f"t{number}"}
    conversation = {"id": f"tc{number}", "customer": customer, "created_us": at_us}
    connection.execute(insert(CONVERSATIONS), [conversation])
    thread = {"id": f"t{number}", "customer": customer, "conversation": f"tc{number}", "metadata": "{}"}
    connection.execute(insert(THREADS), [{**thread, "created_us": at_us, "last_us": at_us}])
    connection.execute(insert(MESSAGES), [{**own, "id": f"m{number}", "run": None, "word": 0}])
    run = {
        **own,
        "id": f"r{number}",
        "customer": customer,
        "assistant": "a",
        "state": RunState.QUEUED,
        "expires_us": at_us,
        "principal": b"",
    }
    connection.execute(insert(RUNS), [run])
    if is_over:
        connection.execute(update(RUNS).where(RUNS.c.id == f"r{number}").values(state=RunState.EXPIRED))
    said = {"position": 0, "origin": "typed", "text": "Pay Anna", "at_us": at_us, "turn": 1, "reading": None}
    connection.execute(insert(WORDS), [{**said, "conversation": f"tc{number}"}])


async def rows(book: SqlBook, table: Table) -> int:
    return await book.read(lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one())


async def test_a_thread_goes_whole_once_nobody_writes_to_it_and_no_run_is_under_way(
    book: SqlBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "THREADS_AT_ONCE", 1)

    def fill(connection: Connection) -> None:
        for number, days in enumerate((499, 501, 502)):
            thread_of(connection, number, days)
        thread_of(connection, 3, 503, is_over=False)

    await book._database.write(fill)
    await sweep(book, KEPT, NOW)
    assert [await rows(book, table) for table in (THREADS, MESSAGES, RUNS, WORDS)] == [2, 2, 2, 2]


async def test_what_a_legal_hold_is_on_stays_and_goes_with_the_next_sweep_after_its_release(book: SqlBook) -> None:
    def fill(connection: Connection) -> None:
        for number in (1, 2):
            of_each(connection, number, 600)
        thread_of(connection, 1, 600)
        thread_of(connection, 2, 600, customer="bruno")
        of_alice = [{"id": f"c{number}", "customer": "alice", "created_us": 1} for number in (1, 2)]
        connection.execute(insert(CONVERSATIONS), of_alice)

    await book._database.write(fill)
    on: set[str] = {"alice", "carol"}

    async def held() -> set[str]:
        return on

    await sweep(book, KEPT, NOW, held=held)
    kept = await counts(book)
    assert {name: kept[name] for name in ("words", "readings", "calls", "uses", "taints")} == {
        "words": 3,  # one is of the thread
        **dict.fromkeys(("readings", "calls", "uses", "taints"), 2),
    }
    assert kept["confirmations"] == kept["proposed_calls"] == kept["approvers"] == 2
    assert [await rows(book, table) for table in (THREADS, MESSAGES, RUNS)] == [1, 1, 1], "bruno's are gone"
    on.clear()
    await sweep(book, KEPT, NOW, held=held)
    assert set((await counts(book)).values()) == {0}
    assert [await rows(book, table) for table in (THREADS, MESSAGES, RUNS)] == [0, 0, 0]


async def test_nothing_is_deleted_while_holds_cannot_be_read_or_are_too_many(
    book: SqlBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    await book._database.write(lambda connection: of_each(connection, 1, 600))
    before = await counts(book)

    async def unread() -> set[str]:
        raise LogUnavailable("the log does not answer")

    async def many() -> set[str]:
        return {"alice", "bruno"}

    with pytest.raises(LogUnavailable):
        await sweep(book, KEPT, NOW, held=unread)
    monkeypatch.setattr(sweeping, "HELD_MOST", 1)
    with pytest.raises(TooManyHeld):
        await sweep(book, KEPT, NOW, held=many)
    assert await counts(book) == before


async def test_whoever_a_hold_of_the_trail_is_on_is_held_until_its_last_hold_is_released(tmp_path: Path) -> None:
    async with teller(tmp_path) as asked:
        for customer in ("alice", "carol"):
            await asked.ask("list_accounts", customer=customer)
        log, why = asked.gateway.log, Why(auditor="eve", purpose="litigation", case_id="L-1")
        assert await held_customers(log) == frozenset()
        for customer, name in (("alice", "one"), ("alice", "two"), ("carol", "one")):
            await place_hold(log, customer, name, why)
        assert await held_customers(log) == {"alice", "carol"}
        await release_hold(log, "alice", "one", why)
        await release_hold(log, "carol", "one", why)
        assert await held_customers(log) == {"alice"}
        await release_hold(log, "alice", "two", why)
        assert await held_customers(log) == frozenset()
