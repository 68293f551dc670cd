"""A gateway of the tests: one of development mode."""

from dataclasses import fields, replace

from gateway.app.clock import Clock, utc_now
from gateway.app.development.composition import DEVELOPMENT
from gateway.app.gateway import Gateway
from gateway.app.main import open_gateway as opened
from gateway.app.settings import Settings

PATIENT_MS = 20_000
_USUAL_MS = next(item.default for item in fields(Settings) if item.name == "audit_wait_ms")


async def open_gateway(settings: Settings, *, clock: Clock = utc_now) -> Gateway:
    """As `gateway.app.main.open_gateway`, with the composition of development mode. A test that does not say how long a call waits
    for its record waits long: a busy disk of a test machine is no finding."""
    if settings.audit_wait_ms == _USUAL_MS:
        settings = replace(settings, audit_wait_ms=PATIENT_MS)
    return await opened(settings, DEVELOPMENT, clock=clock)
