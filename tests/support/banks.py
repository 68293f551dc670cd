"""Banks to test against, and the smallest doubles of what `main` injects into them."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, Engine

from adapters.core import CoreBank, ExecutionPermit, Identified, PermitRefused, ReferenceKind
from adapters.cores.sandbox import SandboxBank, open_sandbox
from adapters.cores.sandbox.items import Answer, Item

NOON = datetime(2026, 3, 17, 12, tzinfo=UTC)

Apply = Callable[[Connection, Sequence[Item]], Sequence[Answer | Exception]]


class Clock:
    """A clock that stands until it is turned."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def turn(self, by: timedelta) -> None:
        self.now += by


class ImmediateWriter:
    """One transaction per item, at once."""

    def __init__(self, engine: Engine, apply: Apply) -> None:
        self._engine, self._apply = engine, apply

    async def submit(self, item: Item) -> Answer:
        with self._engine.begin() as connection:
            (answer,) = self._apply(connection, [item])
        if isinstance(answer, Exception):
            raise answer
        return answer


class GatheringWriter:
    """Whatever is submitted in one turn of the loop is one transaction."""

    def __init__(self, engine: Engine, apply: Apply) -> None:
        self._engine, self._apply = engine, apply
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self.sizes: list[int] = []

    async def submit(self, item: Item) -> Answer:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        return await future

    def _write(self) -> None:
        group, self._waiting = self._waiting, []
        self.sizes.append(len(group))
        with self._engine.begin() as connection:
            answers = self._apply(connection, [item for item, _ in group])
        for (_, future), answer in zip(group, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


@dataclass(frozen=True)
class Permit:
    """A permit in the clear: it says which bytes it covers and until when."""

    over: bytes
    until: datetime
    index: int = 0


class Permits:
    """Verifies `Permit`."""

    def verify(self, permit: ExecutionPermit, over: bytes, now: datetime) -> None:
        if not isinstance(permit, Permit) or permit.over != over or now > permit.until:
            raise PermitRefused


@dataclass(frozen=True)
class BankUnderTest:
    """A core bank with what the contract suite needs to know of its contents. Amounts of `main` exceed GBP 100.00."""

    core: CoreBank
    clock: Clock
    customer: str
    main: Identified
    spare: Identified
    foreign: Identified
    """An own account in another currency."""
    closed: Identified
    payee: Identified
    card: Identified
    scheduled: Identified
    stranger: str
    strangers: Identified
    """An account of `stranger`."""
    overdraft_minor: int
    """Of `main`."""
    checks: Mapping[str, tuple[str, str]]
    """For each outcome of a payee check a name and an identifier that have it. The close match's holder is "Jon Smith"."""
    products: tuple[str, ...]


@contextmanager
def sandbox(path: Path, writer: Callable[[Engine, Apply], object] = ImmediateWriter) -> Iterator[tuple[SandboxBank, Clock]]:
    """A seeded sandbox bank at noon. It is seeded once and copied, since seeding costs more than most tests."""
    clock = Clock()
    file = path / "bank.sqlite"
    if not file.exists():
        file.write_bytes(_seeded())
    bank = open_sandbox(file, clock=clock, writer=writer, permits=Permits())  # type: ignore[arg-type]
    try:
        yield bank, clock
    finally:
        bank.close()


@cache
def _seeded() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "bank.sqlite"
        open_sandbox(file, clock=Clock(), writer=ImmediateWriter, permits=Permits()).close()  # type: ignore[arg-type]
        return file.read_bytes()


async def sandbox_under_test(bank: SandboxBank, clock: Clock) -> BankUnderTest:
    """The sandbox bank as alice sees it."""
    accounts = {account.name: Identified(ReferenceKind.ACCOUNT, account.id) for account in await bank.accounts("alice")}
    payees = {payee.name: payee.id for payee in await bank.beneficiaries(accounts["Everyday"].id)}
    card = next(card for card in await bank.cards("alice") if card.status == "active")
    strangers = next(iter(await bank.accounts("bruno")))
    (scheduled,) = await bank.scheduled_payments(accounts["Everyday"].id)
    return BankUnderTest(
        core=bank,
        clock=clock,
        customer="alice",
        main=accounts["Everyday"],
        spare=accounts["Rainy day"],
        foreign=accounts["Kyoto trip"],
        closed=accounts["Student"],
        payee=Identified(ReferenceKind.BENEFICIARY, payees["Margaret Hale"]),
        card=Identified(ReferenceKind.CARD, card.id),
        scheduled=Identified(ReferenceKind.PAYMENT, scheduled.id),
        stranger="bruno",
        strangers=Identified(ReferenceKind.ACCOUNT, strangers.id),
        overdraft_minor=50_000,
        checks={
            "match": ("margaret hale", "20301587654321"),
            "close_match": ("Jon Smithe", "60161331926819"),
            "no_match": ("Margaret Hale", "60161331926819"),
            "not_possible": ("Margaret Hale", "99999912345678"),
        },
        products=("current", "savings", "currency", "joint", "business"),
    )


CORES = {"sandbox": (sandbox, sandbox_under_test)}
"""Every implementation of CoreBank: how to open it, and how to describe its contents. A new core is a line here."""
