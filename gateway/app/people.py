"""The bank's people become the routes of the operations listener: their sign-in, their sessions, and what they may do."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import FastAPI

from adapters.tls import client_tls
from gateway.app.databases import places_of
from gateway.app.gateway import Gateway
from gateway.app.key_files import secret_of
from gateway.app.keys import OPERATIONS
from gateway.app.retention import kept_shown
from gateway.app.settings import Settings
from gateway.app.staff_evidence import StaffEvidence
from gateway.app.stream_files import definitions_of
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.app.witnessing import place_of
from gateway.calls.rates import RequestRates
from gateway.domain.duties import StaffRole
from gateway.domain.staff import ProvedBy
from gateway.doors import schemas
from gateway.identity.fetching import Fetcher
from gateway.identity.jwks import Ages, IssuerKeys, RemoteKeys
from gateway.oversight.approvals import Approvals
from gateway.oversight.audit_cases import AuditCases
from gateway.oversight.refused_acts import RefusedActs
from gateway.oversight.stream_standings import NamedStream
from gateway.store.approvals import SqlApprovals
from gateway.store.audit_cases import SqlAuditCases
from gateway.store.staff_sessions import SqlStaffSessions

if TYPE_CHECKING:
    from gateway.identity.sign_in import SignInRules

REQUESTS_PER_MINUTE = 300
"""Of one person, in each process."""


@dataclass(frozen=True, slots=True)
class People:
    """What mounts their routes, what keeps their provider's keys fresh, and what lets go of it."""

    mount: Callable[[FastAPI, Gateway], None]
    run: Callable[[], Coroutine[object, object, None]]
    close: Callable[[], Awaitable[None]]


async def _nothing() -> None: ...


def people_of(gateway: Gateway) -> People:
    """The people of the bank's provider; where none is set, those whom the composition has. UnsafeSettings: the extra is missing, or
    others may read the client's secret."""
    try:
        from gateway.doors.operations import approvals, evidence, evidence_pages, kill_switches, openapi, pages, trail_routes
        from gateway.doors.operations.audit.desk import AuditDesk
        from gateway.doors.operations.sessions import StaffSessions
        from gateway.doors.operations.sign_in import SignInRoutes, mount_provider, mount_session
        from gateway.doors.operations.staff_door import StaffDoor
        from gateway.identity.sign_in import StaffSignIn
    except ImportError:
        raise UnsafeSettings("operations_port is set, but the extra `operations` is not installed") from None
    settings, clock = gateway.settings, gateway.door.clock
    longest = timedelta(seconds=settings.operations_session_s)
    sessions = StaffSessions(store=SqlStaffSessions(gateway.book), origin=settings.operations_origin, longest=longest, clock=clock)
    door = StaffDoor(
        sessions=sessions,
        clock=clock,
        fresh_s=settings.operations_fresh_s,
        rates=RequestRates(REQUESTS_PER_MINUTE, 100 * REQUESTS_PER_MINUTE),
        refused_acts=RefusedActs(gateway.door.records, clock),
    )
    switches = kill_switches.SwitchDesk(replace(gateway.kill_switches, via=ProvedBy.SIGN_IN.value), gateway.door.functions)
    four_eyes = Approvals(SqlApprovals(gateway.book), gateway.door.records, clock)
    desk = approvals.ApprovalDesk(four_eyes, gateway.log)
    done = StaffEvidence(places=places_of(settings), storage=gateway.keys.storage, clock=clock)
    cases = AuditCases(SqlAuditCases(gateway.book), gateway.door.records, clock)
    taking = evidence.EvidenceDesk(done, four_eyes)
    fetcher = Fetcher(loopback_http=gateway.composition.loopback_http, trust=client_tls(settings.issuer_ca))
    ages = Ages(settings.keys_refresh_s, settings.keys_age_s, settings.keys_retry_s)
    keys = RemoteKeys(IssuerKeys(fetcher, settings.operations_issuer), ages)

    def mount(app: FastAPI, gateway: Gateway) -> None:
        kill_switches.mount(app, door, switches)
        approvals.mount(app, door, desk)
        named = [place_of(said).name for said in settings.witnesses]
        sent = [NamedStream(item.name, item.format, item.place) for item in definitions_of(settings)]
        looking = AuditDesk(log=gateway.log, approvals=desk, kept=kept_shown(), cases=cases, witnesses=named, streams=sent)
        looking = replace(looking, authorities=settings.timestamp_authorities)
        trail_routes.mount(app, door, looking)
        evidence.mount(app, door, taking)
        pages.mount(app, door, pages.StaffPages(switches, desk))
        evidence_pages.mount(app, door, evidence_pages.EvidencePages(desk, taking))
        mount_session(app, door)
        bodies = (approvals.NewApproval, evidence.ExportRequest, evidence.ErasureRequest)
        openapi.mount(app, door, (schemas.NewKillSwitch, schemas.LiftKillSwitch, *bodies, *trail_routes.BODIES))
        if settings.operations_issuer:
            provider = StaffSignIn(sign_in_rules(settings), fetcher, keys)
            mount_provider(app, SignInRoutes(provider, sessions, gateway.keys[OPERATIONS], clock))
        else:
            gateway.composition.staff(app, sessions)

    async def close() -> None:
        await done.close()
        await keys.close()
        await fetcher.close()

    return People(mount, keys.run if settings.operations_issuer else _nothing, close)


def sign_in_rules(settings: Settings) -> "SignInRules":
    """How people sign in, as the settings say."""
    from gateway.identity.sign_in import SignInRules

    file = settings.operations_client_secret_file
    pairs = (mapping.rpartition("=") for mapping in settings.operations_roles)
    return SignInRules(
        issuer=settings.operations_issuer,
        client=settings.operations_client,
        secret="" if file is None else secret_of(file),
        origin=settings.operations_origin,
        roles_claim=settings.operations_roles_claim,
        roles={value: StaffRole(role) for value, _, role in pairs},
        strong=settings.operations_strong_acr,
        algorithms=frozenset(settings.token_algorithms),
        clock_skew_s=settings.clock_skew_s,
        longest_s=settings.operations_session_s,
    )
