"""Banks to test against, and the smallest doubles of what `main` injects into them."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine

from adapters.core import CoreBank, ExecutionPermit, Identified, PermitRefused, PermitVerifier, ReferenceKind
from adapters.cores.remote.bounds import ClientBounds
from adapters.cores.remote.client import open_remote
from adapters.cores.remote.server import CoreServer, PermitReader, listen
from adapters.cores.sandbox import SandboxBank, open_sandbox
from adapters.cores.sandbox.items import Answer, Item
from adapters.cores.sandbox.tables import open_engine
from audit import permits as audit_permits
from audit.encoding import b64url, unb64url
from audit.permits import LogPermitVerifier
from gateway.app import cores
from gateway.app.cores import CorePermits, UnsafeNoPermits, verified_permit

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
    expires: datetime
    index: int = 0

    def encode(self) -> str:
        return b64url(json.dumps([self.over.decode(), self.expires.isoformat()]).encode())


def read_permit(text: str, _over: bytes) -> Permit:
    """What `Permit.encode` wrote."""
    over, expires = json.loads(unb64url(text))
    return Permit(over.encode(), datetime.fromisoformat(expires))


class Permits:
    """Verifies `Permit`."""

    def verify(self, permit: ExecutionPermit, over: bytes, now: datetime) -> None:
        if not isinstance(permit, Permit) or permit.over != over or now >= permit.expires:
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
    newcomer: Identified
    """A payee that is saved for `main` and was never paid."""
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
    permit: Callable[[bytes, datetime], ExecutionPermit] = Permit
    """What this core takes as a permit over these bytes until then."""


@contextmanager
def sandbox(
    path: Path, writer: Callable[[Engine, Apply], object] = ImmediateWriter, permits: PermitVerifier | None = None
) -> Iterator[tuple[SandboxBank, Clock]]:
    """A seeded sandbox bank at noon. It is seeded once and copied, since seeding costs more than most tests."""
    clock = Clock()
    file = path / "bank.sqlite"
    if file.exists():
        bank = open_sandbox(file, clock=clock, writer=writer, permits=permits or Permits())  # type: ignore[arg-type]
    else:
        file.write_bytes(_seeded())
        bank = SandboxBank(open_engine(file, has_tables=True), clock=clock, writer=writer, permits=permits or Permits())  # type: ignore[arg-type]
    try:
        yield bank, clock
    finally:
        bank.close()


def quieted(path: Path) -> Mapping[str, str]:
    """Stop everything that the seed of the bank in this folder has planned; its payees, by their names."""
    with closing(sqlite3.connect(path / "bank.sqlite")) as connection, connection:
        connection.execute("UPDATE standing_order SET status = 'suspended'")
        connection.execute("UPDATE payment SET status = 'CANC' WHERE status = 'SCHD'")
        return dict(connection.execute("SELECT name, id FROM beneficiary").fetchall())


@cache
def _seeded() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "bank.sqlite"
        open_sandbox(file, clock=Clock(), writer=ImmediateWriter, permits=Permits()).close()
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
        newcomer=Identified(ReferenceKind.BENEFICIARY, payees["Jon Smithe"]),
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


@asynccontextmanager
async def embedded(path: Path) -> AsyncIterator[BankUnderTest]:
    """The sandbox bank in the caller's own process."""
    with sandbox(path) as (bank, clock):
        yield await sandbox_under_test(bank, clock)


@asynccontextmanager
async def over_http(path: Path) -> AsyncIterator[BankUnderTest]:
    """The sandbox bank behind the wire, which verifies permits itself."""
    async with embedded(path) as bank, served(bank.core, "bank-", read_permit) as url, remote(url, "bank-", bank.clock) as core:
        yield replace(bank, core=core)


@asynccontextmanager
async def behind_a_proxy(path: Path) -> AsyncIterator[BankUnderTest]:
    """The sandbox bank behind the wire, which trusts its credential, behind a proxy that verifies the permits of a log."""
    key = Ed25519PrivateKey.generate()
    with sandbox(path, permits=UnsafeNoPermits()) as (sandboxed, clock):
        bank = await sandbox_under_test(sandboxed, clock)
        verified = verified_permit(
            CorePermits(LogPermitVerifier(lambda: [key.public_key().public_bytes_raw()], "tests.invalid/log")), clock
        )
        async with (
            served(bank.core, "bank-", cores.read_permit) as bank_url,
            remote(bank_url, "bank-", clock) as behind,
            served(behind, "proxy-", verified) as proxy_url,
            remote(proxy_url, "proxy-", clock) as core,
        ):
            yield replace(bank, core=core, permit=partial(real_permit, key))


def real_permit(key: Ed25519PrivateKey, over: bytes, until: datetime) -> audit_permits.Permit:
    """A permit of 90 seconds, as a log gives it."""
    salt = bytes(16)
    covered = audit_permits.Covered("tests.invalid/log", 7, bytes(32), salt, audit_permits.instruction_digest(salt, over))
    return audit_permits.issue(covered, until - timedelta(seconds=90), timedelta(seconds=90), key.sign)


@asynccontextmanager
async def served(core: CoreBank, credential: str, permits: PermitReader) -> AsyncIterator[str]:
    """This core behind the wire, on a free port of loopback; its base URL. The credential is `credential`, repeated."""
    runner, port = await listen(CoreServer(core, credential=credential * 8, permits=permits), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def remote(url: str, credential: str, clock: Callable[[], datetime], **bounds: Any) -> AsyncIterator[CoreBank]:
    """The core behind this address. Bounds that a busy machine does not reach, unless others are given."""
    waits = ClientBounds(**{"question_s": 20.0, "instruction_s": 20.0, "connect_s": 5.0, "silence_s": 10.0, **bounds})
    core, itself = open_remote(url, credential=credential * 8, clock=clock, bounds=waits)
    try:
        yield core
    finally:
        await itself.close()


CORES = {"sandbox": embedded, "over HTTP": over_http, "behind a proxy": behind_a_proxy}
"""Every implementation of CoreBank, opened and with its contents described. A new core is a line here."""
