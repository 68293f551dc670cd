"""The only composition root: settings become a running gateway. Refuses to start on unsafe settings."""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from importlib.resources import files
from typing import IO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from adapters.core import CoreBank, CoreUnavailable, exponent
from adapters.cores.remote.client import Bounds
from adapters.cores.sandbox.bank import SandboxBank
from adapters.cores.sandbox.people import CUSTOMERS
from adapters.declared.core import open_declared
from adapters.function import BankingFunction, BareAmount, Choice
from adapters.functions import MANIFEST
from audit import leaf
from audit.erasure import replay_destructions
from audit.leaf import Kind, Record
from audit.log import Log
from audit.migration import prepare
from gateway.call import Parts, Way
from gateway.catalogue import cedar_schema, manifest, schema_hash
from gateway.confirm_setup import verifier_of
from gateway.confirming import Confirming, Proposals
from gateway.cores import Core, CorePermits, behind_http, embedded
from gateway.databases import HISTORIES, Part, Places, open_log
from gateway.decide import Decider
from gateway.declared import Served, served
from gateway.doors import rest
from gateway.doors.presented import Presenting
from gateway.errors import Unavailable
from gateway.later import Later
from gateway.mandate import Limits, Mandate
from gateway.rates import Rates
from gateway.record import BundleName, Records
from gateway.recovery import GRACE, Recovery
from gateway.references import KEY_BYTES, References
from gateway.relying_party import RelyingParty
from gateway.settings import Settings, UnsafeSettings
from gateway.store.book import SqlBook, SqlPasskeys
from gateway.telemetry import CallIds, Telemetry, watch_breaker
from gateway.trust import Trust, establish
from gateway.vault import private_file
from policies.bundle import Bundle, Role, RuleFile, SignedBundle, activate, sign
from policies.engine import Engine as PolicyEngine

BUNDLE_VERSION = 1

__version__ = version("tellergate")

_LOG = logging.getLogger("tellergate.main")

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Gateway:
    """A running gateway, and what the command and the tests look at. Close it with `close`."""

    settings: Settings
    way: Way
    door: rest.Door
    recovery: Recovery
    log: Log
    book: SqlBook
    core: CoreBank
    bank: SandboxBank | None
    """The embedded sandbox bank; None where the core is elsewhere. For development's chores, and for who looks into it."""
    trust: Trust
    lock: IO[str] | None
    instruments: tuple[TracerProvider, MeterProvider]
    confirming: Confirming
    _close_core: Callable[[], Awaitable[None]]

    def relying_party(self) -> RelyingParty:
        """What stands before the customer's word. UnsafeSettings when passkeys are set up and cannot be verified here."""
        return RelyingParty(
            confirmations=self.confirming,
            passkeys=SqlPasskeys(self.book),
            standing=self.trust.identity,
            verifier=verifier_of(self.settings),
            clock=self.door.clock,
        )

    async def close(self) -> None:
        """Let the effects that are under way end, publish a last checkpoint, let go of everything."""
        await self.way.drain()
        await self.trust.close()
        await self.log.append(Record(kind=Kind.LOG_STOP, time=utc_now()))
        await self.log.publish(force=True)
        await self.book.close()
        await self._close_core()
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
        raise UnsafeSettings(
            "only development mode can run: this version signs mandates and the policy bundle with keys that it makes up at the start"
        )
    data = settings.data
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as undo:
        places = Places(data, settings.database, settings.keys_database)
        lock = None if places.shared else undo.enter_context(_only_one(settings))
        name = f"gateway-{os.getpid()}"
        log = await open_log(places, writer_id=name, clock=clock)
        undo.push_async_callback(log.close)
        mandate_key = Ed25519PrivateKey.from_private_bytes(private_file(data / "keys" / "mandates.key", 32))
        database = places.open(Part.GATEWAY, name=name)
        undo.push_async_callback(database.close)
        await prepare(database, HISTORIES[Part.GATEWAY], may_upgrade=settings.development)
        book = SqlBook(database, mandate_key=mandate_key.public_key(), duplicate_window_s=settings.duplicate_window_s)
        undo.push_async_callback(book.close)
        offered = served(settings)
        core = _with_upstream(_core(settings, log, clock), offered, settings, log, clock)
        undo.push_async_callback(core.close)
        bundle = _activated(read_bundle(offered.functions))
        trust = establish(settings, book)
        await _grant_sandbox_customers(book, core, mandate_key, clock(), offered)
        gateway = _assembled(
            settings, offered=offered, trust=trust, bundle=bundle, log=log, book=book, core=core, clock=clock, lock=lock
        )
        await log.append(Record(kind=Kind.LOG_START, time=clock()))
        await log.append(
            Record(
                kind=Kind.POLICY_ACTIVATE,
                time=clock(),
                facts={"bundle": bundle.hash, "version": str(bundle.version), "author": bundle.author},
            )
        )
        await replay_destructions(log)
        try:
            await gateway.recovery.sweep(grace=GRACE if places.shared else timedelta(0))
        except Unavailable:
            if core.sandbox is not None:
                raise
            _LOG.warning('{"alarm": "started_without_core"}')  # what is open is ended by the chores, once the core answers
        undo.pop_all()
        return gateway


