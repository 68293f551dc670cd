"""The composition that serves customers: everything is the bank's own, or the start ends with what is missing."""

from collections.abc import Coroutine, Sequence

from fastapi import FastAPI
from starlette.routing import Route

from gateway.app.composition import Composition, Opened
from gateway.app.cores import core_of
from gateway.app.declared import ServedFunctions
from gateway.app.host_checks import host_findings
from gateway.app.settings import Settings
from gateway.app.settings_checks import findings
from gateway.app.trust import establish
from gateway.app.unsafe_settings import UnsafeSettings


def check(settings: Settings) -> None:
    """UnsafeSettings with every finding, of the settings and of this host."""
    if settings.development:
        raise UnsafeSettings("settings of development mode do not serve customers; start without --dev")
    found = [*findings(settings), *host_findings(settings)]
    if found:
        raise UnsafeSettings(findings=found)


async def _nothing(_opened: Opened) -> None: ...


def _no_bundle(_offered: ServedFunctions) -> None: ...


def _no_stand_in(_settings: Settings) -> None: ...


def _no_pages(_app: FastAPI, _settings: Settings, _has_pages: bool) -> None: ...


def _no_staff(_app: FastAPI, _sessions: object) -> None:
    raise UnsafeSettings("operations_issuer must be set: people sign in by the bank's own provider")


def _no_chores(_bank: object) -> Sequence[Coroutine[object, object, None]]:
    return ()


def _no_routes(*_: object) -> Sequence[Route]:
    return ()


PRODUCTION = Composition(
    mode="production",
    may_upgrade=False,
    keys_may_be_plain=False,
    check=check,
    core=core_of,
    shipped=_no_bundle,
    trust=establish,
    stand_in=_no_stand_in,
    chores=_no_chores,
    opened=_nothing,
    loopback_http=False,
    staff=_no_staff,
    pages=_no_pages,
    enrolment=_no_routes,
)
