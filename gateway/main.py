"""The only composition root: settings become a running gateway. Refuses to start on unsafe settings."""

import asyncio
import contextlib
import fcntl
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from importlib.resources import files
from typing import IO

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Connection, Engine

from adapters.core import ExecutionPermit, PermitRefused
from adapters.cores.sandbox.bank import SandboxBank, open_sandbox
from adapters.cores.sandbox.items import Answer, Item
from adapters.function import BankingFunction
from adapters.functions import MANIFEST
from audit import leaf
from audit.database import SqliteLane
from audit.erasure import replay_destructions
from audit.group import GroupWriter
from audit.leaf import Kind, Record
from audit.log import Log
from audit.migration import prepare
from audit.permits import Permit, PermitInvalid, Verifier
from gateway.call import Parts, Way
from gateway.catalogue import cedar_schema, manifest, schema_hash
from gateway.databases import HISTORIES, Part, Places, open_log
from gateway.decide import Decider
from gateway.doors import rest, schemas
from gateway.doors.presented import Presenting
from gateway.doors.tls import server_config
from gateway.later import Later
from gateway.mandate import Limits, Mandate
from gateway.rates import Rates
from gateway.record import BundleName, Records
from gateway.recovery import GRACE, Recovery, alarmed
from gateway.references import KEY_BYTES, References
from gateway.settings import Settings, UnsafeSettings
from gateway.store.book import SqlBook
from gateway.telemetry import CallIds, Telemetry
from gateway.trust import Trust, establish
from gateway.vault import private_file
from policies.bundle import Bundle, Role, RuleFile, SignedBundle, activate, sign
from policies.engine import Engine as PolicyEngine

BUNDLE_VERSION = 1