def _assembled(
    settings: Settings,
    *,
    offered: Served,
    trust: Trust,
    bundle: Bundle,
    log: Log,
    book: SqlBook,
    core: Core,
    clock: Clock,
    lock: IO[str] | None,
) -> Gateway:
    functions = {function.name: function for function in offered.functions}
    references = References(private_file(settings.data / "keys" / "references.key", KEY_BYTES))
    records = Records(
        log,
        BundleName(bundle.hash, str(bundle.version)),
        {function.name: leaf.Function(function.name, function.version, schema_hash(function)) for function in offered.functions},
        settings.audit_wait_ms,
    )
    rates = Rates(settings.calls_per_minute)
    later = Later(functions=functions, references=references, book=book, core=core.bank, log=log, clock=clock)
    ids = CallIds()
    tracing, metering = _instruments(settings.otlp_endpoint, ids)
    if core.breaker is not None:
        watch_breaker(metering.get_meter("tellergate"), core.breaker)
    proposals = _proposals(settings, book=book, core=core.bank, records=records, later=later)
    way = Way(
        Parts(
            functions=functions,
            standing=trust.identity,
            references=references,
            book=book,
            core=core.bank,
            decider=Decider(PolicyEngine(bundle)),
            records=records,
            later=later,
            rates=rates,
            telemetry=Telemetry(tracing, ids, metering.get_meter("tellergate"), sampled_share=settings.trace_share),
            clock=clock,
            strong_session_s=settings.strong_session_s,
            propose=proposals,
        )
    )
    confirming = Confirming(book=book, way=way, core=core.bank, records=records, functions=functions, clock=clock)
    door = rest.Door(
        way=way,
        later=later,
        identity=trust.identity,
        presenting=Presenting(settings.public_url, settings.trusted_proxies),
        challenges=trust.challenges,
        metadata=trust.metadata,
        book=book,
        records=records,
        functions=offered.functions,
        clock=clock,
        calls_per_request=settings.calls_per_request,
        rates=rates,
        waiting=proposals.waiting,
    )
    recovery = Recovery(book=book, core=core.bank, log=log, records=records, clock=clock)
    instruments = (tracing, metering)
    return Gateway(
        settings, way, door, recovery, log, book, core.bank, core.sandbox, trust, lock, instruments, confirming, core.close
    )


def _proposals(settings: Settings, *, book: SqlBook, core: CoreBank, records: Records, later: Later) -> Proposals:
    return Proposals(
        book=book,
        core=core,
        records=records,
        later=later,
        clock=later.clock,
        waiting_most=settings.proposals_waiting,
        day_most=settings.proposals_per_day,
    )


def _core(settings: Settings, log: Log, clock: Clock) -> Core:
    """Here alone it is chosen what stands behind the port."""
    if not settings.core_url:
        return embedded(settings.data / "bank.sqlite", clock=clock, permits=CorePermits(log.permit_verifier()))
    bounds = Bounds(question_s=settings.core_question_ms / 1000, instruction_s=settings.core_instruction_ms / 1000)
    return behind_http(settings.core_url, settings.core_credential_file, clock=clock, bounds=bounds)


def _with_upstream(core: Core, offered: Served, settings: Settings, log: Log, clock: Clock) -> Core:
    """The core, with the upstream of declared functions before it."""
    if offered.manifest is None or offered.upstream is None:
        return core
    permits = CorePermits(log.permit_verifier())
    journal = settings.data / "upstream.sqlite"
    bank, declared = open_declared(
        core.bank, offered.manifest.functions, offered.upstream, journal=journal, permits=permits, clock=clock
    )

    async def close() -> None:
        await declared.close()
        await core.close()

    return replace(core, bank=bank, close=close)


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


def limits_of(functions: Sequence[BankingFunction]) -> dict[str, Limits]:
    """What a made-up customer grants: the sandbox bank's currencies, and each one that a function's amounts are in, alike."""
    named: set[str] = set()
    for function in functions:
        by_name = {argument.name: argument.type for argument in function.arguments}
        for declared in by_name.values():
            if isinstance(declared, BareAmount):
                source = by_name.get(declared.currency_argument or "")
                named |= set(source.values) if isinstance(source, Choice) else {declared.currency or ""}
    unit = {currency: 10 ** exponent(currency) for currency in named - {""}}
    return SANDBOX_LIMITS | {
        currency: Limits(2_500 * one, 5_000 * one, 10_000 * one, 25_000 * one, 50)
        for currency, one in unit.items()
        if currency not in SANDBOX_LIMITS
    }


async def grant(
    book: SqlBook,
    bank: CoreBank,
    key: Ed25519PrivateKey,
    customer: str,
    now: datetime,
    *,
    functions: Sequence[BankingFunction] = MANIFEST,
    version: int = 1,
) -> None:
    """Sign and store a mandate over all these functions and all of the customer's accounts."""
    accounts = await bank.accounts(customer)
    mandate = Mandate(
        customer=customer,
        version=version,
        functions=tuple(sorted(function.name for function in functions)),
        accounts=tuple(sorted(account.id for account in accounts)),
        limits=limits_of(functions),
        starts=now.replace(microsecond=0),
        ends=now.replace(microsecond=0) + timedelta(days=365),
    )
    await book.grant(mandate, mandate.sign(key))


async def _grant_sandbox_customers(book: SqlBook, core: Core, key: Ed25519PrivateKey, now: datetime, offered: Served) -> None:
    """Development mode's customers, each once; those of a manifest at each start, since it may have changed, unless they are frozen.

    UnsafeSettings when the core cannot be asked for their accounts.
    """
    made_up = core.sandbox.customers() if core.sandbox else CUSTOMERS
    try:
        for customer in made_up:
            if not await book.has_granted(customer):
                await grant(book, core.bank, key, customer, now, functions=offered.functions)
        for customer in offered.customers:
            if not (await book.has_granted(customer) and await book.is_frozen(customer)):
                seconds = int(now.timestamp())  # a version after every earlier start's
                await grant(book, core.bank, key, customer, now, functions=offered.functions, version=seconds)
    except CoreUnavailable as error:
        raise UnsafeSettings(f"the core at core_url does not answer ({error}); start it first") from None
