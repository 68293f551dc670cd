"""Standing orders and planned payments of the sandbox bank, day by day on a turned clock (TC-11)."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.core import (
    AmendStandingOrder,
    CancelStandingOrder,
    CreateStandingOrder,
    Declined,
    Done,
    Frequency,
    Identified,
    Instruction,
    Money,
    Order,
    ReferenceKind,
    Transfer,
    UnfreezeCard,
)
from adapters.cores.sandbox import SandboxBank
from adapters.cores.sandbox.items import DueResult
from adapters.cores.sandbox.ledger import LedgerAnswer
from adapters.cores.sandbox.seed import account_id
from adapters.cores.sandbox.tables import moment
from tests.support.banks import NOON, Clock, Permit, quieted, sandbox

LONDON = ZoneInfo("Europe/London")
MAIN, SPARE = (Identified(ReferenceKind.ACCOUNT, account_id(name)) for name in ("alice.current", "alice.savings"))


@dataclass
class Days:
    """A bank without any order of its seed, its clock, and the file beside it."""

    bank: SandboxBank
    clock: Clock
    file: Path
    payee: Identified
    newcomer: Identified
    number: int = 0

    async def send(self, order: Order) -> object:
        self.number += 1
        told = Instruction(f"key-{self.number}", "alice", "agent", order)
        return await self.bank.submit(told, Permit(told.canonical(), self.clock() + timedelta(minutes=1)))

    async def order(self, first_on: date, frequency: Frequency = Frequency.MONTHLY, **changes: object) -> Identified:
        fields: dict[str, object] = {
            "amount": Money(100, "GBP"),
            "last_on": None,
            "reference": "R",
            "credit": self.payee,
            **changes,
        }
        answer = await self.send(CreateStandingOrder(debit=MAIN, first_on=first_on, frequency=frequency, **fields))  # type: ignore[arg-type]
        assert isinstance(answer, Done)
        made = answer.output["standing_order"]
        assert isinstance(made, Identified)
        return made

    def at(self, day: date, hour: time = time(9)) -> None:
        self.clock.now = datetime.combine(day, hour, LONDON).astimezone(UTC)

    async def through(self, day: date) -> None:
        """Every day until this one, with the bank's chore on each."""
        while self.clock().astimezone(LONDON).date() < day:
            self.at(self.clock().astimezone(LONDON).date() + timedelta(days=1))
            await self.bank.execute_due()
        assert self.bank.findings() == []

    def paid(self, named: Identified) -> list[tuple[str, str]]:
        """Day and status of each payment of this order, by the rows themselves."""
        connection = sqlite3.connect(self.file)
        rows = connection.execute(
            "SELECT execute_on, status, created_at_us FROM payment WHERE standing_order = ? ORDER BY execute_on", (named.id,)
        ).fetchall()
        connection.close()
        assert all(moment(made).astimezone(LONDON).date().isoformat() >= day for day, _, made in rows)
        return [(day, status) for day, status, _ in rows]

    async def status(self, named: Identified) -> tuple[str, date]:
        (found,) = [it for it in await self.bank.standing_orders(MAIN.id) if it.id == named.id]
        return found.status, found.next_on


@pytest.fixture
def days(tmp_path: Path) -> Iterator[Days]:
    with sandbox(tmp_path) as (bank, clock):
        payees = quieted(tmp_path)
        known, other = (Identified(ReferenceKind.BENEFICIARY, payees[name]) for name in ("Margaret Hale", "Jon Smithe"))
        yield Days(bank, clock, tmp_path / "bank.sqlite", known, other)


async def test_month_ends_are_kept_and_moved_to_working_days(days: Days) -> None:
    days.at(date(2026, 12, 30))
    order = await days.order(date(2026, 12, 31))
    await days.through(date(2027, 6, 1))
    assert days.paid(order) == [
        ("2026-12-31", "ACSC"),
        ("2027-02-01", "ACSC"),  # 31 January is a Sunday
        ("2027-03-01", "ACSC"),  # 28 February is a Sunday
        ("2027-03-31", "ACSC"),
        ("2027-04-30", "ACSC"),
        ("2027-06-01", "ACSC"),  # 31 May is the spring bank holiday
    ]


async def test_a_leap_day_is_paid_on_it_and_a_day_before_in_other_years(days: Days) -> None:
    days.at(date(2028, 2, 1))
    order = await days.order(date(2028, 2, 29), Frequency.YEARLY)
    assert await days.bank.execute_due() == DueResult(0, 0)
    for year, day in ((2028, 29), (2029, 28), (2030, 28), (2031, 28), (2032, 29)):
        days.at(date(year, 2, day) + timedelta(days=4))
        await days.bank.execute_due()
    # 2031-02-28 is a Friday, 2032-02-29 a Sunday
    assert [day for day, _ in days.paid(order)] == ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-03-01"]


