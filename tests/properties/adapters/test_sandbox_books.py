"""The sandbox bank against a model of a few lines: whatever is told to it and in whatever groups, money is conserved, debits equal
credits, every key acts once and the answers are the oracle's."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from adapters.core import (
    AddBeneficiary,
    AmendStandingOrder,
    CancelStandingOrder,
    CreateStandingOrder,
    Declined,
    Done,
    Frequency,
    Identified,
    Instruction,
    Money,
    NotSeen,
    Order,
    ReferenceKind,
    RemoveBeneficiary,
    Transfer,
)
from adapters.cores.sandbox.days import Schedule, bank_day, is_past_cut_off, working_day
from adapters.cores.sandbox.items import DueResult
from adapters.cores.sandbox.ledger import LedgerAnswer, Pend
from adapters.cores.sandbox.seed import account_id
from tests.support.banks import GatheringWriter, Permit, quieted, sandbox
from tests.support.options import examples

MAIN, SPARE, YEN = (account_id(name) for name in ("alice.current", "alice.savings", "alice.yen"))
ACCOUNTS = {MAIN: "GBP", SPARE: "GBP", YEN: "JPY"}
IDS = [f"m-{number}" for number in range(6)]
KEYS = [f"key-{number}" for number in range(6)]

accounts = st.sampled_from(sorted(ACCOUNTS))
amounts = st.builds(Money, st.integers(1, 900_000), st.sampled_from(["GBP", "GBP", "JPY"]))


@dataclass
class Held:
    """What the model knows of a movement."""

    body: Pend
    state: str


class Model:
    """The bank as plain dictionaries."""

    def __init__(self, booked: dict[str, int], overdraft: dict[str, int]) -> None:
        self.booked = booked
        self.overdraft = overdraft
        self.out = 0
        """What left both sterling accounts for good, in pence."""
        self.held: dict[str, Held] = {}
        self.keys: dict[str, tuple[Instruction | None, object]] = {}

    def available(self, account: str, now: datetime) -> int:
        pending = [it.body for it in self.held.values() if it.state == "pending" and it.body.expires_at > now]
        return self.booked[account] - sum(body.amount.minor for body in pending if body.debit == account)

    def pend(self, body: Pend, now: datetime) -> LedgerAnswer:
        known = self.held.get(body.id)
        if known is not None:
            if known.state == "failed":
                return LedgerAnswer.ALREADY_FAILED
            return LedgerAnswer.EXISTS if known.body == body else LedgerAnswer.EXISTS_WITH_DIFFERENT_BODY
        if body.debit == body.credit:
            return LedgerAnswer.NO_ACCOUNT
        if not ACCOUNTS[body.debit] == ACCOUNTS[body.credit] == body.amount.currency:
            return LedgerAnswer.WRONG_CURRENCY
        enough = body.amount.minor <= self.available(body.debit, now) + self.overdraft[body.debit]
        self.held[body.id] = Held(body, "pending" if enough else "failed")
        return LedgerAnswer.CREATED if enough else LedgerAnswer.EXCEEDS_FUNDS

    def finish(self, id_: str, state: str, now: datetime) -> LedgerAnswer:
        held = self.held.get(id_)
        if held is None:
            return LedgerAnswer.NOT_FOUND
        if held.state == "pending" and held.body.expires_at <= now:
            held.state = "expired"
        if held.state != "pending":
            return {
                "posted": LedgerAnswer.ALREADY_POSTED,
                "voided": LedgerAnswer.ALREADY_VOIDED,
                "failed": LedgerAnswer.ALREADY_FAILED,
                "expired": LedgerAnswer.EXPIRED,
            }[held.state]
        held.state = state
        if state == "posted":
            self.booked[held.body.debit] -= held.body.amount.minor
            self.booked[held.body.credit] += held.body.amount.minor
        return LedgerAnswer.CREATED

    def submit(self, told: Instruction, now: datetime) -> object:
        if told.key in self.keys:
            first, answer = self.keys[told.key]
            return answer if first == told else Declined("DUPL")
        answer = self.transfer(told, now)
        self.keys[told.key] = (told, answer)
        return answer

    def transfer(self, told: Instruction, now: datetime) -> object:
        order = told.order
        assert isinstance(order, Transfer)
        debit, credit = order.debit.id, order.credit.id
        if debit == credit:
            return Declined("AG01")
        if order.amount.currency != ACCOUNTS[debit]:
            return Declined("AM03")
        if ACCOUNTS[credit] != ACCOUNTS[debit]:
            return Declined("AC09")
        if order.amount.minor > self.available(debit, now) + self.overdraft[debit]:
            return Declined("AM04")
        self.booked[debit] -= order.amount.minor
        self.booked[credit] += order.amount.minor
        return Done

    def status(self, key: str) -> object:
        if key not in self.keys:
            self.keys[key] = (None, NotSeen())
        return self.keys[key][1]


class Books(RuleBasedStateMachine):
    """Rules collect items; `commit` sends them as one group and compares every answer with the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.folder = folder
        self.bank, self.clock = self.stack.enter_context(sandbox(folder, GatheringWriter))
        self.loop = asyncio.new_event_loop()
        self.stack.callback(self.loop.close)
        self.waiting: list[tuple[Callable[[], Awaitable[object]], Callable[[], object]]] = []
        self.total = 0

    @initialize()
    def open(self) -> None:
        booked = {account: self.amount(account, "ITBD") for account in ACCOUNTS}
        self.model = Model(booked, {MAIN: 50_000, SPARE: 0, YEN: 0})
        self.total = sum(booked[account] for account in (MAIN, SPARE))
        # The seed holds a card authorisation on the current account until five days from now.
        held = Pend("seed", MAIN, SPARE, Money(12_000, "GBP"), self.clock() + timedelta(days=5))
        self.model.held["seed"] = Held(held, "pending")

    def amount(self, account: str, kind: str) -> int:
        balance = self.loop.run_until_complete(self.bank.balance(account, kind))
        assert balance is not None
        return balance.amount.minor

    def funds(self, account: str, minor: int) -> bool | None:
        return self.loop.run_until_complete(self.bank.funds(account, Money(minor, ACCOUNTS[account])))

    def wait(self, real: Callable[[], Awaitable[object]], expected: Callable[[], object]) -> None:
        self.waiting.append((real, expected))

    @rule(id_=st.sampled_from(IDS), debit=accounts, credit=accounts, amount=amounts, minutes=st.integers(0, 90))
    def pend(self, id_: str, debit: str, credit: str, amount: Money, minutes: int) -> None:
        body = Pend(id_, debit, credit, amount, self.clock() + timedelta(minutes=minutes))
        self.wait(lambda: self.bank.pend(body), lambda: self.model.pend(body, self.clock()))

    @rule(id_=st.sampled_from(IDS))
    def pend_again(self, id_: str) -> None:
        known = self.model.held.get(id_)
        if known is not None:
            body = known.body
            self.wait(lambda: self.bank.pend(body), lambda: self.model.pend(body, self.clock()))

    @rule(id_=st.sampled_from(IDS))
    def post(self, id_: str) -> None:
        self.wait(lambda: self.bank.post(id_), lambda: self.model.finish(id_, "posted", self.clock()))

    @rule(id_=st.sampled_from(IDS))
    def void(self, id_: str) -> None:
        self.wait(lambda: self.bank.void(id_), lambda: self.model.finish(id_, "voided", self.clock()))

    @rule(key=st.sampled_from(KEYS), debit=accounts, credit=accounts, amount=amounts)
    def submit(self, key: str, debit: str, credit: str, amount: Money) -> None:
        order = Transfer(Identified(ReferenceKind.ACCOUNT, debit), Identified(ReferenceKind.ACCOUNT, credit), amount, "")
        self.send(Instruction(key, "alice", "agent", order))

    @rule(key=st.sampled_from(KEYS), other=st.booleans())
    def submit_again(self, key: str, other: bool) -> None:
        first = self.model.keys.get(key, (None, None))[0]
        if first is not None:
            self.send(replace(first, agent="other") if other else first)

    def send(self, told: Instruction) -> None:
        permit = Permit(told.canonical(), self.clock() + timedelta(days=99))
        self.wait(lambda: self.bank.submit(told, permit), lambda: self.model.submit(told, self.clock()))

    @rule(key=st.sampled_from(KEYS))
    def status(self, key: str) -> None:
        # Asked alone: outside a group it may read what is committed before it asks the writer.
        self.commit()
        self.wait(lambda: self.bank.status(key), lambda: self.model.status(key))
        self.commit()

    @rule(minutes=st.integers(1, 120))
    def later(self, minutes: int) -> None:
        self.commit()
        self.clock.turn(timedelta(minutes=minutes))

    @rule()
    def commit(self) -> None:
        waiting, self.waiting = self.waiting, []

        async def together() -> list[object]:
            return list(await asyncio.gather(*(real() for real, _ in waiting)))

        answers = self.loop.run_until_complete(together())
        for answer, (_, expected) in zip(answers, waiting, strict=True):
            wanted = expected()
            assert isinstance(answer, Done) if wanted is Done else answer == wanted

    @invariant()
    def books_are_right(self) -> None:
        if self.waiting or not self.total:
            return
        assert self.bank.findings() == []
        for account in ACCOUNTS:
            assert self.amount(account, "ITBD") == self.model.booked[account]
            available = self.model.available(account, self.clock())
            assert self.amount(account, "ITAV") == available
            most = available + self.model.overdraft[account]
            assert most <= 0 or self.funds(account, most) is True
            assert self.funds(account, max(most, 0) + 1) is False
        assert self.model.booked[MAIN] + self.model.booked[SPARE] + self.model.out == self.total

    def teardown(self) -> None:
        self.commit()
        self.waiting = []
        self.books_are_right()
        self.stack.close()