__version__ = version("tellergate")

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class CorePermits:
    """The core's view of permits: audit's verifier behind the protocol that the cores declare."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def verify(self, permit: ExecutionPermit, over: bytes, now: datetime) -> None:
        if not isinstance(permit, Permit):
            raise PermitRefused("not a permit of this log")
        try:
            self._verifier.verify(permit, over, now)
        except PermitInvalid as invalid:
            raise PermitRefused(str(invalid)) from None


@dataclass(slots=True)
class Gateway:
    """A running gateway, and what the command and the tests look at. Close it with `close`."""

    settings: Settings
    way: Way
    door: rest.Door
    recovery: Recovery
    log: Log
    book: SqlBook
    bank: SandboxBank
    trust: Trust
    lock: IO[str] | None
    instruments: tuple[TracerProvider, MeterProvider]
    _bank_writers: list[GroupWriter[Item, Answer]] = field(default_factory=list)

    async def close(self) -> None:
        """Let the effects that are under way end, publish a last checkpoint, let go of everything."""
        await self.way.drain()
        await self.trust.close()
        await self.log.append(Record(kind=Kind.LOG_STOP, time=utc_now()))
        await self.log.publish(force=True)
        await self.book.close()
        for writer in self._bank_writers:
            await writer.close()
        self.bank.close()
        await self.log.close()
        for instrument in self.instruments:
            await asyncio.to_thread(instrument.shutdown)
        if self.lock is not None:
            self.lock.close()


def read_bundle(functions: Sequence[BankingFunction] = MANIFEST) -> Bundle:
    """The bundle that this distribution ships: its rules, over the schema of these functions."""
    folder = files("policies") / "rules"
    rules = [RuleFile(each.name, each.read_text()) for each in folder.iterdir() if each.name.endswith(".cedar")]
    return Bundle(
        version=BUNDLE_VERSION,
        author="tellergate",
        schema=cedar_schema(functions),
        rules=tuple(sorted(rules, key=lambda rule: rule.name)),
        functions=tuple(manifest(functions)),
    )


async def open_gateway(settings: Settings, *, clock: Clock = utc_now) -> Gateway:
    """Build every part, recover what was left open, and start. UnsafeSettings, or the exception of the part that does not open."""
    settings.checked()
    if not settings.development:
        raise UnsafeSettings("only development mode can run: this version has no external core and no PostgreSQL yet")
    data = settings.data
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as undo:
        places = Places(data, settings.database, settings.keys_database)
        lock = None if places.shared else undo.enter_context(_only_one(settings))
        name = f"gateway-{os.getpid()}"
        log = await open_log(places, writer_id=name, clock=clock)
        mandate_key = Ed25519PrivateKey.from_private_bytes(private_file(data / "keys" / "mandates.key", 32))
        database = places.open(Part.GATEWAY, name=name)
        await prepare(database, HISTORIES[Part.GATEWAY], may_upgrade=settings.development)
        book = SqlBook(database, mandate_key=mandate_key.public_key(), duplicate_window_s=settings.duplicate_window_s)
        bank_writers: list[GroupWriter[Item, Answer]] = []

        def bank_writer(
            engine: Engine, apply: Callable[[Connection, Sequence[Item]], Sequence[Answer | Exception]]
        ) -> GroupWriter[Item, Answer]:
            bank_writers.append(GroupWriter(SqliteLane(engine), apply))
            return bank_writers[-1]

        bank = open_sandbox(data / "bank.sqlite", clock=clock, writer=bank_writer, permits=CorePermits(log.permit_verifier()))
        bundle = _activated(read_bundle())
        trust = establish(settings, book)
        await _grant_sandbox_customers(book, bank, mandate_key, clock())
        gateway = _assembled(settings, trust=trust, bundle=bundle, log=log, book=book, bank=bank, clock=clock, lock=lock)
        gateway._bank_writers.extend(bank_writers)
        await log.append(Record(kind=Kind.LOG_START, time=clock()))
        await log.append(
            Record(
                kind=Kind.POLICY_ACTIVATE,
                time=clock(),
                facts={"bundle": bundle.hash, "version": str(bundle.version), "author": bundle.author},
            )
        )
        await replay_destructions(log)
        await gateway.recovery.sweep(grace=GRACE if places.shared else timedelta(0))
        undo.pop_all()
        return gateway


def _assembled(
    settings: Settings,
    *,
    trust: Trust,
    bundle: Bundle,
    log: Log,
    book: SqlBook,
    bank: SandboxBank,
    clock: Clock,
    lock: IO[str] | None,
) -> Gateway:
    functions = {function.name: function for function in MANIFEST}
    references = References(private_file(settings.data / "keys" / "references.key", KEY_BYTES))
    records = Records(
        log,
        BundleName(bundle.hash, str(bundle.version)),
        {function.name: leaf.Function(function.name, function.version, schema_hash(function)) for function in MANIFEST},
        settings.audit_wait_ms,
    )
    rates = Rates(settings.calls_per_minute)
    later = Later(functions=functions, references=references, book=book, core=bank, log=log, clock=clock)
    ids = CallIds()
    tracing, metering = _instruments(settings.otlp_endpoint, ids)
    way = Way(
        Parts(
            functions=functions,
            standing=trust.identity,
            references=references,
            book=book,
            core=bank,
            decider=Decider(PolicyEngine(bundle)),
            records=records,
            later=later,
            rates=rates,
            telemetry=Telemetry(tracing, ids, metering.get_meter("tellergate"), sampled_share=settings.trace_share),
            clock=clock,
            strong_session_s=settings.strong_session_s,
        )
    )
    door = rest.Door(
        way=way,
        later=later,
        identity=trust.identity,
        presenting=Presenting(settings.public_url, settings.trusted_proxies),
        challenges=trust.challenges,
        metadata=trust.metadata,
        book=book,
        records=records,
        functions=MANIFEST,
        clock=clock,
        calls_per_request=settings.calls_per_request,
        rates=rates,
    )
    recovery = Recovery(book=book, core=bank, log=log, records=records, clock=clock)
    return Gateway(settings, way, door, recovery, log, book, bank, trust, lock, (tracing, metering))


def _instruments(endpoint: str, ids: CallIds) -> tuple[TracerProvider, MeterProvider]:
    if not endpoint:
        return TracerProvider(id_generator=ids), MeterProvider()
    try:
        from gateway.exporting import exporting
    except ImportError:
        raise UnsafeSettings("otlp_endpoint is set, but the extra `otlp` is not installed") from None
    return exporting(endpoint, ids)


def _only_one(settings: Settings) -> IO[str]:
    """The lock of the data folder: its databases have one writing gateway."""
    lock = (settings.data / "gateway.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UnsafeSettings("another gateway runs on this data folder; stop it or choose another folder") from None
    return lock


def _activated(bundle: Bundle) -> Bundle:
    """The shipped bundle, signed by two officers whose keys are made up: in development mode nobody else could sign."""
    officers = {name: Ed25519PrivateKey.generate() for name in (bundle.author, "development")}
    signed = SignedBundle(
        bundle,
        sign(bundle, Role.AUTHOR, bundle.author, officers[bundle.author]),
        sign(bundle, Role.ACTIVATOR, "development", officers["development"]),
    )
    return activate(signed, {name: key.public_key() for name, key in officers.items()})


SANDBOX_LIMITS = {
    "GBP": Limits(payment_minor=250_000, day_minor=500_000, week_minor=1_000_000, month_minor=2_500_000, day_count=50),
    "EUR": Limits(payment_minor=250_000, day_minor=500_000, week_minor=1_000_000, month_minor=2_500_000, day_count=50),
    "JPY": Limits(payment_minor=500_000, day_minor=1_000_000, week_minor=2_000_000, month_minor=5_000_000, day_count=50),
    "BHD": Limits(payment_minor=1_000_000, day_minor=2_000_000, week_minor=4_000_000, month_minor=10_000_000, day_count=50),
}
"""What the made-up customers of development mode granted, in minor units."""


async def grant(book: SqlBook, bank: SandboxBank, key: Ed25519PrivateKey, customer: str, now: datetime) -> None:
    """Sign and store a mandate over all functions and all of the customer's accounts."""
    accounts = await bank.accounts(customer)
    mandate = Mandate(
        customer=customer,
        version=1,
        functions=tuple(sorted(function.name for function in MANIFEST)),
        accounts=tuple(sorted(account.id for account in accounts)),
        limits=SANDBOX_LIMITS,
        starts=now.replace(microsecond=0),
        ends=now.replace(microsecond=0) + timedelta(days=365),
    )
    await book.grant(mandate, mandate.sign(key))


