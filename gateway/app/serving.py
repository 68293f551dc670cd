"""An open gateway becomes a server: its HTTP application, and its chores."""

import asyncio
import contextlib
import gc
import itertools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import uvicorn
from fastapi import FastAPI
from opentelemetry import metrics
from starlette.types import ASGIApp

from audit.erasure import held_customers
from audit.log import Log
from gateway.app.clock import Clock
from gateway.app.composition import Composition
from gateway.app.confirm_page import page_of
from gateway.app.front import Front
from gateway.app.gateway import Gateway
from gateway.app.health import readiness_of
from gateway.app.keys import CONFIRM_PAGE, GatewayKeys
from gateway.app.listening import Listening, both_bound, url_of
from gateway.app.main import __version__, open_gateway
from gateway.app.mcp import mcp_mounted
from gateway.app.measures import Measuring
from gateway.app.operations import operations_served
from gateway.app.settings import Settings
from gateway.app.shared_rates import shared_rates
from gateway.app.stopping import asked_to_stop
from gateway.app.streaming import streaming
from gateway.app.timestamping import stamped
from gateway.app.tls import SignalFreeServer, server_config
from gateway.app.witnessing import cosigned
from gateway.calls.chores import alarmed
from gateway.confirmations.confirming import CustomerConfirmations
from gateway.domain.alarms import Chore
from gateway.doors import access_log, azure_paths, confirmations, granted_mandates, health, kill_switches, mandates, openapi, rest
from gateway.doors.assistants_api import assistants, runs, threads
from gateway.doors.chat_api import models
from gateway.doors.chat_api import routes as chat
from gateway.doors.pages import hosts
from gateway.doors.pages.session import SessionSeal
from gateway.doors.responses_api import routes as responses
from gateway.oversight.webhooks import AT_ONCE, Webhooks
from gateway.store import customers
from gateway.store.book import SqlBook
from gateway.store.sweeping import RetentionTimes, sweep


