"""A gateway of the tests: one of development mode."""

from gateway.app.clock import Clock, utc_now
from gateway.app.development.composition import DEVELOPMENT
from gateway.app.gateway import Gateway
from gateway.app.main import open_gateway as opened
from gateway.app.settings import Settings


async def open_gateway(settings: Settings, *, clock: Clock = utc_now) -> Gateway:
    """As `gateway.app.main.open_gateway`, with the composition of development mode."""
    return await opened(settings, DEVELOPMENT, clock=clock)
