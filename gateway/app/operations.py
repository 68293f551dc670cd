"""The operations listener of a gateway: its application, and its server beside the API's, in the same process and on the same loop.

Owns what is mounted there. Must never mount a route of customers, nor have one of its own mounted on the API.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from fastapi import FastAPI
from opentelemetry import metrics
from starlette.types import ASGIApp

from gateway.app.front import Front
from gateway.app.gateway import Gateway
from gateway.app.listening import Listening, operations_settings
from gateway.app.people import People, people_of
from gateway.app.tls import SignalFreeServer, server_config
from gateway.doors import access_log
from gateway.doors.operations import metrics as metrics_door
from gateway.doors.operations import shell, tiles


def mount_operations(app: FastAPI, gateway: Gateway, people: People) -> None:
    """EVERY ROUTE OF THE OPERATIONS LISTENER IS MOUNTED HERE, a line for each part: `metrics.mount(app, ...)`, `health.mount(app, ...)`.

    A part that people use says by `domain.duties` who may; `/metrics`, health and hashes ask nobody, as on a network of operators.
    """
    if gateway.prometheus is not None:
        metrics_door.mount(app, gateway.prometheus.scraped)
    tiles.mount(app, tiles.TilesDesk(gateway.log))
    people.mount(app, gateway)


def operations_application(gateway: Gateway, people: People) -> ASGIApp:
    """The whole of it: its routes, one form for its errors, and the access log before both."""
    app = shell.application()
    mount_operations(app, gateway, people)
    is_secure = gateway.settings.operations_origin.startswith("https://")
    return access_log.logged(shell.in_front(app, is_secure=is_secure), access_log.Pseudonyms(gateway.log.subject_of))


@contextlib.asynccontextmanager
async def operations_served(gateway: Gateway, listening: Listening, refused: metrics.Counter) -> AsyncIterator[None]:
    """Serve it while the block runs. It ends after the API, so that officers see how that ends."""
    settings = operations_settings(gateway.settings)
    if settings is None or listening.operations is None:
        yield
        return
    people = people_of(gateway)
    application = operations_application(gateway, people)
    config = server_config(application, settings, Front(settings, refused), lifespan="off", certificates=ssl.CERT_REQUIRED)
    server = SignalFreeServer(config)
    chore = asyncio.create_task(people.run())
    running = asyncio.create_task(server.serve(sockets=[listening.operations]))
    try:
        yield
    finally:
        server.should_exit = True
        await running
        chore.cancel()
        await asyncio.gather(chore, return_exceptions=True)
        await people.close()
