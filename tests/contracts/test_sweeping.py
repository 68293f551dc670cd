"""What is past its time is deleted, on every database, and nothing else; a decision rests on none of it."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, func, insert, select, update

from gateway.domain.states import CallState
from gateway.store import sweeping
from gateway.store.book import SqlBook
from gateway.store.staff_tables import STAFF_APPROVALS, STAFF_SESSIONS
from gateway.store.sweeping import RetentionTimes, Swept, sweep
from gateway.store.tables import (
    APPROVERS,
    CALLS,
    CONFIRMATIONS,
    PROPOSED_CALLS,
    READINGS,
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

KEPT = RetentionTimes(timedelta(days=30), timedelta(days=400))
TABLES = (STAFF_SESSIONS, STAFF_APPROVALS, APPROVERS, CALLS, CONFIRMATIONS, PROPOSED_CALLS, READINGS, SPENT, TAINTS, USES, WORDS)


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
        thread = {"id": "thread_1", "customer": "alice", "conversation": "c1", "created_us": 1, "last_us": 1, "metadata": "{}"}
        connection.execute(insert(THREADS), [thread])

    await book._database.write(fill)
    await sweep(book, KEPT, NOW)
    left = await counts(book)
    assert (left["calls"], left["uses"], left["words"], left["confirmations"]) == (2, 2, 1, 0)