async def test_a_payment_is_made_once_the_day_has_begun_in_london_whatever_utc_says(days: Days) -> None:
    order = await days.order(date(2026, 3, 30))  # the day after the clocks went forward
    days.clock.now = datetime(2026, 3, 29, 22, 59, 59, tzinfo=UTC)
    assert await days.bank.execute_due() == DueResult(0, 0)
    days.clock.now = datetime(2026, 3, 29, 23, 0, tzinfo=UTC)
    assert await days.bank.execute_due() == DueResult(1, 0)
    assert await days.bank.execute_due() == DueResult(0, 0)
    assert days.paid(order) == [("2026-03-30", "ACSC")]
    autumn = await days.order(date(2026, 10, 26), Frequency.YEARLY)  # the day after the clocks went back
    await days.send(CancelStandingOrder(order))
    days.clock.now = datetime(2026, 10, 25, 23, 59, 59, tzinfo=UTC)
    assert await days.bank.execute_due() == DueResult(0, 0)
    days.clock.now = datetime(2026, 10, 26, 0, 0, tzinfo=UTC)
    assert await days.bank.execute_due() == DueResult(1, 0)
    assert days.paid(autumn) == [("2026-10-26", "ACSC")]


async def test_today_is_taken_until_the_cut_off(days: Days) -> None:
    def today() -> CreateStandingOrder:
        return CreateStandingOrder(MAIN, days.payee, Money(1, "GBP"), Frequency.WEEKLY, NOON.date(), None, "")

    days.at(NOON.date(), time(15, 30))
    assert await days.send(today()) == Declined("TM01")
    days.at(NOON.date(), time(15, 29, 59))
    assert isinstance(await days.send(today()), Done)
    assert await days.bank.execute_due() == DueResult(1, 0)
    saturday = date(2026, 3, 21)
    days.at(saturday, time(16))
    first = CreateStandingOrder(MAIN, days.payee, Money(1, "GBP"), Frequency.WEEKLY, saturday, None, "")
    assert isinstance(await days.send(first), Done), "it is paid on Monday, before whose cut-off it is"


async def test_the_last_day_ends_an_order(days: Days) -> None:
    order = await days.order(date(2026, 3, 18), Frequency.WEEKLY, last_on=date(2026, 4, 1))
    await days.through(date(2026, 5, 1))
    assert days.paid(order) == [("2026-03-18", "ACSC"), ("2026-03-25", "ACSC"), ("2026-04-01", "ACSC")]
    assert (await days.status(order))[0] == "ended"
    assert await days.send(CancelStandingOrder(order)) == Declined("AG01")
    once = await days.order(date(2026, 5, 5), last_on=date(2026, 5, 5))
    await days.through(date(2026, 7, 1))
    assert days.paid(once) == [("2026-05-05", "ACSC")]


async def test_what_was_missed_is_made_up_for_turn_by_turn(days: Days) -> None:
    order = await days.order(date(2026, 3, 18), Frequency.WEEKLY)
    days.at(date(2026, 4, 8))
    seen = [await days.bank.execute_due() for _ in range(5)]
    assert seen == [DueResult(1, 0)] * 4 + [DueResult(0, 0)]
    assert [day for day, _ in days.paid(order)] == ["2026-03-18", "2026-03-25", "2026-04-01", "2026-04-08"]


async def test_funds_and_freezes_are_checked_on_each_day_and_the_order_goes_on(days: Days) -> None:
    available = await days.bank.balance(MAIN.id, "ITAV")
    assert available is not None
    order = await days.order(date(2026, 3, 18), Frequency.WEEKLY)
    whole = Transfer(MAIN, SPARE, Money(available.amount.minor + 50_000, "GBP"), "")
    assert isinstance(await days.send(whole), Done)
    await days.through(date(2026, 3, 18))
    assert days.paid(order) == [("2026-03-18", "RJCT")]
    assert isinstance(await days.send(Transfer(SPARE, MAIN, Money(50_000, "GBP"), "")), Done)
    await days.through(date(2026, 3, 25))
    with sqlite3.connect(days.file) as connection:
        connection.execute("UPDATE account SET status = 'frozen' WHERE id = ?", (MAIN.id,))
    connection.close()
    await days.through(date(2026, 4, 1))
    with sqlite3.connect(days.file) as connection:
        connection.execute("UPDATE account SET status = 'open' WHERE id = ?", (MAIN.id,))
    connection.close()
    await days.through(date(2026, 4, 8))
    assert [status for _, status in days.paid(order)] == ["RJCT", "ACSC", "RJCT", "ACSC"]


