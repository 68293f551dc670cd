"""TC-05: the sandbox's ledger answers as TigerBeetle 0.17.8 does, and the database refuses what the ledger must not do."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from adapters.core import MAX_MINOR, Money
from adapters.cores.sandbox import SandboxBank, books
from adapters.cores.sandbox.ledger import LedgerAnswer, Pend
from adapters.cores.sandbox.seed import account_id
from tests.support.banks import NOON, Clock, sandbox

MAIN, SAVINGS, YEN = account_id("alice.current"), account_id("alice.savings"), account_id("alice.yen")
_MOVEMENT = (
    "INSERT INTO movement SELECT 'm-x', debit, {credit}, 1, currency, 'posted', 0, 0, 0, NULL, '', '', '', '', '', '' FROM movement"
)
BODY = Pend("m-test", MAIN, SAVINGS, Money(1000, "GBP"), NOON + timedelta(hours=1))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[SandboxBank, Clock]]:
    with sandbox(tmp_path) as (bank, clock):
        yield bank, clock
        assert bank.findings() == []


@pytest.fixture
def bank(opened: tuple[SandboxBank, Clock]) -> SandboxBank:
    return opened[0]


@pytest.fixture
def clock(opened: tuple[SandboxBank, Clock]) -> Clock:
    return opened[1]


@pytest.fixture
def connection(bank: SandboxBank) -> Iterator[Connection]:
    with bank._engine.connect() as connection:
        yield connection


async def amounts(bank: SandboxBank, account: str = MAIN) -> tuple[int, int]:
    booked, available = await bank.balance(account, "ITBD"), await bank.balance(account, "ITAV")
    assert booked is not None
    assert available is not None
    return booked.amount.minor, available.amount.minor


async def test_pend_then_post_is_created_and_moves_the_amount_at_the_post(bank: SandboxBank) -> None:
    before = await amounts(bank)
    assert await bank.pend(BODY) is LedgerAnswer.CREATED
    assert await amounts(bank) == (before[0], before[1] - 1000)
    assert await bank.post("m-test") is LedgerAnswer.CREATED
    assert await amounts(bank) == (before[0] - 1000, before[1] - 1000)


async def test_pend_then_void_leaves_everything_as_it_was(bank: SandboxBank) -> None:
    before = await amounts(bank)
    assert await bank.pend(BODY) is LedgerAnswer.CREATED
    assert await bank.void("m-test") is LedgerAnswer.CREATED
    assert await amounts(bank) == before


async def test_same_id_and_body_exists(bank: SandboxBank) -> None:
    await bank.pend(BODY)
    assert await bank.pend(BODY) is LedgerAnswer.EXISTS
    await bank.post("m-test")
    assert await bank.pend(BODY) is LedgerAnswer.EXISTS


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Money(1001, "GBP")},
        {"credit": YEN},
        {"debit": SAVINGS, "credit": MAIN},
        {"expires_at": NOON + timedelta(hours=2)},
    ],
    ids=str,
)
async def test_same_id_with_another_body_is_refused_as_different(bank: SandboxBank, change: dict[str, object]) -> None:
    await bank.pend(BODY)
    assert await bank.pend(replace(BODY, **change)) is LedgerAnswer.EXISTS_WITH_DIFFERENT_BODY  # type: ignore[arg-type]


async def test_an_overspend_is_refused_and_its_id_stays_burned(bank: SandboxBank) -> None:
    _, available = await amounts(bank, SAVINGS)
    beyond = replace(BODY, debit=SAVINGS, credit=MAIN, amount=Money(available + 1, "GBP"))
    assert await bank.pend(beyond) is LedgerAnswer.EXCEEDS_FUNDS
    assert await bank.pend(beyond) is LedgerAnswer.ALREADY_FAILED
    assert await bank.pend(replace(beyond, amount=Money(1, "GBP"))) is LedgerAnswer.ALREADY_FAILED
    assert await bank.post("m-test") is LedgerAnswer.ALREADY_FAILED
    assert await bank.pend(replace(beyond, id="m-next", amount=Money(available, "GBP"))) is LedgerAnswer.CREATED


async def test_what_is_held_cannot_be_spent_twice(bank: SandboxBank) -> None:
    _, available = await amounts(bank, SAVINGS)
    whole = replace(BODY, debit=SAVINGS, credit=MAIN, amount=Money(available, "GBP"))
    assert await bank.pend(whole) is LedgerAnswer.CREATED
    assert await bank.pend(replace(whole, id="m-next", amount=Money(1, "GBP"))) is LedgerAnswer.EXCEEDS_FUNDS
    await bank.void("m-test")
    assert await bank.pend(replace(whole, id="m-after", amount=Money(1, "GBP"))) is LedgerAnswer.CREATED


@pytest.mark.parametrize("again", ["post", "void"])
async def test_post_or_void_after_post_is_already_posted(bank: SandboxBank, again: str) -> None:
    await bank.pend(BODY)
    await bank.post("m-test")
    assert await getattr(bank, again)("m-test") is LedgerAnswer.ALREADY_POSTED


@pytest.mark.parametrize("again", ["post", "void"])
async def test_post_or_void_after_void_is_already_voided(bank: SandboxBank, again: str) -> None:
    await bank.pend(BODY)
    await bank.void("m-test")
    assert await getattr(bank, again)("m-test") is LedgerAnswer.ALREADY_VOIDED


@pytest.mark.parametrize("late", ["post", "void"])
async def test_post_after_the_timeout_is_expired_and_the_hold_is_gone(bank: SandboxBank, clock: Clock, late: str) -> None:
    before = await amounts(bank)
    await bank.pend(BODY)
    clock.turn(timedelta(hours=1))
    assert await amounts(bank) == before
    assert await getattr(bank, late)("m-test") is LedgerAnswer.EXPIRED
    assert await bank.pend(BODY) is LedgerAnswer.EXISTS
    assert await amounts(bank) == before


async def test_a_hold_stops_counting_at_its_very_moment(bank: SandboxBank, clock: Clock) -> None:
    _, available = await amounts(bank, SAVINGS)
    whole = replace(BODY, debit=SAVINGS, credit=MAIN, amount=Money(available, "GBP"))
    await bank.pend(whole)
    clock.turn(timedelta(hours=1))
    assert await bank.pend(replace(whole, id="m-next", expires_at=clock() + timedelta(1))) is LedgerAnswer.CREATED


async def test_the_last_moment_before_the_timeout_still_posts(bank: SandboxBank, clock: Clock) -> None:
    await bank.pend(BODY)
    clock.turn(timedelta(hours=1) - timedelta(microseconds=1))
    assert await bank.post("m-test") is LedgerAnswer.CREATED


async def test_unknown_ids_accounts_and_currencies(bank: SandboxBank) -> None:
    assert await bank.post("m-none") is LedgerAnswer.NOT_FOUND
    assert await bank.void("m-none") is LedgerAnswer.NOT_FOUND
    assert await bank.pend(replace(BODY, credit="none")) is LedgerAnswer.NO_ACCOUNT
    assert await bank.pend(replace(BODY, credit=MAIN)) is LedgerAnswer.NO_ACCOUNT
    assert await bank.pend(replace(BODY, credit=YEN)) is LedgerAnswer.WRONG_CURRENCY
    assert await bank.pend(replace(BODY, amount=Money(-1, "GBP"))) is LedgerAnswer.OUT_OF_RANGE
    assert await bank.pend(replace(BODY, amount=Money(MAX_MINOR, "GBP"))) is LedgerAnswer.OUT_OF_RANGE


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET amount_minor = amount_minor + 1",
        "DELETE FROM entry",
        "UPDATE instruction SET answer = '{}'",
        "DELETE FROM instruction",
        "UPDATE movement SET state = 'pending' WHERE state = 'posted'",
        "UPDATE movement SET amount_minor = 1, state = 'posted' WHERE state = 'pending'",
        "DELETE FROM movement",
        "UPDATE payment SET status = 'SCHD' WHERE status = 'ACSC'",
        "UPDATE payment SET amount_minor = 1",
        "UPDATE movement SET memo = 'changed'",
        _MOVEMENT.format(credit="debit") + " LIMIT 1",
    ],
)
async def test_the_database_itself_refuses(bank: SandboxBank, connection: Connection, statement: str) -> None:
    await bank.status("key-burned")  # so that every table has a row to touch
    with pytest.raises(IntegrityError):
        connection.execute(text(statement))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE balance SET booked_minor = booked_minor + 1 WHERE account = :main", "balance of"),
        ("UPDATE balance SET entries = entries + 1 WHERE account = :main", "balance of"),
        (
            "INSERT INTO entry SELECT 't-x', movement, account, 9999, 5, currency, 0 FROM entry WHERE account = :main LIMIT 1",
            "currency GBP sums to 5",
        ),
        (
            _MOVEMENT.format(credit="credit") + " WHERE debit = :main LIMIT 1",
            "movement m-x",
        ),
        ("UPDATE account SET currency = 'EUR' WHERE id = :main", "another currency"),
        ("UPDATE account SET overdraft_minor = -99999999999 WHERE id = :main", "overdrawn"),
    ],
)
def test_the_check_of_the_books_finds(connection: Connection, damage: str, said: str) -> None:
    assert books.findings(connection, NOON) == []
    connection.execute(text(damage), {"main": MAIN})
    assert any(said in finding for finding in books.findings(connection, NOON))
    connection.rollback()
