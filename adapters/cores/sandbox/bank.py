"""The sandbox bank: the `CoreBank` port over one SQLite file. Owns the reader, the writer and the check of permits.

Durability and grouping are the injected writer's: it applies groups of items, each group in one transaction.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, select

from adapters.core import (
    Account,
    Acquaintance,
    Balance,
    Beneficiary,
    Card,
    CoreAnswer,
    CoreUnavailable,
    Declined,
    DirectDebit,
    Done,
    EffectPage,
    ExecutionPermit,
    FxQuote,
    Identified,
    Instruction,
    Money,
    NotSeen,
    ObjectFacts,
    PayeeCheck,
    Payment,
    PermitVerifier,
    ProductTerms,
    SpendingGroup,
    StandingOrder,
    Statement,
    Transaction,
    TransactionFilter,
    TransactionPage,
)
from adapters.cores.sandbox import books, exchange, orders, payees, seed, stored
from adapters.cores.sandbox.items import Answer, Burn, DueResult, ExecuteDue, Item, Keep, Post, Return, Submit, Void
from adapters.cores.sandbox.ledger import LedgerAnswer, Pend, name_for
from adapters.cores.sandbox.products import PRODUCTS
from adapters.cores.sandbox.reads import Reader
from adapters.cores.sandbox.tables import account_owner, micros, open_engine
from adapters.questions import TOGETHER, Answered, Question


class Writer(Protocol):
    """Applies items in groups, each group in one transaction. An answer that `submit` returns is durable; an exception means that
    its item had no effect."""

    async def submit(self, item: Item) -> Answer:
        """The answer to this item, once it is durable."""


WriterFactory = Callable[[Engine, Callable[[Connection, Sequence[Item]], Sequence[Answer | Exception]]], Writer]
"""Makes the writer of an engine from what applies one group of items to a connection that is inside a transaction."""

Clock = Callable[[], datetime]


class SandboxBank:
    """A `CoreBank`; the port says what each of its methods does. Reads are synchronous work on the event loop, writes go through
    the writer, in order."""

    def __init__(self, engine: Engine, *, clock: Clock, writer: WriterFactory, permits: PermitVerifier) -> None:
        self._engine = engine
        self._clock = clock
        self._permits = permits
        self._reader = Reader(engine)
        self._writer = writer(engine, self._apply)

    def customers(self) -> list[str]:
        """Everyone who owns an account here, sorted."""
        with self._engine.connect() as connection:
            return list(
                connection.execute(select(account_owner.c.customer).distinct().order_by(account_owner.c.customer)).scalars()
            )

    def seed_load(self, count: int) -> list[str]:
        """Make `count` load-test customers (see `seed.seed_load`). Before traffic only: it writes beside the writer."""
        with self._engine.begin() as connection:
            return seed.seed_load(connection, self._clock(), count)

    def close(self) -> None:
        """Close the connections of this bank. The writer is closed by whoever made it, before."""
        self._reader.close()
        self._engine.dispose()

    async def describe(self, identified: Identified) -> ObjectFacts | None:
        return self._reader.describe(identified)

    async def accounts(self, customer: str) -> Sequence[Account]:
        return self._reader.accounts(customer)

    async def balance(self, account: str, balance_type: str) -> Balance | None:
        return self._reader.balance(account, balance_type, self._clock())

    async def transactions(self, wanted: TransactionFilter) -> TransactionPage:
        return self._reader.transactions(wanted)

    async def transaction(self, transaction: str) -> Transaction | None:
        return self._reader.transaction(transaction)

    async def spending(self, accounts: Sequence[str], start: date, end: date, group_by: str) -> Sequence[SpendingGroup]:
        return self._reader.spending(accounts, start, end, group_by)

    async def acquaintance(self, customer: str) -> Acquaintance:
        return self._reader.acquaintance(customer)

    async def beneficiaries(self, account: str) -> Sequence[Beneficiary]:
        return self._reader.beneficiaries(account)

    async def standing_orders(self, account: str) -> Sequence[StandingOrder]:
        return self._reader.standing_orders(account)

    async def cards(self, customer: str) -> Sequence[Card]:
        return self._reader.cards(customer)

    async def scheduled_payments(self, account: str) -> Sequence[Payment]:
        return self._reader.scheduled_payments(account)

    async def payment(self, payment: str) -> Payment | None:
        return self._reader.payment(payment)

    async def direct_debits(self, account: str) -> Sequence[DirectDebit]:
        return self._reader.direct_debits(account)

    async def funds(self, account: str, amount: Money) -> bool | None:
        return self._reader.funds(account, amount, self._clock())

    async def statement(self, account: str, start: date, end: date) -> Statement | None:
        return self._reader.statement(account, start, end, self._clock().date())

    async def product(self, product: str) -> ProductTerms | None:
        return PRODUCTS.get(product)

    async def fx_quote(self, customer: str, sell: str, buy: str, amount: Money) -> FxQuote | None:
        now = self._clock()
        quote = exchange.quoted(
            name_for("q", micros(now), customer, sell, buy, amount.value, amount.currency), sell, buy, amount, now
        )
        if quote is not None:
            await self._keep(Keep("quote", stored.quote_row(customer, quote)))
        return quote

    async def check_payee(self, customer: str, name: str, identifier: str) -> PayeeCheck:
        now = self._clock()
        outcome, actual = self._reader.payee(name, identifier)
        check = PayeeCheck(name_for("v", micros(now), customer, name, identifier), outcome, actual, now + payees.LIFETIME)
        await self._keep(Keep("payee_check", stored.check_row(customer, name, identifier, check)))
        return check

    @property
    def is_near(self) -> bool:
        return True

    async def capabilities(self) -> frozenset[str]:
        return frozenset({TOGETHER})

    async def together(self, questions: Sequence[Question[Any]], ahead: Question[Any] | None = None) -> Sequence[Answered]:
        """Nothing: each question is a few microseconds of this process, whenever it is asked."""
        return ()

    async def submit(self, instruction: Instruction, permit: ExecutionPermit) -> CoreAnswer:
        """Verify the permit, then act at most once. Raises PermitRefused, and what the writer raises (then nothing happened)."""
        over = instruction.canonical()
        self._permits.verify(permit, over, self._clock())
        answer = await self._writer.submit(Submit(instruction, hashlib.sha256(over).hexdigest()))
        if not isinstance(answer, Done | Declined):
            raise TypeError("an instruction is answered Done or Declined")
        return answer

    async def status(self, key: str) -> CoreAnswer | NotSeen:
        """What became of this key; one that was never seen is burned, durably, before NotSeen is answered."""
        known = self._reader.answer(key)
        if known is not None:
            return NotSeen() if known[0] == "burned" else stored.from_text(known[1])
        answer = await self._writer.submit(Burn(key))
        if not isinstance(answer, Done | Declined | NotSeen):
            raise TypeError("a key is answered Done, Declined or NotSeen")
        return answer

    async def executed(self, since: datetime) -> int:
        return self._reader.executed(since)

    async def effects(self, since: datetime, cursor: str | None = None) -> EffectPage:
        return self._reader.effects(since, cursor)

    # The ledger's own two phases, for what happens at a bank without a customer's instruction: a card authorisation, say.

    async def pend(self, body: Pend) -> LedgerAnswer:
        """Hold an amount until it is posted, voided or its time is over."""
        return await self._move(body)

    async def post(self, movement: str) -> LedgerAnswer:
        """Post what is held under this id."""
        return await self._move(Post(movement))

    async def void(self, movement: str) -> LedgerAnswer:
        """Let go of what is held under this id."""
        return await self._move(Void(movement))

    async def return_payment(self, payment: str) -> LedgerAnswer:
        """The payee's bank sends a settled payment back. NOT_FOUND for one that did not settle, EXISTS for one that is back."""
        return await self._move(Return(payment))

    async def execute_due(self) -> DueResult:
        """Make the planned payments whose day has come, scheduled ones and one turn of each standing order; funds and freezes are checked
        again."""
        answer = await self._writer.submit(ExecuteDue())
        if not isinstance(answer, DueResult):
            raise TypeError("due payments are answered by a count")
        return answer

    def findings(self) -> list[str]:
        """What does not hold in the books (see `books.findings`); empty when all is right. A pass over the whole ledger."""
        with self._engine.connect() as connection:
            return books.findings(connection, self._clock())

    async def _keep(self, item: Keep) -> None:
        try:
            await self._writer.submit(item)
        except Exception as failed:  # whatever the writer raises, nothing was kept, and what is not kept is not told
            raise CoreUnavailable from failed

    async def _move(self, item: Item) -> LedgerAnswer:
        answer = await self._writer.submit(item)
        if not isinstance(answer, LedgerAnswer):
            raise TypeError("a movement is answered by the ledger")
        return answer

    def _apply(self, connection: Connection, items: Sequence[Item]) -> Sequence[Answer | Exception]:
        return orders.apply(connection, items, self._clock())


def open_sandbox(path: Path | str, *, clock: Clock, writer: WriterFactory, permits: PermitVerifier) -> SandboxBank:
    """Open the bank in the file at `path`; an empty one is created and seeded, the same for the same date of `clock`."""
    engine = open_engine(path)
    with engine.begin() as connection:
        seed.seed_if_empty(connection, clock())
    return SandboxBank(engine, clock=clock, writer=writer, permits=permits)