def build_app(gateway: Gateway, *, started: Callable[[], None] = lambda: None) -> FastAPI:
    """The HTTP application of an open gateway. Does the gateway's chores while it is served; tells `started` when it begins."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        running = [
            gateway.recovery.run(gateway.pipeline),
            _old_proofs(gateway.book, gateway.door.clock),
            _old_rows(gateway.book, gateway.log, gateway.settings, gateway.door.clock),
            gateway.trust.run(),
            _confirmed(gateway.confirmations),
            gateway.policies.run(),
            _rotated(gateway.keys, gateway.log),
            *_watched(gateway),
            *streaming(gateway.streams),
            *([] if gateway.webhooks is None else [_settled(gateway.webhooks)]),
            *gateway.composition.chores(gateway.bank),
            *([shared_rates(gateway).run()] if gateway.settings.database else []),
        ]
        if gateway.running.api.pool is not None:
            running.append(gateway.running.api.pool.run())
        if gateway.running.files is not None:
            running += [_left_over(gateway.running.files.sweep), _indexed(gateway.running.files.pool.step)]
        if gateway.running.tools.end_forgotten is not None:
            running.append(_forgotten(gateway.running.tools.end_forgotten))
        measuring = contextlib.nullcontext(()) if gateway.prometheus is None else Measuring(gateway).going()
        with measuring as further:
            chores = [asyncio.create_task(item) for item in (*running, *further)]
            started()
            try:
                async with mcp:
                    yield
            finally:
                for chore in chores:
                    chore.cancel()
                await asyncio.gather(*chores, return_exceptions=True)

    app = FastAPI(
        title="Tellergate",
        version=__version__,
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would be made of the request's own Host, before anybody was authenticated
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    _mount(app, gateway)
    mcp = mcp_mounted(app, gateway)
    return app


def _mount(app: FastAPI, gateway: Gateway) -> None:
    """The doors."""
    openapi.publish(app)
    health.mount(app, readiness_of(gateway), lambda: gateway.policies.decider.policies.bundle)
    rest.mount(app, gateway.door)
    cooling_off = timedelta(seconds=gateway.settings.passkey_cooling_off_s)
    confirmations.mount(app, gateway.door, confirmations.ConfirmationDependencies(gateway.relying_party(), cooling_off))
    kill_switches.mount(app, gateway.door, gateway.kill_switches)
    granted_mandates.mount(app, gateway.door, gateway.granted)
    mandates.mount(app, gateway.door, mandates.MandateDependencies(gateway.standing_mandates, gateway.log, gateway.book))
    for item in (assistants, runs, threads):  # `/threads/runs` before the thread of that name
        item.mount(app, gateway.door, gateway.running.api)
    for item in (chat, models, responses):
        item.mount(app, gateway.door, gateway.running.api)
    if gateway.running.files is not None:
        gateway.running.files.mount(app, gateway.door)
    gateway.composition.pages(app, gateway.settings, gateway.relying_party().verifier is not None)


def _watched(gateway: Gateway) -> Sequence[Coroutine[object, object, None]]:
    """What watches the log: others, and the gateway itself."""
    return cosigned(gateway.witnesses), stamped(gateway.timestamps), gateway.verification.run()


async def _confirmed(confirmations: CustomerConfirmations) -> None:
    """Go on, every ten seconds, with what was confirmed before a crash."""
    while True:
        await asyncio.sleep(10)
        with alarmed(Chore.CONFIRMED):
            await confirmations.resume()


async def _settled(webhooks: Webhooks) -> None:
    """Tell late outcomes as they come; forget, each hour, what was told long ago."""
    for second in itertools.count():
        with alarmed(Chore.WEBHOOKS):
            while await webhooks.deliver_due() == AT_ONCE:
                pass
            if second % 3600 == 0:
                await webhooks.forget()
        await asyncio.sleep(1)


async def _rotated(keys: GatewayKeys, log: Log) -> None:
    """Take over, every two seconds, the keys that were rotated: before they begin. Those of the log are looked at by what publishes."""
    while True:
        await asyncio.sleep(2)
        with alarmed(Chore.KEYS):
            await keys.take_over(log)


async def _old_proofs(book: SqlBook, clock: Clock) -> None:
    """Forget, each minute, the proofs of possession that are too old to be taken."""
    while True:
        with alarmed(Chore.PROOFS_SWEEP):
            await book.forget_proofs(clock())
        await asyncio.sleep(60)


async def _left_over(sweep_files: Callable[[], Awaitable[None]]) -> None:
    """Delete, each hour, contents of files that nobody has any more."""
    while True:
        with alarmed(Chore.FILES_SWEEP):
            await sweep_files()
        await asyncio.sleep(3600)


async def _forgotten(end_sessions: Callable[[], Awaitable[None]]) -> None:
    """End, every ten seconds, what runs code for threads that are there no more."""
    while True:
        await asyncio.sleep(10)
        with alarmed(Chore.CODE_SESSIONS):
            await end_sessions()


async def _indexed(step: Callable[[], Awaitable[None]]) -> None:
    """Index, as it comes, what was put into vector stores."""
    while True:
        with alarmed(Chore.FILES_INDEX):
            await step()
        await asyncio.sleep(0.2)


async def _old_rows(book: SqlBook, log: Log, settings: Settings, clock: Clock) -> None:
    """Forget, each hour, what the bank keeps no longer, but nothing that a legal hold keeps; in small transactions, so that nobody waits
    for it."""
    days = (settings.texts_kept_days, settings.calls_kept_days, settings.threads_kept_days)
    kept = RetentionTimes(*(timedelta(days=number) for number in days))
    while True:
        with alarmed(Chore.ROWS_SWEEP):
            if await sweep(book, kept, clock(), held=partial(held_customers, log)):
                await book.overwrite_deleted()
        await asyncio.sleep(3600)


def settle_the_interpreter() -> None:
    """Measured under load: full collections over what lives as long as the process stopped it for 100 ms, and a thread that had
    committed waited up to 5 ms for its turn.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    sys.setswitchinterval(0.0005)