async def _grant_sandbox_customers(book: SqlBook, bank: SandboxBank, key: Ed25519PrivateKey, now: datetime) -> None:
    for customer in bank.customers():
        if not await book.has_granted(customer):
            await grant(book, bank, key, customer, now)


async def _banking_days(bank: SandboxBank) -> None:
    """The sandbox bank carries out what was scheduled for today, each minute: a real core does so by itself."""
    while True:
        with alarmed("scheduled_payments"):
            await bank.execute_due()
        await asyncio.sleep(60)


async def _old_proofs(book: SqlBook) -> None:
    """Forget, each minute, the proofs of possession that are too old to be taken."""
    while True:
        with alarmed("proofs_sweep"):
            await book.forget_proofs(utc_now())
        await asyncio.sleep(60)


def build_app(gateway: Gateway, *, started: Callable[[], None] = lambda: None) -> FastAPI:
    """The HTTP application of an open gateway. Does the gateway's chores while it is served; tells `started` when it begins."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        running = (gateway.recovery.run(gateway.way), _banking_days(gateway.bank), _old_proofs(gateway.book), gateway.trust.run())
        chores = [asyncio.create_task(each) for each in running]
        started()
        try:
            yield
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)

    app = FastAPI(
        title="Tellergate",
        version=__version__,
        description="A teller's window for AI assistants in banks.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    schemas.publish(app)
    rest.mount(app, gateway.door)
    return app


def settle_the_interpreter() -> None:
    """Measured under load: full collections over what lives as long as the process stopped it for 100 ms, and a thread that had
    committed waited up to 5 ms for its turn.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    sys.setswitchinterval(0.0005)


async def serve(settings: Settings, *, started: Callable[[str, Gateway, Callable[[], None]], None]) -> None:
    """Serve until SIGINT or SIGTERM, or until stopped. `started` gets the base URL, the gateway and what stops the server.

    UnsafeSettings before anything listens; OSError for an address that cannot be listened on.
    """
    settings.checked()
    with _bound(settings) as listening:
        where = f"[{settings.host}]" if ":" in settings.host else settings.host
        scheme = "http" if settings.tls_certificate is None else "https"
        url = f"{scheme}://{where}:{listening.getsockname()[1]}"
        gateway = await open_gateway(replace(settings, public_url=settings.public_url or url))
        try:
            app = rest.in_front(build_app(gateway, started=lambda: started(url, gateway, stop)), gateway.door)
            server = uvicorn.Server(server_config(app, settings))

            def stop() -> None:
                server.should_exit = True

            settle_the_interpreter()
            await server.serve(sockets=[listening])
        finally:
            await gateway.close()


def _bound(settings: Settings) -> socket.socket:
    """The address is taken, so that its port is known; it listens once the server runs."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError:
        bound.close()
        raise
    return bound
