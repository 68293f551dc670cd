"""The only composition root: settings become a running gateway. Refuses to start on unsafe settings."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import version
from typing import IO

from adapters.core import CoreBank
from adapters.declared.core import open_declared
from adapters.declared.journal import FILE
from adapters.function import BankingFunction
from adapters.tls import tls_for
from audit import leaf
from audit.database import Database
from audit.erasure import replay_destructions
from audit.keyring import SignedRows
from audit.leaf import Record, RecordKind
from audit.log import Log
from audit.migration import prepare
from audit.policies import activate
from audit.verification import StoreVerifier
from audit.verifiers import hashes
from gateway.app.alignment import refuse_apart, refuse_keys_apart
from gateway.app.clock import Clock, utc_now
from gateway.app.code import code_runner
from gateway.app.composition import Composition, Opened
from gateway.app.cores import Core, CorePermits
from gateway.app.database_checks import refuse_alone
from gateway.app.databases import HISTORIES, DatabaseName, open_log, places_of, refuse_unmade
from gateway.app.declared import ServedFunctions, served
from gateway.app.gateway import Gateway
from gateway.app.instruments import instruments_of, prometheus, telemetry
from gateway.app.keys import DPOP_NONCES, MANDATES, REFERENCES, RUNS, WEBHOOK, GatewayKeys, file_keys, token_of
from gateway.app.mandate_templates import templates_of
from gateway.app.policies import AcceptedPolicies, PolicyWatch, policies_at_start
from gateway.app.runs import files_of, running
from gateway.app.settings import Settings
from gateway.app.streaming import streams_of
from gateway.app.timestamping import timestamps_of
from gateway.app.tools import ServedTools
from gateway.app.trust import Trust
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.app.witnessing import witnesses_of
from gateway.calls.catalogue import schema_hash
from gateway.calls.decide import Decider
from gateway.calls.outcome import CallOutcomes
from gateway.calls.pipeline import CallDependencies, CallPipeline
from gateway.calls.rates import AtOnce, Quotas, Rates, RequestRates
from gateway.calls.record import Records
from gateway.calls.recovery import GRACE, Recovery
from gateway.calls.references import References
from gateway.calls.screening import NoScreening, ScreeningList
from gateway.calls.telemetry import CallIds, Telemetry
from gateway.code.port import CodeRunner
from gateway.confirmations.confirming import CustomerConfirmations
from gateway.confirmations.proposals import Proposals
from gateway.confirmations.standing_mandates import StandingMandates
from gateway.domain.alarms import Alarm
from gateway.domain.errors import Unavailable
from gateway.domain.tools import Tool
from gateway.doors import rest
from gateway.doors.credentials import CredentialReader
from gateway.oversight.background_verification import BackgroundVerification
from gateway.oversight.first_sight import FirstSight
from gateway.oversight.granted_mandates import GrantedMandates
from gateway.oversight.kill_switches import KillSwitches
from gateway.oversight.timestamps import Timestamps
from gateway.oversight.webhooks import Webhooks
from gateway.oversight.witnesses import Witnesses
from gateway.store.book import SqlBook
from gateway.store.confirmations import SqlProposals
from gateway.store.kill_switches import SqlKillSwitches
from gateway.store.policies import Activated
from gateway.store.webhooks import SqlOutbox

__version__ = version("tellergate")

_LOG = logging.getLogger("tellergate.main")


async def open_gateway(settings: Settings, composition: Composition, *, clock: Clock = utc_now) -> Gateway:
    """Build every part, recover what was left open, and start. UnsafeSettings, HistoryUnknown where the databases are not of this version
    and the composition may not upgrade them, or the exception of the part that does not open."""
    composition.check(settings)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as undo:
        places = places_of(settings)
        await refuse_alone(places)
        lock = None if places.shared else undo.enter_context(_only_one(settings))
        name = f"gateway-{os.getpid()}"
        if not composition.may_upgrade:
            await refuse_unmade(places)
        storage = file_keys(
            settings.data, settings.key_passphrase_file, may_be_plain=composition.keys_may_be_plain, token=token_of(settings)
        )
        undo.callback(storage.close)
        log = await open_log(places, writer_id=name, clock=clock, may_upgrade=composition.may_upgrade, storage=storage)
        undo.push_async_callback(log.close)
        keys = GatewayKeys(storage, clock)
        mandate_key = SignedRows(keys[MANDATES])
        database = places.open(DatabaseName.GATEWAY, name=name)
        undo.push_async_callback(database.close)
        await prepare(database, HISTORIES[DatabaseName.GATEWAY], may_upgrade=composition.may_upgrade)
        await refuse_apart(database, may_watch=composition.may_upgrade)
        await refuse_keys_apart(log)
        book = _book(settings, database, mandate_key, log)
        undo.push_async_callback(book.close)
        offered = served(settings)
        core = _with_upstream(composition.core(settings, log, clock), offered, settings, log, clock)
        asked = await undo.enter_async_context(contextlib.AsyncExitStack())
        asked.push_async_callback(core.close)
        witnesses = await asked.enter_async_context(witnesses_of(settings, log))  # before anything is appended
        runner = code_runner(settings)
        code = None if runner is None else await asked.enter_async_context(runner)
        found = await policies_at_start(book, log, settings.policy_officers, offered.functions, composition.shipped(offered))
        trust = composition.trust(settings, book, keys[DPOP_NONCES])
        await composition.opened(Opened(book, core, mandate_key, clock(), offered))
        opened = _Opened(
            settings=settings,
            composition=composition,
            offered=offered,
            trust=trust,
            decider=Decider(found.policies),
            activated=found.activated,
            log=log,
            witnesses=witnesses,
            timestamps=await asked.enter_async_context(timestamps_of(settings, log)),
            book=book,
            core=core,
            code=code,
            asked=asked,
            clock=clock,
            lock=lock,
            mandate_key=mandate_key,
            keys=keys,
        )
        gateway = _assembled(opened)
        await _started(gateway, found, clock, shared=places.shared)
        undo.pop_all()
        return gateway


def _book(settings: Settings, database: Database, mandate_key: SignedRows, log: Log) -> SqlBook:
    return SqlBook(
        database,
        mandate_key=mandate_key,
        duplicate_window_s=settings.duplicate_window_s,
        words_age_s=settings.words_age_s,
        tells=bool(settings.webhook_url),
        shared=log.transactions,
    )


async def _started(gateway: Gateway, found: AcceptedPolicies, clock: Clock, *, shared: bool) -> None:
    """Record that it starts, and by which policies; then end what was left open, before the first call is taken."""
    await gateway.log.append(Record(kind=RecordKind.LOG_START, time=clock(), facts=hashes()))
    bundle = found.bundle
    await activate(gateway.log, bundle.canonical(), version=str(bundle.version), author=bundle.author, activator=found.activator)
    await replay_destructions(gateway.log)
    if gateway.running.api.pool is not None and not shared:
        await gateway.running.api.pool.free()
    if gateway.running.files is not None and not shared:
        await gateway.running.files.pool.free()
    try:
        # Where several gateways share the databases, what is younger than the grace may be under way in another one.
        await gateway.recovery.sweep(grace=GRACE if shared else timedelta(0))
    except Unavailable:
        if gateway.bank is not None:
            raise
        _LOG.log(*Alarm.STARTED_WITHOUT_CORE.line())  # what is open is ended by the chores, once the core answers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """What a gateway is assembled from: everything that had to be opened, or read, first."""

    settings: Settings
    composition: Composition
    offered: ServedFunctions
    trust: Trust
    decider: Decider
    activated: Activated
    log: Log
    witnesses: Witnesses | None
    timestamps: Timestamps | None
    book: SqlBook
    core: Core
    code: CodeRunner | None
    asked: contextlib.AsyncExitStack
    clock: Clock
    lock: IO[str] | None
    mandate_key: SignedRows
    keys: GatewayKeys

    @property
    def functions(self) -> Mapping[str, BankingFunction]:
        return {function.name: function for function in self.offered.functions}


def _assembled(opened: _Opened) -> Gateway:
    settings, book, core, clock, functions = opened.settings, opened.book, opened.core, opened.clock, opened.functions
    records, rates = _records(opened), Rates(settings.calls_per_minute)
    references = References(opened.keys[REFERENCES])
    outcomes = CallOutcomes(functions=functions, references=references, book=book, core=core.bank, log=opened.log, clock=clock)
    proposals = _proposals(settings, book=book, core=core.bank, records=records, outcomes=outcomes)
    ids, told = CallIds(), prometheus() if settings.metrics else None
    instruments = instruments_of(settings.otlp_endpoint, ids, () if told is None else (told.reader,))
    granted = GrantedMandates(
        book=book, records=records, key=opened.mandate_key, decider=opened.decider, functions=functions.keys(), clock=clock
    )
    files = files_of(settings, book, opened.log)
    tools = ServedTools() if files is None else files.tools(opened.code, records)
    told_of_calls = telemetry(instruments, ids, opened.core.breaker, settings.trace_share)
    pipeline = _pipeline(opened, proposals, rates, told_of_calls, tools.by_name)
    return Gateway(
        settings=settings,
        composition=opened.composition,
        pipeline=pipeline,
        door=_door(opened, pipeline, proposals, rates, _first_sight(opened, granted)),
        recovery=Recovery(book=book, core=core.bank, log=opened.log, records=records, clock=clock),
        log=opened.log,
        witnesses=opened.witnesses,
        timestamps=opened.timestamps,
        verification=BackgroundVerification(opened.log, StoreVerifier(opened.log)),
        book=book,
        core=core.bank,
        bank=core.sandbox,
        trust=opened.trust,
        lock=opened.lock,
        instruments=instruments,
        prometheus=told,
        confirmations=CustomerConfirmations(
            store=proposals.store,
            pipeline=pipeline,
            core=core.bank,
            records=records,
            functions=functions,
            clock=clock,
            mandate_key=opened.mandate_key,
        ),
        standing_mandates=_standing_mandates(opened, proposals),
        kill_switches=KillSwitches(store=SqlKillSwitches(book), trail=records, clock=clock, via="api"),
        granted=granted,
        webhooks=_webhooks(settings, book, proposals, opened.keys),
        streams=streams_of(settings, opened.log, opened.keys[WEBHOOK], clock),
        running=running(
            settings,
            opened.composition.stand_in(settings),
            book=book,
            pipeline=pipeline,
            proposals=proposals,
            files=files,
            tools=tools,
            keys=opened.keys[RUNS],
        ),
        policies=PolicyWatch(opened.decider, book, settings.policy_officers, opened.offered.functions, opened.activated),
        keys=opened.keys,
        _asked=opened.asked,
    )


def _records(opened: _Opened) -> Records:
    declared = {
        function.name: leaf.Function(function.name, function.version, schema_hash(function))
        for function in opened.offered.functions
    }
    return Records(opened.log, declared, opened.settings.audit_wait_ms)


def _pipeline(opened: _Opened, proposals: Proposals, rates: Rates, telemetry: Telemetry, tools: Mapping[str, Tool]) -> CallPipeline:
    settings, core, outcomes = opened.settings, opened.core, proposals.outcomes
    parts = CallDependencies(
        functions=outcomes.functions,
        standing=opened.trust.identity,
        references=outcomes.references,
        book=opened.book,
        core=core.bank,
        decider=opened.decider,
        records=proposals.records,
        outcomes=outcomes,
        rates=rates,
        telemetry=telemetry,
        clock=opened.clock,
        strong_session_s=settings.strong_session_s,
        proposals=proposals,
        screening=NoScreening() if settings.screening_list is None else ScreeningList(settings.screening_list),
        tools=tools,
    )
    return CallPipeline(parts)


def _first_sight(opened: _Opened, granted: GrantedMandates) -> FirstSight | None:
    templates = templates_of(opened.settings.mandate_templates, granted.functions)
    return FirstSight(granted, opened.core.bank, templates, opened.clock) if templates else None


def _door(opened: _Opened, pipeline: CallPipeline, proposals: Proposals, rates: Rates, first_sight: FirstSight | None) -> rest.Door:
    return rest.Door(
        pipeline=pipeline,
        identity=opened.trust.identity,
        presenting=CredentialReader(opened.settings.public_url, opened.settings.trusted_proxies),
        challenges=opened.trust.challenges,
        metadata=opened.trust.metadata,
        book=proposals.outcomes.book,
        records=proposals.records,
        functions=opened.offered.functions,
        clock=proposals.outcomes.clock,
        calls_per_request=opened.settings.calls_per_request,
        rates=rates,
        requests=RequestRates(opened.settings.requests_per_minute, opened.settings.client_requests_per_minute),
        quotas=Quotas(opened.settings.writes_per_day, opened.settings.written_bytes_per_day),
        waits=AtOnce(opened.settings.waits_per_customer),
        became=proposals.became,
        first_sight=first_sight,
    )


def _standing_mandates(opened: _Opened, proposals: Proposals) -> StandingMandates:
    settings = opened.settings
    return StandingMandates(
        book=proposals.book,
        store=proposals.store,
        core=proposals.core,
        records=proposals.records,
        decider=opened.decider,
        functions=opened.offered.functions,
        clock=proposals.clock,
        waiting_most=settings.proposals_waiting,
        day_most=settings.proposals_per_day,
    )


def _proposals(settings: Settings, *, book: SqlBook, core: CoreBank, records: Records, outcomes: CallOutcomes) -> Proposals:
    return Proposals(
        book=book,
        store=SqlProposals(book),
        core=core,
        records=records,
        outcomes=outcomes,
        clock=outcomes.clock,
        waiting_most=settings.proposals_waiting,
        day_most=settings.proposals_per_day,
    )


def _webhooks(settings: Settings, book: SqlBook, proposals: Proposals, keys: GatewayKeys) -> Webhooks | None:
    if not settings.webhook_url:
        return None
    outcomes = proposals.outcomes
    return Webhooks(
        url=settings.webhook_url,
        tls=tls_for(settings.webhook_url),
        keys=keys[WEBHOOK],
        book=book,
        outbox=SqlOutbox(book),
        outcomes=outcomes,
        proposals=proposals,
        log=outcomes.log,
        clock=outcomes.clock,
    )


def _with_upstream(core: Core, offered: ServedFunctions, settings: Settings, log: Log, clock: Clock) -> Core:
    """The core, with the upstream of declared functions before it."""
    if offered.manifest is None or offered.upstream is None:
        return core
    permits = CorePermits(log.permit_verifier())
    journal = settings.data / FILE
    bank, declared = open_declared(
        core.bank, offered.manifest.functions, offered.upstream, journal=journal, permits=permits, clock=clock
    )

    async def close() -> None:
        await declared.close()
        await core.close()

    return replace(core, bank=bank, close=close)


def _only_one(settings: Settings) -> IO[str]:
    """The lock of the data folder: its databases have one writing gateway."""
    lock = (settings.data / "gateway.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UnsafeSettings("another gateway runs on this data folder; stop it or choose another folder") from None
    return lock
