"""The composition of development mode: what nobody can sign or supply on a laptop is made up at the start."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.routing import Route

from adapters.cores.sandbox.bank import SandboxBank
from audit.keyring import KeyRing
from audit.log import Log
from gateway.app.bundle import read_bundle
from gateway.app.clock import Clock
from gateway.app.composition import Composition, Opened, StandIn
from gateway.app.cores import Core, CorePermits, core_of
from gateway.app.declared import ServedFunctions
from gateway.app.development.bundle import activated
from gateway.app.development.customers import grant_made_up_customers
from gateway.app.development.embedded_bank import banking_days, embedded
from gateway.app.development.landing import landing_of
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.scripted_model import StandInModel, stand_in_of
from gateway.app.settings import Settings
from gateway.app.settings_checks import checked
from gateway.app.trust import Trust, establish, local_trust
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.doors import playground
from gateway.doors.pages import docs, landing
from gateway.identity.dpop import SeenProofs
from policies.bundle import Bundle

if TYPE_CHECKING:
    from gateway.doors.operations.sessions import StaffSessions
    from gateway.doors.pages.shell import PageShell


def check(settings: Settings) -> None:
    """UnsafeSettings for what is wrong in either mode; nothing of the host is looked at."""
    if not settings.development:
        raise UnsafeSettings("these settings are for customers, and development mode is not; start without --dev")
    checked(settings)


def _core(settings: Settings, log: Log, clock: Clock) -> Core:
    if settings.core_url:
        return core_of(settings, log, clock)
    return embedded(settings.data / "bank.sqlite", clock=clock, permits=CorePermits(log.permit_verifier()))


def _chores(bank: SandboxBank | None) -> Sequence[Coroutine[object, object, None]]:
    return () if bank is None else (banking_days(bank),)


def _shipped(offered: ServedFunctions) -> Bundle:
    return activated(read_bundle(offered.functions))


def _trust(settings: Settings, seen: SeenProofs, nonce_keys: KeyRing) -> Trust:
    if settings.has_external_issuer:
        return establish(settings, seen, nonce_keys, loopback_http=True)
    return local_trust(settings, replace(LocalIssuer(settings.data).issuer, segment_claim=settings.segment_claim))


def _stand_in(settings: Settings) -> StandIn | None:
    name = stand_in_of(settings)
    return StandIn(name, StandInModel()) if name else None


async def _opened(opened: Opened) -> None:
    await grant_made_up_customers(opened.book, opened.core, opened.mandate_key, opened.now, opened.offered)


def _pages(app: FastAPI, settings: Settings, has_pages: bool) -> None:
    if settings.playground:
        playground.mount(app)
    docs.mount(app)
    landing.mount(app, landing_of(settings, has_pages=has_pages))


def _staff(app: FastAPI, sessions: "StaffSessions") -> None:
    from gateway.app.development.staff import mount_made_up_people  # needs the extra `operations`

    mount_made_up_people(app, sessions)


def _enrolment(page: "PageShell", settings: Settings, customers: Callable[[], Awaitable[Sequence[str]]]) -> Sequence[Route]:
    from gateway.doors.pages.enrol import Enrolment, enrol_routes  # needs the extra `confirm`

    return enrol_routes(page, Enrolment(customers, timedelta(seconds=settings.passkey_cooling_off_s)))


DEVELOPMENT = Composition(
    mode="development",
    may_upgrade=True,
    keys_may_be_plain=True,
    check=check,
    core=_core,
    shipped=_shipped,
    trust=_trust,
    stand_in=_stand_in,
    chores=_chores,
    opened=_opened,
    loopback_http=True,
    staff=_staff,
    pages=_pages,
    enrolment=_enrolment,
)
