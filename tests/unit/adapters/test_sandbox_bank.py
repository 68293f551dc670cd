"""The sandbox bank beyond the contract: its seed, its scheduled payments, its groups, and what a model would see of it."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from adapters.core import (
    CancelScheduledPayment,
    CloseCard,
    CoreUnavailable,
    Declined,
    Done,
    FreezeCard,
    Identified,
    Instruction,
    Money,
    NotSeen,
    Order,
    ReferenceKind,
    TransactionFilter,
    Transfer,
)
from adapters.cores.sandbox import SandboxBank, open_sandbox, reads
from adapters.cores.sandbox.items import Answer, DueResult, Item
from adapters.cores.sandbox.people import HOLDINGS, ODDITIES
from adapters.cores.sandbox.seed import LOAD_FUNDS_MINOR, account_id
from adapters.function import Arguments, Asker, ReadFunction, Unfit
from adapters.functions import MANIFEST
from gateway.calls.redaction import FENCE, cleaned, redact
from tests.support.arguments import FITTING
from tests.support.banks import NOON, Clock, GatheringWriter, ImmediateWriter, Permit, Permits, sandbox, sandbox_under_test

MAIN, SPARE = account_id("alice.current"), account_id("alice.savings")
CUSTOMERS = ("alice", "bruno", "carla", "david", "northwind")


def transfer(key: str, minor: int = 100, *, on: date | None = None) -> Instruction:
    debit, credit = (Identified(ReferenceKind.ACCOUNT, id_) for id_ in (MAIN, SPARE))
    return Instruction(key, "alice", "agent", Transfer(debit, credit, Money(minor, "GBP"), "", on))


async def send(bank: SandboxBank, told: Instruction) -> object:
    return await bank.submit(told, Permit(told.canonical(), NOON + timedelta(days=999)))


async def booked(bank: SandboxBank, account: str) -> int:
    balance = await bank.balance(account, "ITBD")
    assert balance is not None
    return balance.amount.minor


async def everything(bank: SandboxBank) -> list[object]:
    seen: list[object] = []
    for customer in CUSTOMERS:
        for account in await bank.accounts(customer):
            page = await bank.transactions(TransactionFilter(account.id, date(2000, 1, 1), date(2100, 1, 1), limit=100))
            seen += [account, page, await bank.beneficiaries(account.id), await bank.standing_orders(account.id)]
        seen.append(await bank.cards(customer))
    return seen


async def test_the_seed_is_the_same_for_the_same_day_and_adds_up(tmp_path: Path) -> None:
    seen = []
    for name in ("one", "two"):
        bank = open_sandbox(tmp_path / name, clock=Clock(), writer=ImmediateWriter, permits=Permits())
        assert bank.findings() == []
        seen.append(await everything(bank))
        bank.close()
    assert seen[0] == seen[1]
    assert {it.currency for it in HOLDINGS} == {"GBP", "JPY", "BHD", "EUR"}


@pytest.mark.parametrize("day", [date(2024, 2, 29), date(2025, 1, 1), date(2026, 12, 31), date(2027, 3, 28)])
async def test_the_seed_adds_up_on_any_day(tmp_path: Path, day: date) -> None:
    clock = Clock(NOON.replace(year=day.year, month=day.month, day=day.day))
    bank = open_sandbox(tmp_path / "bank.sqlite", clock=clock, writer=ImmediateWriter, permits=Permits())
    assert bank.findings() == []
    for customer in CUSTOMERS:
        for account in await bank.accounts(customer):
            if account.status == "open":
                assert await booked(bank, account.id) > 0
                page = await bank.transactions(TransactionFilter(account.id, day - timedelta(days=366), day, limit=100))
                assert page.transactions
                assert all(it.booked_at <= clock() for it in page.transactions)
    bank.close()


async def test_an_opened_bank_is_not_seeded_again_and_keeps_its_answers(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, _):
        first = await send(bank, transfer("key"))
        before = await booked(bank, MAIN)
    with sandbox(tmp_path) as (bank, _):
        assert await booked(bank, MAIN) == before
        assert await send(bank, transfer("key")) == first == await bank.status("key")
        assert bank.findings() == []


async def test_closing_balances_are_those_of_the_last_midnight(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, clock):
        before = await booked(bank, MAIN)
        await send(bank, transfer("key", 700))
        for kind in ("CLBD", "CLAV"):
            balance = await bank.balance(MAIN, kind)
            assert balance is not None
            assert balance.as_of == NOON.replace(hour=0)
            listed = await bank.transactions(TransactionFilter(MAIN, NOON.date(), NOON.date(), limit=100))
            today = sum(it.amount.minor * (1 if it.credit_debit == "CRDT" else -1) for it in listed.transactions)
            assert balance.amount.minor == before - 700 - today
        clock.turn(timedelta(days=1))
        balance = await bank.balance(MAIN, "CLBD")
        assert balance is not None
        assert balance.amount.minor == before - 700
        with pytest.raises(ValueError, match="balance type"):
            await bank.balance(MAIN, "XPCD")


async def test_scheduled_payments_are_carried_out_on_their_day_once(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, clock):
        clock.turn(timedelta(days=1))
        assert await bank.execute_due() == DueResult(1, 0), "a standing order of the seed"
        day = NOON.date() + timedelta(days=2)
        answer = await send(bank, transfer("key", 500, on=day))
        assert isinstance(answer, Done)
        made = answer.output["payment"]
        assert isinstance(made, Identified)
        before = await booked(bank, SPARE)
        assert await bank.execute_due() == DueResult(0, 0)
        clock.turn(timedelta(days=1))
        assert await bank.execute_due() == DueResult(1, 0)
        assert await bank.execute_due() == DueResult(0, 0)
        assert await booked(bank, SPARE) == before + 500
        payment = await bank.payment(made.id)
        assert payment is not None
        assert payment.status == "ACSC"
        assert await send(bank, transfer("key", 500, on=day)) == answer
        assert bank.findings() == []


async def test_funds_are_checked_again_on_the_day(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, clock):
        available = await bank.balance(MAIN, "ITAV")
        assert available is not None
        whole = available.amount.minor + 50_000  # with the overdraft
        await send(bank, transfer("later", 5_000, on=NOON.date() + timedelta(days=1)))
        assert isinstance(await send(bank, transfer("now", whole)), Done)
        clock.turn(timedelta(days=1))
        assert await bank.execute_due() == DueResult(0, 2), "and a standing order of the seed"
        assert bank.findings() == []


async def test_the_seeds_scheduled_payments_settle_and_make_their_payees_known(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, clock):
        newcomers = ("Little Acorns Nursery", "Tidewater Freight", "Margaret Hale")
        clock.turn(timedelta(days=30))
        assert await bank.execute_due() == DueResult(7, 0), "three payments, and the next turn of four standing orders"
        assert await bank.execute_due() == DueResult(0, 0)
        known = [it for who in ("alice", "carla", "northwind") for it in (await bank.acquaintance(who)).payees]
        assert all(it.known_since is not None for it in known if it.name in newcomers)
        assert bank.findings() == []


async def test_a_group_accumulates_exactly_and_answers_each_item(tmp_path: Path) -> None:
    with sandbox(tmp_path, GatheringWriter) as (bank, _):
        available = await bank.balance(SPARE, "ITAV")
        assert available is not None
        third = available.amount.minor // 3
        back = [
            Instruction(f"key-{number}", "alice", "agent", Transfer(_of(SPARE), _of(MAIN), Money(third, "GBP"), ""))
            for number in range(5)
        ]
        answers = await asyncio.gather(*(send(bank, told) for told in back))
        assert [type(answer) for answer in answers] == [Done, Done, Done, Declined, Declined]
        assert bank._writer.sizes == [5]  # type: ignore[attr-defined]
        assert await booked(bank, SPARE) == available.amount.minor - 3 * third
        assert bank.findings() == []


async def test_pages_of_effects_are_all_of_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "EFFECTS_MOST", 3)
    with sandbox(tmp_path) as (bank, clock):
        for number in range(10):  # several in one microsecond, so that the time alone is no position
            clock.turn(timedelta(microseconds=number % 4 // 3))
            await send(bank, transfer(f"key-{number}"))
        seen: list[str | None] = []
        sizes = []
        cursor = None
        while True:
            page = await bank.effects(NOON, cursor)
            seen += [it.key for it in page.effects]
            sizes.append(len(page.effects))
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(seen) == [f"key-{number}" for number in range(10)]  # type: ignore[type-var]
        assert sizes == [3, 3, 3, 1]


async def test_a_hundred_at_once_never_overspend(tmp_path: Path) -> None:
    with sandbox(tmp_path, GatheringWriter) as (bank, _):
        before = await booked(bank, SPARE)
        each = before // 40 + 1
        told = [
            Instruction(f"key-{number}", "alice", "agent", Transfer(_of(SPARE), _of(MAIN), Money(each, "GBP"), ""))
            for number in range(100)
        ]
        answers = await asyncio.gather(*(send(bank, it) for it in told))
        assert sum(isinstance(answer, Done) for answer in answers) == before // each == 39
        assert await booked(bank, SPARE) == before - 39 * each
        assert await bank.executed(NOON) == 39


async def test_a_payment_is_scheduled_and_cancelled_in_one_group(tmp_path: Path) -> None:
    with sandbox(tmp_path, GatheringWriter) as (bank, _):
        page = await bank.scheduled_payments(MAIN)
        payment = Identified(ReferenceKind.PAYMENT, page[0].id)
        cancel = [Instruction(f"key-{number}", "alice", "agent", CancelScheduledPayment(payment)) for number in range(2)]
        answers = await asyncio.gather(*(send(bank, told) for told in cancel))
        assert isinstance(answers[0], Done)
        assert answers[1] == Declined("AG01")


async def test_an_expired_card_cannot_be_frozen_and_a_frozen_account_cannot_pay(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, _):
        card = (await bank.cards("alice"))[0]
        with bank._engine.begin() as connection:
            connection.execute(text("UPDATE card SET status = 'expired' WHERE id = :id"), {"id": card.id})
            connection.execute(text("UPDATE account SET status = 'frozen' WHERE id = :id"), {"id": MAIN})
        named = Identified(ReferenceKind.CARD, card.id)
        orders: list[Order] = [FreezeCard(named), CloseCard(named, "lost")]
        for number, order in enumerate(orders):
            assert await send(bank, Instruction(f"key-{number}", "alice", "agent", order)) == Declined("AG01")
        assert await send(bank, transfer("key-2")) == Declined("AG01")
        assert await bank.funds(MAIN, Money(1, "GBP")) is False


@pytest.mark.parametrize("first", ["freeze", "close"])
async def test_a_card_is_frozen_and_closed_in_one_group_in_either_order(tmp_path: Path, first: str) -> None:
    with sandbox(tmp_path, GatheringWriter) as (bank, _):
        card = next(it for it in await bank.cards("alice") if it.status == "active")
        named = Identified(ReferenceKind.CARD, card.id)
        orders: list[Order] = [FreezeCard(named), CloseCard(named, "lost"), CloseCard(named, "stolen")]
        if first == "close":
            orders = orders[1:] + orders[:1]
        told = [Instruction(f"key-{number}", "alice", "agent", order) for number, order in enumerate(orders)]
        answers = await asyncio.gather(*(send(bank, it) for it in told))
        assert len(bank._writer.sizes) == 1  # type: ignore[attr-defined]
        closed = [answer for answer, order in zip(answers, orders, strict=True) if isinstance(order, CloseCard)]
        assert closed[0] == closed[1]
        assert isinstance(closed[0], Done)
        (frozen,) = [answer for answer, order in zip(answers, orders, strict=True) if isinstance(order, FreezeCard)]
        assert frozen == (Declined("AG01") if first == "close" else Done({"card": named, "status": "frozen"}))
        now = {it.id: it.status for it in await bank.cards("alice")}
        assert now[card.id] == "closed"
        assert list(now.values()).count("ordered") == 1


async def test_a_closed_card_is_opened_by_nobody_not_even_in_the_database(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, _):
        card = next(it for it in await bank.cards("alice") if it.status == "active")
        order = CloseCard(Identified(ReferenceKind.CARD, card.id), "stolen")
        assert isinstance(await send(bank, Instruction("key", "alice", "agent", order)), Done)
        for status in ("active", "frozen", "ordered", "expired"):
            with pytest.raises(IntegrityError, match="cannot change so"), bank._engine.begin() as connection:
                connection.execute(text("UPDATE card SET status = :to WHERE id = :id"), {"id": card.id, "to": status})
        with bank._engine.begin() as connection:
            rows = connection.execute(text("SELECT kind, about, words FROM case_file")).all()
        assert rows == [("card", card.id, "stolen")]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_a_question_should_leave_behind_and_could_not_is_not_told(tmp_path: Path, when: str) -> None:
    with sandbox(tmp_path, FailingWriter) as (bank, _):
        for ask in (
            lambda: bank.check_payee("alice", "Margaret Hale", "20301587654321"),
            lambda: bank.fx_quote("alice", "GBP", "EUR", Money(100, "GBP")),
        ):
            bank._writer.when = when  # type: ignore[attr-defined]
            with pytest.raises(CoreUnavailable):
                await ask()
            assert await ask() is not None


async def test_what_was_told_of_a_payee_is_kept_with_what_was_asked(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, clock):
        check = await bank.check_payee("alice", "Jon Smithe", "60161331926819")
        with bank._engine.begin() as connection:
            row = connection.execute(text("SELECT * FROM payee_check")).mappings().one()
        assert dict(row) == {
            "id": check.id,
            "customer": "alice",
            "name": "Jon Smithe",
            "identifier": "60161331926819",
            "outcome": "close_match",
            "actual_name": "Jon Smith",
            "expires_at_us": int((clock() + timedelta(hours=1)).timestamp()) * 1_000_000,
        }
        with pytest.raises(IntegrityError, match="immutable"), bank._engine.begin() as connection:
            connection.execute(text("UPDATE payee_check SET outcome = 'match'"))


class FailingWriter(ImmediateWriter):
    """Fails once: before the commit, or after it."""

    when: str | None = None

    async def submit(self, item: Item) -> Answer:
        when, self.when = self.when, None
        if when == "before":
            raise OSError("the disk is gone")
        answer = await super().submit(item)
        if when == "after":
            raise OSError("the answer is gone")
        return answer


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("then", ["resend", "ask"])
async def test_a_failure_that_happened_or_not_is_told_apart_by_the_key(tmp_path: Path, when: str, then: str) -> None:
    with sandbox(tmp_path, FailingWriter) as (bank, _):
        before = await booked(bank, MAIN)
        bank._writer.when = when  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="gone"):
            await send(bank, transfer("key", 700))
        happened = when == "after"
        assert await booked(bank, MAIN) == before - 700 * happened
        answer = await send(bank, transfer("key", 700)) if then == "resend" else await bank.status("key")
        assert isinstance(answer, Done if happened or then == "resend" else NotSeen)
        acted = happened or then == "resend"
        assert await booked(bank, MAIN) == before - 700 * acted
        assert await bank.executed(NOON) == acted
        assert (await send(bank, transfer("key", 700)) == answer) == acted
        assert bank.findings() == []


async def test_load_customers_have_two_funded_accounts_and_right_books(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, _):
        names = bank.seed_load(30)
        assert len(set(names)) == 30
        for name in (names[0], names[-1]):
            accounts = await bank.accounts(name)
            assert [account.currency for account in accounts] == ["GBP", "GBP"]
            assert [await booked(bank, account.id) for account in accounts] == [LOAD_FUNDS_MINOR] * 2
        assert bank.findings() == []


async def test_joint_accounts_belong_to_both(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, _):
        facts = await bank.describe(_of(account_id("household")))
        assert facts is not None
        assert facts.owners == {"carla", "david"}
        for customer in ("carla", "david"):
            (joint,) = [account for account in await bank.accounts(customer) if account.name == "Household"]
            assert joint.owners == {"carla", "david"}


async def test_a_payee_never_paid_is_not_known(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, _):
        known = {payee.name: payee for payee in await bank.beneficiaries(MAIN)}
        for name, is_known in (("Margaret Hale", True), ("Jon Smithe", False)):
            facts = await bank.describe(Identified(ReferenceKind.BENEFICIARY, known[name].id))
            assert facts is not None
            assert (facts.first_settled_at is not None) == is_known == (known[name].last_paid_at is not None)


async def test_a_bank_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with sandbox(tmp_path) as (bank, _):
        with bank._engine.begin() as connection:
            connection.execute(text("DROP TABLE card"))
        with pytest.raises(CoreUnavailable):
            await bank.cards("alice")


@pytest.mark.parametrize("customer", CUSTOMERS)
async def test_a_model_sees_no_number_no_identifier_and_no_unfenced_text_of_others(tmp_path: Path, customer: str) -> None:
    """Every read of the manifest over everything the customer has, redacted as the gateway does."""
    with sandbox(tmp_path) as (bank, clock):
        under = await sandbox_under_test(bank, clock)
        accounts = await bank.accounts(customer)
        numbers = {it.number for who in CUSTOMERS for it in await bank.accounts(who)} | {"87654321", "31926819", "4111 1111"}
        fenced: list[str] = []
        plain: list[str] = []
        for function in MANIFEST:
            if isinstance(function, ReadFunction):
                for account in accounts:
                    given = Arguments({**_arguments(account.id, under.scheduled.id), **FITTING.get(function.name, {})})
                    raw = None
                    with suppress(Unfit):  # an amount in another currency than the account's
                        raw = await function.read(bank, Asker(customer, NOON.date()), given)
                    if raw is not None:
                        out = redact(function.output, raw, reference=lambda it: f"{it.kind}_x", allowed=function.data_classes)
                        assert out.dropped == out.withheld == ()
                        _sort(out.value, plain, fenced)
        shown = json.dumps([plain, fenced], ensure_ascii=False)
        assert [number for number in numbers if number in shown] == []
        assert [account.id for account in accounts if account.id in shown] == []
        for account in accounts:
            for payee in await bank.beneficiaries(account.id):
                assert payee.id not in shown
                assert payee.identifier not in shown
        starts = [cleaned(oddity.memo, 12) for oddity in ODDITIES]
        assert [start for start in starts for it in plain if start in it] == []
        mine = [oddity for oddity in ODDITIES if customer in next(it.owners for it in HOLDINGS if it.name == oddity.account)]
        assert bool(mine) == any(start in it for start in starts for it in fenced)


def _sort(value: object, plain: list[str], fenced: list[str]) -> None:
    """The strings of a redacted value, those in the fence apart."""
    if isinstance(value, dict):
        for name, it in value.items():
            _sort(it, fenced if name == FENCE else plain, fenced)
    elif isinstance(value, list):
        for it in value:
            _sort(it, plain, fenced)
    elif isinstance(value, str):
        plain.append(value)


def _arguments(account: str, payment: str) -> Arguments:
    return Arguments(
        {
            "account": _of(account),
            "accounts": (_of(account),),
            "type": "ITAV",
            "from": date(2020, 1, 1),
            "to": NOON.date(),
            "limit": 100,
            "amount": Money(100, "GBP"),
            "side": "sell",
            "period": "last_12_months",
            "group_by": "counterparty",
            "payment": Identified(ReferenceKind.PAYMENT, payment),
            "transaction": Identified(ReferenceKind.TRANSACTION, "none"),
        }
    )


def _of(account: str) -> Identified:
    return Identified(ReferenceKind.ACCOUNT, account)


def test_an_instruction_changes_with_its_order() -> None:
    assert transfer("key").canonical() != replace(transfer("key"), customer="bruno").canonical()