@dataclass
class Recurring:
    """What the model knows of a standing order."""

    amount: Money
    schedule: Schedule
    last_on: date | None
    turn: int = 0
    status: str = "active"

    @property
    def next_on(self) -> date:
        return working_day(self.schedule.day(self.turn))

    def went_on(self) -> None:
        self.turn += 1
        if self.last_on is not None and self.schedule.day(self.turn) > self.last_on:
            self.status = "ended"


@dataclass
class Paid:
    """A payment to the payee that settled."""

    minor: int
    is_back: bool = False


class Orders(Books):
    """The same bank while payees are saved, paid, sent back and removed, and standing orders are given, changed, carried out and ended."""

    # What the ledger does alone is the other machine's: here each step is about orders, and transfers move the same money meanwhile.
    pend = pend_again = post = void = submit_again = status = later = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.orders: dict[str, Recurring] = {}
        self.paid: dict[str, Paid] = {}

    @initialize(minor=st.integers(1, 90_000), frequency=st.sampled_from(Frequency), last=st.none() | st.integers(0, 60))
    def open(self, minor: int, frequency: Frequency, last: int | None) -> None:
        super().open()
        self.payee = quieted(self.folder)["Margaret Hale"]
        self.give_an_order(minor, frequency, 1, last)

    def now(self, order: Order) -> object:
        """Told alone, and answered."""
        self.commit()
        self.number += 1
        told = Instruction(f"order-{self.number}", "alice", "agent", order)
        permit = Permit(told.canonical(), self.clock() + timedelta(days=99))
        return self.loop.run_until_complete(self.bank.submit(told, permit))

    def takes(self, minor: int) -> bool:
        """Whether the current account can pay this; then it has."""
        if minor > self.model.available(MAIN, self.clock()) + self.model.overdraft[MAIN]:
            return False
        self.model.booked[MAIN] -= minor
        self.model.out += minor
        return True

    @rule(minor=st.integers(1, 300_000))
    def pay(self, minor: int) -> None:
        answer = self.now(Transfer(Identified(ReferenceKind.ACCOUNT, MAIN), self.to, Money(minor, "GBP"), ""))
        if self.takes(minor):
            assert isinstance(answer, Done)
            self.paid[answer.output["payment"].id] = Paid(minor)  # type: ignore[attr-defined]
        else:
            assert answer == Declined("AM04")

    @rule(chosen=st.integers(0, 5))
    def give_back(self, chosen: int) -> None:
        if self.paid:
            self.commit()
            id_ = sorted(self.paid)[chosen % len(self.paid)]
            paid = self.paid[id_]
            answer = self.loop.run_until_complete(self.bank.return_payment(id_))
            assert answer is (LedgerAnswer.EXISTS if paid.is_back else LedgerAnswer.CREATED)
            if not paid.is_back:
                paid.is_back = True
                self.model.booked[MAIN] += paid.minor
                self.model.out -= paid.minor

    @rule(
        minor=st.integers(1, 90_000),
        frequency=st.sampled_from(Frequency),
        first=st.integers(0, 12) | st.just(-1),
        last=st.integers(-1, 90) | st.none(),
    )
    def give_an_order(self, minor: int, frequency: Frequency, first: int, last: int | None) -> None:
        today = bank_day(self.clock())
        first_on = today + timedelta(days=first)
        last_on = None if last is None else first_on + timedelta(days=last)
        debit = Identified(ReferenceKind.ACCOUNT, MAIN)
        answer = self.now(CreateStandingOrder(debit, self.to, Money(minor, "GBP"), frequency, first_on, last_on, ""))
        if first < 0 or (last is not None and last < 0):
            assert answer == Declined("DT01")
        elif working_day(first_on) == today and is_past_cut_off(self.clock()):
            assert answer == Declined("TM01")
        else:
            assert isinstance(answer, Done)
            made = answer.output["standing_order"]
            assert isinstance(made, Identified)
            self.orders[made.id] = Recurring(Money(minor, "GBP"), Schedule(first_on, frequency, first_on.day), last_on)

    @rule(chosen=st.integers(0, 3), minor=st.integers(1, 90_000) | st.none(), frequency=st.sampled_from(Frequency) | st.none())
    def amend_an_order(self, chosen: int, minor: int | None, frequency: Frequency | None) -> None:
        if not self.orders:
            return
        id_ = self.chosen(chosen)
        order = self.orders[id_]
        amount = None if minor is None else Money(minor, "GBP")
        answer = self.now(AmendStandingOrder(Identified(ReferenceKind.STANDING_ORDER, id_), amount, frequency))
        same = amount in (None, order.amount) and frequency in (None, order.schedule.frequency)
        if same or order.status != "active":
            assert answer == Declined("AG01")
            return
        assert isinstance(answer, Done)
        order.amount = amount or order.amount
        if frequency not in (None, order.schedule.frequency):
            assert frequency is not None
            order.schedule, order.turn = order.schedule.changed(order.turn, frequency), 0
        assert answer.output["next_on"] == order.next_on

    def chosen(self, number: int) -> str:
        """One of the orders; 3 takes one that is over, if there is one."""
        ids = sorted(self.orders, key=lambda id_: (self.orders[id_].status == "active", id_), reverse=number < 3)
        over = sum(self.orders[id_].status != "active" for id_ in ids)
        among = ids[: over or None] if number == 3 else ids[: len(ids) - over or None]
        return among[number % len(among)]

    @rule(chosen=st.integers(0, 3))
    def cancel_an_order(self, chosen: int) -> None:
        if self.orders:
            id_ = self.chosen(chosen)
            answer = self.now(CancelStandingOrder(Identified(ReferenceKind.STANDING_ORDER, id_)))
            if self.orders[id_].status == "active":
                assert isinstance(answer, Done)
                assert answer.output["unpaid_on"] == self.orders[id_].next_on
                self.orders[id_].status = "cancelled"
            else:
                assert answer == Declined("AG01")

    @rule()
    def another_payee(self) -> None:
        """The payee is removed, if nothing is ordered for it, and another one saved in its place."""
        removed = self.now(RemoveBeneficiary(Identified(ReferenceKind.BENEFICIARY, self.payee)))
        # The seed's own standing order for its payee is suspended, not gone: it would pay again.
        is_ordered = self.is_seeded or any(it.status == "active" for it in self.orders.values())
        assert removed == Declined("AG01") if is_ordered else isinstance(removed, Done)
        name, number = f"Payee {self.number}", f"2030158765{self.number:04d}"
        check = self.loop.run_until_complete(self.bank.check_payee("alice", name, number))
        named = Identified(ReferenceKind.PAYEE_CHECK, check.id)
        answer = self.now(AddBeneficiary(Identified(ReferenceKind.ACCOUNT, MAIN), name, number, named))
        assert isinstance(answer, Done)
        made = answer.output["beneficiary"]
        assert isinstance(made, Identified)
        if not is_ordered:
            order = Transfer(Identified(ReferenceKind.ACCOUNT, MAIN), self.to, Money(1, "GBP"), "")
            assert self.now(order) == Declined("AC03"), "removed"
        if not any(it.status == "active" for it in self.orders.values()):
            self.payee, self.is_seeded = made.id, False

    is_seeded = True

    @property
    def to(self) -> Identified:
        return Identified(ReferenceKind.BENEFICIARY, self.payee)

    @rule(days=st.integers(1, 35), runs=st.integers(1, 3))
    def days_later(self, days: int, runs: int) -> None:
        self.commit()
        self.clock.turn(timedelta(days=days))
        for _ in range(runs):
            self.execute_due()

    @rule()
    def execute_due(self) -> None:
        self.commit()
        today = bank_day(self.clock())
        due = [(it.next_on, id_) for id_, it in self.orders.items() if it.status == "active" and it.next_on <= today]
        settled = [self.takes(self.orders[id_].amount.minor) for _, id_ in sorted(due)]
        for _, id_ in due:
            self.orders[id_].went_on()
        answer = self.loop.run_until_complete(self.bank.execute_due())
        assert answer == DueResult(sum(settled), len(settled) - sum(settled))

    @invariant()
    def orders_are_what_was_said(self) -> None:
        listed = {it.id: it for it in self.loop.run_until_complete(self.bank.standing_orders(MAIN))}
        for id_, order in self.orders.items():
            assert (listed[id_].amount, listed[id_].status) == (order.amount, order.status)
            assert order.status != "active" or listed[id_].next_on == order.next_on


_SETTINGS = settings(
    max_examples=examples(15),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestBooks = Books.TestCase
TestBooks.settings = _SETTINGS
TestOrders = Orders.TestCase
TestOrders.settings = settings(_SETTINGS, max_examples=examples(12), stateful_step_count=20)
