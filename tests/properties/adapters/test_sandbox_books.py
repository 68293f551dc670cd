"""The sandbox bank against a model of a few lines: whatever is told to it and in whatever groups, money is conserved, debits equal
credits, every key acts once and the answers are the oracle's."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from adapters.core import Declined, Done, Identified, Instruction, Money, NotSeen, ReferenceKind, Transfer
from adapters.cores.sandbox.ledger import LedgerAnswer, Pend
from adapters.cores.sandbox.seed import account_id
from tests.support.banks import GatheringWriter, Permit, sandbox

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
        self.bank, self.clock = self.stack.enter_context(sandbox(folder, GatheringWriter))
        self.loop = asyncio.new_event_loop()
        self.stack.callback(self.loop.close)
        self.waiting: list[tuple[Callable[[], object], Callable[[], object]]] = []
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

    def wait(self, real: Callable[[], object], expected: Callable[[], object]) -> None:
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
            return list(await asyncio.gather(*(real() for real, _ in waiting)))  # type: ignore[arg-type]

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
        assert self.model.booked[MAIN] + self.model.booked[SPARE] == self.total

    def teardown(self) -> None:
        self.commit()
        self.waiting = []
        self.books_are_right()
        self.stack.close()


TestBooks = Books.TestCase
TestBooks.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
