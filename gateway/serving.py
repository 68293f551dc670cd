"""An open gateway becomes a server: its HTTP application, its chores, one process or several on one address."""

import asyncio
import contextlib
import gc
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial

import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.supervisors import Multiprocess

from audit.database import DatabaseUnavailable
from gateway.cores import banking_days
from gateway.doors import rest, schemas
from gateway.doors.tls import server_config
from gateway.errors import Unavailable
from gateway.main import Gateway, __version__, open_gateway, utc_now
from gateway.recovery import alarmed
from gateway.settings import Settings, UnsafeSettings
from gateway.store.book import SqlBook


def build_app(gateway: Gateway, *, started: Callable[[], None] = lambda: None) -> FastAPI:
    """The HTTP application of an open gateway. Does the gateway's chores while it is served; tells `started` when it begins."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        running = [gateway.recovery.run(gateway.way), _old_proofs(gateway.book), gateway.trust.run()]
        if gateway.bank is not None:
            running.append(banking_days(gateway.bank))
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


async def _old_proofs(book: SqlBook) -> None:
    """Forget, each minute, the proofs of possession that are too old to be taken."""
    while True:
        with alarmed("proofs_sweep"):
            await book.forget_proofs(utc_now())
        await asyncio.sleep(60)


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
        url = _url(settings, listening)
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


def serve_several(settings: Settings, workers: int, *, started: Callable[[str], None]) -> None:
    """Serve with so many processes on one address until SIGINT or SIGTERM; one that dies is replaced, SIGHUP replaces one after the
    other. `started` gets the base URL, where requests wait until the first worker takes them.

    UnsafeSettings before anything listens: several processes share what one keeps to itself otherwise.
    """
    settings.checked()
    if not settings.database or not settings.core_url:
        raise UnsafeSettings("several workers share a database (PostgreSQL) and a core: set database and core_url")
    with _bound(settings) as listening:
        url = _url(settings, listening)
        settings = replace(settings, public_url=settings.public_url or url)
        asyncio.run(_tried(settings))  # makes keys and tables once, and says what is wrong where it is seen
        listening.listen(1024)
        started(url)
        config = server_config(partial(_Worker, settings), settings, workers=workers)
        Multiprocess(config, [listening]).run()


async def _tried(settings: Settings) -> None:
    await (await open_gateway(settings)).close()


class _Worker:
    """The application of one of several processes: opens its gateway when the server starts, closes it when the server stops."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        try:
            gateway = await open_gateway(self._settings)
        except (UnsafeSettings, Unavailable, DatabaseUnavailable, SQLAlchemyError, OSError) as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": f"a worker does not start: {type(error).__name__}"})
            return
        try:
            self._app = rest.in_front(build_app(gateway), gateway.door)
            settle_the_interpreter()
            await self._app(scope, receive, send)
        finally:
            await gateway.close()


def _url(settings: Settings, listening: socket.socket) -> str:
    where = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "http" if settings.tls_certificate is None else "https"
    return f"{scheme}://{where}:{listening.getsockname()[1]}"


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