async def test_an_amended_order_pays_by_its_new_terms_from_the_next_day_on(days: Days) -> None:
    order = await days.order(date(2026, 3, 31))
    await days.through(date(2026, 4, 30))
    assert [day for day, _ in days.paid(order)] == ["2026-03-31", "2026-04-30"]
    answer = await days.send(
        AmendStandingOrder(order, amount=Money(777, "GBP"), frequency=Frequency.QUARTERLY, credit=days.newcomer)
    )
    assert isinstance(answer, Done)
    assert await days.status(order) == ("active", date(2026, 6, 1)), "31 May is a Sunday"
    await days.through(date(2026, 12, 1))
    assert [day for day, _ in days.paid(order)] == ["2026-03-31", "2026-04-30", "2026-06-01", "2026-09-01", "2026-11-30"]
    with sqlite3.connect(days.file) as connection:
        paid = connection.execute(
            "SELECT amount_minor, counterparty_name FROM payment WHERE standing_order = ? ORDER BY created_at_us", (order.id,)
        ).fetchall()
    connection.close()
    assert paid == [(100, "Margaret Hale")] * 2 + [(777, "Jon Smithe")] * 3


async def test_a_cancelled_order_pays_nothing_more_and_the_database_keeps_it_so(days: Days) -> None:
    order = await days.order(date(2026, 3, 18), Frequency.WEEKLY)
    await days.through(date(2026, 3, 18))
    assert isinstance(await days.send(CancelStandingOrder(order)), Done)
    await days.through(date(2026, 4, 8))
    assert days.paid(order) == [("2026-03-18", "ACSC")]
    with sqlite3.connect(days.file) as connection, pytest.raises(sqlite3.IntegrityError, match="is over"):
        connection.execute("UPDATE standing_order SET status = 'active' WHERE id = ?", (order.id,))
    connection.close()


async def test_the_payments_of_an_order_say_that_an_assistant_gave_it(days: Days) -> None:
    await days.order(date(2026, 3, 18))
    await days.through(date(2026, 3, 18))
    with sqlite3.connect(days.file) as connection:
        ((made, key),) = connection.execute("SELECT id, key FROM payment WHERE standing_order IS NOT NULL").fetchall()
    connection.close()
    payment = await days.bank.payment(made)
    assert payment is not None
    assert payment.initiated_through_assistant
    assert key is None, "no instruction made this payment: the order's day did"


async def test_a_standing_order_makes_its_payee_known_and_a_returned_payment_does_not(days: Days) -> None:
    async def since() -> datetime | None:
        payees = (await days.bank.acquaintance("alice")).payees
        (found,) = [it.known_since for it in payees if it.key == f"ben:{days.newcomer.id}"]
        return found

    await days.order(date(2026, 3, 18), Frequency.WEEKLY, credit=days.newcomer)
    assert await since() is None
    await days.through(date(2026, 3, 18))
    first = days.clock()
    assert await since() == first
    before = await days.bank.balance(MAIN.id, "ITBD")
    with sqlite3.connect(days.file) as connection:
        ((made,),) = connection.execute("SELECT id FROM payment WHERE standing_order IS NOT NULL").fetchall()
    connection.close()
    assert await days.bank.return_payment(made) is LedgerAnswer.CREATED
    assert await days.bank.return_payment(made) is LedgerAnswer.EXISTS
    assert await days.bank.return_payment("none") is LedgerAnswer.NOT_FOUND
    assert await since() is None, "its money came back"
    after = await days.bank.balance(MAIN.id, "ITBD")
    assert before is not None
    assert after is not None
    assert after.amount.minor == before.amount.minor + 100
    assert days.bank.findings() == []
    await days.through(date(2026, 3, 25))
    assert await since() == days.clock(), "the next one stayed"


async def test_an_order_beyond_the_calendar_does_not_stop_the_others(days: Days) -> None:
    far = CreateStandingOrder(MAIN, days.payee, Money(1, "GBP"), Frequency.YEARLY, date.max, None, "")
    assert await days.send(far) == Declined("DT04")
    assert await days.send(Transfer(MAIN, SPARE, Money(1, "GBP"), "", date.max)) == Declined("DT04")
    order = await days.order(date(2026, 3, 18), last_on=date.max)
    await days.through(date(2026, 3, 18))
    assert days.paid(order) == [("2026-03-18", "ACSC")]


async def test_a_card_that_expired_is_not_thawed(days: Days) -> None:
    card = next(it for it in await days.bank.cards("alice") if it.status == "frozen")
    with sqlite3.connect(days.file) as connection:
        connection.execute("UPDATE card SET status = 'expired' WHERE id = ?", (card.id,))
    connection.close()
    assert await days.send(UnfreezeCard(Identified(ReferenceKind.CARD, card.id))) == Declined("AG01")