async def serve(
    settings: Settings, composition: Composition, *, started: Callable[[str, Gateway, Callable[[], None]], None]
) -> int:
    """Serve until SIGINT or SIGTERM, or until stopped; the exit status. `started` gets the base URL, the gateway and what stops the server.

    UnsafeSettings before anything listens; OSError for an address that cannot be listened on.
    """
    composition.check(settings)
    with both_bound(settings) as listening:
        url = url_of(settings, listening.api)
        settings = replace(settings, public_url=settings.public_url or url)
        return await serve_on(listening, settings, composition, started=lambda gateway, stop: started(url, gateway, stop))


async def serve_on(
    listening: Listening,
    settings: Settings,
    composition: Composition,
    *,
    started: Callable[[Gateway, Callable[[], None]], None] = lambda *_: None,
    kept: bool = False,
) -> int:
    """Open a gateway and serve it on sockets that are bound; the same as `serve` otherwise. `kept`: as for `asked_to_stop`."""
    stopping = asyncio.Event()
    with asked_to_stop(stopping.set, kept=kept) as request:  # to its last line: the end is not cut off by what asked for it
        await _served(listening, lambda: open_gateway(settings, composition), started, stopping)
    return request.status


async def _served(
    listening: Listening,
    opening: Callable[[], Coroutine[object, object, Gateway]],
    started: Callable[[Gateway, Callable[[], None]], None],
    stopping: asyncio.Event,
) -> None:
    gateway = await opening()
    try:
        if stopping.is_set():
            return
        listening.listen()  # before `started` says where: whoever comes at once waits, and is not refused
        application = _application(gateway, lambda: started(gateway, stopping.set))
        refused = _refused(gateway)
        server = SignalFreeServer(server_config(application, gateway.settings, Front(gateway.settings, refused)))
        settle_the_interpreter()
        ending = asyncio.create_task(_ended_in_order(stopping, server, gateway))
        try:
            async with operations_served(gateway, listening, refused):
                await server.serve(sockets=[listening.api])
        finally:
            ending.cancel()
    finally:
        await gateway.close()


async def _ended_in_order(stopping: asyncio.Event, server: uvicorn.Server, gateway: Gateway) -> None:
    """The runs are let go first: the streams of their clients end with them, and hold up no one."""
    await stopping.wait()
    server.should_exit = True
    await gateway.running.release()


def _application(gateway: Gateway, started: Callable[[], None]) -> ASGIApp:
    """The whole of it: the API, the pages beside it where there are some, and the access log before both."""
    settings = gateway.settings
    app = in_front(build_app(gateway, started=started), gateway)
    page = page_of(
        settings,
        gateway.relying_party(),
        gateway.door,
        SessionSeal(gateway.keys[CONFIRM_PAGE], gateway.book),
        mandates.MandateDependencies(gateway.standing_mandates, gateway.log, gateway.book),
        further=lambda shell: gateway.composition.enrolment(shell, settings, partial(gateway.book.read, customers.names)),
    )
    if page is not None:
        app = hosts.beside(app, page, settings.confirming_origin)
    return access_log.logged(app, access_log.Pseudonyms(gateway.log.subject_of))


def _refused(gateway: Gateway) -> metrics.Counter:
    meter = gateway.instruments[1].get_meter("tellergate")
    return meter.create_counter("tellergate.front.refused", description="Connections that the front closed, by cause")


def in_front(app: ASGIApp, gateway: Gateway) -> ASGIApp:
    """The application with the routes before it that are asked most."""
    front = rest.in_front(runs.in_front(app, gateway.door, gateway.running.api), gateway.door)
    return azure_paths.in_front(front) if gateway.settings.azure_paths else front
